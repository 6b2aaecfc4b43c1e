"""The backward pass over Tensors: partials and pull-backs of the table, on arrays or, for higher order, on Tensors."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.added_numbers import LEFT, SUMS, warn_added
from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.anomaly import label_names, refuse_bad_gradient
from tinygrad_edu.core.broadcasting import unbroadcast
from tinygrad_edu.core.fast.pulls import fit_to_array, gradient_order, install, sweep
from tinygrad_edu.core.flat_rows import flat_inputs
from tinygrad_edu.core.graph import ACCUMULATING, PASSES, cotangents, topological, warn_forgotten
from tinygrad_edu.core.lost_gradients import MARKED, NUMBERS, RECENT, warn_lost
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.operation import ArrayOperation, Operation, of_numpy
from tinygrad_edu.core.shape_errors import explain
from tinygrad_edu.core.stretched_targets import SQUARES, warn_stretched
from tinygrad_edu.core.writes.write_guard import refuse_changed, was_written
from tinygrad_edu.errors import (
    BackwardTwiceError,
    GraphError,
    NonScalarBackwardError,
    ShapeError,
    TinygradError,
)

Node = Any  # a Tensor; an alias, because tensor.py imports this file
Contributions = list[tuple[Node, Any]]
LARGE = 4096  # entries; below this a new array is cheaper than working in place


def backward(root: Node, grad: ArrayLike, retain_graph: bool) -> None:
    """One backward pass from `root`, written into the `.grad` of the nodes."""
    seed = check_seed(root, grad)
    if not root.requires_grad:
        raise GraphError(f"backward() from {root!r}, which depends on no Tensor with requires_grad=True")
    if root._spent is True and root.parents and not retain_graph:
        raise BackwardTwiceError(
            f"backward() has already run from {root!r}: its gradients would be counted twice. "
            "Compute it again, or pass retain_graph=True to add them on purpose"
        )
    with np.errstate(all="ignore"):  # 1/0 in a derivative is inf; a path whose gradient is 0 ignores it
        order, uses = gradient_order(root) if root.parents else ([root], [])
        quick = bool(root.parents) and not MODES.anomaly and not was_written(uses)
        found = sweep(order, seed, pull) if quick else cotangents(order, seed, pull_with_care)
        if quick and any(has_nan(g) for x, g in found.items() if not x.parents):
            found = cotangents(order, seed, pull_with_care)
    with ACCUMULATING.freed(), ACCUMULATING.taken:
        PASSES[0] += 1
        leaves = [x for x in found if not x.parents]
        spent = [x for x in leaves if is_forgotten(x.gradient, x._spent)]
        # a leaf without a gradient was cleared: a generator trains through a discriminator, which is cleared later
        if spent and all(x.gradient is not None for x in leaves):
            warn_forgotten(spent)
            spent.clear()
        if MARKED or NUMBERS:
            warn_lost(order, leaves)
        if LEFT[0] > 0 and root.parents and (RECENT or root.op.name in SUMS):
            warn_added(root, lambda: leaves)
        if SQUARES:
            warn_stretched(order)
        while found:
            x, g = found.popitem()
            alone = sys.getrefcount(g) <= ALONE
            store(x, g, alone)
        for x in spent:  # not warned of: the next pass that reaches only such leaves is
            x._spent = x.gradient
        root._spent = True if root.parents else root._spent


def check_seed(root: Node, grad: ArrayLike) -> Any:
    """d(root)/d(self): 1 for a single number, else an array of root's shape that the caller must give."""
    if grad is None:
        if root.array.size != 1:
            raise NonScalarBackwardError(
                f"backward() from shape {root.shape}: the gradient of {root.size} numbers needs a weight for each. "
                "Reduce them first, as in y.sum().backward(), or pass grad= of that shape"
            )
        return np.ones_like(root.array) if root.array.ndim else np.array(1.0, root.array.dtype)
    seed = np.asarray(getattr(grad, "array", grad), dtype=root.dtype)
    if seed.shape != root.shape:
        raise ShapeError(f"backward(grad): the seed has shape {seed.shape}, the Tensor {root.shape}")
    return seed


