"""PyTorch's names on the plain arrays that `x.data` and `x.grad` give: w.grad.zero_(), w.data.sub_(...), w.grad.norm().

Gradients and data are NumPy arrays here and Tensors in PyTorch, whose tutorials all say `w.grad.zero_()`. So what a
user reads is a view of the same memory that knows these names too; the engine itself keeps `np.ndarray`s.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis, Node, Option
from tinygrad_edu.core.conversions.conversion import array_operand, dtype_asked
from tinygrad_edu.core.conversions.plain_numbers import WRITE_AT_ONCE, reader_error
from tinygrad_edu.core.conversions.printing import is_compiled, preview
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tracing.whose_code import is_storing
from tinygrad_edu.errors import DetachedError, GraphError, ShapeError, TraceError

Array = np.ndarray[Any, Any]
Item = TypeVar("Item", bound=np.generic)

TO_FILL = "To fill an array make it a Tensor: out = tg.Tensor(np.zeros(shape)), then out[i] = x"

# x.name(...) writes the result of the function into x
UPDATES: dict[str, Callable[..., Any]] = {
    "zero_": lambda x: 0.0,
    "fill_": lambda x, value: value,
    "copy_": lambda x, src: src,
    "add_": lambda x, other, alpha=1: x + alpha * other,
    "sub_": lambda x, other, alpha=1: x - alpha * other,
    "mul_": lambda x, other: x * other,
    "div_": lambda x, other: x / other,
    "pow_": lambda x, exponent: x**exponent,
    "neg_": lambda x: -x,
    "abs_": lambda x: np.abs(x),
    "exp_": lambda x: np.exp(x),
    "sqrt_": lambda x: np.sqrt(x),
    "clamp_": lambda x, min=None, max=None: np.clip(x, min, max),
    "clip_": lambda x, min=None, max=None: np.clip(x, min, max),
    "clamp_min_": lambda x, min: np.maximum(x, min),
    "clamp_max_": lambda x, max: np.minimum(x, max),
    "addcmul_": lambda x, tensor1, tensor2, value=1: x + value * tensor1 * tensor2,
    "addcdiv_": lambda x, tensor1, tensor2, value=1: x + value * tensor1 / tensor2,
    "lerp_": lambda x, end, weight: x + weight * (end - x),
    "masked_fill_": lambda x, mask, value: np.where(mask, value, x),
    # PyTorch draws from one global generator; here it is NumPy's, seeded by np.random.seed
    "normal_": lambda x, mean=0.0, std=1.0: np.random.normal(mean, std, x.shape),
    "uniform_": lambda x, a=0.0, b=1.0: np.random.uniform(a, b, x.shape),
}  # uniform_'s first bound is called "from" in PyTorch, which is a keyword of Python
TORCHS = frozenset({"dim", "keepdim", "descending", "unbiased", "correction"})
OF_EITHER = ("sum", "mean", "std", "var", "max", "min", "prod", "argmax", "argmin", "any", "all", "cumsum", "cumprod",
             "sort")  # fmt: skip
# What the engine itself asks of an operand, seven times in a small step: the way to a good message made it 1.2x slower.
ASKED = {"__apply_array__", "array", "filled", "partials"}
OF_NODES = {"backward", "assign", "requires_grad", "requires_grad_", "grad", "zero_grad_", "retain_grad"}


class Count(int):
    """How many numbers there are; called as PyTorch does it, the shape: x.size() and x.size(0)."""

    shape: tuple[int, ...] = ()

    def __call__(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def __reduce__(self) -> Any:
        return int, (int(self),)


def count_of(x: ArrayLike) -> Count:
    """The `size` of an array."""
    return count_of_shape(x.shape)


def count_of_shape(shape: tuple[int, ...]) -> Count:
    """The number of entries of an array of this shape."""
    count = Count(math.prod(shape))
    count.shape = shape
    return count


class PlainArray(np.ndarray[Any, np.dtype[Item]]):
    """A NumPy array that also has PyTorch's names, each with the meaning that it has on a Tensor.

    What NumPy has is NumPy's, its arithmetic with floats gives plain arrays, whole numbers and comparisons give arrays
    of this kind, and names that end in an underscore write into it.
    Other names are those of a Tensor of these numbers: `w.grad.norm()`, `w.grad.clamp(-1, 1)`.

    >>> from tinygrad_edu import Tensor
    >>> w = Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> w.grad.norm().item(), w.grad.zero_(), 2.0 * w.grad
    (10.0, array([0., 0.]), array([0., 0.]))
    """

    tensor: type  # Tensor, and how to make one from an array without a copy; set by tensor.py, which imports this file
    make_tensor: Callable[[Array], Any]

    def __array_wrap__(self, array: Any, context: Option = None, return_scalar: bool = False) -> Any:
        if array is self:  # the result of `x -= step`, which Tensor.data must recognize as the array it gave out
            return self
        if return_scalar:
            return array[()]
        # so that (x.argmax(1) == y).float().mean() and (counts + 1).float() work as in PyTorch
        return array.view(PlainArray if array.dtype.kind in "biu" else np.ndarray)

    def nonzero(self, as_tuple: bool = True) -> Any:
        """NumPy's: one array of indices for each axis. With as_tuple=False PyTorch's, a row for each entry."""
        return np.ndarray.nonzero(self) if as_tuple else np.argwhere(self)

    def __repr__(self) -> str:
        return repr(np.asarray(self))

    def __reduce__(self) -> Any:
        return np.asarray(self).__reduce__()

    def __getattr__(self, name: str) -> Any:
        if name in ASKED:
            raise AttributeError(f"'PlainArray' object has no attribute {name!r}")
        if name in OF_NODES:
            raise AttributeError(
                f"a plain array has no {name!r}: tg.Tensor(x, requires_grad=True) is a leaf that has one"
            )
        try:
            known = callable(getattr(PlainArray.tensor, name))
        except AttributeError as error:  # Tensor's message may say what to write instead
            raise AttributeError(str(error).replace("'Tensor'", "'PlainArray'")) from None
        if not known or name.startswith("__"):  # a slot of nodes, or a protocol that some library asks for
            raise AttributeError(f"'PlainArray' object has no attribute {name!r}")
        return as_plain(getattr(PlainArray.make_tensor(np.asarray(self)), name))

    size = property(count_of)

    @property
    def data(self) -> Any:
        """The array itself."""
        return self

    def detach(self) -> Any:
        """The array itself: it has no history."""
        return self

    def clone(self) -> Any:
        """A copy."""
        return self.copy()

    def numpy(self) -> Array:
        """The array itself, as NumPy's own class."""
        return np.asarray(self)

    cpu = contiguous = detach

    def __int__(self) -> int:
        """The one number of an array of any shape, as in PyTorch; NumPy takes an array of no axes only."""
        return int(self.item()) if math.prod(self.shape) == 1 else super().__int__()

    def __float__(self) -> float:
        return float(self.item()) if math.prod(self.shape) == 1 else super().__float__()

    def __round__(self, ndigits: int | None = None) -> Any:
        """Python's round() of one number, which NumPy's arrays do not know; of several, each."""
        if ndigits is None and not self.ndim:
            return round(self.item())
        return np.round(np.asarray(self), ndigits or 0)

    def to(self, target: ArrayLike = None, *_: ArrayLike, device: Option = None, dtype: Option = None) -> Any:
        """The numbers in the dtype of `target`, of whole numbers too: y.to("int64"). Errors: DtypeError for a GPU."""
        asked = dtype_asked("x", target, device, dtype)
        return self if asked is None else self.astype(asked)

    def type(self, dtype: Option) -> Any:
        """PyTorch's name for x.astype(dtype)."""
        return self.astype(dtype)

    def norm(self, p: Any = 2, dim: Axis = None, keepdim: bool = False) -> Any:
        """(Σ|x|ᵖ)^(1/p), of all numbers or along axes."""
        kept = keepdim and dim is not None
        if isinstance(dim, (tuple, list)) and not isinstance(p, str):  # of NumPy's norm a number means that of a matrix
            return np.linalg.vector_norm(self, axis=tuple(dim), keepdims=kept, ord=p)
        return np.linalg.norm(np.ravel(self) if dim is None and not isinstance(p, str) else self, p, dim, kept)

    def view(self, *shape: Any, **options: Option) -> Any:
        """PyTorch's, the same numbers in another shape, where sizes are given; else NumPy's, in another dtype."""
        sizes = shape[0] if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else shape
        whole = bool(sizes) and all(isinstance(n, (int, np.integer)) for n in sizes)
        return self.reshape(tuple(sizes)) if whole else super().view(*shape, **options)


