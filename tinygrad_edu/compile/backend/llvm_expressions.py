"""Expressions in LLVM: arithmetic between types, arrays as an address and a shape, built-in functions."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import reduce
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from tinygrad_edu.compile.backend import intrinsics, lanes, own_memory, parse, tables
from tinygrad_edu.compile.backend.aliases import Builder, IRValue
from tinygrad_edu.compile.backend.llvm_values import (
    BOOL,
    DOUBLE,
    FLOAT,
    INT,
    NAMED,
    Array,
    Vector,
    alignment,
    cast,
    common,
    element,
    is_real,
    parts,
    rebuilt,
    type_of,
)  # fmt: skip
from tinygrad_edu.compile.backend.matmul import Matrix, product

# (instruction for two floats, for two integers); "" if there is none
ARITHMETIC: dict[type, tuple[str, str]] = {
    ast.Add: ("fadd", "add"), ast.Sub: ("fsub", "sub"), ast.Mult: ("fmul", "mul"), ast.Div: ("fdiv", ""),
    ast.BitAnd: ("", "and_"), ast.BitOr: ("", "or_"), ast.LShift: ("", "shl"), ast.RShift: ("", "ashr"),
}  # fmt: skip
WHOLE = (ast.FloorDiv, ast.Mod)
COMPARISONS: dict[type, str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
CONSTANTS = {"math.inf": math.inf, "math.nan": math.nan, "math.pi": math.pi, "math.e": math.e}
# Functions of LLVM and of C's math library (whose float32 names end in f), by number of arguments.
ONE = (
    *("tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "expm1", "log1p", "cbrt"),
    *("erf", "erfc", "lgamma"),
)
LIBRARY = dict.fromkeys(ONE, 1) | dict.fromkeys(["atan2", "hypot", "fmod"], 2)
INTRINSIC = dict.fromkeys(["sqrt", "log", "log2", "log10", "exp", "fabs", "sin", "cos", "floor"], 1)
MATHS = INTRINSIC | dict.fromkeys(["copysign", "pow"], 2) | LIBRARY


class Expressions:
    """How each kind of expression is compiled; llvm_statements.py adds the statements."""

    scope: dict[str, Any]

    def __init__(self, builder: Builder, text: Any, flags: list[str]) -> None:
        self.builder, self.text, self.flags = builder, text, flags

    def visit(self, node: ast.AST) -> Any:
        method = getattr(self, f"on_{type(node).__name__}", None)
        if method is None:
            raise self.refusal(node, "is not in the language of llvm_statements.py")
        return method(node)

    def refusal(self, node: ast.AST, why: str) -> NotImplementedError:
        return NotImplementedError(f"line {getattr(node, 'lineno', '?')}, `{ast.unparse(node):.80}` {why}")

    def read(self, slot: IRValue) -> Any:
        raise NotImplementedError

    def call(self, name: str, given: list[Any]) -> Any:
        raise NotImplementedError

    def mark(self, access: IRValue, node: ast.Subscript) -> Any:
        raise NotImplementedError

    # Numbers

    def on_Constant(self, node: ast.Constant) -> Any:  # noqa: N802  (named after the nodes of ast)
        kind = BOOL if isinstance(node.value, bool) else DOUBLE if isinstance(node.value, float) else INT
        return kind(node.value)

    def on_Name(self, node: ast.Name) -> Any:  # noqa: N802
        if node.id in self.scope:
            return self.read(self.scope[node.id])
        if node.id not in self.text.constants:
            raise self.refusal(node, "has no value here, or not on each way to this place")
        return self.visit(self.text.constants[node.id])

    def on_Tuple(self, node: ast.Tuple) -> tuple[Any, ...]:  # noqa: N802
        return tuple(map(self.visit, node.elts))

    def on_BinOp(self, node: ast.BinOp) -> Any:  # noqa: N802
        return self.binary(node, self.visit(node.left), self.visit(node.right))

    def binary(self, node: ast.BinOp | ast.AugAssign, a: IRValue, b: IRValue) -> Any:
        op = node.op
        if isinstance(op, ast.Pow):
            return self.mathematics("pow", [a, b])
        kind = common(a.type, b.type)
        if not is_real(kind) and isinstance(op, ast.Div):
            kind = DOUBLE
        elif kind == BOOL and not isinstance(op, (ast.BitAnd, ast.BitOr)):
            kind = INT
        a, b, real = cast(self.builder, a, kind), cast(self.builder, b, kind), is_real(kind)
        if isinstance(op, WHOLE) and kind == INT:
            return self.whole(op, a, b)
        name = ARITHMETIC.get(type(op), ("", ""))[not real]
        if not name:
            raise self.refusal(node, f"has an operation of {kind} that is not in the language of llvm_statements.py")
        make = getattr(self.builder, name)
        return make(a, b, flags=self.flags) if real else make(a, b)

    def whole(self, op: ast.operator, a: IRValue, b: IRValue) -> Any:
        """a // b and a % b of whole numbers, rounded down as in Python."""
        rest = self.builder.srem(a, b)
        opposite = self.builder.icmp_signed("<", self.builder.xor(rest, b), INT(0))
        wrong = self.builder.and_(opposite, self.builder.icmp_signed("!=", rest, INT(0)))
        if isinstance(op, ast.Mod):
            return self.builder.add(rest, self.builder.select(wrong, b, INT(0)))
        return self.builder.sub(self.builder.sdiv(a, b), self.builder.zext(wrong, INT))

    def on_UnaryOp(self, node: ast.UnaryOp) -> Any:  # noqa: N802
        x = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return self.builder.not_(bool_(self, x))
        if not isinstance(node.op, ast.USub):
            raise self.refusal(node, "is not in the language of llvm_statements.py")
        return self.builder.fneg(x, flags=self.flags) if is_real(x.type) else self.builder.neg(int_(self, x))

    def on_Compare(self, node: ast.Compare) -> Any:  # noqa: N802
        if len(node.ops) > 1 or type(node.ops[0]) not in COMPARISONS:
            raise self.refusal(node, "is not in the language of llvm_statements.py")
        return self.compare(COMPARISONS[type(node.ops[0])], self.visit(node.left), self.visit(node.comparators[0]))

    def compare(self, sign: str, a: IRValue, b: IRValue) -> Any:
        kind = INT if a.type == b.type == BOOL else common(a.type, b.type)  # as a signed number, a set bit would be -1
        a, b = cast(self.builder, a, kind), cast(self.builder, b, kind)
        if not is_real(kind):
            return self.builder.icmp_signed(sign, a, b)
        # Comparisons with NaN are false, except "not equal".
        return (self.builder.fcmp_unordered if sign == "!=" else self.builder.fcmp_ordered)(sign, a, b)

    def on_BoolOp(self, node: ast.BoolOp) -> Any:  # noqa: N802
        make = self.builder.and_ if isinstance(node.op, ast.And) else self.builder.or_
        return reduce(make, map(self.visit, node.values))

    def on_IfExp(self, node: ast.IfExp) -> Any:  # noqa: N802
        test = self.test(node.test)
        if any(isinstance(x, ast.Subscript) for side in (node.body, node.orelse) for x in ast.walk(side)):
            if isinstance(test.type, Vector):
                raise self.refusal(node, "reads an array in some of the runs that go side by side")
            return self.one_side(test, node.body, node.orelse)  # by branches: the other side may be outside its array
        return self.select(test, self.visit(node.body), self.visit(node.orelse))

    def one_side(self, test: IRValue, body: ast.expr, orelse: ast.expr) -> Any:
        """a or b; only the chosen one is computed."""
        builder, found = self.builder, []
        with builder.if_else(test) as sides:
            for side, node in zip(sides, (body, orelse), strict=True):
                with side:
                    found.append((self.visit(node), builder.block))
        kind = common(*[x.type for x, _ in found])
        incoming = []
        for x, block in found:
            with builder.goto_block(block):
                incoming.append((cast(builder, x, kind), block))
        made = builder.phi(kind)
        for x, block in incoming:
            made.add_incoming(x, block)
        return made

    def condition(self, node: ast.AST) -> Any:
        """One bit, which decides where the program goes."""
        x = self.test(node)
        if isinstance(x.type, Vector):
            raise self.refusal(node, "is true in some of the runs that go side by side, and not in others")
        return x

    def test(self, node: ast.AST) -> Any:
        """One bit; for a number, whether it differs from 0, as NaN does; for a vector, a bit for each run."""
        x = self.visit(node)
        return x if element(x.type) == BOOL else bool_(self, x)

    def select(self, test: IRValue, a: IRValue, b: IRValue) -> Any:
        if not isinstance(a, (tuple, Array)):
            kind = common(common(a.type, b.type), test.type)
            return self.builder.select(test, cast(self.builder, a, kind), cast(self.builder, b, kind))
        words = [self.builder.select(test, x, y) for x, y in zip(parts(a), parts(b), strict=True)]
        return rebuilt(type_of(a), iter(words))

    # Arrays

    def on_Attribute(self, node: ast.Attribute) -> Any:  # noqa: N802
        if (known := CONSTANTS.get(parse.full_name(node))) is not None:
            return DOUBLE(known)
        x = self.visit(node.value)
        if node.attr == "T":
            return Array(x.data, x.shape[::-1], not x.in_rows)
        if node.attr not in ("shape", "size"):
            raise self.refusal(node, "is not in the language of llvm_statements.py")
        return x.shape if node.attr == "shape" else reduce(self.builder.mul, x.shape)

    def on_Subscript(self, node: ast.Subscript) -> Any:  # noqa: N802
        if isinstance(node.value, ast.Attribute):
            return self.visit(node.value)[ast.literal_eval(node.slice)]  # x.shape[1]
        if self.is_part(node):
            return self.part(node)
        place = self.address(node)
        x = self.mark(self.builder.load(place, align=alignment(place.type.pointee)), node)
        return self.builder.zext(x, INT) if x.type == ir.IntType(32) else x  # uint32 -> int64

    def is_part(self, node: ast.Subscript) -> bool:
        """Are there fewer indices than axes?"""
        x = self.visit(node.value)
        return x.in_rows and (len(node.slice.elts) if isinstance(node.slice, ast.Tuple) else 1) < len(x.shape)

    def part(self, node: ast.Subscript) -> Array:
        """x[i] or x[i, j] of an array with more axes: the part at that place, in C order."""
        x, index = self.visit(node.value), self.visit(node.slice)
        index = index if isinstance(index, tuple) else (index,)
        at = reduce(self.builder.mul, x.shape[len(index) :], self.offset(index, x.shape))
        return Array(self.builder.gep(x.data, [at], inbounds=True), x.shape[len(index) :])

    def offset(self, index: tuple[Any, ...], shape: tuple[Any, ...]) -> Any:
        """How many parts x[index] come before this one."""
        at = index[0]
        for i, n in zip(index[1:], shape[1:], strict=False):
            at = self.builder.add(self.builder.mul(at, n), i)
        return at

    def address(self, node: ast.Subscript) -> Any:
        """The address of x[i] or x[i, j], with i and j not negative."""
        x, index = self.visit(node.value), self.visit(node.slice)
        index = index if isinstance(index, tuple) else (index,)
        if len(index) != len(x.shape) or not x.in_rows:
            raise self.refusal(node, f"needs {len(x.shape)} indices of an array in C order")
        return self.builder.gep(x.data, [self.offset(index, x.shape)], inbounds=True)

    # Calls

    def on_Call(self, node: ast.Call) -> Any:  # noqa: N802
        if isinstance(node.func, ast.Attribute):
            return self.method(node.func, node)
        assert isinstance(node.func, ast.Name)
        name, given = node.func.id, [self.visit(x) for x in node.args]
        if name in self.text.functions:
            return self.call(name, given)
        if isinstance(self.text.constants.get(name), ast.Attribute):  # `real = np.float32` makes `real(x)` a cast
            return cast(self.builder, given[0], NAMED[self.text.constants[name].attr])
        if name not in WORDS:
            raise self.refusal(node, "calls what is not in the language of llvm_statements.py")
        return WORDS[name](self, *given)

    def method(self, function: ast.Attribute, node: ast.Call) -> Any:
        owner, given = parse.full_name(function.value), node.args
        if owner == "np" and function.attr in NAMED:
            return cast(self.builder, self.visit(given[0]), NAMED[function.attr])
        if owner == "math" and function.attr in MATHS:
            return self.mathematics(function.attr, [self.visit(x) for x in given])
        if function.attr == "view" and isinstance(given[0], ast.Attribute):
            x, kind = self.visit(function.value), NAMED[given[0].attr]
            return self.builder.bitcast(x, Vector(kind, x.type.count) if isinstance(x.type, Vector) else kind)
        raise self.refusal(node, "calls what is not in the language of llvm_statements.py")

    def mathematics(self, name: str, given: list[Any]) -> Any:
        kind = FLOAT if all(element(x.type) == FLOAT for x in given) else DOUBLE
        if any(isinstance(x.type, Vector) for x in given):
            return lanes.mathematics(self, name, given, kind)
        numbers = [cast(self.builder, x, kind) for x in given]
        signature, module = ir.FunctionType(kind, [kind] * len(numbers)), self.builder.module
        if name in LIBRARY:
            return self.builder.call(
                cgutils.get_or_insert_function(module, signature, name + "f" * (kind == FLOAT)), numbers
            )
        function = module.declare_intrinsic(f"llvm.{name}", [kind], signature)
        return self.builder.call(function, numbers, fastmath=self.flags)


