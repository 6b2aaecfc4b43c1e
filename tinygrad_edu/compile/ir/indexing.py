"""Parts of arrays in a trace: reading at an index, writing at one, and arrays joined end to end.

Every index becomes `window` (start and step along each axis) or `gather` (whole numbers from an array). The derivative
of each is its transpose: `place` into zeros, or `scatter`, which adds where an index occurs twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.dims import ACTIVE, Size, at_least, axis_length, length, lengths, plus, text_of
from tinygrad_edu.compile.ir.node import Traced, as_node, op_name
from tinygrad_edu.compile.ir.shape_rules import names_of
from tinygrad_edu.compile.ir.slices import Span, entry, span
from tinygrad_edu.core import ops
from tinygrad_edu.core.operation import ARRAY_TABLE
from tinygrad_edu.core.sorting import choose_by_position
from tinygrad_edu.errors import SettingError, ShapeError, TraceError

Sizes = tuple[Any, ...]
MANY = 8  # single-entry arrays; from this many on they are copied into one array, fewer are read in place
BORDER = -0.0  # y + -0.0 is y for every y, while + 0.0 would lose the sign of -0.0


@dataclass(frozen=True)
class Primitive:
    """An operation that only the compiler has, by name, and its pull-back as in `ArrayOperation`.

    `vjp_again`: the pull-back in a form that may be differentiated in turn, where `vjp` may not.
    """

    name: str
    vjp: Callable[..., tuple[Any, ...]]
    vjp_again: Callable[..., tuple[Any, ...]] | None = None


WINDOW = Primitive("window", lambda g, _y, x, starts, steps: (place(g, starts, steps, x.sizes, 0.0),))
PLACE = Primitive("place", lambda g, _y, x, starts, steps, fill: (window(g, starts, steps, x.sizes),))
GATHER = Primitive("gather", lambda g, _y, x, index, axis: (scatter(g, index, x.sizes, axis), None))
SCATTER = Primitive("scatter", lambda g, _y, x, index, axis: (gather(g, index, axis), None))
CLASS_OF = Primitive("class_of", lambda *_, classes: (None,))


def window(x: Traced, starts: Sizes, steps: Sequence[int], sizes: Sizes) -> Traced:
    """x[start + step·i] along every axis, with i below the size."""
    if covers(x, starts, steps, sizes):
        return x
    return Traced(tuple(sizes), WINDOW, (x,), {"starts": tuple(starts), "steps": tuple(steps)})


def place(x: Traced, starts: Sizes, steps: Sequence[int], sizes: Sizes, fill: float) -> Traced:
    """An array of `sizes`, x at start + step·i along every axis, and `fill` elsewhere."""
    if covers(x, starts, steps, sizes):
        return x
    return Traced(tuple(sizes), PLACE, (x,), {"starts": tuple(starts), "steps": tuple(steps), "fill": fill})


def covers(x: Traced, starts: Sizes, steps: Sequence[int], sizes: Sizes) -> bool:
    """Is it all of x, in order?"""
    same = all(text_of(n) == text_of(own) for n, own in zip(sizes, x.sizes, strict=True))
    return same and all(text_of(n) == "0" for n in starts) and all(step == 1 for step in steps)


def gather(x: Traced, index: Traced, axis: int) -> Traced:
    """x at every whole number of `index` along the axis."""
    sizes = (*x.sizes[:axis], *index.sizes, *x.sizes[axis + 1 :])
    return note_lookup(Traced(sizes, GATHER, (x, index), {"axis": axis}))


def scatter(x: Traced, index: Traced, sizes: Sizes, axis: int) -> Traced:
    """Zeros of `sizes`, with every x added at its index along the axis."""
    return note_lookup(Traced(tuple(sizes), SCATTER, (x, index), {"axis": axis}))


def note_lookup(x: Traced) -> Traced:
    """The node itself; the trace has to know it even if no result reads it, because its index may be out of range."""
    ACTIVE.traces[-1].lookups.append(x)
    return x


def rows_of_classes(labels: Any, classes: Any) -> Traced:
    """Class 2 of 3 as the row 0, 0, 1, without a matrix: a comparison with the number of the column."""
    if isinstance(labels, (int, np.integer)):
        if labels < 0 or not at_least(classes, int(labels) + 1):
            raise SettingError(f"class {labels} has no column in the logits, which have {length(classes)}")
        return ops.equal(Traced.positions(classes), float(labels))  # type: ignore[no-any-return]
    index = whole_numbers(labels, "as class labels")
    column = note_lookup(Traced(index.sizes, CLASS_OF, (index,), {"classes": classes}))
    return ops.equal(Traced.positions(classes), reshape_node(column, (*column.sizes, 1)))  # type: ignore[no-any-return]


def entries_along(x: Traced, index: Traced, axis: int) -> Traced:
    """x at one index for each place along the axis, whose range is checked before the program if it is an input."""
    where = as_node(index)
    if is_whole_input(where):
        at = axis % x.ndim  # along other axes the index may be broadcast, or have length 1
        repeated = [n if m == 1 and i != at else m for i, (m, n) in enumerate(zip(where.sizes, x.sizes, strict=True))]
        gather(x, ARRAY_TABLE["broadcast_to"](where, tuple(repeated)), at)
    return choose_by_position(x, index, axis)  # type: ignore[no-any-return]


def is_whole_input(index: Traced) -> bool:
    """Is it an input of whole numbers, perhaps in another shape?"""
    while op_name(index) in ("reshape", "transpose", "broadcast_to", "window"):
        index = index.parents[0]
    return index.integer


def whole_numbers(x: Any, use: str = "as an index") -> Traced:
    """An array of integers that can be an index. Errors: TraceError for anything else."""
    index = as_node(np.asarray(x) if isinstance(x, (list, tuple)) else x)
    if not is_whole_input(index):
        raise TraceError(
            f"{x!r:.60} {use}: a compiled function needs an array of integers here, as an argument or closed over. "
            "The result of a boolean mask has a size that depends on the numbers: use tg.ops.where instead"
        )
    return index


# stacks


class Stacked:
    """The operation that copies arrays into a stack."""

    name = "stacked"

    def vjp(self, g: Any, _y: Any, *parents: Any) -> tuple[Any, ...]:
        return tuple(reshape_node(entry_of(g, r), x.sizes) for r, x in enumerate(parents))


STACKED = Stacked()


def stack_entries(xs: Sequence[Traced]) -> Traced:
    """xs along a new first axis; single numbers as arrays of one."""
    boxed = [x if x.sizes else reshape_node(x, (1,)) for x in xs]
    return Traced((len(xs), *boxed[0].sizes), STACKED, tuple(boxed))


def entry_of(stack: Traced, r: int) -> Traced:
    """stack[r], with the first axis left in place."""
    starts = (r, *(0 for _ in stack.sizes[1:]))
    return window(stack, starts, (1,) * stack.ndim, (1, *stack.sizes[1:]))


# indices


def getitem(x: Traced, index: Any) -> Traced:
    """x[index]."""
    parts = expand(x, index)
    arrays = [part for part in parts if is_array(part)]
    if arrays:
        return gather(*index_advanced(x, parts))
    spans = spans_of(x, parts)
    read = window(x, *columns(spans))
    return reshape_node(read, sizes_of_index(spans, parts))


def put(x: Traced, index: Any, shape: Sizes) -> Traced:
    """Zeros of that shape, with x added at `index`."""
    whole = Traced(tuple(shape))
    parts = expand(whole, index)
    if any(map(is_array, parts)):
        _, rows, axis = index_advanced(whole, parts)
        return scatter(x, rows, whole.sizes, axis)
    starts, steps, sizes = columns(spans_of(whole, parts))
    return place(reshape_node(x, sizes), starts, steps, whole.sizes, 0.0)


def expand(x: Traced, index: Any) -> list[Any]:
    """The index with a part for each axis of x."""
    parts = list(index) if isinstance(index, tuple) else [index]
    used = sum(part is not None and part is not Ellipsis for part in parts)
    if used > x.ndim:
        raise ShapeError(f"getitem: {used} indices for {x!r}, which has {x.ndim} axes")
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    return [*parts[:at], *[slice(None)] * (x.ndim - used), *parts[at + 1 :]]


def is_array(part: Any) -> bool:
    whole = isinstance(part, (int, np.integer)) and not isinstance(part, bool)
    return not (part is None or whole or isinstance(part, (slice, Size)))


def spans_of(x: Traced, parts: Sequence[Any]) -> list[Span]:
    """The span that each part of an index, except None, reads from its axis."""
    read = [part for part in parts if part is not None]
    return [span(part, n) if isinstance(part, slice) else entry(part, n) for part, n in zip(read, x.sizes, strict=True)]


def columns(spans: Sequence[Span]) -> tuple[Sizes, tuple[int, ...], Sizes]:
    return tuple(s.start for s in spans), tuple(s.step for s in spans), tuple(s.size for s in spans)


def sizes_of_index(spans: Sequence[Span], parts: Sequence[Any]) -> Sizes:
    """The shape of x[index]: no axis for a number, a new one for None."""
    read, found = iter(spans), []
    for part in parts:
        size = 1 if part is None else next(read).size
        if part is None or isinstance(part, slice):
            found.append(size)
    return tuple(found)


def reshape_node(x: Traced, sizes: Sizes) -> Traced:
    same = len(sizes) == x.ndim and all(text_of(a) == text_of(b) for a, b in zip(sizes, x.sizes, strict=True))
    return x if same else ARRAY_TABLE["reshape"](x, sizes)


def index_advanced(x: Traced, parts: Sequence[Any]) -> tuple[Traced, Traced, int]:
    """(what the slices leave of x, the array of integers, its axis)."""
    others = [slice(None) if is_array(part) else part for part in parts]
    if sum(map(is_array, parts)) > 1 or not all(isinstance(part, slice) for part in others):
        raise TraceError(
            "an index in a compiled function may have one array of integers, and slices beside it. For the entries "
            "of the classes, as in z[range(n), labels], use cross_entropy"
        )
    axis = next(i for i, part in enumerate(parts) if is_array(part))
    return window(x, *columns(spans_of(x, others))), whole_numbers(parts[axis]), axis


# concatenation


def concatenate(*xs: Traced, axis: int | None) -> Traced:
    """Every array in its place, and their sum."""
    if axis is None:
        return concatenate(*[reshape_node(x, (x.size,)) for x in xs], axis=0)
    axis = axis_of(xs[0], axis)
    refuse_other_shapes(xs, axis)
    if len(xs) >= MANY and all(text_of(x.sizes[axis]) == "1" for x in xs):
        return join_entries(xs, axis)
    total: Any = 0
    for x in xs:
        total = plus(total, x.sizes[axis])
    total, end, pieces = axis_length(total), 0, []
    for x in xs:
        starts = [0] * x.ndim
        starts[axis] = end
        sizes = (*x.sizes[:axis], total, *x.sizes[axis + 1 :])
        pieces.append(place(x, tuple(starts), [1] * x.ndim, sizes, BORDER))
        end = plus(end, x.sizes[axis])
    return functools.reduce(ops.add, pieces)


def join_entries(xs: Sequence[Traced], axis: int) -> Traced:
    """Arrays that are 1 long along the axis, end to end."""
    stack, first = stack_entries(xs), xs[0].sizes  # (n, ..., 1, ...)
    moved = ARRAY_TABLE["transpose"](stack, (*range(1, axis + 1), 0, *range(axis + 1, stack.ndim)))
    return reshape_node(moved, (*first[:axis], len(xs), *first[axis + 1 :]))


def axis_of(x: Traced, axis: int) -> int:
    rank = len(x.sizes)
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} of {x!r}, which has {rank} axes")
    return int(axis) % rank


def refuse_other_shapes(xs: Sequence[Traced], axis: int) -> None:
    first = xs[0].sizes
    if any(x.ndim != len(first) or any(x.sizes[i] != n for i, n in enumerate(first) if i != axis) for x in xs):
        listed = ", ".join(f"{n} {lengths(x)}" for n, x in zip(names_of(xs), xs, strict=True))
        raise ShapeError(f"concatenate of {listed}: the shapes may differ only along axis {axis}")


def pad(x: Traced, pad_width: Any, constant_values: Any) -> Traced:
    """x inside a border."""
    if np.ndim(constant_values) or isinstance(constant_values, Traced):
        raise TraceError("a compiled pad has one plain number as its constant_values")
    try:
        widths = np.broadcast_to(pad_width, (x.ndim, 2)).astype(np.int64, casting="safe").tolist()
    except (TypeError, ValueError) as error:
        raise ShapeError(f"pad of {x!r} by {pad_width!r:.60}: {error}") from None
    if any(n < 0 for pair in widths for n in pair):
        raise ShapeError(f"pad of {x!r} by {pad_width!r:.60}: a width is below 0")
    sizes = tuple(axis_length(plus(n, before + after)) for n, (before, after) in zip(x.sizes, widths, strict=True))
    return place(x, tuple(before for before, _ in widths), [1] * x.ndim, sizes, float(constant_values))
