"""One body, several readings: the function of a row bound to plain arithmetic, and what its partials read."""

from __future__ import annotations

import builtins
import dis
import functools
import types
from collections.abc import Callable, Collection, Sequence
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.formulas.ieee_floats import MATH, Real
from tinygrad_edu.errors import DtypeError, OperandError

NUMBERS = (float, int, bool)  # exact types: numpy.float64 is a subclass of float, but NumPy handles it


def bind(function: Callable[..., Any], reading: str) -> Callable[..., Any]:
    """The same code with every operation that it names bound to that operation's `float_function` or `array_function`.

    One body, several readings: with operations in its globals it works on Values and Tensors; with plain functions
    there it is Python or NumPy arithmetic, without a dispatch at each step (sigmoid of a float: 0.4 against 5.6 µs).
    """
    names = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
    found = {name: function.__globals__[name] for name in names if name in function.__globals__}
    plain = {name: getattr(x, reading, x) for name, x in found.items()}
    if reading == "ieee_function" and "math" in plain:
        plain["math"] = MATH
    if not function.__module__.startswith("tinygrad_edu."):
        plain = Live({name: x for name, x in plain.items() if x is not found[name]}, function.__globals__)
    return types.FunctionType(function.__code__, plain, function.__name__, function.__defaults__, function.__closure__)


class Live(dict[str, Any]):
    """Globals for the code of a user's function: some names stand for something else, the others are read as they are.

    A number or a helper that the program sets anew is then seen, as it is by the function itself.
    """

    def __init__(self, instead: dict[str, Any], names: dict[str, Any]) -> None:
        super().__init__(instead, __builtins__=builtins)  # some of NumPy's C code looks for it
        self.names = names

    def __missing__(self, name: str) -> Any:
        return self.names[name]


def ieee(function: Callable[..., Any], arguments: Sequence[float]) -> Any:
    """The function on NumPy scalars, which never raise; without NumPy, on floats that do not raise either."""
    try:
        import numpy
    except ImportError:
        return without_numpy(function, arguments)
    with numpy.errstate(all="ignore"):
        result = function(*map(numpy.float64, arguments))
    return result if isinstance(result, tuple) else float(result)


def without_numpy(function: Callable[..., Any], arguments: Sequence[float]) -> Any:
    """The function, or that of the operation whose method it is, on floats that never raise."""
    own: Any = getattr(function, "__self__", None)
    body = bind(function, "ieee_function") if own is None else own.ieee_function
    result = body(*map(Real, arguments))
    return tuple(map(float, result)) if isinstance(result, tuple) else float(result)


def values_to_save(partials: Callable[..., Any], count: int) -> tuple[bool, ...]:
    """For y, x₁, x₂, ...: does `partials` read it? Arguments named _... are not read."""
    code = partials.__code__
    names = code.co_varnames[: code.co_argcount]
    return tuple(not name.startswith("_") for name in names) + (False,) * (count - len(names))


def of_shape(arguments: Sequence[Any]) -> str:
    """For error messages: the shape of the first argument, if it has one."""
    shape = getattr(arguments[0], "shape", None) if arguments else None
    return "" if shape is None else f" of shape {tuple(shape)}"


def plain_array(name: str, argument: ArrayLike) -> Any:
    """A number as it is, a list or array as an array; anything else is refused."""
    if argument.__class__ in NUMBERS:
        return argument
    import numpy

    refuse_masked(argument)
    array = argument if argument.__class__ is numpy.ndarray else numpy.asarray(argument)
    # a Fraction or a csr_matrix, for example
    strange = array.dtype.kind == "O" and not array.ndim and not hasattr(array[()], "parents")
    if array.dtype.kind in "cUSVMm" or strange:
        raise DtypeError(f"{name} works on real numbers, not on {argument!r:.60} of dtype {array.dtype}")
    return array


def in_precision(function: Callable[..., Any], parameters: Sequence[str]) -> Callable[..., Any]:
    """A function of several arrays that gives float32 where all of them are: plain numbers beside them do not count.

    NumPy's own functions do so; SciPy's do not, nor does a choice of two plain numbers.
    """
    if len(parameters) < 2:
        return function

    @functools.wraps(function)
    def apply(*arguments: ArrayLike) -> Any:
        y = function(*arguments)
        small = {x.dtype.char for x in arguments if x.__class__ not in NUMBERS} == {"f"}
        return y.astype("f") if small and y.dtype.char == "d" else y

    return apply