def is_forgotten(grad: ArrayLike, spent: ArrayLike) -> bool:
    """Has an optimizer used this gradient of a leaf, with no reset since?"""
    used = spent is not False and grad is not None and (spent is grad or spent is grad.base)
    return used and bool(grad.any())


def count_references(found: dict[Node, Any]) -> int:
    """The reference count of a gradient that only the loop in `backward` holds, measured in the same way as there."""
    _, g = found.popitem()
    return sys.getrefcount(g)


ALONE = count_references({None: np.empty(1)})


def store(x: Node, g: Node, alone: bool) -> None:
    """Write a gradient into its node: an inner node keeps this pass's, a leaf adds it to what it has, in its own array.

    `alone`: nobody else holds the array g, so that a leaf may keep it.
    """
    if g.__class__ is not np.ndarray:
        g = np.asarray(g)
    if x.parents:
        x.gradient = g
    elif x.gradient is None:
        x.gradient = g if alone and g.base is None else g.copy()
    else:
        x.gradient = x.gradient + g


def wanting(x: Node) -> list[Node]:
    """The parents that require a gradient."""
    kind = x.__class__
    return [p for p in x.parents if p.__class__ is kind and p.requires_grad]


def pull(x: Node, g: Node) -> Contributions:
    """(parent, contribution) for each parent that requires one: the chain rule at one node, on arrays."""
    operation, kind = x._op, x.__class__
    arrays = [p.array if p.__class__ is kind else p for p in x._parents]
    if isinstance(operation, Operation):  # isinstance, not `__class__ is`: a user's own operation is a subclass
        partials = operation.partials_on_arrays(x.array, arrays)
        found = []
        for p, d in zip(x._parents, partials):  # noqa: B905  (`strict` would cost 60 ns)
            if p.__class__ is kind and p.requires_grad:
                small = d.__class__ is np.ndarray and d.size < LARGE
                share = g * d if small else multiply_into(g, d, partials, x.array, arrays)
                found.append((p, fit_to_array(share, p.array)))
        return found
    if operation.pulls:
        parts = zip(x._parents, operation.array_pulls, strict=True)
        wanted = [(p, f) for p, f in parts if p.__class__ is kind and p.requires_grad]
        return [(p, fit_to_array(f(g, x.array, *arrays, **x._options), p.array)) for p, f in wanted]
    each = zip(x._parents, operation.array_vjp(g, x.array, *arrays, **x._options), strict=True)
    return [(p, fit_to_array(c, p.array)) for p, c in each if p.__class__ is kind and p.requires_grad]


def multiply_into(g: Node, d: ArrayLike, partials: Sequence[Any], y: Node, arrays: Sequence[Any]) -> Any:
    """g·d, written into d if that is large and used nowhere else: fresh memory costs as much as the product."""
    if d.__class__ is float:
        return g if d == 1.0 else g * d
    if d.__class__ is not np.ndarray or d.size < LARGE or d.shape != g.shape or d.dtype is not g.dtype:
        return g * d
    fresh = d.base is None and d is not y and sum(d is other for other in (*arrays, *partials)) == 1
    return np.multiply(g, d, d) if fresh else g * d


def pull_with_care(x: Node, g: Node) -> Contributions:
    """`pull` for the rare cases: arrays were written to, NaN came out, or `detect_anomaly` is on."""
    refuse_changed(x)
    kind = x.__class__
    arrays = [p.array if p.__class__ is kind else p for p in x.parents]
    each = zip(x.parents, contributions(x.op, g, x.array, arrays, x.options), strict=True)
    found = [(p, fit_to_array(c, p.array)) for p, c in each if p.__class__ is kind and p.requires_grad]
    if MODES.anomaly:
        refuse_bad_gradient(x, g, found)
    return found


