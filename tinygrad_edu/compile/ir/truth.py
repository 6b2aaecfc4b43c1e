"""Which dtype NumPy would give to a node: truth values, whole numbers of some width, or floats.

A program computes with floats alone, and NumPy does not: True + True is True, 7 // 0 of whole numbers is 0, 200 + 100
of uint8 is 44. NumPy itself is asked what becomes of an operation's dtypes; what floats would do differently is written
out, or refused by name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.constants import is_whole_input, op_name, value_of
from tinygrad_edu.compile.ir.dims import ACTIVE, Size
from tinygrad_edu.compile.unread import original
from tinygrad_edu.core.conversions.conversion import check_cast, check_size
from tinygrad_edu.core.formulas.readings import refuse_own_rules
from tinygrad_edu.core.formulas.whole_numbers import is_narrow, narrow_error
from tinygrad_edu.core.operation import ARRAY_TABLE, TABLE, ArrayOperation, Operation, is_flat
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TraceError

Kind = Any  # a dtype; `int` for Python's integers, which take on the dtype of an array beside them
FLOAT, TRUTH, WHOLE = np.dtype(np.float64), np.dtype(np.bool_), np.dtype(np.int64)

# Operations that only move or choose numbers, and operations that add them up.
MOVES = {
    *("reshape", "transpose", "broadcast_to", "window", "place", "gather", "slide", "concatenate", "max", "min"),
    *("stacked", "diagonal", "entries_along"),
}
ADDS = {"sum", "prod", "cumsum", "cumprod"}
REMAINDERS = {"floor_divide", "mod", "fmod"}  # as in NumPy, integer remainders by 0 are 0
SEE_SIGNS = {"div", "atan2", "copysign"}  # operations that tell 0.0 from -0.0
ARITHMETIC = {"add", "sub", "mul", "div"}
WITHOUT_JIT = "call the function without jit, which computes it eagerly"


class NumpyKindError(TraceError):
    """What NumPy does with whole numbers cannot be compiled, and floats in their place would give another result."""


def plain_array(x: Any, dtype: Any = None, copy: bool | None = None) -> Any:
    """`Tensor.__array__`. Errors: TraceError for whole numbers, which are meant to index a plain array."""
    if is_integer_kind(x.kind) and (x.sizes or x.op is not None):  # a number among the arguments may become an option
        raise TraceError(
            f"{x!r} cannot be the index of a plain array: in a compiled function write np.take(tg.Tensor(table), i, "
            "axis=0), or give the table as an argument. The one-hot rows np.eye(k)[y] are y[:, None] == np.arange(k), "
            "or tg.data.one_hot(y, k)"
        )
    return Tensor.__array__(x, dtype, copy)


def refuse_own(operation: Any) -> None:
    """A user's own operation that cannot be written into a program."""
    reason = getattr(operation, "refusal", "")
    if reason:
        raise TraceError(f"{operation.name} cannot be compiled: {reason}; or {WITHOUT_JIT}")


def check_operands(operation: Operation | ArrayOperation, arguments: Sequence[Any]) -> Sequence[Any]:
    """The operands of what can be written into a program. Errors: OperandError where an operator meets an array with
    rules of its own; those of `refuse_own`."""
    refuse_own(operation)
    for x in arguments if isinstance(operation, Operation) or operation.name == "matmul" else ():
        refuse_own_rules(original(x))
    return arguments


def is_comparison(x: Any) -> bool:
    """Is it computed by a comparison? (`pos` without a derivative is a detached node.)"""
    return is_flat(x.op) and x.op.name != "pos"


def is_truth(x: Any) -> bool:
    """Is a node True or False: an input of such values, a comparison, or what NumPy keeps boolean of these alone?"""
    return bool(x.kind == TRUTH)


def is_integer_kind(kind: Kind) -> bool:
    return bool(kind is int or kind.kind in "iu")


