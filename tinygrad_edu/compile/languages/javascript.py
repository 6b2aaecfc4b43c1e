"""Generated programs in JavaScript: float64 as its numbers, float32 by Math.fround, arrays as (typed array, offset).

Each float32 operation is done in float64 and rounded. That is exact: float64 has more than twice the digits plus two.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.languages import values
from tinygrad_edu.compile.languages.language import MATH, Language, Pieces
from tinygrad_edu.compile.languages.values import Array, Number

WORDS = (
    "abstract arguments await boolean break byte case catch char class const continue debugger default delete do "
    "double else enum eval export extends false final finally float for function get goto if implements import in "
    "instanceof "
    "int interface let long native new null of package private protected public return set short static super switch "
    "synchronized this throw throws transient true try typeof undefined var void volatile while with yield async "
    "Math Infinity NaN Array Object Number String Boolean Symbol Error RangeError Float64Array Float32Array Int32Array "
    "Uint32Array window document self globalThis Function Date JSON Map Set Proxy Reflect Promise "
    "product duplicate power gather_rows larger smaller absolute modulo copysign uniform "
    "float_bits bits_float number32 word32 number64 words64 halves64 program Real count create "
    "epochs_of outputs_of Generator as_array as_rows seed_words MASK64 MASK128 MULTIPLIER BigInt BigInt64Array"
)
LITERAL = re.compile(r"-?[\d.]+(e[-+]?\d+)?")  # a finite number
BITS64 = """\
const number64 = new Float64Array(1), words64 = new Int32Array(number64.buffer);
const halves64 = new Uint32Array(number64.buffer);
"""
BITS32 = """\
const number32 = new Float32Array(1), word32 = new Int32Array(number32.buffer);
function float_bits(x) { number32[0] = x; return word32[0]; }
function bits_float(n) { word32[0] = n; return number32[0]; }
"""
# 64-bit integers are slow in JavaScript: the same bit operations as in codegen/math_approximations.py on two halves.
HALVES: Mapping[str, str] = {
    "power_of_two": """\
function power_of_two_d(n) {
    words64[1] = (n + 1023) << 20;
    words64[0] = 0;
    return number64[0];
}
""",
    "exponent": """\
function exponent_d(x) {
    number64[0] = x;
    const carry = halves64[0] + 0x9980C433 > 0xFFFFFFFF ? 1 : 0;
    return ((words64[1] + 0x00095F61 + carry) >> 20) - 1023;
}
""",
    "fraction": """\
function fraction_d(x) {
    number64[0] = x;
    let low = halves64[0] + 0x9980C433;
    let high = words64[1] + 0x00095F61 + (low > 0xFFFFFFFF ? 1 : 0);
    low = (low >>> 0) + 0x667F3BCD;
    high = (high & 0x000FFFFF) + 0x3FE6A09E + (low > 0xFFFFFFFF ? 1 : 0);
    halves64[0] = low >>> 0;
    words64[1] = high;
    return number64[0];
}
""",
}
SUPPORT: Mapping[str, str] = {
    "larger": "function larger(a, b) { return b > a ? b : a; }\n",
    "smaller": "function smaller(a, b) { return b < a ? b : a; }\n",
    "absolute": "function absolute(x) { return x < 0 ? -x : x; }\n",
    "modulo": """\
function modulo(a, b) {
    const rest = a % b;
    return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest + 0;
}
""",
    "copysign": """\
function copysign(x, y) {
    const size = Math.abs(x);
    return y < 0 || (y === 0 && 1 / y < 0) ? -size : size;
}
""",
    "power": """\
// as in C: 1 to any power is 1, also to NaN and infinity, and so is -1 to infinity
function power(x, y) {
    return x === 1 || (x === -1 && Math.abs(y) === Infinity) ? 1 : Math.pow(x, y);
}
""",
    "duplicate": """\
function duplicate(source, from, out, to, size) {
    for (let i = 0; i < size; i++) {
        out[to + i] = source[from + i];
    }
}
""",
    "gather_rows": """\
function gather_rows(source, from, order, place, out, to, rows, size) {
    for (let i = 0; i < rows; i++) {
        const row = from + order[place + i] * size;
        for (let j = 0; j < size; j++) {
            out[to + i * size + j] = source[row + j];
        }
    }
}
""",
    "product": """\