def refuse_masked(data: ArrayLike) -> None:
    """NumPy's masked arrays keep meaningless numbers where they are masked. Errors: DtypeError if there are any."""
    mask = getattr(data, "mask", None) if hasattr(data, "__array_finalize__") and hasattr(data, "filled") else None
    if mask is not None and mask.any():
        raise DtypeError(
            f"{mask.sum()} of {mask.size} entries of this array are masked, and their numbers mean nothing: "
            "put others in their place, x.filled(0.0), or leave those rows out"
        )


def refuse_own_rules(x: ArrayLike) -> None:
    """Errors: OperandError for an array that computes by rules of its own, which nodes do not follow, and for a
    container such as a deque, which is neither walked like a list nor an array.

    NumPy's matrix multiplies by *, a Series of pandas goes by its labels and skips NaN, a Tensor of PyTorch has another
    std().
    """
    import numpy as np

    kind: Any = type(x)
    of_numpy = isinstance(x, np.ndarray) and not hasattr(x, "filled")  # masks: `refuse_masked`
    if is_frame(kind) or (of_numpy and has_own_operators(kind)):
        array = "x.to_numpy()" if hasattr(kind, "to_numpy") else "np.asarray(x)"
        raise OperandError(
            f"{kind.__module__.partition('.')[0]}'s {kind.__name__} computes by rules of its own, and Tensors follow "
            f"those of arrays: give {array}"
        )
    if is_container(kind):
        raise OperandError(
            f"an argument is a {kind.__name__}: lists, tuples and dicts are walked, and arrays taken as they are. Give "
            "list(x), or np.asarray(x) for one array"
        )


@functools.lru_cache(256)
def is_container(kind: Any) -> bool:
    """Does a class hold several things, and is no text, array or node?"""
    walked = (str, bytes, dict, list, tuple)
    holds = issubclass(kind, Collection) and not issubclass(kind, walked)
    return holds and not hasattr(kind, "__array__")


def refuse_own_operands(operation: Any, arguments: Sequence[Any]) -> None:
    """The same of the operands of @; functions of whole arrays, such as np.dot and the losses, take the numbers."""
    if operation.name == "matmul":
        for x in arguments:
            refuse_own_rules(x)


@functools.lru_cache(256)
def is_frame(kind: Any) -> bool:
    """Does a class of another library hold an array without being one? Data frames, their columns, other Tensors."""
    import numpy as np

    if kind.__module__.startswith("tinygrad_edu."):  # nodes, and the stand-ins of a trace, which notes who reads them
        return False
    return hasattr(kind, "__array__") and not (issubclass(kind, (np.generic, np.ndarray)) or hasattr(kind, "parents"))


def numbers_of_frame(x: ArrayLike) -> Any:
    """The array that a data frame holds; anything else unchanged."""
    kind: Any = type(x)
    if not is_frame(kind):
        return x
    import numpy as np

    return np.asarray(x)


OPERATORS = (
    "__mul__", "__rmul__", "__matmul__", "__add__", "__radd__", "__sub__", "__rsub__", "__truediv__", "__pow__",
    "__neg__", "__array_ufunc__", "__array_function__",
)  # fmt: skip


@functools.lru_cache(256)
def has_own_operators(kind: Any) -> bool:
    """Does a class of arrays define an operator, or what functions of arrays do, otherwise than NumPy? Ours do not."""
    import numpy as np

    ours = kind.__module__.startswith("tinygrad_edu.")
    return not ours and any(getattr(kind, name) is not getattr(np.ndarray, name) for name in OPERATORS)


def refuse_complex(data: ArrayLike) -> None:
    """Errors: DtypeError for complex numbers, of which a conversion to floats would keep the real parts alone."""
    if isinstance(data, complex) or getattr(getattr(data, "dtype", None), "kind", "") == "c":
        raise DtypeError(f"{data!r:.60} is complex: operations on Tensors work on real numbers")
