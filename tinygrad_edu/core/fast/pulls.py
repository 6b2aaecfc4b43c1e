"""The backward pass on arrays, written out for the usual operations: skip this file, read `pull` in `backward.py`.

Nothing is computed here that the table does not say: each form makes the very products of the row's own partials or
pull-back, without asking the table, without a product that nobody wants, and in the memory of a product that nobody
else sees. `tests/core/fast/test_array_pulls.py` holds the two against each other, bit for bit.

A form is called as `pull(x, g)`, with the gradient g of the node x, and gives (parent, contribution) for each parent
that wants one, in its shape and dtype.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.arrays.scores import share_of_scores, standard_scores
from tinygrad_edu.core.broadcasting import sum
from tinygrad_edu.core.elementary import exponent_of_slope
from tinygrad_edu.core.fast.class_entropy import class_entropy, pull_class_entropy
from tinygrad_edu.core.formulas.powers import power
from tinygrad_edu.core.linalg import matmul
from tinygrad_edu.core.reductions import log_softmax, softmax
from tinygrad_edu.core.reductions import max as largest
from tinygrad_edu.core.shapes import getitem, inverse, put, reshape, transpose
from tinygrad_edu.core.stretched_targets import SQUARES

Array = np.ndarray[Any, Any]
Contributions = list[tuple[Node, Any]]
Shape = tuple[int, ...]


def gradient_order(root: Node) -> tuple[list[Any], list[tuple[Any, int]]]:
    """(the inner nodes whose gradient is wanted, in the order of `topological`, without a call and a list for each;
    the Tensors that somebody may have written to, each with the ticks at which an operation has used it).
    """
    order, uses, seen = list[Any](), list[tuple[Any, int]](), set[Any]()
    stack, kind = [root], root.__class__
    while stack:
        x = stack.pop()
        if x is None:
            order.append(stack.pop())
        elif x not in seen:
            seen.add(x)
            stack += (x, None)
            for parent in x._parents:
                if parent.__class__ is kind:
                    if parent._guard is not None:
                        uses.append((parent, x._made))
                    if parent._parents and parent.requires_grad and parent not in seen:
                        stack.append(parent)
    return order, uses


def sweep(order: list[Any], seed: ArrayLike, general: Callable[..., Any]) -> dict[Node, Any]:
    """`cotangents` of arrays: d root / d node of the inner nodes in `order` and of their leaves.

    A sum of two contributions is an array of our own, to which a third is added in place: a weight that a loop uses
    a hundred times costs one array, not a hundred.
    """
    found: dict[Node, Any] = {order[-1]: seed}
    ours = set[Node]()
    for x in reversed(order):
        g = found.get(x)
        if g is None:
            continue
        for parent, share in (x._op.pull or general)(x, g):
            earlier = found.get(parent)
            if earlier is None:
                found[parent] = share
            elif parent in ours:
                np.add(earlier, share, earlier)
            else:
                found[parent] = total = earlier + share
                if total.__class__ is np.ndarray:
                    ours.add(parent)
    return found


def fit_to_array(share: ArrayLike, array: Array) -> Any:
    """A contribution in the shape and dtype of the array that it belongs to."""
    if share.shape != array.shape:
        if share.ndim == 2 and share.shape[0] == share.shape[1] == array.size:
            SQUARES.append(None)
        axes, narrow = find_stretched_axes(share.shape, array.shape)
        share = np.add.reduce(share, axis=axes)
        if narrow:
            share = share.reshape(array.shape)
    return share if share.dtype is array.dtype else share.astype(array.dtype, copy=False)


@functools.lru_cache(4096)
def find_stretched_axes(shape: Shape, narrow: Shape) -> tuple[Shape, bool]:
    """(the axes along which `narrow` was stretched to `shape`, is a reshape needed after the sum over them?)"""
    extra = len(shape) - len(narrow)
    axes = tuple(i for i, n in enumerate(shape) if i < extra or (narrow[i - extra] == 1 and n != 1))
    return axes, tuple(n for i, n in enumerate(shape) if i not in axes) != narrow


# binary elementwise operations: a parent may be a Tensor, a plain number or an array


def pull_add(x: Node, g: Array) -> Contributions:
    kind = x.__class__
    return [(p, fit_to_array(g, p.array)) for p in x._parents if p.__class__ is kind and p.requires_grad]


def pull_sub(x: Node, g: Array) -> Contributions:
    a, b = x._parents
    kind, found = x.__class__, []
    if a.__class__ is kind and a.requires_grad:
        found.append((a, fit_to_array(g, a.array)))
    if b.__class__ is kind and b.requires_grad:
        found.append((b, fit_to_array(np.negative(g), b.array)))
    return found


def pull_mul(x: Node, g: Array) -> Contributions:
    a, b = x._parents
    kind, found = x.__class__, []
    if a.__class__ is kind and a.requires_grad:
        found.append((a, fit_to_array(g * (b.array if b.__class__ is kind else b), a.array)))
    if b.__class__ is kind and b.requires_grad:
        found.append((b, fit_to_array(g * (a.array if a.__class__ is kind else a), b.array)))
    return found


def pull_div(x: Node, g: Array) -> Contributions:
    a, b = x._parents
    kind, found = x.__class__, []
    over = b.array if b.__class__ is kind else b if b.__class__ is np.ndarray else b or np.float64(b)
    if a.__class__ is kind and a.requires_grad:
        found.append((a, fit_to_array(g * (1.0 / over), a.array)))
    if b.__class__ is kind and b.requires_grad:
        found.append((b, fit_to_array(g * (-x.array / over), b.array)))
    return found


def pull_pow(x: Node, g: Array) -> Any:
    """Pull-back of xⁿ for a plain number n: without the derivative with respect to n, which needs a logarithm."""
    base, n = x._parents
    if n.__class__ is not float and n.__class__ is not int:
        return None
    slope = n * power(base.array, exponent_of_slope(n))
    return [(base, fit_to_array(g * slope, base.array))]


# unary elementwise operations: the arrays they need are at hand, and the result has its parent's shape and dtype


def unary(slope: Callable[[Array, Array, Array], Any]) -> Callable[..., Any]:
    """The pull-back of one argument: `slope(g, y, x)` is g·dy/dx."""

    def pull(x: Node, g: Array) -> Contributions:
        (p,) = x._parents
        return [(p, slope(g, x.array, p.array))]

    return pull


def through_tanh(g: Array, y: Array, _: Array) -> Any:
    slope = y * y
    # for arrays without axes NumPy returns a scalar, which cannot be written in place
    if slope.__class__ is not np.ndarray:
        return g * (1.0 - slope)
    np.subtract(1.0, slope, slope)
    return np.multiply(g, slope, slope)


def through_sigmoid(g: Array, y: Array, _: Array) -> Any:
    slope = 1.0 - y
    if slope.__class__ is not np.ndarray:
        return g * (y * slope)
    np.multiply(y, slope, slope)
    return np.multiply(g, slope, slope)


def through_relu(g: Array, y: Array, _: Array) -> Any:
    """Truths are made numbers first: NumPy multiplies by them in small pieces, at a third of the speed."""
    slope = (y > 0.0).astype(y.dtype)
    return np.multiply(g, slope, slope) if slope.__class__ is np.ndarray else g * slope


def through_gelu(x: Node, g: Array) -> Any:
    """g·(Φ(x) + x·φ(x)), with the Φ(x) that the forward pass has kept."""
    cdf, (p,) = getattr(x, "_kept", None), x._parents
    if cdf.__class__ is not np.ndarray:
        return None
    density = -0.5 * p.array
    np.multiply(density, p.array, density)
    np.exp(density, density)
    slope = p.array * ops.INVERSE_SQRT_TWO_PI
    np.multiply(slope, density, slope)
    np.add(cdf, slope, slope)
    return [(p, np.multiply(g, slope, slope))]


UNARY = {
    ops.neg: lambda g, _y, _x: np.negative(g),
    ops.exp: lambda g, y, _x: g * y,
    ops.log: lambda g, _y, x: g * (1.0 / x),
    ops.sqrt: lambda g, y, _x: g * (0.5 / y),
    ops.tanh: through_tanh,
    ops.sigmoid: through_sigmoid,
    ops.relu: through_relu,
    ops.square: lambda g, _y, x: g * (2.0 * x),
}


# operations on whole arrays


def pull_matmul(x: Node, g: Array) -> Any:
    """Pull-back of the product of two matrices."""
    a, b = x._parents
    kind, found = x.__class__, []
    left, right = a.array if a.__class__ is kind else a, b.array if b.__class__ is kind else b
    if left.ndim != 2 or right.ndim != 2 or left.dtype is not right.dtype:
        return None
    if a.__class__ is kind and a.requires_grad:
        found.append((a, g @ right.T))
    if b.__class__ is kind and b.requires_grad:
        found.append((b, left.T @ g))
    return found


def pull_reshape(x: Node, g: Array) -> Contributions:
    (p,) = x._parents
    return [(p, g.reshape(p.array.shape))]


def pull_transpose(x: Node, g: Array) -> Contributions:
    (p,) = x._parents
    axes = x._options["axes"]
    return [
        (p, g.transpose() if axes is None else g.transpose(undo_order(axes if axes.__class__ is int else tuple(axes))))
    ]


@functools.lru_cache(1024)
def undo_order(axes: int | Shape) -> Shape:
    """`inverse`, looked up for an order that was met before."""
    return tuple(inverse(axes) or ())


def pull_getitem(x: Node, g: Array) -> Contributions:
    (p,) = x._parents
    return [(p, put.array_function(g, x._options["index"], p.array.shape))]


def pull_sum(x: Node, g: Array) -> Contributions:
    """g at every x. Of few numbers a filled array is quicker than a view of one, which takes NumPy 3 µs to set up."""
    (p,) = x._parents
    array, axis = p.array, x._options["axis"]
    if axis is not None and not x._options["keepdims"]:
        g = g.reshape(
            keepdims_form(array.shape, axis if axis.__class__ is int else tuple(np.atleast_1d(axis).tolist()))
        )
    if array.size > LARGE:
        return [(p, np.broadcast_to(g, array.shape))]
    filled = np.empty(array.shape, array.dtype)
    filled[...] = g
    return [(p, filled)]


LARGE = 65_536  # entries; above this the gradient is a broadcast view, not a filled array


@functools.lru_cache(1024)
def keepdims_form(shape: Shape, axis: int | Shape) -> Shape:
    """The shape of a reduction with keepdims=True."""
    axes = {i % len(shape) for i in ((axis,) if axis.__class__ is int else axis)} if shape else ()  # type: ignore
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def pull_max(x: Node, g: Array) -> Any:
    """ȳ over the number of ties where x is the largest: the quotient for each window, not for each entry."""
    (p,), axis = x._parents, x._options["axis"]
    if axis.__class__ not in (int, tuple) or not p.array.ndim or p.array.dtype is not g.dtype:
        return None
    array, shape = p.array, keepdims_form(p.array.shape, axis)
    hit = array == x.array.reshape(shape)
    counts = np.uint8 if array.size // max(x.array.size, 1) < 256 else np.intp
    share = 1.0 / np.add.reduce(hit.view(np.uint8), axis=axis, dtype=counts, keepdims=True).astype(g.dtype)
    np.multiply(g.reshape(shape), share, share)
    found = hit.astype(g.dtype)
    return [(p, np.multiply(found, share, found))]


def pull_softmax(x: Node, g: Array) -> Any:
    """y·(ȳ - Σ ȳ·y)"""
    (p,), y = x._parents, x.array
    share = g * y
    if share.__class__ is not np.ndarray:
        return None
    total = np.add.reduce(share, axis=x._options["axis"], keepdims=True)
    np.subtract(g, total, share)
    return [(p, np.multiply(y, share, share))]


def pull_standard_scores(x: Node, g: Array) -> Any:
    """With the √(σ² + ε) that the forward pass has kept."""
    spread, (p,) = getattr(x, "_kept", None), x._parents
    if spread.__class__ is not np.ndarray:
        return None
    return [(p, share_of_scores(g, x.array, spread, x._options["axis"]))]


def pull_log_softmax(x: Node, g: Array) -> Any:
    """ȳ - softmax(x)·Σ ȳ"""
    (p,) = x._parents
    share = np.exp(x.array)
    if share.__class__ is not np.ndarray:
        return None
    np.multiply(share, np.add.reduce(g, axis=x._options["axis"], keepdims=True), share)
    return [(p, np.subtract(g, share, share))]


def install(pull: Callable[..., Any]) -> None:
    """Give these forms to their rows; `pull`: what does the other cases."""

    def or_pull(form: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, g: form(x, g) or pull(x, g)

    ops.add.pull, ops.sub.pull, ops.mul.pull, ops.div.pull = pull_add, pull_sub, pull_mul, pull_div
    ops.pow.pull, matmul.pull = or_pull(pull_pow), or_pull(pull_matmul)
    reshape.pull, transpose.pull, getitem.pull, sum.pull = pull_reshape, pull_transpose, pull_getitem, pull_sum
    class_entropy.pull = or_pull(pull_class_entropy)
    softmax.pull, log_softmax.pull = or_pull(pull_softmax), or_pull(pull_log_softmax)
    ops.gelu.pull, largest.pull = or_pull(through_gelu), or_pull(pull_max)
    standard_scores.pull = or_pull(pull_standard_scores)
    for row, slope in UNARY.items():
        row.pull = unary(slope)