@functools.cache
def dtype_by_numpy(operation: Operation, *kinds: Any) -> Any:
    """The dtype of NumPy's result, asked for; None where NumPy has no such function. `int`, `float`: Python's."""
    function = None if operation.scipy_name else getattr(np, operation.numpy_name, None)
    if function is None:
        return None
    with np.errstate(all="ignore"):
        return np.asarray(function(*[kind(1) if isinstance(kind, type) else np.ones(1, kind) for kind in kinds])).dtype


def kind_by_numpy(operation: Operation, *kinds: Kind) -> Kind:
    """The same, FLOAT for floats of any width. Errors: TypeError, as for True - True."""
    found = dtype_by_numpy(operation, *kinds)
    return found if found is not None and found.kind in "biu" else FLOAT


def kind_of_node(op: Any, parents: Sequence[Any]) -> Kind:
    """The dtype of what an operation gives."""
    kinds = [x.kind for x in parents]
    if isinstance(op, Operation):
        if op.name == "pos":
            return kinds[0]
        if op.partials is None:
            return TRUTH
        if all(kind is FLOAT for kind in kinds):
            return FLOAT
        try:
            return kind_by_numpy(op, *kinds)
        except TypeError:
            return FLOAT
    return kind_of_arrays(op.name if op is not None else "", kinds)


def kind_of_arrays(name: str, kinds: Sequence[Kind]) -> Kind:
    """The dtype of what an operation of arrays gives."""
    if name in ("gather", "entries_along"):  # the second operand is only an index
        kinds = kinds[:1]
    if FLOAT in kinds or not (name in MOVES or name in ADDS or name == "matmul"):
        return FLOAT
    found = np.result_type(*[WHOLE if kind is int else kind for kind in kinds])
    if name not in ADDS:
        return found
    return np.result_type(found, np.uint64 if found.kind == "u" else WHOLE)  # of 64 bits


def settle(operation: Any, parents: Sequence[Any], found: Any) -> Any:
    """A rewritten operation, with the dtype of the original one."""
    if (
        (operation.name in MOVES or operation.name == "matmul")
        and found.op is not None
        and parents[0].kind is not FLOAT
    ):
        found.kind = kind_of_node(operation, parents)
    return found


def counts(parents: Sequence[Any]) -> bool:
    """Are both sides of @ truth values? Errors: TraceError for whole numbers so narrow that NumPy's sums wrap round."""
    kinds = [x.kind for x in parents]
    if FLOAT in kinds or int in kinds:
        return False
    kind = np.result_type(*kinds)
    if is_narrow(kind):
        raise narrow_error("products", kind)
    return bool(kind == TRUTH)


def convert(x: Any, dtype: np.dtype[Any], further: dict[str, Any], to_floats: Callable[[Any], Any]) -> Any:
    """x in another dtype. Errors: TraceError for floats as whole numbers, for which NumPy cuts them off.

    `further`: NumPy's other options; `to_floats`: the way to a dtype of floats.
    """
    check_cast(x.dtype, dtype, **further)
    if dtype.kind == "f":
        return ACTIVE.traces[-1].note_dtype(to_floats(dtype), dtype) if ACTIVE.traces else to_floats(dtype)
    if dtype == TRUTH:
        return TABLE["not_equal"](x, 0)
    if x.kind is FLOAT or dtype.kind not in "biu":
        raise TraceError(f"astype({dtype}) of floats cannot be compiled: write np.trunc(x) for its numbers")
    if not is_narrow(dtype) and x.kind != TRUTH and is_whole_input(x):
        return type(x)(x.sizes, ARRAY_TABLE["reshape"], (x,), {"shape": x.sizes}, kind=dtype)  # still an index
    found = TABLE["pos"](as_float(x))
    found.kind = dtype
    return wrap(found, dtype, TABLE["add"])


def hold(node: Any, numbers: Any) -> None:
    """An input holds numbers of this dtype, which may make it an index."""
    dtype = getattr(numbers, "dtype", None) or FLOAT
    node.integer = dtype.kind in "iu"
    node.kind = dtype if dtype.kind in "biu" else FLOAT


