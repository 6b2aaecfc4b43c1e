/* Memory for one network that trains, its settings, its data. Nothing is allocated. */

static @real@ saved[@rows@ * @total@], gradient[@total@];
static @real@ work[@work@];
static int64_t whole[@whole@];
static double steps, last_norm, last_change;
static int64_t epochs_done;
static int stopped;
@rule@

/* The numbers that the next step uses, by name; they may be changed at any time. */
struct @name@_settings {
    @setting_fields@
};
struct @name@_settings @name@_settings = {@setting_values@};

/* The stopping rule as before the first epoch. */
static void begin_rule(void)
{
    @rule_begin@
    stopped = 0;
}

/* Weights, memories and everything else as in the model that was exported, before the first step. */
void @name@_reset(void)
{
    memcpy(state, start, sizeof start);
    @reset@
    steps = 0.0;
    epochs_done = 0;
    begin_rule();
}

/* The weights, @total@ numbers: the arrays of the model one after another, each row by row. */
@real@ *@name@_weights(void)
{
    return state;
}

/* What training changes besides the weights and predicting needs, as the running mean and variance of a batch norm:
   where part 0, 1, ... is, and its bytes; NULL behind the last one. Whoever keeps the weights keeps these too. */
void *@name@_statistics(int part, size_t *bytes)
{
    struct {
        void *at;
        size_t bytes;
    } parts[] = {{NULL, 0}@kept_parts@};
    int count = (int)(sizeof parts / sizeof *parts);
    part = part < 0 || part + 1 >= count ? 0 : part + 1;
    *bytes = parts[part].bytes;
    return parts[part].at;
}

int64_t @name@_steps(void)
{
    return (int64_t)steps;
}

/* Epochs since the last reset. */
int64_t @name@_epochs(void)
{
    return epochs_done;
}

/* Has the stopping rule ended the last call of train? The next one begins it anew. */
int @name@_stopped(void)
{
    return stopped;
}

/* Of the last epoch: the length of its last gradient, and how far the weights have moved. */
double @name@_gradient_norm(void)
{
    return last_norm;
}

double @name@_change(void)
{
    return last_change;
}

/* Train on n samples for so many epochs, in batches of up to `batch` samples: X (n, @inputs@), y (n, @targets@), row by
   row. order: the numbers of the samples in the order of each epoch, n for each; NULL: as they lie. losses: room for
   the mean loss of each epoch, or NULL. The result is NULL, or what is wrong; if a loss is NaN or infinite, the weights
   are those of the epoch before. A stopping rule ends it early, see @name@_stopped and @name@_epochs. */
const char *@name@_train(const @x_type@ *X, const @y_type@ *y, int64_t n, int64_t batch, int64_t epochs,
    const int64_t *order, double *losses)
{
    if (n < 1 || batch < 1 || (batch < n ? batch : n) > @batch@) {
        return "n and batch have to be at least 1, and a batch no larger than @batch@ samples";
    }
    batch = batch < n ? batch : n;
    if (stopped) {
        begin_rule();
    }
    @batch_check@
    for (int64_t epoch = 0; epoch < epochs; epoch++) {
        double rates[1], loss[1], norm[1], change[1], stopping[5] = {0.0, 0.0, 0.0, 0.0, 0.0};
        double settings[] = {@setting_list@};
        int64_t control[3] = {0, 0, 0}, sizes[1] = {0};
        int64_t *orders = (int64_t *)order + (order ? epoch * n : 0);
        const char *error;
        @before@
        rates[0] = @rate@;
        error = epochs_of(@train_arguments@);
        if (error) {
            return error;
        }
        if (losses) {
            losses[epoch] = loss[0];
        }
        if (control[2]) {
            @back@
            return "the loss is NaN or infinite";
        }
        steps += (double)((n + batch - 1) / batch);
        last_norm = norm[0];
        last_change = change[0];
        epochs_done++;
        @rule_check@
    }
    return NULL;
}
