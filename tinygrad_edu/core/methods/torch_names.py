"""More of PyTorch's methods, one line each: what a program of a course calls on its tensors.

Where PyTorch gives whole numbers or truth values, these are plain arrays, without gradient.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Dtype, Node, Option
from tinygrad_edu.core.arrays.positions import numbers
from tinygrad_edu.core.conversions.conversion import dtype_asked
from tinygrad_edu.core.methods import torch_meanings
from tinygrad_edu.core.methods.plain_arrays import PlainArray
from tinygrad_edu.core.one_name import places_of, rename
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED
from tinygrad_edu.core.shapes import one_axis
from tinygrad_edu.errors import DtypeError, ShapeError


def narrow(x: Node, dim: int, start: int, length: int) -> Any:
    """`length` entries from `start` on along an axis, counted from its end if negative. Errors: ShapeError."""
    axis = one_axis(x, dim)
    n, begin = x.shape[axis], start + x.shape[axis] * (start < 0)
    if length < 0 or not 0 <= begin <= n - length:
        raise ShapeError(f"x.narrow({dim}, {start}, {length}): axis {dim} has {n} entries")
    return x[(*(slice(None),) * axis, slice(begin, begin + length))]


def select(x: Node, dim: int, index: int) -> Any:
    """One entry along an axis, without it."""
    return x[(*(slice(None),) * one_axis(x, dim), index)]


def as_whole_array(x: Node, name: str, dtype: Dtype) -> Any:
    """The numbers as whole ones or truth values, a plain array that has PyTorch's words too.

    Errors: TraceError in a trace; DtypeError for other dtypes.
    """
    try:
        kind = np.dtype(dtype).kind
    except TypeError as error:
        raise DtypeError(f"{dtype!r} is not a dtype: a Tensor holds float32 or float64") from error
    if kind not in "biu":
        raise DtypeError(
            f"a Tensor holds float32 or float64: plain numbers of {np.dtype(dtype)} are x.data.astype(...)"
        )
    return numbers(x, name).astype(dtype).view(PlainArray)


def count_in_bins(x: Node, bins: int = 100, min: float = 0.0, max: float = 0.0) -> Any:
    """How many entries fall into each of `bins` equal parts of [min, max]; the full range if min equals max."""
    array = numbers(x, "x.histc")
    low, high = (array.min(), array.max()) if min == max and array.size else (min, max)
    low, high = (low - 1.0, high + 1.0) if low == high else (low, high)
    return np.histogram(array, bins, (low, high))[0].astype(array.dtype).view(PlainArray)


def array_of(x: ArrayLike) -> Any:
    return getattr(x, "array", x)


# PyTorch's method -> the function that does it, called with x and the arguments
OLD_TYPES = {"torch.FloatTensor": "float32", "torch.DoubleTensor": "float64"}  # names in programs from 2017
METHODS: dict[str, Callable[..., Any]] = {
    "narrow": narrow,
    "select": select,
    "movedim": lambda x, source, destination: COMPOSED["moveaxis"](x, source, destination),
    "mv": lambda x, vec: ARRAY_TABLE["matmul"](x, vec),
    "addmm": lambda x, mat1, mat2, beta=1, alpha=1: beta * x + alpha * ARRAY_TABLE["matmul"](mat1, mat2),
    "inverse": lambda x: ARRAY_TABLE["inv"](x),
    "repeat_interleave": lambda x, repeats, dim=None: COMPOSED["repeat"](x, repeats, axis=dim),
    "rsqrt": lambda x: 1.0 / ops.sqrt(x),
    "lerp": lambda x, end, weight: x + weight * (end - x),
    "frac": lambda x: x - ops.trunc(x),
    "remainder": lambda x, other: ops.mod(x, other),
    "lgamma": lambda x: ops.gammaln(x),
    "clamp": lambda x, min=None, max=None: x.clip(min, max),
    "clamp_min": lambda x, min: ops.maximum(x, min),
    "clamp_max": lambda x, max: ops.minimum(x, max),
    "amax": lambda x, dim=None, keepdim=False: ARRAY_TABLE["max"](x, axis=dim, keepdims=keepdim),
    "amin": lambda x, dim=None, keepdim=False: ARRAY_TABLE["min"](x, axis=dim, keepdims=keepdim),
    # these return plain numbers and arrays
    "nelement": lambda x: int(x.size),
    "long": lambda x: as_whole_array(x, "x.long", np.int64),
    "int": lambda x: as_whole_array(x, "x.int", np.int32),
    "bool": lambda x: as_whole_array(x, "x.bool", bool),
    "isnan": lambda x: np.isnan(x),
    "isinf": lambda x: np.isinf(x),
    "isfinite": lambda x: np.isfinite(x),
    "logical_not": lambda x: np.logical_not(numbers(x, "x.logical_not")),
    "count_nonzero": lambda x, dim=None: np.count_nonzero(numbers(x, "x.count_nonzero"), axis=dim),
    "unique": lambda x: np.unique(numbers(x, "x.unique")),
    "histc": count_in_bins,
    "isclose": lambda x, other, rtol=1e-5, atol=1e-8: np.isclose(x, other, rtol, atol),
    "allclose": lambda x, other, rtol=1e-5, atol=1e-8: np.allclose(
        numbers(x, "x.allclose"), array_of(other), rtol, atol
    ),
    "new_zeros": lambda x, *shape, **options: new_like(x, np.zeros(sizes(shape)), **options),
    "new_ones": lambda x, *shape, **options: new_like(x, np.ones(sizes(shape)), **options),
    "type": lambda x, dtype: x.to(dtype=OLD_TYPES.get(str(dtype), dtype)),
    "new_empty": lambda x, *shape, **options: new_like(x, np.zeros(sizes(shape)), **options),
    "new_tensor": lambda x, data, **options: new_like(x, array_of(data), **options),
    "swapdims": lambda x, dim0, dim1: COMPOSED["swapaxes"](x, dim0, dim1),
    "pinverse": lambda x: ARRAY_TABLE["pinv"](x),
    "is_contiguous": lambda x: bool(x.array.flags.c_contiguous),
    "new_full": lambda x, size, fill_value, **options: new_like(x, np.full(size, fill_value), **options),
}
ADDED = "np.eye(n)[index].T @ values, which adds up the rows of each index"
INSTEAD = {
    "half": 'x.float(): float32 and float64 are there, which models take as dtype="float32"',
    "register_hook": "x.grad, which inner nodes keep after backward()",
    "scatter_": "np.eye(classes)[index] for one-hot rows, or np.where(mask, value, x)",
    "multinomial": "rng.choice(len(p), p=p), with a rng of np.random.default_rng(seed) and p = x.data",
    "bernoulli": "rng.uniform(size=x.shape) < x.data, with a rng of np.random.default_rng(seed)",
    **{f"{name}_": f"x = x.{name}()" for name in ("detach", "tanh", "sigmoid", "relu", "squeeze", "unsqueeze", "t")},
    **dict.fromkeys(["scatter", "scatter_add", "scatter_add_", "index_add", "index_add_"], ADDED),
    **dict.fromkeys(["index_fill", "index_fill_", "index_copy", "index_copy_"], "np.where(mask, value, x)"),
    "exponential_": "x.data = rng.exponential(size=x.shape), with a rng of np.random.default_rng(seed)",
    "einsum": "np.einsum('ij->i', x)",
    "svd": "np.linalg.svd(x)",
    "cholesky": "np.linalg.cholesky(x)",
    "bincount": "np.bincount(labels), of plain whole numbers",
    "H": "np.swapaxes(x, -1, -2)",
    "stride": "x.data.strides, which counts bytes",
    **dict.fromkeys(["storage", "untyped_storage"], "x.data.ravel(order='K'), the numbers as they lie in memory"),
    "element_size": "x.data.itemsize",
    "data_ptr": "x.data.ctypes.data",
    "pin_memory": "x itself: this library computes on the CPU",
    "share_memory_": "x itself: this library computes on the CPU",
}


def new_like(x: Node, array: Any, dtype: Dtype = None, device: Option = None, requires_grad: bool = False) -> Any:
    """A Tensor in the dtype asked for, or in that of x."""
    asked = dtype_asked("x", None, device, dtype) or x.dtype
    return PlainArray.tensor(array, dtype=asked, requires_grad=requires_grad)


def sizes(shape: tuple[Any, ...]) -> Any:
    return shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape


# method -> PyTorch's names of its arguments, and ours
WORDS: dict[str, dict[str, str]] = {
    "roll": {"shifts": "shift", "dims": "axis"},
    "rot90": {"dims": "axes"},
    "diag": {"diagonal": "k"},
    "diagflat": {"offset": "k"},
    "tril": {"diagonal": "k"},
    "triu": {"diagonal": "k"},
    "cov": {"correction": "ddof"},
}


def with_words(name: str, method: Callable[..., Any], words: dict[str, str]) -> Callable[..., Any]:
    """The method, which takes PyTorch's names of its arguments too."""
    places = places_of(getattr(COMPOSED.get(name), "function", method))[1:]

    @functools.wraps(method)
    def call(x: Node, *arguments: Any, **options: Any) -> Any:
        if not words.keys().isdisjoint(options):
            options = rename(f"x.{name}", places[: len(arguments)], options, words)
        return method(x, *arguments, **options)

    return call


def install(tensor: Any) -> None:
    """Give Tensors these names."""
    for name, method in torch_meanings.METHODS.items():
        setattr(tensor, name, method)
    tensor.is_cuda = tensor.is_xpu = tensor.is_mps = tensor.is_sparse = False
    for name, words in WORDS.items():
        setattr(tensor, name, with_words(name, getattr(tensor, name), words))
    for name, method in METHODS.items():
        method.__name__, method.__qualname__ = name, f"Tensor.{name}"  # which Python's errors about arguments show
        if not hasattr(tensor, name):
            setattr(tensor, name, method)
