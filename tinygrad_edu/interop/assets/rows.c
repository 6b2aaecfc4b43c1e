/* Samples come from standard input, one a line, numbers between commas; a first line that does not begin with a number
   is a heading and is left out. For each, the outputs are written to standard output. */
#include <stdio.h>
#include <stdlib.h>

/* The numbers of a line: 1 for a sample, 0 for a heading, -1 for a line that is neither. */
static int read_line(char *line, double *numbers, int wanted)
{
    char *at = line, *end;
    for (int i = 0; i < wanted; i++) {
        numbers[i] = strtod(at, &end);
        if (end == at) {
            return i == 0 ? 0 : -1;
        }
        at = end + strspn(end, " \t\r\n");
        if (i + 1 < wanted && *at++ != ',') {
            return -1;
        }
    }
    return *at == '\0' ? 1 : -1;
}

static int fail(const char *what, long line)
{
    if (line) {
        fprintf(stderr, "line %ld: %s\n", line, what);
    } else {
        fprintf(stderr, "%s\n", what);
    }
    return 1;
}

static int predict_rows(void)
{
    static char line[@line@];
    double numbers[@inputs@];
    @x_type@ x[@inputs@];
    @real@ out[@outputs@];
    for (long at = 1; fgets(line, sizeof line, stdin); at++) {
        int kind = read_line(line, numbers, @inputs@);
        const char *error;
        if (kind < 0 || (kind == 0 && at > 1)) {
            return fail("@inputs@ numbers between commas are needed", at);
        }
        if (kind == 0) {
            continue;
        }
        for (int i = 0; i < @inputs@; i++) {
            x[i] = (@x_type@)numbers[i];
        }
        error = @name@_predict(x, 1, out);
        if (error) {
            return fail(error, at);
        }
        for (int i = 0; i < @outputs@; i++) {
            printf("%.17g%c", (double)out[i], i + 1 < @outputs@ ? ',' : '\n');
        }
    }
    return 0;
}