# builtins of the language


def view(at_work: Expressions, memory: Array, at: IRValue, shape: tuple[Any, ...]) -> Array:
    return Array(at_work.builder.gep(memory.data, [at], inbounds=True), shape)


def copy(at_work: Expressions, source: Array, out: Array) -> None:
    cgutils.raw_memcpy(at_work.builder, out.data, source.data, reduce(at_work.builder.mul, out.shape), out.size)


def gather(at_work: Expressions, source: Array, order: Array, place: IRValue, out: Array) -> None:
    if isinstance(out.data.type.pointee, Vector):
        return lanes.gather_rows(at_work.builder, source, order, place, out)
    intrinsics.gather_rows(at_work.builder, source.data, order.data, place, out.data, out.shape, out.size)


def uniform(at_work: Expressions, source: Array) -> Any:
    return intrinsics.next_double(at_work.builder, source.data)


def dot(at_work: Expressions, *operands: Array) -> None:
    matrices = [Matrix(x.data, x.shape, x.in_rows) for x in operands]
    if isinstance(matrices[2].number, Vector):
        return lanes.product(at_work.builder, *matrices)
    product(at_work.builder, *matrices)


def larger(at_work: Expressions, a: IRValue, b: IRValue) -> Any:
    return at_work.select(at_work.compare(">", b, a), b, a)