def pull_tensors(x: Node, g: Node) -> Contributions:
    """`pull` on Tensors: every step is recorded, so that the gradient can be differentiated again."""
    refuse_changed(x)
    found = zip(x.parents, contributions(x.op, g, x, x.parents, x.options), strict=True)
    wanted = wanting(x)
    return [(p, unbroadcast(contribution_as_node(c, x), p.shape)) for p, c in found if any(p is w for w in wanted)]


def contribution_as_node(contribution: ArrayLike, like: Node) -> Node:
    return contribution if contribution.__class__ is like.__class__ else like.__class__(contribution, dtype=like.dtype)


def contributions(
    operation: Operation | ArrayOperation, g: Node, y: Node, inputs: Sequence[Any], options: Option
) -> Sequence[Any]:
    """g·∂y/∂xᵢ for every input xᵢ."""
    if isinstance(operation, ArrayOperation):
        found = operation.vjp(g, y, *inputs, **options)
        if operation.careful and any(has_nan(getattr(x, "array", x)) for x in found):
            found = operation.careful(g, y, *inputs, **options)
        # a gradient that is a Tensor is never cut off at 0: its own derivative need not be 0
        if hasattr(g, "array") or np.any(g):
            return found
        # a zero gradient gives 0 even where the derivative is NaN
        return [x if x is None else np.zeros_like(x) for x in found]
    assert operation.partials is not None
    try:
        partials = operation.partials(y, *inputs)
    except ArithmeticError:  # the inputs are plain Python numbers, for which 1/0 raises; NumPy's give inf
        partials = operation.partials(y, *map(of_numpy, inputs))
    flat = flat_inputs(operation)
    return [np.zeros_like(getattr(g, "array", g)) if i in flat else times(g, d) for i, d in enumerate(partials)]


def times(g: Node, partial: ArrayLike) -> Any:
    """g·∂y/∂x, where a gradient of exactly 0 stays 0 even through an infinite derivative.

    An example is log inside `where`: 0·inf would put NaN where no gradient flows.
    """
    product = g * partial
    if not has_nan(getattr(product, "array", product)):
        return product
    if not hasattr(product, "array"):
        return ops.where(g == 0.0, 0.0, product)
    # where the partial is finite, the product can be differentiated with respect to g even if g is 0
    infinite = ops.not_equal(partial * 0.0, 0.0)
    return g * ops.where(ops.equal(g, 0.0) * infinite, 0.0, partial)


def has_nan(array: ArrayLike) -> bool:
    """The product with itself is NaN only if an entry is; this takes 0.4 µs, np.isnan(x).any() 2 µs."""
    square = np.vdot(array, array)
    return bool(square != square)


def tensor_gradients(root: Node, inputs: Sequence[Node], seed: Node) -> list[Node]:
    """d root / d input as Tensors that can be differentiated again; None if the root does not depend on it."""
    if MODES.tensor_trace is not None:
        return MODES.tensor_trace.derivatives(root, inputs, seed)  # type: ignore[no-any-return]
    with np.errstate(all="ignore"):
        found = cotangents(topological(root, wanting), seed, pull_tensors)
    return [found.get(x) for x in inputs]


def shape_error(operation: Operation | ArrayOperation, operands: Sequence[Any], error: Exception) -> TinygradError:
    """NumPy's complaint in our words, with the names, the shapes and the likely fix."""
    if isinstance(error, TinygradError):
        return error
    shapes = [np.shape(getattr(x, "array", x)) for x in operands]
    names = label_names(operation, operands)
    if isinstance(operation, Operation) or operation.name == "matmul":
        return ShapeError(explain(operation.name, names, shapes))
    listed = ", ".join(f"{name} {shape}" for name, shape in zip(names, shapes, strict=True))
    return ShapeError(f"{operation.name} of {listed}: {error}")


install(pull)
