"""How an operation on one sample is done on a whole batch, whose first axis counts the samples.

Elementwise: axes of size 1 are inserted after the first until all samples have the same rank. Array operations: the
same operation with its axes shifted by one. An operation without a rule runs on each sample, and the results are
stacked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.backward import has_nan
from tinygrad_edu.core.broadcasting import axes_of, broadcast_to
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.operation import ArrayOperation
from tinygrad_edu.core.shapes import concatenate, getitem, list_axes, reshape, stack
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import RAISED, TraceError

Sample = Any  # a Batched; an alias, because batched.py imports this file
Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}
RULES_OF_INDEX: dict[str, Rule] = {}  # where the index differs from sample to sample; filled by batched_index.py
# these work on the last two axes, so a stack of samples can be passed as it is
LAST_TWO = ("inv", "pinv", "det", "log_abs_det", "lower_factor", "eigen_columns", "singular_rows")


class NumbersNeededError(Exception):
    """The function reads the numbers of one sample, so it has to run sample by sample."""

    def __init__(self) -> None:
        if RAISED.in_trace is not None:
            RAISED.in_trace.append(self)


def numbers_needed(_: str) -> Exception:
    """What sends a function through its samples one after the other: these are arrays, and do what arrays do."""
    return NumbersNeededError()


def rule(*names: str) -> Callable[[Rule], Rule]:
    def enter(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return enter


def on_common(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any]) -> Any:
    """Run an operation on inputs that are the same for all samples."""
    inner = [x.inner for x in xs]
    return operation(inner if operation.variadic else inner[0], *([] if operation.variadic else inner[1:]), **options)


def on_batch(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], size: ArrayLike) -> Any:
    """Run an operation on a batch, by its rule or sample by sample."""
    of_samples = any(hasattr(x, "of_samples") for x in options_of(options))
    found = (RULES_OF_INDEX if of_samples else RULES).get(operation.name)
    y = None if found is None else found(operation, xs, options, size)
    return one_by_one(operation, xs, options, size) if y is None else y


def one_by_one(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], size: ArrayLike) -> Any:
    """Run an operation on each sample separately, and stack the results."""
    if MODES.tensor_trace is not None and not isinstance(size, int):
        raise TraceError(
            f"vmap of {operation.name} cannot be compiled with these arguments: it runs sample by sample, and a "
            "program has one text for any number of samples; call the function without jit"
        )
    results = []
    for i in range(size):
        plain = {name: of_sample(x, i, name == "index") for name, x in options.items()}
        arrays = [one(x, i) for x in xs]
        results.append(operation(arrays, **plain) if operation.variadic else operation(*arrays, **plain))
    if len({np.shape(y) for y in results}) > 1:  # as of x[x > 0]
        raise NumbersNeededError
    return stack(results)


def options_of(options: Mapping[str, Any]) -> list[Any]:
    """The values of all options, and the parts of those that are tuples, as an index may be."""
    return [part for x in options.values() for part in (x if isinstance(x, tuple) else (x,))]


def of_sample(x: Any, i: int, index: bool) -> Any:
    """An option of sample i, in plain numbers if it is an index."""
    if isinstance(x, tuple):
        return tuple([of_sample(part, i, index) for part in x])
    found = one(x, i) if hasattr(x, "of_samples") else x
    return getattr(found, "array", found) if index else found


def one(x: Sample, i: int) -> Any:
    return x.inner if x.common else getitem(x.inner, i)


def align(x: Node, rank: int) -> Any:
    """The batch with samples of that rank: axes of size 1 after the one that counts the samples."""
    if not hasattr(x, "of_samples"):
        return x
    if x.common or x.ndim == rank:
        return x.inner
    shape = (np.shape(x.inner)[0], *(1,) * (rank - x.ndim), *x.shape)
    return np.reshape(x.inner, shape) if isinstance(x.inner, np.ndarray) else reshape(x.inner, shape)


def full(x: Sample, size: ArrayLike) -> Any:
    """The batch, repeated if the array is the same for all samples."""
    return broadcast_to(x.inner, (size, *x.shape)) if x.common else x.inner


@rule("sum", "max", "min", "prod", "logsumexp")
def reduce_batch(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], _size: ArrayLike) -> Any:
    axes = tuple(i + 1 for i in axes_of(xs[0], options["axis"]))
    return operation(xs[0].inner, **{**options, "axis": axes})


@rule("softmax", "log_softmax")
def normalize_batch(
    operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], _size: ArrayLike
) -> Any:
    axes = tuple(i + 1 for i in axes_of(xs[0], options["axis"]))
    return operation(xs[0].inner, axis=axes)


@rule("astype")
def convert_batch(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], _size: ArrayLike) -> Any:
    return operation(xs[0].inner, **options)


@rule("cumsum", "cumprod")
def running(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], size: ArrayLike) -> Any:
    # NumPy treats a single number as a row of one
    if options["axis"] is None or (not xs[0].ndim and options["axis"] in (0, -1)):
        return operation(reshape(xs[0].inner, (size, xs[0].size)), axis=1)
    return operation(xs[0].inner, axis=axes_of(xs[0], options["axis"])[0] + 1)


@rule("reshape")
def reshape_batch(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], size: ArrayLike) -> Any:
    shape = options["shape"]
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    unknown = [i for i, n in enumerate(shape) if n == -1]
    if unknown:
        known = 1
        for n in shape:
            known = known * (1 if n == -1 else n)
        shape = tuple(xs[0].size // known if n == -1 else n for n in shape)
    if shape == xs[0].shape:
        return xs[0].inner  # without recording, reshape would copy what is only a view
    return operation(xs[0].inner, (size, *shape))


@rule("transpose")
def transpose_batch(
    operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], _size: ArrayLike
) -> Any:
    rank, axes = xs[0].ndim, list_axes(options["axes"])
    order = range(rank)[::-1] if axes is None else [i % rank for i in axes]
    return operation(xs[0].inner, (0, *(i + 1 for i in order)))


@rule("broadcast_to")
def stretch_batch(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], size: ArrayLike) -> Any:
    shape = options["shape"]
    shape = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    return operation(align(xs[0], len(shape)), (size, *shape))


@rule("getitem")
def read(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], _size: ArrayLike) -> Any:
    index = one_further(options["index"])
    return None if index is None else operation(xs[0].inner, index)


@rule("put")
def put_back(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], size: ArrayLike) -> Any:
    index = one_further(options["index"])
    return None if index is None else operation(xs[0].inner, index, (size, *options["shape"]))


def one_further(index: ArrayLike) -> tuple[Any, ...] | None:
    """The index after the one that reads all samples; None if its arrays are not adjacent (NumPy puts them first)."""
    parts = index if isinstance(index, tuple) else (index,)
    if any(hasattr(part, "of_samples") for part in parts):
        return None
    arrays = [i for i, part in enumerate(parts) if isinstance(part, (np.ndarray, list))]
    if arrays:
        told = [i for i, part in enumerate(parts) if not (isinstance(part, slice) or part is None or part is Ellipsis)]
        if told != list(range(told[0], told[-1] + 1)):
            return None
    return (slice(None), *parts)


@rule("concatenate")
def join_batch(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], size: ArrayLike) -> Any:
    wholes = [full(x, size) for x in xs]
    if options["axis"] is None:
        return concatenate([reshape(w, (size, x.size)) for w, x in zip(wholes, xs, strict=True)], axis=1)
    return operation(wholes, axis=axes_of(xs[0], options["axis"])[0] + 1)


@rule("pad")
def pad_batch(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], _size: ArrayLike) -> Any:
    widths = np.broadcast_to(options["pad_width"], (xs[0].ndim, 2)).tolist()
    return operation(xs[0].inner, **{**options, "pad_width": [[0, 0], *widths]})


@rule("diagonal")
def along_diagonal(
    operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], _size: ArrayLike
) -> Any:
    first, second = (options[name] % xs[0].ndim + 1 for name in ("axis1", "axis2"))
    return operation(xs[0].inner, options["offset"], first, second)


@rule("entries_along")
def take_batch(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], _size: ArrayLike) -> Any:
    return operation(xs[0].inner, index=options["index"][None], axis=options["axis"] % xs[0].ndim + 1)


@rule("matmul")
def multiply_batch(
    operation: ArrayOperation, xs: Sequence[Sample], _options: Mapping[str, Any], _size: ArrayLike
) -> Any:
    """Vectors become rows or columns. A vector for each sample times one matrix is one product of matrices."""
    a, b = xs
    if a.ndim == 1 and b.common and b.ndim == 2:
        return operation(a.inner, b.inner)
    if b.ndim == 1 and a.common and a.ndim == 2:
        return operation(b.inner, a.inner.T)
    left = with_axis(a, -2) if a.ndim == 1 else a
    right = with_axis(b, -1) if b.ndim == 1 else b
    rank = max(left.ndim, right.ndim)
    first, second = align(left, rank), align(right, rank)
    # column times row as an elementwise product is 20 times as fast as matmul
    y = first * second if left.shape[-1] == 1 else operation(first, second)
    kept = [n for i, n in enumerate(np.shape(y)) if not (
        (i == len(np.shape(y)) - 2 and a.ndim == 1) or (i == len(np.shape(y)) - 1 and b.ndim == 1))]  # fmt: skip
    return y if a.ndim > 1 and b.ndim > 1 else reshape(y, tuple(kept))


class Widened:
    """A sample with one more axis, for the rules alone."""

    of_samples = True

    def __init__(self, inner: ArrayLike, common: bool) -> None:
        self.inner, self.common = inner, common
        self.shape = tuple(np.shape(inner)) if common else tuple(np.shape(inner))[1:]
        self.ndim = len(self.shape)


def with_axis(x: Sample, at: int) -> Widened:
    shape = np.shape(x.inner)
    wide = (*shape[:-1], 1, shape[-1]) if at == -2 else (*shape, 1)
    return Widened(reshape(x.inner, wide), x.common)


@rule("solve")
def solve_batch(operation: ArrayOperation, xs: Sequence[Sample], _options: Mapping[str, Any], _size: ArrayLike) -> Any:
    a, b = xs
    if b.ndim > 1:
        rank = max(a.ndim, b.ndim)
        return operation(align(a, rank), align(b, rank))
    y = operation(align(a, a.ndim), align(with_axis(b, -1), a.ndim))
    return reshape(y, np.shape(y)[:-1])


@rule(*LAST_TWO)
def stacks(operation: ArrayOperation, xs: Sequence[Sample], options: Mapping[str, Any], _size: ArrayLike) -> Any:
    return operation(xs[0].inner, **options)


def in_dtype_of(like: Tensor, x: Tensor) -> Any:
    """x in float32 if it is the gradient of something in float32: a choice between two numbers comes in float64."""
    return x if x.dtype == like.dtype or like.dtype.kind != "f" else x.astype(like.dtype)


def holds_nan(x: Node) -> bool:
    """Is one of its numbers NaN? In a trace they are unknown: a program that gives NaN is traced again, with care."""
    while hasattr(x, "of_samples"):
        x = x.inner
    if hasattr(x, "careful"):
        return bool(x.careful)
    return bool(has_nan(x.array if isinstance(x, Tensor) else x)) if x.__class__ in (Tensor, np.ndarray) else False
