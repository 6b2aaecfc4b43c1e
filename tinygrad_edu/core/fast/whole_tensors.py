"""Operations on whole Tensors, written out like the operators in `tensors.py`: skip this file, too.

`ArrayOperation.call` sorts arguments, asks for the back end, copies indices and looks at what comes out. Here the usual
calls of the usual rows go straight to NumPy, and every other call is handed to the general form.
`tests/core/fast/test_array_pulls.py` holds the two against each other, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Axis, Node, Option
from tinygrad_edu.core.arrays.scores import deviations, standard_scores
from tinygrad_edu.core.broadcasting import REDUCE, sum
from tinygrad_edu.core.fast.class_entropy import form_on_tensors
from tinygrad_edu.core.fast.freed_memory import keep_freed_memory
from tinygrad_edu.core.fast.values import with_name
from tinygrad_edu.core.losses.class_losses import cross_entropy
from tinygrad_edu.core.operation import ArrayOperation
from tinygrad_edu.core.ops import gelu
from tinygrad_edu.core.reductions import exp_shares, log_shares, log_softmax, mean, softmax
from tinygrad_edu.core.shapes import concatenate, getitem, reshape, stack, transpose

PLAIN = (int, slice, type(None), type(Ellipsis))  # types in an index that cannot change later


def install_for_arrays(
    tensor: type, record: Callable[..., Any], protect_view: Callable[..., Any], no_options: Any
) -> None:
    """Give the quick forms for Tensors to their rows, in a process that keeps freed memory for them."""
    keep_freed_memory()
    for row, default in (reshape, ()), (transpose, (None,)), (getitem, ()):
        row.quick[tensor] = one_option(row, default, record, protect_view)
    sum.quick[tensor] = sum_of(record)
    mean.quick[tensor] = mean_of
    stack.quick[list] = stack.quick[tuple] = stack_of(tensor, record, protect_view)
    concatenate.quick[list] = concatenate.quick[tuple] = concatenation_of(tensor, record)
    softmax.array_function = lambda x, axis=-1: normalize(x, axis, exp_shares, False)
    log_softmax.array_function = lambda x, axis=-1: normalize(x, axis, log_shares, True)
    for row in (softmax, log_softmax):
        row.quick[tensor] = normalization_of(row, record)
    cross_entropy.quick[tensor] = form_on_tensors(record)
    standard_scores.quick[tensor] = scores_of(record)
    gelu.quick[tensor] = form = gelu_of(tensor, record, no_options)
    tensor.gelu = with_name(form, gelu)  # type: ignore[attr-defined]


def one_option(
    row: ArrayOperation, default: tuple[Any, ...], record: Callable[..., Any], protect_view: Callable[..., Any]
) -> Callable[..., Any]:
    """An operation of one array and one option, which is given by position."""
    function, (name,) = row.array_function, row.options

    def form(x: Node, *given: Axis, **options: Option) -> Any:
        if options:
            return row.call((x, *given), options)
        given = given or default
        if len(given) != 1:
            return row.call((x, *given), options)
        (value,) = given
        if value.__class__ is np.ndarray:
            value = value.copy()
        elif value.__class__ is tuple:
            for part in value:
                if part.__class__ not in PLAIN:
                    if part.__class__ is not np.ndarray:
                        return row.call((x, value), {})
                    value = tuple([i.copy() if i.__class__ is np.ndarray else i for i in value])
        elif value.__class__ not in PLAIN:
            return row.call((x, value), {})
        try:
            y = function(x.array, value)
        except (ValueError, IndexError, TypeError):
            return row.call((x, value), {})  # raises with an explanation
        made = record(row, y, (x,), {name: value})
        return made if made.array.base is None else protect_view(made, x)

    return form


def sum_of(record: Callable[..., Any]) -> Callable[..., Any]:
    """Σ x, its options given by name."""

    def form(x: Node, *given: Axis, **options: Option) -> Any:
        if given or not options.keys() <= sum.options.keys():
            return sum.call((x, *given), options)
        axis, keepdims = options.get("axis"), options.get("keepdims", False)
        if axis.__class__ not in (int, tuple, type(None)) or keepdims.__class__ is not bool:
            return sum.call((x,), options)
        try:
            y = REDUCE["sum"](x.array, axis=axis, keepdims=keepdims)
        except (ValueError, TypeError, OverflowError):
            return sum.call((x,), options)  # raises with an explanation
        return record(sum, y, (x,), {"axis": axis, "keepdims": keepdims})

    return form


def mean_of(x: Node, *given: Axis, **options: Option) -> Any:
    """The sum over the number of what was summed, which need not be counted along the axes."""
    if given or not x.array.ndim or not options.keys() <= sum.options.keys():
        return mean.call((x, *given), options)
    total = sum(x, **options)
    return total / (x.array.size / total.array.size) if total.array.size else mean.call((x,), options)


def stack_of(tensor: type, record: Callable[..., Any], protect_view: Callable[..., Any]) -> Callable[..., Any]:
    """Tensors of one shape along a new axis."""

    def form(xs: Sequence[Any], *given: Axis, **options: Option) -> Any:
        axis = given[0] if given else options.get("axis", 0)
        if axis.__class__ is not int or is_odd(given, options) or not of_one_shape(xs, tensor):
            return stack.call((xs, *given), options)
        shape = xs[0].array.shape
        if not -len(shape) - 1 <= axis <= len(shape):
            return stack.call((xs, axis), {})  # raises with an explanation
        at = axis % (len(shape) + 1)
        wide = (*shape[:at], 1, *shape[at:])
        parts = [record(reshape, x.array.reshape(wide), (x,), {"shape": wide}) for x in xs]
        for part, x in zip(parts, xs, strict=True):
            protect_view(part, x)
        return record(concatenate, np.concatenate([x.array for x in parts], axis), tuple(parts), {"axis": axis})

    return form


def concatenation_of(tensor: type, record: Callable[..., Any]) -> Callable[..., Any]:
    """Tensors along an axis that is there."""

    def form(xs: Sequence[Any], *given: Axis, **options: Option) -> Any:
        axis = given[0] if given else options.get("axis", 0)
        if axis.__class__ is not int or is_odd(given, options) or not are_all(xs, tensor):
            return concatenate.call((xs, *given), options)
        try:
            y = np.concatenate([x.array for x in xs], axis)
        except (ValueError, OverflowError):
            return concatenate.call((xs, axis), {})  # raises with an explanation
        return record(concatenate, y, tuple(xs), {"axis": axis})

    return form


def is_odd(given: tuple[Any, ...], options: dict[str, Any]) -> bool:
    """Is there more than an axis?"""
    return len(given) + len(options) > 1 or not options.keys() <= {"axis"}


def are_all(xs: Sequence[Any], tensor: type) -> bool:
    return bool(xs) and all(x.__class__ is tensor for x in xs)


def of_one_shape(xs: Sequence[Any], tensor: type) -> bool:
    return are_all(xs, tensor) and all(x.array.shape == xs[0].array.shape for x in xs)


def gelu_of(tensor: type, record: Callable[..., Any], no_options: Any) -> Callable[..., Any]:
    """x·Φ(x), which keeps Φ(x) for its derivative: `erf` takes SciPy 35 ns, an exponential NumPy 2 ns."""
    general = getattr(tensor, "gelu")  # noqa: B009  (the table adds it by name, so mypy does not know it)

    def form(x: Node, *others: ArrayLike) -> Any:
        if others:
            return general(x, *others)
        cdf = normal_cdf(x.array)
        made = record(gelu, x.array * cdf, (x,), no_options)
        if made.parents:
            made._kept = cdf
        return made

    return form


def scores_of(record: Callable[..., Any]) -> Callable[..., Any]:
    """Standard scores, which keep the root of the variance for their derivative."""

    def form(x: Node, axis: Axis, eps: float = 0.0) -> Any:
        y, spread = deviations(x.array, axis, eps)
        made = record(standard_scores, np.divide(y, spread, y), (x,), {"axis": axis, "eps": eps})
        if made.parents:
            made._kept = spread
        return made

    return form


def normal_cdf(x: ArrayLike) -> Any:
    """Φ(x) = (1 + erf(x/√2))/2, in one array."""
    y = ops.erf.array_function(ops.SQRT_HALF * x)
    if y.__class__ is not np.ndarray:
        return 0.5 * (1.0 + y)
    np.add(1.0, y, y)
    return np.multiply(0.5, y, y)


def normalization_of(row: ArrayOperation, record: Callable[..., Any]) -> Callable[..., Any]:
    """softmax or log_softmax along one axis."""

    def form(x: Node, *given: Axis, **options: Option) -> Any:
        axis = given[0] if given else options.get("axis", -1)
        if axis.__class__ is not int or is_odd(given, options) or not -x.array.ndim <= axis < x.array.ndim:
            return row.call((x, *given), options)
        return record(row, row.array_function(x.array, axis), (x,), {"axis": axis})

    return form


def normalize(x: ArrayLike, axis: Axis, general: Callable[..., Any], logarithm: bool) -> Any:
    """softmax or log_softmax along an axis: the steps of `general`, the row's own form, in one array or two."""
    if x.ndim == 0 or not x.size or axis.__class__ is not int:
        return general(x, axis)
    largest = np.maximum.reduce(x, axis=axis, keepdims=True)
    square = float(np.vdot(largest, largest))
    if square - square != 0.0:  # some maximum is infinite, NaN, or so large that its square overflows
        return general(x, axis)
    y = x - largest
    e = np.exp(y) if logarithm else np.exp(y, y)
    total = np.add.reduce(e, axis=axis, keepdims=True)
    return np.subtract(y, np.log(total, total), y) if logarithm else np.divide(y, total, y)
