/* PROGRAM predict [WEIGHTS]              reads inputs, and writes the outputs for each
   PROGRAM train EPOCHS [SEED [WEIGHTS]]  reads inputs and targets, up to @samples@ samples, and writes each epoch's loss

   WEIGHTS is a file of the weights, and of what else training changes and predicting needs, as the running means of a
   batch norm: `train` writes it, `predict` reads it. */
static @x_type@ table_X[@samples@ * @inputs@];
static @y_type@ table_y[@samples@ * @targets@];
static int64_t table_order[@samples@];

static int file_of(const char *name, const char *mode)
{
    struct {
        void *at;
        size_t size;
    } parts[] = {{state, @total@ * sizeof *state}@kept_parts@};
    FILE *file = fopen(name, mode);
    size_t missing = 1;
    if (file) {
        missing = 0;
        for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
            void *at = parts[i].at;
            size_t size = parts[i].size;
            missing += size - (mode[0] == 'r' ? fread(at, 1, size, file) : fwrite(at, 1, size, file));
        }
        missing += mode[0] == 'r' && fgetc(file) != EOF;
        missing += fclose(file) != 0;
    }
    return missing == 0 ? 0 : fail("the file of weights cannot be read or written", 0);
}

static int train_rows(long epochs, int shuffled)
{
    static char line[@line@];
    double numbers[@inputs@ + @targets@];
    int64_t n = 0;
    for (long at = 1; fgets(line, sizeof line, stdin); at++) {
        int kind = read_line(line, numbers, @inputs@ + @targets@);
        if (kind < 0 || (kind == 0 && at > 1)) {
            return fail("@inputs@ + @targets@ numbers between commas are needed, inputs before targets", at);
        }
        if (kind == 0) {
            continue;
        }
        if (n == @samples@) {
            return fail("there is room for @samples@ samples: export with more", at);
        }
        for (int i = 0; i < @inputs@; i++) {
            table_X[n * @inputs@ + i] = (@x_type@)numbers[i];
        }
        for (int i = 0; i < @targets@; i++) {
            table_y[n * @targets@ + i] = (@y_type@)numbers[@inputs@ + i];
        }
        n++;
    }
    for (long epoch = 0; epoch < epochs; epoch++) {
        double loss;
        const char *error;
        if (shuffled) {
            @name@_shuffle(table_order, n, 1);
        }
        error = @name@_train(table_X, table_y, n, @batch@, 1, shuffled ? table_order : NULL, &loss);
        if (error) {
            return fail(error, 0);
        }
        printf("%.17g\n", loss);
        if (@name@_stopped()) {
            break;
        }
    }
    return 0;
}

int main(int count, char **words)
{
    long epochs = count > 2 ? strtol(words[2], NULL, 10) : 0;
    @name@_reset();
    if (count > 1 && count < 4 && strcmp(words[1], "predict") == 0) {
        return (count == 3 && file_of(words[2], "rb")) || predict_rows();
    }
    if (count > 2 && count < 6 && strcmp(words[1], "train") == 0 && epochs > 0) {
        if (count > 3) {
            @name@_seed((uint64_t)strtol(words[3], NULL, 10));
        }
        return train_rows(epochs, count > 3) || (count == 5 && file_of(words[4], "wb"));
    }
    return fail("predict [WEIGHTS] or train EPOCHS [SEED [WEIGHTS]]", 0);
}
