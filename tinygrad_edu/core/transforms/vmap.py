"""`vmap`: a function of one sample, run on all samples of a batch at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.arrays.rearrange import moveaxis
from tinygrad_edu.core.broadcasting import broadcast_to
from tinygrad_edu.core.conversions.printing import preview
from tinygrad_edu.core.formulas.readings import refuse_own_rules
from tinygrad_edu.core.methods.torch_words import class_for_code
from tinygrad_edu.core.modes import MODES, errors_raised
from tinygrad_edu.core.pytree import leaf_pairs, refuse_deep, tree_leaves, tree_map, with_leaves
from tinygrad_edu.core.shapes import getitem, stack
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.askers import HERE, functions_seen, seen_in
from tinygrad_edu.core.tracing.stands_for import users_function
from tinygrad_edu.core.transforms.batch_rules import NumbersNeededError, numbers_needed
from tinygrad_edu.core.transforms.batched import (
    LEVELS,
    Batched,
    batch,
    numpys_words_taken_off,
    outside,
)
from tinygrad_edu.core.transforms.class_in_loop import is_of_tensor
from tinygrad_edu.core.transforms.depth import DEPTH
from tinygrad_edu.core.transforms.kept_samples import settle_kept_samples
from tinygrad_edu.core.transforms.variables import is_node
from tinygrad_edu.core.writes.other_names import refuse_old, watching
from tinygrad_edu.errors import OperandError, SettingError, ShapeError, TraceError

Function = Callable[..., Any]


def vmap(f: Function, in_axes: ArrayLike = 0, out_axes: int = 0) -> Function:
    """Return a function that applies f to every sample of a batch at once, and stacks the results.

    f: a function of one sample.
    in_axes: the axis of each argument that counts the samples; None: the argument is the same for all. One for all
        arguments, or a tuple with one for each; of a dict or list of arrays one for all of them, or the same nesting.
        What is given by name is the same for all samples.
    out_axes: the axis of each result that counts the samples. Default: 0.
    Gradients for each sample: vmap(grad(loss), in_axes=(None, 0)).
    Cost: every operation runs once, on the whole batch, and takes as long as if the function had been written for
    batches, plus 15 to 40 µs (measured); under `jit` nothing is added. Operations on whole arrays that have no rule
    for batches (convolutions, indices that differ between samples) run sample by sample. A function that looks at
    numbers (`if x > 0`, x.item(), np.sort) is run from its start for each sample; under `jit` it is refused by name.
    f may write to its arrays, which are copies (`x *= 2`). Where it runs once, random numbers that it draws are the
    same for all samples: draw them outside, one for each; a counter or iterator of Python's moves on once. A
    function that keeps samples in Python and reads them there (`self.mean`) goes on by a loop after the first one.
    Errors: ShapeError where the arguments differ in the number of samples, SettingError for in_axes that do not fit.

    >>> import numpy as np
    >>> from tinygrad_edu import grad, vmap
    >>> x = np.array([[1.0, 2.0], [3.0, 4.0]])
    >>> vmap(lambda row: row @ row)(x)
    array([ 5., 25.])
    >>> vmap(grad(lambda w, row: (w * row).sum() ** 2), in_axes=(None, 0))(np.array([1.0, 0.5]), x)
    array([[ 4.,  8.],
           [30., 40.]])
    """
    checks.function("f", f, "vmap")

    @functools.wraps(f)
    def over_batch(*arguments: ArrayLike, **options: Option) -> Any:
        return run_samples(f, arguments, options, axes_for(arguments, in_axes), out_axes)

    return over_batch


def run_samples(f: Function, arguments: Sequence[Any], options: Option, axes: list[Any], out_axes: ArrayLike) -> Any:
    """All at once, and where that cannot be, one after the other."""
    size, run, found = number_of_samples(arguments, axes), list[Any](), None
    try:
        with numpys_words_taken_off():
            found = [all_at_once(f, arguments, options, axes, out_axes, size, run)]
    except NumbersNeededError:
        if MODES.tensor_trace is not None and MODES.tensor_trace is not Batched:
            raise TraceError(
                "vmap of a function that looks at numbers of its samples cannot be compiled: choose with "
                "tg.ops.where(condition, a, b), or call the function without jit"
            ) from None
    depends = bool(run) and settle_kept_samples(f, run, size, found is None, is_nested(arguments))
    if found is not None and not depends:
        return found[0]
    with numpys_words_taken_off():
        return one_after_the_other(f, arguments, options, axes, out_axes, size, found)


def axes_for(arguments: Sequence[Any], in_axes: ArrayLike) -> list[Any]:
    """For each argument the axis of each of its leaves, in the argument's nesting."""
    each = list(in_axes) if isinstance(in_axes, (tuple, list)) else [in_axes] * len(arguments)
    if len(each) != len(arguments):
        raise SettingError(
            f"vmap: in_axes={in_axes!r} has {len(each)} entries, but there are {len(arguments)} arguments"
        )
    found = []
    for axis, argument in zip(each, arguments, strict=True):
        if axis is None or isinstance(axis, (int, np.integer)):
            found.append(axis_for_all(axis, argument))
        else:
            found.append(axis)
    return found


