"""NumPy's questions and fills on nodes that have no numbers yet: in a trace, and inside a `vmap`.

Elsewhere np.isnan(x), np.any(x) and np.zeros_like(x) read the plain numbers. Here each is made of comparisons and sums,
which a program and a whole batch can do.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.aliases import Axis, Node, Option
from tinygrad_edu.core.modes import MODES


def fill_like(x: Node, fill: float, dtype: Option, shape: Option) -> Any:
    """An array of x's shape with one number everywhere. A comparison of x with itself gives the shape alone, also
    where sizes have names; another shape or another kind of numbers is an array of its own.
    """
    given = getattr(x, "dtype", np.dtype(float))
    kind = np.dtype(given if dtype is None else dtype)
    if shape is not None or kind.kind != "f":
        return np.full(np.shape(x) if shape is None else shape, fill, kind)
    number = kind.type(fill)
    found, trace = ops.where(ops.equal(x, x), number, number), MODES.tensor_trace
    return found if trace is None else trace.noted(found, x if dtype is None else kind)


def fill_with(fill: float) -> Callable[..., Any]:
    """np.zeros_like and its like."""
    return lambda a, dtype=None, order="K", subok=True, shape=None, device=None: fill_like(a, fill, dtype, shape)


def full_like(
    a: Node,
    fill_value: float,
    dtype: Option = None,
    order: Option = "K",
    subok: Option = True,
    shape: Option = None,
    device: Option = None,
) -> Any:
    return fill_like(a, fill_value, dtype, shape)


def count_nonzero(a: Node, axis: Axis = None, keepdims: bool = False) -> Any:
    return broadcasting.sum(true(a), axis=axis, keepdims=keepdims)


def any_true(a: Node, axis: Axis = None, out: Option = None, keepdims: bool = False) -> Any:
    return ops.greater(count_nonzero(a, axis, keepdims), 0.0)


def all_true(a: Node, axis: Axis = None, out: Option = None, keepdims: bool = False) -> Any:
    return ops.equal(broadcasting.sum(ops.equal(a, 0.0), axis=axis, keepdims=keepdims), 0.0)


def isclose(a: Node, b: Node, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """|a - b| ≤ atol + rtol·|b|, or equal, as infinities are."""
    near = ops.less_equal(ops.abs(a - b), atol + rtol * ops.abs(b)) & ops.less(ops.abs(b), math.inf)
    found = near | ops.equal(a, b)
    return found | (isnan(a) & isnan(b)) if equal_nan else found


def of_truths(sign: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """mask & (x > 0): the node decides, which refuses whole numbers, whose bits it would take."""
    return lambda a, b: sign(a, b) if hasattr(a, "parents") else sign(b, a)


def true(x: Node) -> Any:
    """Python's truth of each entry: NaN is true."""
    return ops.not_equal(x, 0.0)


def isnan(x: Node) -> Any:
    return ops.not_equal(x, x)


# Keyed by NumPy's functions.
WITHOUT_NUMBERS: Mapping[Any, Callable[..., Any]] = {
    np.zeros_like: fill_with(0.0),
    np.empty_like: fill_with(0.0),
    np.ones_like: fill_with(1.0),
    np.full_like: full_like,
    np.isnan: isnan,
    np.isinf: lambda x: ops.equal(ops.abs(x), math.inf),
    np.isfinite: lambda x: ops.less(ops.abs(x), math.inf),
    np.isposinf: lambda x: ops.equal(x, math.inf),
    np.isneginf: lambda x: ops.equal(x, -math.inf),
    np.isclose: isclose,
    np.logical_and: lambda a, b: true(a) & true(b),
    np.logical_or: lambda a, b: true(a) | true(b),
    np.logical_xor: lambda a, b: ops.not_equal(true(a), true(b)),
    np.logical_not: lambda x: ops.equal(x, 0.0),
    np.bitwise_and: of_truths(operator.and_),
    np.bitwise_or: of_truths(operator.or_),
    np.bitwise_xor: of_truths(operator.xor),
    np.any: any_true,
    np.all: all_true,
    np.count_nonzero: count_nonzero,
}
