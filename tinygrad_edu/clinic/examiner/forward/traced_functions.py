"""NumPy's functions on traced arrays, where Tensors do not know them: what only moves entries, and a few by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.gather import gather, number_of
from tinygrad_edu.clinic.examiner.forward.traced_array import (
    FUNCTIONS,
    OTHERWISE,
    UFUNC_METHODS,
    UFUNCS,
    Array,
    LostError,
    TracedArray,
    array,
    has_nodes,
    overwrite,
    plain_index,
    unwrap,
    wrap,
)
from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Axis, Option
from tinygrad_edu.core.shapes import put
from tinygrad_edu.core.tensor import Tensor


def move_entries(function: Any, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    """A function that only moves entries about, found out by moving their numbers: np.roll, np.tile, np.insert, ..."""
    if getattr(function, "__name__", "") not in MOVING:
        raise LostError(f"np.{getattr(function, '__name__', function)} keeps no graph here")
    pieces: list[Any] = []

    def numbered(x: ArrayLike) -> Any:
        if isinstance(x, (list, tuple)) and has_nodes(x):
            return type(x)(map(numbered, x))
        if isinstance(x, TracedArray) or (isinstance(x, np.ndarray) and x.dtype.kind == "f"):
            begin = sum(number_of(p).size for p in pieces)
            pieces.append(unwrap(x))
            return np.arange(begin, begin + x.size).reshape(x.shape)
        return x

    values = {"insert": 2, "append": 1}.get(function.__name__)
    prepared = [np.asarray(x, dtype=float) if k == values else x for k, x in enumerate(arguments)]
    source = function(*map(numbered, prepared), **options)
    parts = [wrap(gather(pieces, np.asarray(s))) for s in (source if isinstance(source, (list, tuple)) else [source])]
    return parts if isinstance(source, (list, tuple)) else parts[0]


MOVING = frozenset(
    ("roll", "flip", "fliplr", "flipud", "rot90", "tile", "repeat", "ravel", "squeeze", "atleast_1d", "atleast_2d",
     "atleast_3d", "sliding_window_view", "moveaxis", "rollaxis", "broadcast_to", "diagonal", "split", "array_split",
     "hsplit", "vsplit", "delete", "resize", "take", "insert", "append", "column_stack", "take_along_axis", "swapaxes",
     "expand_dims", "hstack", "vstack", "dstack", "block", "rollaxis", "unstack", "trim_zeros", "compress", "extract")
)  # fmt: skip


def average(x: ArrayLike, axis: Axis = None, weights: Any = None, **_: Any) -> Any:
    if weights is None:
        return np.mean(x, axis=axis)
    return np.sum(x * weights, axis=axis) / np.sum(weights, axis=axis if np.ndim(weights) > 1 else None)


def linear(function: str) -> Callable[..., Any]:
    """np.max under its older name, and so on."""
    return lambda x, *arguments, **options: getattr(np, function)(x, *arguments, **options)


def text(function: Any) -> Callable[..., str]:
    """Printing reads the numbers only."""
    return lambda x, *arguments, **options: function(np.array(x.numbers), *arguments, **options)


def along_axis(function: Any, axis: int, x: ArrayLike, *arguments: Any, **options: Option) -> Any:
    """np.apply_along_axis: the function of every line along an axis."""
    lines = np.moveaxis(x, axis, -1)
    rows = [function(row, *arguments, **options) for row in np.reshape(lines, (-1, lines.shape[-1]))]
    made = np.reshape(array(rows), (*lines.shape[:-1], *np.shape(rows[0])))
    return np.moveaxis(made, -1, axis) if np.ndim(rows[0]) else made


def tensordot(a: ArrayLike, b: ArrayLike, axes: Any = 2) -> Any:
    """The axes that are summed over go last in a, first in b; then it is a matrix product."""
    first, second = axes if np.ndim(axes) else (range(np.ndim(a) - axes, np.ndim(a)), range(axes))
    mine, other = (
        [k % np.ndim(x) for k in np.atleast_1d([*np.atleast_1d(part)])] for x, part in ((a, first), (b, second))
    )
    free_a, free_b = ([k for k in range(np.ndim(x)) if k not in used] for x, used in ((a, mine), (b, other)))
    n = int(np.prod([np.shape(a)[k] for k in mine]))
    left = np.reshape(np.transpose(a, (*free_a, *mine)), (-1, n))
    right = np.reshape(np.transpose(b, (*other, *free_b)), (n, -1))
    return np.reshape(left @ right, [np.shape(a)[k] for k in free_a] + [np.shape(b)[k] for k in free_b])


def convolve(a: ArrayLike, v: ArrayLike, mode: str = "full") -> Any:
    """np.convolve: the long one padded, times the short one reversed, window by window."""
    a, v = (a, v) if len(a) >= len(v) else (v, a)
    m = len(v)
    border = {"full": (m - 1, m - 1), "same": (m - 1 - (m - 1) // 2, (m - 1) // 2), "valid": (0, 0)}[mode]
    padded, turned = np.concatenate([np.zeros(border[0]), a, np.zeros(border[1])]), v[::-1]
    return array([np.sum(padded[k : k + m] * turned) for k in range(len(padded) - m + 1)])


def correlate(a: ArrayLike, v: ArrayLike, mode: str = "valid") -> Any:
    return convolve(a, v[::-1], mode)


def slide(x: ArrayLike, kernel: Any, mode: str = "full", late: int = 0) -> Any:
    """scipy.signal's correlation in any number of dimensions: windows times the kernel, as one matrix product.

    late: 1 for correlate2d, whose "same" begins one entry later in the full result where a kernel's length is even.
    """
    sizes = np.shape(kernel)
    begins = {"full": [0 for _ in sizes], "same": [(k - 1 + late) // 2 for k in sizes], "valid": [k - 1 for k in sizes]}
    low = [k - 1 - begin for k, begin in zip(sizes, begins[mode], strict=True)]
    # such that there are n + kept - 1 windows
    kept = {"full": sizes, "same": [1 for _ in sizes], "valid": [2 - k for k in sizes]}[mode]
    high = [n + k - 2 - b for n, k, b in zip(kept, sizes, low, strict=True)]
    padded = np.pad(x, [*zip(low, high, strict=True)])
    steps = [n - k + 1 for n, k in zip(np.shape(padded), sizes, strict=True)]
    numbers = np.arange(int(np.prod(np.shape(padded)))).reshape(np.shape(padded))
    windows = np.lib.stride_tricks.sliding_window_view(numbers, sizes).reshape(int(np.prod(steps)), -1)
    return np.reshape(np.reshape(padded, (-1,))[windows] @ np.reshape(kernel, (-1,)), steps)


def slide_late(x: ArrayLike, kernel: Any, mode: str = "full") -> Any:
    return slide(x, kernel, mode, late=1)


def reversed_kernel(x: ArrayLike, kernel: Any, mode: str = "full") -> Any:
    """scipy.signal's convolution: the correlation with the kernel reversed along every axis."""
    return slide(x, kernel[tuple(slice(None, None, -1) for _ in np.shape(kernel))], mode)