def axis_for_all(axis: Any, argument: ArrayLike) -> Any:
    """The same axis for each leaf."""
    try:
        return tree_map(lambda _: axis, argument)
    except RecursionError:
        refuse_deep(argument)
        raise


def number_of_samples(arguments: Sequence[Any], axes: ArrayLike) -> Any:
    """The one length that all counting axes have."""
    sizes = []
    for x, axis in leaf_pairs(list(arguments), axes):
        if axis is None:
            continue
        if not -np.ndim(x) <= axis < np.ndim(x):
            raise SettingError(
                f"vmap: axis {axis} cannot count the samples of an argument of shape {np.shape(x)}; None is for "
                "what is the same for all samples"
            )
        sizes.append(np.shape(x)[axis])
    if not sizes:
        raise SettingError("vmap: in_axes names no axis to map over")
    if any(n != sizes[0] for n in sizes):
        raise ShapeError(f"vmap: the arguments have {', '.join(map(str, sizes))} samples; all need the same number")
    return sizes[0]


def first_axis(x: Node, axis: int) -> Any:
    return x if axis in (0, -np.ndim(x)) else moveaxis(x, axis, 0)


def is_nested(arguments: ArrayLike) -> bool:
    """Are the results part of a graph or trace around it?"""
    return DEPTH.level > 0 or MODES.tensor_trace is not None or any(is_node(x) for x in tree_leaves(list(arguments)))


def all_at_once(
    f: Function,
    arguments: ArrayLike,
    options: Option,
    axes: ArrayLike,
    out_axes: ArrayLike,
    size: ArrayLike,
    run: list[Any],
) -> Any:
    """The results of all samples by one run of f. `run`: gets what the samples refer to as long as they are there."""
    nested = is_nested(arguments)
    wholes = [x if axis is None else first_axis(as_tensor(x), axis) for x, axis in leaf_pairs(list(arguments), axes)]
    with batch(size) as level:
        run.append(level)
        given = leaf_pairs(list(arguments), axes)
        leaves = [own(x) if axis is None else Batched(x, False) for x, (_, axis) in zip(wholes, given, strict=True)]
        for x, made in zip(tree_leaves(list(arguments)), leaves, strict=True):
            if isinstance(made, Batched) and made is not x:
                made.stands = Tensor if is_of_tensor(x) else np.ndarray
            if isinstance(x, Tensor) and made is not x:  # attributes that the user has set on the whole batch
                vars(made).update(vars(x))
        with errors_raised() as caught, watching(), seen_in(f), users_function():
            if HERE.notices:  # what NumPy warns of in one sample
                raise NumbersNeededError
            y = f(*with_leaves(list(arguments), leaves), **tree_map(own, options))
            if MODES.written:
                refuse_old(list(tree_leaves(y)), numbers_needed)
        if caught:  # by f, which goes another way with them
            raise NumbersNeededError
        with outside():
            axes = axes_of_results(out_axes, y)
            return tree_map(lambda leaf, axis: finish(leaf, size, axis, nested, len(LEVELS.open) + 1), y, axes)


def axes_of_results(out_axes: ArrayLike, y: ArrayLike) -> Any:
    """The axis for each leaf of a result, from one number for all or a nesting of them. Errors: SettingError."""
    if not isinstance(out_axes, (tuple, list, dict)):
        return tree_map(lambda _: out_axes, y)
    alike = isinstance(y, dict) == isinstance(out_axes, dict) and isinstance(y, (tuple, list, dict))
    keys: list[Any] = list(y if isinstance(y, dict) else range(len(y))) if alike else []
    if not alike or set(keys) != set(out_axes if isinstance(y, dict) else range(len(out_axes))):
        what = f"a {type(y).__name__} of {len(y)}" if isinstance(y, (tuple, list, dict)) else "one array"
        raise SettingError(f"vmap: out_axes={preview(out_axes)} does not fit the result, {what}")
    found = [axes_of_results(out_axes[key], y[key]) for key in keys]
    return dict(zip(keys, found, strict=True)) if isinstance(y, dict) else found


