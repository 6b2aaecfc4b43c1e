"""Parts of arrays in a trace: reading at an index, writing at one, and arrays joined end to end.

Every index becomes `window` (start and step along each axis) or `gather` (whole numbers from arrays). The derivative
of each is its transpose: `place` into zeros, or `scatter`, which adds where an index occurs twice.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.constants import is_whole_input
from tinygrad_edu.compile.ir.counted_rows import rows_in_turn
from tinygrad_edu.compile.ir.dims import ACTIVE, Size, at_least, axis_length, length, lengths, plus, text_of
from tinygrad_edu.compile.ir.node import Traced, as_node, op_name
from tinygrad_edu.compile.ir.shape_rules import elementwise_shape, names_of
from tinygrad_edu.compile.ir.slices import Span, entry, span
from tinygrad_edu.compile.ir.table_rows import refuser
from tinygrad_edu.core import ops
from tinygrad_edu.core.arrays.sorting import choose_by_position
from tinygrad_edu.core.operation import ARRAY_TABLE
from tinygrad_edu.core.shapes import whole_axis
from tinygrad_edu.errors import SettingError, ShapeError, TraceError

Sizes = tuple[Any, ...]
MANY = 8  # single-entry arrays; from this many on they are copied into one array, fewer are read in place
BORDER = -0.0  # y + -0.0 is y for every y, while + 0.0 would lose the sign of -0.0


@dataclass(frozen=True)
class Primitive:
    """An operation that only the compiler has, by name, and its pull-back as in `ArrayOperation`.

    `vjp_again`: the pull-back in a form that may be differentiated in turn, where `vjp` may not; `made_of`: the
    operations that a program computes it by.
    """

    name: str
    vjp: Callable[..., tuple[Any, ...]]
    vjp_again: Callable[..., tuple[Any, ...]] | None = None
    made_of: Callable[..., Any] | None = None


WINDOW = Primitive("window", lambda g, _y, x, starts, steps: (place(g, starts, steps, x.sizes, 0.0),))
PLACE = Primitive("place", lambda g, _y, x, starts, steps, fill: (window(g, starts, steps, x.sizes),))
GATHER = Primitive("gather", lambda g, _y, x, *at, axis, by="": (scatter(g, at, x.sizes, axis), *(None for _ in at)))
SCATTER = Primitive("scatter", lambda g, _y, x, *at, axis, by="": (gather(g, at, axis), *(None for _ in at)))
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


def gather(x: Traced, at: Sequence[Traced], axis: int) -> Traced:
    """x at the whole numbers of the indices, all of one shape: the first along `axis`, the next along axis + 1."""
    sizes = (*x.sizes[:axis], *at[0].sizes, *x.sizes[axis + len(at) :])
    return note_lookup(Traced(sizes, GATHER, (x, *at), {"axis": axis, **refuser(at)}))


def scatter(x: Traced, at: Sequence[Traced], sizes: Sizes, axis: int) -> Traced:
    """Zeros of `sizes`, with every x added where `gather` would read it."""
    return note_lookup(Traced(tuple(sizes), SCATTER, (x, *at), {"axis": axis, **refuser(at)}))


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
    index = integer_index(labels, "as class labels")
    column = note_lookup(Traced(index.sizes, CLASS_OF, (index,), {"classes": classes}))
    return ops.equal(Traced.positions(classes), reshape_node(column, (*column.sizes, 1)))  # type: ignore[no-any-return]


def entries_along(x: Traced, index: Traced, axis: int) -> Traced:
    """x at one index for each place along the axis; a position that is computed has to be searched for."""
    where = as_node(index)
    if not is_whole_input(where):
        return choose_by_position(x, index, axis)  # type: ignore[no-any-return]
    at = axis % x.ndim
    own = [reshape_node(Traced.positions(n), (1,) * i + (n,) + (1,) * (x.ndim - 1 - i)) for i, n in enumerate(x.sizes)]
    return gather(x, of_one_shape([where if i == at else places for i, places in enumerate(own)]), 0)


def of_one_shape(indices: Sequence[Traced]) -> list[Traced]:
    """Indices that are used together, repeated to one shape. Errors: ShapeError."""
    sizes = elementwise_shape("getitem", indices)
    return [ARRAY_TABLE["broadcast_to"](x, sizes) if x.sizes != sizes else x for x in indices]


def integer_index(x: Any, use: str = "as an index") -> Traced:
    """An array of integers that can be an index. Errors: TraceError for anything else."""
    index = as_node(np.asarray(x) if isinstance(x, (list, tuple, range)) else x)
    if not is_whole_input(index) and not index.name.startswith("range("):
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


def without_shape(x: Traced) -> Traced:
    """The node that reshapes read."""
    while op_name(x) == "reshape":
        x = x.parents[0]
    return x


def entry_of(stack: Traced, r: int) -> Traced:
    """stack[r], with the first axis left in place."""
    starts = (r, *(0 for _ in stack.sizes[1:]))
    return window(stack, starts, (1,) * stack.ndim, (1, *stack.sizes[1:]))


# indices


def getitem(x: Traced, index: Any) -> Traced:
    """x[index]."""
    parts = expand(x, index)
    if any(map(is_array, parts)):
        found = lookup_of(x, parts)
        read = reshape_node(window(x, *columns(found.spans)), found.sizes)
        return gather(ARRAY_TABLE["transpose"](read, found.order), found.at, found.axis)
    spans = spans_of(x, parts)
    read = window(x, *columns(spans))
    return reshape_node(read, sizes_of_index(spans, parts))


def put(x: Traced, index: Any, shape: Sizes) -> Traced:
    """Zeros of that shape, with x added at `index`."""
    whole = Traced(tuple(shape))
    parts = expand(whole, index)
    if not any(map(is_array, parts)):
        starts, steps, sizes = columns(spans_of(whole, parts))
        return place(reshape_node(x, sizes), starts, steps, whole.sizes, 0.0)
    found = lookup_of(whole, parts)
    starts, steps, sizes = columns(found.spans)
    added = scatter(x, found.at, tuple(found.sizes[i] for i in found.order), found.axis)
    back = ARRAY_TABLE["transpose"](added, np.argsort(found.order).tolist())
    return place(reshape_node(back, sizes), starts, steps, whole.sizes, 0.0)


def expand(x: Traced, index: Any) -> list[Any]:
    """The index with a part for each axis of x; an Ellipsis beside arrays stays if it stands for no axis."""
    parts = with_whole_numbers(x, index if isinstance(index, tuple) else (index,))
    used = sum(part is not None and part is not Ellipsis for part in parts)
    if used > x.ndim:
        raise ShapeError(f"getitem: {used} indices for {x!r}, which has {x.ndim} axes")
    at = next((i for i, part in enumerate(parts) if part is Ellipsis), len(parts))
    others = [part for part in parts if part is not Ellipsis]
    between = parts[at : at + 1] if used == x.ndim and any(map(is_array, others)) else [slice(None)] * (x.ndim - used)
    return [*parts[:at], *between, *parts[at + 1 :]]


def with_whole_numbers(x: Traced, parts: Sequence[Any]) -> list[Any]:
    """Plain masks as the positions where they are True, plain numbers as numbers. Errors: ShapeError."""
    axes = [part.ndim if is_mask(part) else int(part is not None and part is not Ellipsis) for part in parts]
    found: list[Any] = []
    for i, part in enumerate(parts):
        if not is_mask(part):
            found.append(int(part) if is_one_number(part) else part)
            continue
        start = x.ndim - sum(axes[i:]) if any(other is Ellipsis for other in parts[:i]) else sum(axes[:i])
        if x.sizes[start : start + part.ndim] != part.shape:
            raise ShapeError(f"getitem: a mask of shape {part.shape} for {x!r}, from its axis {start} on")
        found += np.nonzero(part)
    return found


def is_mask(part: Any) -> bool:
    """Is it a plain array of truth values? Its numbers are read, and compared before each call."""
    return isinstance(part, np.ndarray) and part.dtype == bool and part.ndim > 0


def is_one_number(part: Any) -> bool:
    """Is it a plain whole number in an array without axes?"""
    return isinstance(part, np.ndarray) and not part.ndim and part.dtype.kind in "iu"


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


@dataclass(frozen=True)
class Lookup:
    """An index with arrays: a window of `spans` in the shape `sizes`, its axes in `order`, read `at` from `axis` on."""

    spans: list[Span]
    sizes: Sizes
    order: list[int]
    at: list[Traced]
    axis: int


def lookup_of(x: Traced, parts: Sequence[Any]) -> Lookup:
    """The index with the axes of its arrays side by side, where NumPy has the axes of the result.

    Beside an array a number counts as an array too. If something stands between the arrays, their axes come first.
    """
    parts = rows_in_turn(x, parts)
    advanced = [i for i, part in enumerate(parts) if not (part is None or part is Ellipsis or isinstance(part, slice))]
    together = advanced[-1] - advanced[0] < len(advanced)
    axis = sum(part is not Ellipsis for part in parts[: advanced[0]]) if together else 0
    parts = [part for part in parts if part is not Ellipsis]
    spans = spans_of(x, [slice(None) if is_array(part) else part for part in parts])
    sizes = sizes_of_index(spans, [slice(None) if is_array(part) else part for part in parts])
    kept = [part for part in parts if is_array(part) or part is None or isinstance(part, slice)]
    arrays = [i for i, part in enumerate(kept) if is_array(part)]
    others = [i for i in range(len(kept)) if i not in arrays]
    at = of_one_shape([integer_index(kept[i]) for i in arrays])
    return Lookup(spans, sizes, [*others[:axis], *arrays, *others[axis:]], at, axis)


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
    rank, axis = len(x.sizes), whole_axis(axis)
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} of {x!r}, which has {rank} axes")
    return axis % rank


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