def as_plain(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of Tensors whose results are plain arrays."""

    def plain_method(*arguments: ArrayLike, **options: Option) -> Any:
        return plain_of(method(*arguments, **options))

    return plain_method


def plain_of(found: Any) -> Any:
    """Tensors as their data, in lists and pairs too."""
    if isinstance(found, (list, tuple)):
        return type(found)([plain_of(x) for x in found])
    if MODES.tensor_trace is not None and isinstance(found, MODES.tensor_trace):
        return found  # a node of a trace has no numbers yet
    if type(found) is np.ndarray:
        return found.view(PlainArray)
    return found.data if hasattr(found, "parents") else found.plain() if hasattr(found, "plain") else found


def of_either(name: str) -> Callable[..., Any]:
    """The method x.name(...): NumPy's, or with PyTorch's words, as in (x > 0).sum(dim=1), that of a Tensor."""
    numpys = getattr(np.ndarray, name)

    def method(self: PlainArray[Any], *arguments: ArrayLike, **options: Option) -> Any:
        if options.keys() & TORCHS:
            return PlainArray.__getattr__(self, name)(*arguments, **options)
        return numpys(self, *arguments, **options)

    method.__name__, method.__doc__ = name, numpys.__doc__
    return method


def write(array: Array, name: str, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
    """Write what an update gives into the array. Errors: ShapeError where it does not fit, GraphError for a view."""
    if not array.flags.writeable:
        raise GraphError(f"{name} would write into a view, whose base the graph still needs: take a copy, +x")
    given = [getattr(x, "array", x) for x in arguments]
    try:
        array[...] = UPDATES[name](array, *given, **{key: getattr(x, "array", x) for key, x in options.items()})
    except ValueError as error:
        raise ShapeError(
            f"{name} writes into an array of shape {array.shape}, and the value does not fit: {error}"
        ) from None


def update_array(name: str) -> Callable[..., Any]:
    """The method x.name(...) of plain arrays."""

    def update(self: PlainArray[Any], *arguments: ArrayLike, **options: Option) -> Any:
        write(self, name, arguments, options)
        return self

    update.__name__, update.__doc__ = name, f"PyTorch's `{name}`: writes into the array, and gives it back."
    return update


def update_leaf(name: str, report: Callable[[Node], None]) -> Callable[..., Any]:
    """The method x.name(...) of Tensors: writes into a leaf where no graph is recorded."""

    def update(self: Node, *arguments: ArrayLike, **options: Option) -> Any:
        if self.parents or (self.requires_grad and MODES.recording):
            x = self.label or "x"
            advice = f"make a new node, as in {x} = {x} + y" if self.parents else "write it under `with tg.no_grad():`"
            raise GraphError(f"{x}.{name}(...) would overwrite numbers that a gradient may need: {advice}")
        write(self.array, name, arguments, options)
        report(self)
        return self

    update.__name__, update.__doc__ = name, f"PyTorch's `{name}`: writes into a leaf, under no_grad, and gives it back."
    return update


def install(tensor: type, make_tensor: Callable[[Array], Any], report: Callable[[Node], None]) -> None:
    """Give plain arrays and Tensors the names of updates."""
    PlainArray.tensor, PlainArray.make_tensor = tensor, staticmethod(make_tensor)
    for name in UPDATES:
        setattr(PlainArray, name, update_array(name))
        setattr(tensor, name, update_leaf(name, report))
    for name in OF_EITHER:
        setattr(PlainArray, name, of_either(name))


BY_HAND = [0]  # how many gradients were set by an assignment


def set_gradient(x: Node, gradient: ArrayLike) -> None:
    """None, or numbers of the shape of x, which get its dtype; one number counts for all entries.

    An optimizer would take any others as they are, and the weights would get their shape. Errors: ShapeError.
    """
    like, given = x.array, getattr(gradient, "array", gradient)
    if not (given is None or (is_plain(given) and given.shape == like.shape and given.dtype == like.dtype)):
        array = array_operand(given)
        if array.ndim and array.shape != like.shape:
            raise ShapeError(f"a gradient of shape {array.shape} for {preview(x)} of shape {like.shape}")
        given = np.array(np.broadcast_to(array, like.shape), dtype=like.dtype)
    BY_HAND[0] += 1
    x.gradient = given


def is_plain(x: ArrayLike) -> bool:
    """An array, but none with a mask or with other rules of its own."""
    return x.__class__ in (np.ndarray, PlainArray)


def refuse_shape(x: Node, shape: Any) -> None:
    """Errors: AttributeError, as of any attribute that is only read."""
    name = x.label or "x"
    raise AttributeError(f"the shape of {x!r:.60} cannot be set: write {name} = {name}.reshape({shape!r})")


def is_view_of(value: ArrayLike, array: Array) -> bool:
    """Is it what `x.data` gave for this array, written to in place?"""
    return value.__class__ is PlainArray and value.base is array and value.shape == array.shape


def as_plain_array(x: Node, dtype: Option = None, copy: bool | None = None) -> Any:
    """What np.asarray(x) gives. Errors: DetachedError where it would lose a gradient."""
    if x.requires_grad and MODES.recording and not is_compiled(x):
        if MODES.tensor_trace is not None and is_storing(sys._getframe(1)):
            raise TraceError(WRITE_AT_ONCE)
        raise reader_error(x) or DetachedError(
            f"a plain array made of {preview(x)} would silently lose its gradient. To join several Tensors use "
            f"np.stack([a, b]), np.concatenate or tg.ops.stack, not np.array([a, b]), np.r_ or np.c_. {TO_FILL}; "
            "to take the entries that it names, np.take(tg.Tensor(table), i); use NumPy's functions or tg.ops on "
            "the Tensor itself (tg.ops.logsumexp, softmax, erf, sigmoid for SciPy's, tg.stats for scipy.stats); or "
            "leave the graph on purpose with x.data or x.detach()"
        )
    return np.array(x.array, dtype=dtype, copy=True if copy is None else copy)