def as_strided(x: Any, shape: Any = None, strides: Any = None, **options: Any) -> Any:
    """Windows that share memory, as one gather: every address of theirs is that of an entry of x."""
    shape, strides = x.shape if shape is None else shape, x.strides if strides is None else strides
    if not isinstance(x, TracedArray):
        return np.lib.stride_tricks.as_strided(x, shape, strides, **options)
    own, wanted = addresses(x.shape, x.strides), addresses(shape, strides)
    order = np.argsort(own, axis=None)
    at = np.minimum(np.searchsorted(own.ravel()[order], wanted), own.size - 1)
    if not np.array_equal(own.ravel()[order][at], wanted):
        raise LostError("as_strided reads memory beside its array")
    return wrap(gather([unwrap(x)], order[at]))


def addresses(shape: Sequence[int], strides: Sequence[int]) -> Array:
    """The offset of each entry from the first, in bytes."""
    steps = [np.arange(n) * s for n, s in zip(shape, strides, strict=True)]
    return np.asarray(sum(np.ix_(*steps), np.zeros((1,) * len(steps), dtype=int)))


def add_at(ufunc: Any, inputs: Sequence[Any], options: Option) -> Any:
    """np.add.at(x, index, values)."""
    x, index, values = inputs[0], plain_index(inputs[1]), unwrap(inputs[2]) if len(inputs) > 2 else 0.0
    if ufunc is not np.add:
        raise LostError(f"np.{ufunc.__name__}.at keeps no graph here")
    shape = x[index].shape if isinstance(x, np.ndarray) else ()
    full = values * np.ones(shape)
    added = put(full, index, np.shape(x)) if isinstance(full, Tensor) else place_entries(full, index, np.shape(x))
    overwrite(x, wrap(unwrap(x) + added))


def place_entries(values: Array, index: Axis, shape: tuple[int, ...]) -> Array:
    out = np.zeros(shape)
    np.add.at(out, index, values)
    return out


def reduce(ufunc: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    names = {"add": "sum", "multiply": "prod", "maximum": "max", "minimum": "min"}
    if ufunc.__name__ not in names:
        return wrap(ufunc.reduce(*[x.numbers if isinstance(x, TracedArray) else x for x in inputs], **options))
    chosen = {k: v for k, v in options.items() if k in ("axis", "keepdims") and v is not np._NoValue}
    return getattr(np, names[ufunc.__name__])(*inputs[:1], **{"axis": 0, **chosen})


def outer(ufunc: Any, inputs: Sequence[Any], options: Option) -> Any:
    a, b = inputs
    return ufunc(np.reshape(a, np.shape(a) + (1,) * np.ndim(b)), b)


def accumulate(ufunc: Any, inputs: Sequence[Any], options: dict[str, Any]) -> Any:
    if ufunc is not np.add:
        raise LostError(f"np.{ufunc.__name__}.accumulate keeps no graph here")
    return np.cumsum(inputs[0], axis=options.get("axis", 0))


def logaddexp(_: Any, inputs: Sequence[Any], options: Option) -> Any:
    a, b = map(unwrap, inputs)
    return wrap(a + ops.softplus(b - a))


def expit(_: Any, inputs: Sequence[Any], options: Option) -> Any:
    return wrap(ops.sigmoid(unwrap(inputs[0])))


UFUNC_METHODS |= {"at": add_at, "reduce": reduce, "outer": outer, "accumulate": accumulate}
UFUNCS |= {"logaddexp": logaddexp, "expit": expit}
FUNCTIONS |= {
    np.copy: lambda x, *_, **__: x.copy(),
    np.nan_to_num: lambda x, *_, **__: x,
    np.average: average,
    np.apply_along_axis: along_axis,
    np.tensordot: tensordot,
    np.convolve: convolve,
    np.correlate: correlate,
    np.amax: linear("max"),
    np.amin: linear("min"),
    np.array2string: text(np.array2string),
    np.array_repr: text(np.array_repr),
    np.array_str: text(np.array_str),
    np.copyto: lambda target, x, **_: overwrite(target, x),
}

OTHERWISE.append(move_entries)
