"""Generated programs in C99: arrays as pointers, whole numbers as int64_t; math.h, stdint.h and string.h alone."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.languages import values
from tinygrad_edu.compile.languages.language import MATH, Language, Pieces
from tinygrad_edu.compile.languages.values import LETTERS, Array, Number

WORDS = (
    "auto break case char const continue default do double else enum extern float for goto if inline int long register "
    "restrict return short signed sizeof static struct switch typedef union unsigned void volatile while main NULL NAN "
    "INFINITY memcpy memset size_t int32_t int64_t uint32_t uint64_t FILE stdin stdout stderr printf fprintf fgets "
    "strtod strtol strchr strcmp fopen fclose fread fwrite exit isnan isfinite errno asm typeof signbit HUGE_VAL EOF "
    "bits_of number_of epochs_of outputs_of rate_of real "
    "atan2 hypot fmod copysign erf erfc lgamma tgamma cbrt trunc round rint remainder ldexp frexp fmax fmin fabs"
)
TYPES = {"bool": "int", "int32": "int32_t", "int": "int64_t", "single": "float", "double": "double"}
FUNCTIONS = MATH | {"erf", "erfc", "lgamma", "fmod", "fabs", "copysign"}  # in math.h; the float versions end in f
SUPPORT: Mapping[str, str] = {
    "larger": "static {type} larger_{letter}({type} a, {type} b) {{ return b > a ? b : a; }}\n",
    "smaller": "static {type} smaller_{letter}({type} a, {type} b) {{ return b < a ? b : a; }}\n",
    "absolute": "static {type} absolute_{letter}({type} x) {{ return x < 0 ? -x : x; }}\n",
    "quotient": """\
static {type} quotient_{letter}({type} a, {type} b)  /* rounded down */
{{
    return a / b - (a % b != 0 && (a % b < 0) != (b < 0));
}}
""",
    "modulo": """\
static {type} modulo_{letter}({type} a, {type} b)
{{
    return a % b != 0 && (a % b < 0) != (b < 0) ? a % b + b : a % b;
}}
""",
    "bits": """\
static {whole} bits_{letter}({type} x)
{{
    {whole} n;
    memcpy(&n, &x, sizeof n);
    return n;
}}
""",
    "number": """\
static {type} number_{letter}({whole} n)
{{
    {type} x;
    memcpy(&x, &n, sizeof x);
    return x;
}}
""",
    "gather": """\
static void gather_{letter}(const {type} *source, const int64_t *order, {type} *out, int64_t rows, int64_t size)
{{
    for (int64_t i = 0; i < rows; i++) {{
        memcpy(out + i * size, source + order[i] * size, (size_t)size * sizeof *out);
    }}
}}
""",
    "product": """\
/* out = a b; row and column: the strides of the rows and columns of a and b. Each sum runs from its first item to
   its last; if the rows of b are contiguous they are added row after row, which gives the same sum. */
static void product_{letter}(int64_t n, int64_t k, int64_t m, const {type} *a, int64_t a_row, int64_t a_column,
    const {type} *b, int64_t b_row, int64_t b_column, {type} *out)
{{
    for (int64_t i = 0; i < n; i++) {{
        {type} *sums = out + i * m;
        if (b_column == 1) {{
            for (int64_t j = 0; j < m; j++) {{
                sums[j] = 0;
            }}
            for (int64_t l = 0; l < k; l++) {{
                const {type} factor = a[i * a_row + l * a_column];
                const {type} *row = b + l * b_row;
                for (int64_t j = 0; j < m; j++) {{
                    sums[j] += factor * row[j];
                }}
            }}
        }} else {{
            for (int64_t j = 0; j < m; j++) {{
                {type} total = 0;
                for (int64_t l = 0; l < k; l++) {{
                    total += a[i * a_row + l * a_column] * b[l * b_row + j * b_column];
                }}
                sums[j] = total;
            }}
        }}
    }}
}}
""",
    "uniform": """\