def smaller(at_work: Expressions, a: IRValue, b: IRValue) -> Any:
    return at_work.select(at_work.compare("<", b, a), b, a)


def int_(at_work: Expressions, x: IRValue) -> Any:
    return cast(at_work.builder, x, INT)


def bool_(at_work: Expressions, x: IRValue) -> Any:
    return at_work.compare("!=", x, x.type(0))


def absolute(at_work: Expressions, x: IRValue) -> Any:
    if is_real(x.type):
        return at_work.mathematics("fabs", [x])
    return at_work.select(at_work.compare("<", x, x.type(0)), at_work.builder.neg(x), x)


def array_at(name: str) -> Callable[..., Array]:
    """The function for an array of that kind of number whose address is one of several in an array."""

    def found(at_work: Expressions, addresses: Array, k: IRValue, shape: tuple[Any, ...]) -> Array:
        address = at_work.builder.load(at_work.builder.gep(addresses.data, [k], inbounds=True))
        return Array(at_work.builder.inttoptr(address, NAMED[name].as_pointer()), shape)

    return found


WORDS: dict[str, Callable[..., Any]] = {
    "view": view, "room": view, "copy": copy, "gather": gather, "dot": dot, "product": dot, "uniform": uniform,
    "float64_at": array_at("float64"), "float32_at": array_at("float32"), "int64_at": array_at("int64"),
    "stack": own_memory.stack, "stopped": own_memory.read_flag, "some": lanes.some,
    "max": larger, "min": smaller, "float": lambda at_work, x: cast(at_work.builder, x, DOUBLE),
    "int": int_, "bool": bool_, "abs": absolute, "tanh_by_table": tables.tanh_by_table,
}  # fmt: skip