def kind_of_number(x: Any) -> Kind:
    """Python's own whole numbers take on the dtype of an array beside them."""
    if isinstance(x, (bool, np.bool_)):
        return TRUTH
    if isinstance(x, int):
        check_size(x)
    return int if isinstance(x, (int, Size)) else x.dtype if isinstance(x, np.integer) else FLOAT


def dtypes_of_constants(nodes: Sequence[Any]) -> list[Any]:
    """The dtypes of the constants among these that NumPy has made: they count beside arrays."""
    numbers = [x for x in nodes if x.op is None and not x.sizes]
    return [
        x.options.get("dtype", x.kind)
        for x in numbers
        if "dtype" in x.options or (x.kind is not int and x.kind.kind in "iu")
    ]


def may_widen() -> bool:
    """May a number of NumPy's make float64 of what is float32?"""
    trace = ACTIVE.traces[-1] if ACTIVE.traces else None
    return trace is not None and (trace.mixed or trace.floats != FLOAT or np.float32 in trace.of_inputs.values())


def as_float(x: Any) -> Any:
    """The same numbers as floats. Beside others they still count by their own dtype: a mask leaves float32 as it is."""
    return x if x.kind is FLOAT else noted_as(x * 1.0, x.kind)


def noted_as(x: Any, kind: Kind) -> Any:
    """Floats that stand for whole numbers or truth values of this dtype."""
    if ACTIVE.traces and kind is not int:
        ACTIVE.traces[-1].dtypes[x] = kind
    return x


def is_whole_noted(x: Any) -> bool:
    """Is it of whole numbers or truth values, or of floats that stand for them?"""
    noted = ACTIVE.traces[-1].dtypes.get(x) if ACTIVE.traces else None
    return x.kind is not FLOAT or (isinstance(noted, np.dtype) and noted.kind in "biu")


Make = Callable[[Operation, Sequence[Any]], Any]


def apply_as_numpy(operation: Operation, parents: Sequence[Any], make: Make) -> Any:
    """make(operation, parents), as NumPy has it for truth values and whole numbers. Errors: TraceError."""
    if operation.partials is None or operation.name == "pos" or all(x.kind is FLOAT for x in parents):
        return make(operation, parents)
    try:
        kind = kind_by_numpy(operation, *[x.kind for x in parents])
    except TypeError as error:
        raise TraceError(f"{operation.name} of truth values: {error}") from None
    if operation.name == "pow" and is_truth(parents[0]) and parents[1].kind is int and value_of(parents[1]) == 2.0:
        return apply_as_numpy(TABLE["square"], parents[:1], make)  # int8; np.power(mask, 2) is int64
    if kind == TRUTH:
        return make(TABLE["maximum"] if operation.name == "add" else operation, parents)  # True + True is True
    parents = as_numbers(operation, parents)
    if not is_integer_kind(kind):
        return make(operation, [positive_zero(x) for x in parents] if operation.name in SEE_SIGNS else parents)
    refuse_fractions(operation, kind, parents)
    refuse_outside(operation, kind, parents)
    if operation.name in REMAINDERS and not is_nonzero(parents[1]):
        a, b = parents
        none = TABLE["equal"](b, 0)
        found = TABLE["where"](none, 0, make(operation, (a, TABLE["where"](none, 1, b))))
        found.kind = kind
        return found
    return wrap(make(operation, parents), kind, operation)


def as_numbers(operation: Operation, parents: Sequence[Any]) -> Sequence[Any]:
    """Truth values as floats where the result may be one of them: Python's text adds up the truth values themselves."""
    if operation.name in ARITHMETIC and not all(map(is_truth, parents)):
        return parents
    first = operation.name == "where"  # skip the condition
    return [as_float(x) if is_truth(x) and i >= first else x for i, x in enumerate(parents)]


def positive_zero(x: Any) -> Any:
    """Whole numbers have one 0; the floats that stand for them may have -0.0, as 0 times -2."""
    size = not x.sizes and op_name(x) in ("", "add", "sub")  # n - 1
    if x.kind is FLOAT or x.kind == TRUTH or x.op is None or size:
        return x
    found = x + 0.0
    found.kind = x.kind
    return found