// out = a b; row and column: the strides of the rows and columns of a and b. Sums run from the first item to the last.
function product(n, k, m, a, a_at, a_row, a_column, b, b_at, b_row, b_column, out, out_at) {
    for (let i = 0; i < n; i++) {
        for (let j = 0; j < m; j++) {
            let p = a_at + i * a_row, q = b_at + j * b_column, total = 0;
            for (let l = 0; l < k; l++) {
                total += a[p] * b[q];
                p += a_column;
                q += b_row;
            }
            out[out_at + i * m + j] = total;
        }
    }
}
""",
    "uniform": "",
}
ROUNDED_PRODUCT = SUPPORT["product"].replace("total += a[p] * b[q]", "total = round(total + round(a[p] * b[q]))")


class JavaScript(Language):
    """ECMAScript 2015 and later."""

    name = "JavaScript"
    reserved = frozenset(WORDS.split())
    equality: Mapping[str, str] = {"==": "===", "!=": "!=="}

    def real(self, x: float, kind: str) -> Number:
        x = float(np.float32(x)) if kind == "single" else x
        if math.isfinite(x):
            text = repr(x).removesuffix(".0")
        else:
            text = "NaN" if math.isnan(x) else "-Infinity" if x < 0.0 else "Infinity"
        return Number(text, kind, values.UNARY if text.startswith("-") else values.ATOM)

    def round_to(self, text: str, kind: str, precedence: int) -> Number:
        return Number(f"Math.fround({text})", kind) if kind == "single" else Number(text, kind, precedence)

    def cast(self, x: Number, kind: str) -> Number:
        if kind == "single":
            return Number(f"Math.fround({x.text})", kind)
        if kind == "double":  # an integer may be -0 here
            sure = x.kind in values.REAL or not any(sign in x.text for sign in ("*", "trunc", "modulo"))
            return (
                Number(x.text, kind, x.precedence)
                if sure
                else Number(f"{x.within(values.PLUS)} + 0", kind, values.PLUS)
            )
        if x.kind in values.REAL:
            return Number(f"Math.trunc({x.text})", kind)
        return (
            Number(f"{x.within(values.ATOM)} | 0", kind, values.OR_BITS)
            if kind == "int32"
            else Number(x.text, kind, x.precedence)
        )

    def floor_divide(self, writer: Pieces, a: Number, b: Number) -> Number:
        return Number(f"Math.floor({a.within(values.TIMES)} / {b.within(values.UNARY)})", "int")

    def modulo(self, writer: Pieces, a: Number, b: Number) -> Number:
        return self.call_support(writer, "modulo", [a, b], "int")

    def bitwise(self, sign: str, a: Number, b: Number) -> Number:
        return Number(f"{a.within(values.ATOM)} {sign} {b.within(values.ATOM)}", "int", values.OR_BITS)

    def wrap(self, sign: str, a: Number, b: Number) -> Number:
        return Number(f"{a.within(values.PLUS)} {sign} {b.within(values.TIMES)}", "int", values.PLUS)

    def bits(self, writer: Pieces, x: Number, kind: str) -> Number:
        writer.need("BITS32", BITS32)
        to_bits = kind in ("int", "int32")
        return Number(f"{'float_bits' if to_bits else 'bits_float'}({x.text})", kind, wraps=to_bits)

    def mathematics(self, writer: Pieces, name: str, given: Sequence[Number], kind: str) -> Number | None:
        if name == "fabs":
            return Number(f"Math.abs({given[0].text})", kind)
        if name == "copysign":
            return self.call_support(writer, name, given, kind)
        if name == "pow" and not LITERAL.fullmatch(given[1].text):
            return self.round_to(self.call_support(writer, "power", given, kind).text, kind, values.ATOM)
        if name == "fmod":
            return Number(f"{given[0].within(values.TIMES)} % {given[1].within(values.UNARY)}", kind, values.TIMES)
        if name not in MATH:
            return None
        return self.round_to(f"Math.{name}({', '.join(x.text for x in given)})", kind, values.ATOM)

    def support(self, writer: Pieces, name: str, kind: str) -> str:
        writer.need(name, SUPPORT[name])
        return name

    def replacement(self, writer: Pieces, name: str, kinds: str) -> str:
        if name not in HALVES or kinds != "d":
            return ""
        writer.need("BITS64", BITS64)
        writer.need(f"{name}_d", HALVES[name])
        return f"{name}_d"

    def uniform(self, writer: Pieces, source: Array) -> Number:
        return Number(f"{source.data}.random()", "double")

    def copy(self, writer: Pieces, source: Array, out: Array) -> Number:
        given = [*self.address(source), *self.address(out), out.size.text]
        return Number(f"{self.support(writer, 'duplicate', '')}({', '.join(given)})", "void")

    def gather(self, writer: Pieces, source: Array, order: Array, place: Number, out: Array) -> Number:
        rows, size = out.shape
        at = values.plus(order.at, place)
        given = [*self.address(source), order.data, at.text, *self.address(out), rows.text, size.text]
        return Number(f"{self.support(writer, 'gather_rows', '')}({', '.join(given)})", "void")

    def dot(self, writer: Pieces, a: Array, b: Array, out: Array) -> Number:
        name = "product_s" if out.kind == "single" else "product"
        text = ROUNDED_PRODUCT.replace("round(", "Math.fround(").replace("product(", "product_s(", 1)
        writer.need(name, text if out.kind == "single" else SUPPORT["product"])
        sizes = [a.shape[0].text, a.shape[1].text, out.shape[1].text]
        matrices = [*self.address(a), *self.layout(a), *self.address(b), *self.layout(b), *self.address(out)]
        return Number(f"{name}({', '.join([*sizes, *matrices])})", "void")

    def offset(self, ident: str) -> Number:
        return Number(f"{ident}_at", "int")

    def address(self, x: Array) -> list[str]:
        return [x.data, x.at.text]

    def declaration(self, kind: str, ident: str) -> str:
        return f"let {ident}"

    def declare(self, ident: str, value: Any) -> list[str]:
        return [f"let {ident}, {ident}_at;" if isinstance(value, Array) else f"let {ident};"]

    def assign(self, ident: str, value: Any, declare: bool) -> list[str]:
        let = "let " * declare
        if isinstance(value, Number):
            return [f"{let}{ident} = {value.text};"]
        if declare:
            return [f"let {ident} = {value.data}, {ident}_at = {value.at.text};"]
        return [f"{ident} = {value.data};", f"{ident}_at = {value.at.text};"]

    def function(
        self, name: str, parameters: Sequence[tuple[str, str]], result: str, lines: Sequence[str], entry: bool = False
    ) -> str:
        body = "".join(f"    {line}\n" for line in lines)
        return f"function {name}({', '.join(p for p, _ in parameters)}) {{\n{body}}}\n"

    def leave(self, entry: bool) -> str:
        return "return;"

    def fail(self, message: str) -> str:
        return f"throw new RangeError({json.dumps(message)});"