/* The next number in [0, 1) of NumPy's default generator, PCG64 (O'Neill 2014): state, increment; high words first. */
static double uniform_d(uint64_t *source)
{{
    const uint64_t low_factor = 0x4385DF649FCCF645u, high_factor = 0x2360ED051FC65DA4u;
    uint64_t a0 = source[1] & 0xFFFFFFFFu, a1 = source[1] >> 32, b0 = low_factor & 0xFFFFFFFFu, b1 = low_factor >> 32;
    uint64_t middle = a1 * b0 + (a0 * b0 >> 32), other = a0 * b1 + (middle & 0xFFFFFFFFu);
    uint64_t high = a1 * b1 + (middle >> 32) + (other >> 32) + source[0] * low_factor + source[1] * high_factor;
    uint64_t low = source[1] * low_factor + source[3], mixed;
    unsigned turn;
    source[0] = high + source[2] + (low < source[3]);
    source[1] = low;
    turn = (unsigned)(source[0] >> 58);
    mixed = source[0] ^ source[1];
    mixed = (mixed >> turn) | (mixed << ((64u - turn) & 63u));
    return (double)(mixed >> 11) / 9007199254740992.0;
}}
""",
}


class C99(Language):
    """ISO C of 1999."""

    name = "C"
    reserved = frozenset([*WORDS.split(), *FUNCTIONS, *(f"{name}f" for name in FUNCTIONS)])

    def real(self, x: float, kind: str) -> Number:
        x = float(np.float32(x)) if kind == "single" else x
        if math.isfinite(x):
            text = repr(x) + "f" * (kind == "single")
        else:
            text = "NAN" if math.isnan(x) else "-INFINITY" if x < 0.0 else "INFINITY"
        return Number(text, kind, values.UNARY if text.startswith("-") else values.ATOM)

    def round_to(self, text: str, kind: str, precedence: int) -> Number:
        return Number(text, kind, precedence)

    def cast(self, x: Number, kind: str) -> Number:
        return Number(f"({TYPES[kind]}){x.within(values.UNARY)}", kind, values.UNARY)

    def floor_divide(self, writer: Pieces, a: Number, b: Number) -> Number:
        return self.call_support(writer, "quotient", [a, b], "int")

    def modulo(self, writer: Pieces, a: Number, b: Number) -> Number:
        return self.call_support(writer, "modulo", [a, b], "int")

    def bitwise(self, sign: str, a: Number, b: Number) -> Number:
        if sign == "<<":
            return Number(
                f"(int64_t)((uint64_t){a.within(values.UNARY)} << {b.within(values.ATOM)})", "int", values.UNARY
            )
        return Number(f"({a.within(values.UNARY)} {sign} {b.within(values.UNARY)})", "int")

    def wrap(self, sign: str, a: Number, b: Number) -> Number:
        left, right = a.within(values.UNARY), b.within(values.UNARY)
        return Number(f"(int64_t)((uint64_t){left} {sign} (uint64_t){right})", "int", values.UNARY)

    def bits(self, writer: Pieces, x: Number, kind: str) -> Number:
        if kind in values.REAL:
            return self.call_support(writer, "number", [x], kind)
        found = self.support(writer, "bits", x.kind)
        return Number(f"{found}({x.text})", kind, wraps=kind == "int")

    def mathematics(self, writer: Pieces, name: str, given: Sequence[Number], kind: str) -> Number | None:
        if name not in FUNCTIONS:
            return None
        return Number(f"{name}{'f' * (kind == 'single')}({', '.join(x.text for x in given)})", kind)

    def support(self, writer: Pieces, name: str, kind: str) -> str:
        called = f"{name}_{LETTERS[kind]}"
        whole = "int32_t" if kind == "single" else "int64_t"
        writer.need(called, SUPPORT[name].format(type=TYPES[kind], letter=LETTERS[kind], whole=whole))
        return called

    def uniform(self, writer: Pieces, source: Array) -> Number:
        writer.need("uniform_d", SUPPORT["uniform"].format())
        return Number(f"uniform_d({self.address(source)[0]})", "double")

    def copy(self, writer: Pieces, source: Array, out: Array) -> Number:
        to, size = self.address(out)[0], Number(f"(size_t){out.size.within(values.UNARY)}", "int", values.UNARY)
        return Number(f"memcpy({to}, {self.address(source)[0]}, {size.text} * sizeof *{out.data})", "void")

    def gather(self, writer: Pieces, source: Array, order: Array, place: Number, out: Array) -> Number:
        at = Array(order.data, order.kind, order.shape, values.plus(order.at, place))
        addresses = [self.address(x)[0] for x in (source, at, out)]
        name = self.support(writer, "gather", out.kind)
        return Number(f"{name}({', '.join([*addresses, out.shape[0].text, out.shape[1].text])})", "void")

    def dot(self, writer: Pieces, a: Array, b: Array, out: Array) -> Number:
        sizes = [a.shape[0].text, a.shape[1].text, out.shape[1].text]
        matrices = [*self.address(a), *self.layout(a), *self.address(b), *self.layout(b), *self.address(out)]
        return Number(f"{self.support(writer, 'product', out.kind)}({', '.join([*sizes, *matrices])})", "void")

    def offset(self, ident: str) -> Number:
        return values.whole(0)

    def address(self, x: Array) -> list[str]:
        return [x.data if x.at.text == "0" else f"{x.data} + {x.at.within(values.TIMES)}"]

    def declaration(self, kind: str, ident: str) -> str:
        return f"{TYPES[kind]} {ident}"

    def declare(self, ident: str, value: Any) -> list[str]:
        return [f"{TYPES[value.kind]} {'*' * isinstance(value, Array)}{ident};"]

    def assign(self, ident: str, value: Any, declare: bool) -> list[str]:
        text = self.address(value)[0] if isinstance(value, Array) else value.text
        head = self.declare(ident, value)[0].removesuffix(";") if declare else ident
        return [f"{head} = {text};"]

    def function(
        self, name: str, parameters: Sequence[tuple[str, str]], result: str, lines: Sequence[str], entry: bool = False
    ) -> str:
        given = [self.parameter(ident, kind) for ident, kind in parameters]
        entry = entry and result == "void"
        kind = "const char *" if entry else "void " if result == "void" else f"{TYPES[result]} "
        body = "".join(f"    {line}\n" for line in [*lines, *["return NULL;"] * entry])
        head = textwrap.fill(f"static {kind}{name}({', '.join(given) or 'void'})", 120, subsequent_indent=" " * 4)
        return f"{head}\n{{\n{body}}}\n"

    def parameter(self, ident: str, kind: str) -> str:
        if kind == "random[]":
            return f"uint64_t *{ident}"
        return f"{TYPES[kind.removesuffix('[]')]} {'*' * kind.endswith('[]')}{ident}"

    def leave(self, entry: bool) -> str:
        return "return NULL;" if entry else "return;"

    def fail(self, message: str) -> str:
        return f"return {c_string(message)};"


def c_string(text: str) -> str:
    """A string literal for any text: bytes that are not plain characters are written as octal escapes."""
    plain = "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in text.encode())
    return f'"{plain}"'