def is_nonzero(x: Any) -> bool:
    """Is it a constant other than 0?"""
    return bool(x.op is None and not x.sizes and x.name.replace(".", "").isdigit() and float(x.name) != 0.0)


def refuse_fractions(operation: Operation, kind: Kind, parents: Sequence[Any]) -> None:
    """Errors: TraceError where whole numbers would have to be cut off, which NumPy does or refuses in turn."""
    power = operation.name == "pow" and parents[1].op is None and parents[1].name.startswith("-")
    if operation.name == "pow" and not parents[1].sizes and not is_truth(parents[1]) and value_of(parents[1]) is None:
        raise NumpyKindError("whole numbers to the power of a number that may be below 0: write x.astype(float) ** n")
    if operation.name == "pow" and kind is not int and is_narrow(kind) and not is_truth(parents[0]):
        raise NumpyKindError(str(narrow_error("powers", kind)))
    if operation.name == "reciprocal" or power:
        raise NumpyKindError(
            f"{'whole numbers to the power of one below 0' if power else 'the reciprocal of whole numbers'}, which "
            "NumPy has no fractions for: write 1.0 / x, or x.astype(float) first"
        )


def refuse_outside(operation: Operation, kind: Kind, parents: Sequence[Any]) -> None:
    """Errors: TraceError for Python's 300 beside int8: NumPy raises OverflowError, in np.where it makes 44 of it."""
    for x in parents if kind is not int and operation.name != "clip" else ():  # np.clip takes any bounds
        if x.kind is not int:
            continue
        value = value_of(x)
        if value is None and not x.sizes and (is_narrow(kind) or kind.kind == "u"):
            raise NumpyKindError(  # after which the whole numbers among the arguments count as options, which are known
                f"{operation.name} of {kind} and a whole number that may be out of its bounds: give np.{kind}(n), or "
                "write x.astype(np.int64) first"
            )
        if value is not None:
            limits = np.iinfo(kind)
            if not limits.min <= value <= float(limits.max):
                raise NumpyKindError(
                    f"{operation.name} of {kind} and {value:.10g}, which is out of its bounds, {limits.min} to "
                    f"{limits.max}: write x.astype(np.int64) first, or a number within them"
                )


def wrap(x: Any, kind: Kind, operation: Operation) -> Any:
    """Wrap narrow integers as NumPy does: 200 + 100 is 44 in uint8. Errors: TraceError for unsigned sub and neg."""
    own = kind is int or x.op is None or operation.name in ("where", "maximum", "minimum", *REMAINDERS)
    as_floats = kind is not int and x.op in (operation, TABLE["square"], TABLE["mul"]) and x.kind is FLOAT
    if as_floats and (own or not is_narrow(kind)):
        x.kind = kind  # truth values among the operands are floats here
    if own:
        return x
    if not is_narrow(kind):
        if kind.kind == "u" and operation.name in ("sub", "neg"):
            raise TraceError(f"{operation.name} of {kind}, which wraps round below 0: write x.astype(np.int64) first")
        return x
    limits = np.iinfo(kind)
    low = float(limits.min)
    found = TABLE["mod"](as_float(x) - low, 2.0**limits.bits) + low
    found.kind = kind
    return found


def replaces(x: Any, node: Any) -> bool:
    """Can x replace a node with the same numbers? Not if its kind differs: + adds (x > 0)·1.0, but joins booleans."""
    number = x.kind is int and node.kind is FLOAT  # a length
    return bool(len(x.sizes) == len(node.sizes) and x.sizes == node.sizes and (number or x.kind == node.kind))


def dtype_of(x: Any) -> np.dtype[Any]:
    """NumPy's dtype: attention recognizes a boolean mask by it, a loss class numbers, and np.ones(3, x.dtype) asks."""
    if x.kind is FLOAT and ACTIVE.traces:
        return ACTIVE.traces[-1].dtype_of(x)  # type: ignore[no-any-return]
    return WHOLE if x.kind is int else x.kind
