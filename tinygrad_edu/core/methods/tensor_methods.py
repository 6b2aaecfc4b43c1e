"""PyTorch's and NumPy's names for what a Tensor can do anyway: x.view(2, 3), x.permute(1, 0), x.sum(dim=1), x.tolist().

Results of methods that give numbers, indices or yes and no are plain: they have no gradient.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Axis, Option
from tinygrad_edu.core.arrays.positions import index_of, numbers
from tinygrad_edu.core.conversions.conversion import check_cast, dtype_asked, is_float, refuse_dtype, unpack
from tinygrad_edu.core.methods.plain_arrays import Count as Count
from tinygrad_edu.core.methods.plain_arrays import PlainArray
from tinygrad_edu.core.methods.plain_arrays import count_of as count_of
from tinygrad_edu.core.methods.torch_names import as_whole_array
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED
from tinygrad_edu.errors import OperandError, ShapeError

UNTYPED: Any = np  # NumPy 2.5 has no type for keepdims that may be either


class TensorMethods:
    """The names that are more than one operation by itself."""

    __slots__ = ()
    if TYPE_CHECKING:  # attributes of Tensor used below
        array: Any
        grad: Any
        parents: Any
        requires_grad: Any
        shape: Any
        dtype: Any
        ndim: Any

    def __contains__(self, x: ArrayLike) -> bool:
        """Is one of the numbers equal to x, as NumPy's `in`?"""
        return bool(np.any(self.array == getattr(x, "array", x)))

    # The same numbers in another shape

    def view(self, *shape: Axis) -> Any:
        """x.reshape(shape), PyTorch's word for it; without a shape NumPy's, x in the same memory."""
        return ARRAY_TABLE["reshape"](self, refuse_dtype(unpack(shape)) if shape else self.shape)

    def view_as(self, other: ArrayLike) -> Any:
        """x in the shape of another."""
        return ARRAY_TABLE["reshape"](self, other.shape)

    reshape_as = view_as

    def permute(self, *axes: Axis) -> Any:
        """The axes in another order: x.permute(1, 0)."""
        return ARRAY_TABLE["transpose"](self, unpack(axes))

    def t(self) -> Any:
        """A matrix with rows and columns exchanged; a row of numbers as it is."""
        if self.ndim > 2:
            raise OperandError(
                f"t() is for matrices, and {self!r:.60} has {self.ndim} axes: name their order with x.permute(...)"
            )
        return ARRAY_TABLE["transpose"](self)

    def transpose(self, *axes: Axis) -> Any:
        """The axes in another order: x.transpose(), x.transpose(1, 0) or x.transpose((1, 0)).

        Two numbers for more than two axes exchange these two, as in PyTorch. Errors: OperandError for x.transpose(0, 1)
        of a matrix, which NumPy leaves as it is and PyTorch transposes.
        """
        two = len(axes) == 2 and all(isinstance(axis, (int, np.integer)) for axis in axes)
        if two and self.ndim == 2 and [axis % 2 for axis in axes] == [0, 1]:
            raise OperandError(f"x.transpose{axes} of a matrix is x itself in NumPy, and x.T in PyTorch: write x.T")
        if two and self.ndim > 2:
            return COMPOSED["swapaxes"](self, *axes)
        return ARRAY_TABLE["transpose"](self, unpack(axes) if axes else None)

    @property
    def mT(self) -> Any:  # noqa: N802  (NumPy's and PyTorch's name)
        """Each matrix of a stack with rows and columns exchanged."""
        return COMPOSED["swapaxes"](self, -1, -2)

    def unsqueeze(self, dim: int) -> Any:
        """A new axis of size 1 at that place."""
        return COMPOSED["expand_dims"](self, dim)

    def expand(self, *sizes: Axis) -> Any:
        """Repeated along new axes and axes of size 1; -1 leaves a size as it is."""
        wanted, shape = tuple(unpack(sizes)), self.shape
        before = len(wanted) - len(shape)
        sizes = tuple(shape[i - before] if n == -1 and i >= before else n for i, n in enumerate(wanted))
        return ARRAY_TABLE["broadcast_to"](self, sizes)

    def expand_as(self, other: ArrayLike) -> Any:
        """Repeated to the shape of another."""
        return ARRAY_TABLE["broadcast_to"](self, other.shape)

    def contiguous(self) -> Any:
        """x itself: every operation takes any order in memory."""
        return self

    def unbind(self, dim: int = 0) -> list[Any]:
        """The parts along an axis, each without it."""
        parts = COMPOSED["split"](self, self.shape[dim], axis=dim)
        return [COMPOSED["squeeze"](part, axis=dim) for part in parts]

    def split(self, split_size: Any, dim: int = 0, axis: int | None = None) -> list[Any]:
        """Parts of that size along an axis, the last one shorter; or of the sizes listed. With axis= np.split.

        Errors: ShapeError for a list of sizes whose sum is not the length of the axis.
        """
        if axis is not None:
            return COMPOSED["split"](self, split_size, axis=axis)  # type: ignore[no-any-return]
        n = self.shape[dim]
        if checks.is_number(split_size):
            size = checks.whole("split_size", split_size, 1, "x.split")
            return COMPOSED["split"](self, list(range(size, n, size)), axis=dim)  # type: ignore[no-any-return]
        *ends, total = np.cumsum(split_size).tolist()
        if total != n:
            raise ShapeError(
                f"x.split({list(split_size)}, dim={dim}): the sizes add up to {total}, and the axis has {n}"
            )
        return COMPOSED["split"](self, ends, axis=dim)  # type: ignore[no-any-return]

    def chunk(self, chunks: int, dim: int = 0) -> list[Any]:
        """At most `chunks` parts along an axis, all of the same length except the last."""
        n = self.shape[dim]
        length = max(math.ceil(n / checks.whole("chunks", chunks, 1, "x.chunk")), 1)
        return COMPOSED["split"](self, list(range(length, n, length)), axis=dim)  # type: ignore[no-any-return]

    def repeat(self, *repeats: Axis, axis: int | None = None) -> Any:
        """NumPy's: each entry so many times, x.repeat(2, axis=0). PyTorch's, the whole, with three numbers and more."""
        if len(repeats) > 2 and axis is None:
            return self.tile(*repeats)
        if len(repeats) != 1 or (isinstance(repeats[0], (tuple, list)) and axis is None):
            raise OperandError(
                f"x.repeat{repeats} means two things: PyTorch's, the whole so many times, is x.tile{repeats}; NumPy's, "
                "each entry so many times, is x.repeat(2, axis=0)"
            )
        return COMPOSED["repeat"](self, repeats[0], axis=axis)

    def tile(self, *repeats: Axis, dims: Axis = None) -> Any:
        """x repeated as a whole, the given number of times along each axis."""
        return COMPOSED["tile"](self, unpack(repeats) if dims is None else dims)

    # Choice and products

    def masked_fill(self, mask: ArrayLike, value: ArrayLike) -> Any:
        """`value` where the mask is True, x elsewhere."""
        return ops.where(mask, value, self)

    def masked_select(self, mask: ArrayLike) -> Any:
        """The entries where the mask is True, in one row."""
        return ARRAY_TABLE["getitem"](self, np.broadcast_to(np.asarray(numbers_of(mask), bool), self.shape))

    def index_select(self, dim: int, index: Axis) -> Any:
        """The entries at whole numbers along an axis."""
        return COMPOSED["take"](self, index_of(index), axis=dim)

    def gather(self, dim: int, index: Axis) -> Any:
        """One entry along an axis for each whole number: np.take_along_axis."""
        return COMPOSED["take_along_axis"](self, index_of(index), axis=dim)

    def mm(self, other: ArrayLike) -> Any:
        """The product of two matrices, x @ other."""
        return ARRAY_TABLE["matmul"](self, other)

    bmm = mm

    # Copies, dtypes, places

    def clone(self) -> Any:
        """The same numbers as a node of its own, through which the gradient flows."""
        return ops.pos(self)

    copy = clone

    def astype(self, dtype: Option, copy: bool = True, **further: Option) -> Any:
        """As float32 or float64, through which the gradient flows; whole numbers and truth values as a plain array.

        `order` and `subok` of NumPy's change no number; casting="safe" refuses a dtype that holds fewer numbers.
        """
        check_cast(self.dtype, dtype, **further)
        if not is_float(dtype):
            return as_whole_array(self, "x.astype", dtype)
        if np.dtype(dtype) != self.dtype:
            return ARRAY_TABLE["astype"](self, np.dtype(dtype).name)
        return ops.pos(self) if copy else self

    def float(self) -> Any:
        """float32, as in PyTorch."""
        return self.astype("float32", copy=False)

    def double(self) -> Any:
        """float64."""
        return self.astype("float64", copy=False)

    def type_as(self, other: ArrayLike) -> Any:
        """In the dtype of another."""
        return self.astype(other.dtype, copy=False)

    def to(
        self,
        target: ArrayLike = None,
        *_: ArrayLike,
        device: Option = None,
        dtype: Option = None,
        non_blocking: bool = False,
        copy: bool = False,
    ) -> Any:
        """x.to("float32") or x.to(other); a device is the CPU, here always. Errors: DtypeError."""
        asked = dtype_asked("x", target, device, dtype)
        x = self.clone() if copy else self
        return x if asked is None else x.astype(asked, copy=False)

    def cpu(self) -> Any:
        """x itself: its array lies in the memory of the CPU."""
        return self

    def requires_grad_(self, requires_grad: bool = True) -> Any:
        """Ask for its gradient (or no more), and give it back."""
        node: Any = self
        node._parameter = node.requires_grad or bool(requires_grad) or getattr(node, "_parameter", False)
        node.requires_grad = bool(requires_grad)
        return self

    def zero_grad_(self) -> Any:
        """Forget the gradient, and give it back."""
        self.grad = None
        return self

    def retain_grad(self) -> None:
        """Nothing to do: inner nodes show their gradient after backward()."""

    is_leaf = property(lambda self: not self.parents)
    device = property(lambda self: "cpu")  # as for NumPy's arrays, so that programs may keep device=x.device
    nbytes = property(lambda self: self.array.nbytes)
    itemsize = property(lambda self: self.array.itemsize)

    # Plain numbers

    def tolist(self) -> Any:
        """The numbers as nested lists."""
        return self.array.tolist()

    def numel(self) -> int:
        """How many numbers there are."""
        return int(self.array.size)

    def dim(self) -> int:
        """How many axes there are."""
        return int(self.ndim)

    ndimension = dim

    def argmax(
        self: Any, axis: int | None = None, keepdims: bool = False, dim: int | None = None, keepdim: bool = False
    ) -> Any:
        """The position of the largest entry, along one axis or in the flattened array."""
        return UNTYPED.argmax(
            numbers(self, "x.argmax").view(PlainArray), axis=axis if dim is None else dim, keepdims=keepdims or keepdim
        )

    def argmin(
        self: Any, axis: int | None = None, keepdims: bool = False, dim: int | None = None, keepdim: bool = False
    ) -> Any:
        """The position of the smallest entry, along one axis or in the flattened array."""
        return UNTYPED.argmin(
            numbers(self, "x.argmin").view(PlainArray), axis=axis if dim is None else dim, keepdims=keepdims or keepdim
        )

    def any(self: Any, axis: Axis = None, keepdims: bool = False, dim: ArrayLike = None, keepdim: bool = False) -> Any:
        """Is one of them not 0?"""
        return as_plain_array(UNTYPED.any(self, axis=axis if dim is None else dim, keepdims=keepdims or keepdim))

    def all(self: Any, axis: Axis = None, keepdims: bool = False, dim: ArrayLike = None, keepdim: bool = False) -> Any:
        """Is none of them 0?"""
        return as_plain_array(UNTYPED.all(self, axis=axis if dim is None else dim, keepdims=keepdims or keepdim))

    def nonzero(self, as_tuple: bool = True) -> Any:
        """NumPy's: one array of indices for each axis. With as_tuple=False PyTorch's, a row for each entry."""
        return (UNTYPED.nonzero if as_tuple else np.argwhere)(numbers(self, "x.nonzero"))

    def eq(self, other: ArrayLike) -> Any:
        """x == other, entry by entry."""
        return ops.equal(self, other)

    def ne(self, other: ArrayLike) -> Any:
        """x != other."""
        return ops.not_equal(self, other)

    def gt(self, other: ArrayLike) -> Any:
        """x > other."""
        return ops.greater(self, other)

    def ge(self, other: ArrayLike) -> Any:
        """x >= other."""
        return ops.greater_equal(self, other)

    def lt(self, other: ArrayLike) -> Any:
        """x < other."""
        return ops.less(self, other)

    def le(self, other: ArrayLike) -> Any:
        """x <= other."""
        return ops.less_equal(self, other)


def as_plain_array(x: ArrayLike) -> Any:
    """An array with PyTorch's words; anything else, such as a node of a trace, as it is."""
    return x.view(PlainArray) if type(x) is np.ndarray else x


def numbers_of(x: ArrayLike) -> Any:
    """The numbers of a Tensor; anything else as it is."""
    return getattr(x, "array", x)