def own(x: ArrayLike) -> Any:
    """A copy of an array that is the same for all samples: what f writes to it is not there for the next sample.

    A trace is given the array itself, which it knows by its identity.
    """
    traced = LEVELS.open[0][0] if LEVELS.open else MODES.tensor_trace
    return x.copy() if isinstance(x, np.ndarray) and traced is None else x


def as_tensor(x: Node) -> Any:
    """Arrays of floats as Tensors; arrays of whole numbers stay what they are, to be indices or labels."""
    refuse_own_rules(x)
    if isinstance(x, Tensor) or np.asarray(x).dtype.kind != "f":
        return x if isinstance(x, Tensor) else np.asarray(x)
    return Tensor(x)


def finish(y: Node, size: ArrayLike, axis: int | None, nested: bool, level: int) -> Any:
    """A result with all samples along the axis: plain numbers where plain numbers went in."""
    of_samples = isinstance(y, Batched) and y.level == level
    inner = y.inner if of_samples else y
    if axis is None and of_samples and not y.common:
        raise SettingError(
            "vmap: out_axes=None is for a result that is the same for all samples, but this one differs between them"
        )
    if axis is None:
        return inner.array if isinstance(inner, Tensor) and not nested else inner
    if not of_samples or y.common:
        if not isinstance(inner, (Tensor, np.ndarray, float, int, np.number)):
            raise OperandError(
                f"vmap: the function returns {type(inner).__name__}: Tensors, arrays and numbers can be stacked"
            )
        inner = broadcast_to(inner, (size, *np.shape(inner)))
    inner = inner if axis == 0 else moveaxis(inner, 0, axis)
    keep = nested or (isinstance(inner, Tensor) and inner.requires_grad)
    return inner if keep or not isinstance(inner, Tensor) else inner.array


def one_after_the_other(
    f: Function,
    arguments: ArrayLike,
    options: Option,
    axes: ArrayLike,
    out_axes: ArrayLike,
    size: ArrayLike,
    found: list[Any] | None,
) -> Any:
    """The function on each sample, and the results stacked. `found`: results of which the first one is right."""
    if not size:
        raise ShapeError(
            "vmap over no samples, of a function that looks at their numbers: the shape of the result cannot be known"
        )
    results, kind = [], class_for_code(each.__code__ for each in functions_seen(f))
    if found is not None:
        results = [tree_map(first_sample, found[0], axes_of_results(out_axes, found[0]))]
    for i in range(len(results), int(size)):
        leaves = [
            own(x) if axis is None else sample_of(x, axis, i, kind) for x, axis in leaf_pairs(list(arguments), axes)
        ]
        results.append(f(*with_leaves(list(arguments), leaves), **tree_map(own, options)))
    nested = is_nested(arguments)
    return tree_map(lambda axis, *ys: stack_samples(ys, axis, nested), axes_of_results(out_axes, results[0]), *results)


def first_sample(y: Node, axis: int | None) -> Any:
    return y if axis is None else getitem(y, (*(slice(None),) * (axis % np.ndim(y)), 0))


def sample_of(x: Node, axis: int, i: int, kind: type) -> Any:
    found = getitem(x, (*(slice(None),) * (axis % np.ndim(x)), i))
    if not isinstance(found, np.ndarray):
        return found
    found = found.copy()  # f may write to it
    return found if kind is np.ndarray else found.view(kind)  # with PyTorch's method names, which f may call


def stack_samples(ys: Sequence[Any], axis: int | None, nested: bool) -> Any:
    if axis is None:
        return ys[0]
    shapes = list(dict.fromkeys(map(np.shape, ys)))
    if len(shapes) > 1:
        raise ShapeError(
            f"vmap: the results of the samples have the shapes {', '.join(map(str, shapes[:3]))}; all need the same to "
            "be stacked: return a sum or mean, or fill up with np.where(x > 0, x, 0.0)"
        )
    if not any(isinstance(y, Tensor) for y in ys):
        return np.stack([np.asarray(y) for y in ys], axis)
    found = stack(ys, axis=axis)
    return found if nested or found.requires_grad else found.array
