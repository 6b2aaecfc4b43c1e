static @real@ room[@room@];  /* for what a chunk of @chunk@ rows needs on its way */

/* The outputs of the network for n rows of X: out (n, @outputs@). */
const char *@name@_predict(const @x_type@ *X, int64_t n, @real@ *out)
{
    @real@ results[1];
    for (int64_t first = 0; first < n; first += @chunk@) {
        int64_t size = n - first < @chunk@ ? n - first : @chunk@;
        const char *error;
        @rows_check@
        error = outputs_of(@predict_arguments@);
        if (error) {
            return error;
        }
    }
    return NULL;
}
