"""A traced function of arrays without a compiler: its results by NumPy and Tensors, operation by operation.

The generated program would also run as plain Python, number by number, but the sum of tanh(x·W) of 1,000 x 100 inputs
takes 1 s that way and 1 ms this way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend import compiler
from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.core.transforms import derivatives

Function = Callable[..., Any]


def is_way(arguments: Sequence[Any]) -> bool:
    """Is there no compiler, and can all arguments be differentiated, being floats?"""
    return bool(compiler.missing()) and all(is_float(x) for x in tree_leaves(tuple(arguments)))


def is_float(x: ArrayLike) -> bool:
    return isinstance(x, float) or (isinstance(x, np.ndarray) and x.dtype.kind == "f")


def results(f: Function, arguments: Sequence[Any]) -> Any:
    """The results of the function, as plain numbers and arrays."""
    with no_grad(), np.errstate(all="ignore"):
        return tree_map(plain, f(*tree_map(as_numpy, tuple(arguments))))


def value_and_gradients(f: Function, arguments: Sequence[Any]) -> tuple[Any, Any]:
    """(result, gradients nested like the arguments)."""
    arrays = tree_map(lambda x: np.asarray(x, dtype=None if isinstance(x, np.ndarray) else float), tuple(arguments))
    with np.errstate(all="ignore"):
        y, found = derivatives.value_and_grad(f, tuple(range(len(arguments))))(*arrays)
    return float(plain(y)), tree_map(plain, tuple(found))


class Ieee(float):
    """A number of Python's that gives inf or nan when divided by 0, as in a compiled program.

    Beside arrays it has no dtype of its own, as a float has none and np.float64 has one.
    """

    def __array_ufunc__(self, ufunc: Option, method: str, *inputs: ArrayLike, **options: Option) -> Any:
        return getattr(ufunc, method)(*map(float_of, inputs), **options)

    def __array_function__(self, function: Option, types: Option, arguments: Option, options: Option) -> Any:
        return function(*tree_map(float_of, arguments), **tree_map(float_of, options))


def of_python(name: str) -> Callable[[Any, Any], Any]:
    """The operator of this name, by which numbers of Python's give such a number."""
    operator = getattr(np.float64, name)

    def compute(x: Any, other: Any) -> Any:
        if type(other) not in (float, int, Ieee):
            return NotImplemented
        with np.errstate(all="ignore"):
            return Ieee(operator(np.float64(x), float(other)))

    return compute


setattr(Ieee, "__neg__", lambda x: Ieee(-float(x)))  # noqa: B010
for sign in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow"):
    for name in (f"__{sign}__", f"__r{sign}__"):
        setattr(Ieee, name, of_python(name))


def float_of(x: ArrayLike) -> Any:
    return float(x) if type(x) is Ieee else x


def as_numpy(x: ArrayLike) -> Any:
    return Ieee(x) if type(x) is float else x


def plain(x: ArrayLike) -> Any:
    array = np.asarray(getattr(x, "array", x))
    return array if array.ndim else float(array) if array.dtype == np.float64 else array[()]
