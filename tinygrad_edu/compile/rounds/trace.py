"""`scan` in a trace: one round is traced and becomes a loop of the program.

A step that does not depend on its state and its entry alone (it counts its calls, indexes a list by time, draws
numbers) would differ in the next round. So a second round is traced and compared. If it differs, or if a round cannot
be traced with leaves for its state, the rounds are traced one by one as Python runs them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from tinygrad_edu.compile.ir.dims import ACTIVE, at_least, text_of
from tinygrad_edu.compile.ir.indexing import reshape_node
from tinygrad_edu.compile.ir.node import DECOMPOSITIONS, Traced, as_node, op_name
from tinygrad_edu.compile.ir.shape_rules import elementwise_shape
from tinygrad_edu.compile.ir.stands_for import mark_like
from tinygrad_edu.compile.ir.truth import FLOAT, WHOLE, is_truth
from tinygrad_edu.compile.rounds.body import SCAN, Rounds, box, close_over, description, leaf, pick
from tinygrad_edu.core import broadcasting
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.modes import forgive
from tinygrad_edu.core.pytree import flatten, unflatten
from tinygrad_edu.errors import TraceError

FEW = 4  # rounds; fewer compile just as fast unrolled, and can then be fused with the operations around them
MOST = 8  # attempts in which another loop turns out to be none; then all are unrolled
Step = Callable[[Any, Any], tuple[Any, Any]]
Found = TypeVar("Found")
Nesting = Any


class OneByOneError(TraceError):
    """The rounds of a loop have to be traced one by one; `code`: that of its step."""

    code: Any = None


def scan(step: Step, state: Any, xs: Any, length: int | None) -> tuple[Any, Any] | None:
    """(last state, ys) as nodes of a loop; None if the rounds have to be traced one by one.

    Errors: OneByOneError if that turns out after a round was traced. Whatever the step has changed by then stays
    changed, so the whole function is traced again with this loop unrolled.
    """
    trace, code = ACTIVE.traces[-1], getattr(step, "__code__", type(step))
    if trace.written_out is None or code in trace.written_out:
        return None
    try:
        loop = ScanLoop(step, state, xs, length)
    except OneByOneError as error:
        forgive(error)
        return None
    try:
        return loop.rolled()
    except (MemoryError, RecursionError):
        raise
    except Exception as error:
        found = error if isinstance(error, OneByOneError) else OneByOneError(str(error))
        found.code = found.code or code
        raise found from error


def first_that_works(traced: Callable[..., Found]) -> Found:
    """A trace with loops and symbolic sizes; if that fails, one without loops; then both for these sizes alone.

    traced: (the loops to unroll, or None for all; fixed=: are sizes plain numbers?) → what is made of it.
    Errors: that of the trace without loops, which is the most informative.
    """
    fixed = partial(traced, fixed=True)
    errors: list[Exception] = []
    for way in (partial(with_loops, traced), partial(traced, None), partial(with_loops, fixed), partial(fixed, None)):
        try:
            return way()
        except (MemoryError, RecursionError):
            raise
        except Exception as error:
            errors.append(error)
    raise errors[1]


def with_loops(traced: Callable[[frozenset[Any] | None], Found]) -> Found:
    """traced(the loops that have to be unrolled), for as few loops as possible."""
    written_out: frozenset[Any] = frozenset()
    for _ in range(MOST):
        try:
            return traced(written_out)
        except OneByOneError as error:
            written_out |= {error.code}
    return traced(None)


@dataclass
class Round:
    """One round as it was traced: leaves, and what it gives."""

    states: list[Traced]
    slices: list[Traced]
    after: list[Traced]
    outputs: list[Traced]
    nesting: tuple[Nesting, Nesting]  # of the state after the round, and of its output
    made: dict[
        str, np.ndarray[Any, Any]
    ]  # arrays made in the step that nobody else holds, such as np.zeros(3), by name

    def same_as(self, other: Round) -> bool:
        """Do two rounds compute the same?"""
        pairs = list(zip(other.made, self.made, strict=False))
        renamed = {b: a for a, b in pairs if identical(other.made[a], self.made[b])}
        return self.nesting == other.nesting and self.description(renamed) == other.description({})

    def description(self, renamed: Mapping[str, str]) -> Any:
        return description([*self.after, *self.outputs], [*self.states, *self.slices], renamed)


class ScanLoop:
    """A scan that is about to become a loop."""

    def __init__(self, step: Step, state: Any, xs: Any, length: int | None) -> None:
        self.step = step
        first, entries = [], []  # type: ignore[var-annotated]
        self.state_nesting, self.xs_nesting = flatten(state, first), flatten(xs, entries)
        self.has_xs = xs is not None
        self.first = [as_node(x) for x in first]
        self.xs = [as_node(x) for x in entries] if self.has_xs else []
        self.shapes = [x.sizes for x in self.first]
        self.kinds = [WHOLE if x.kind is int else x.kind for x in self.first]
        self.entry_shapes = [x.sizes[1:] for x in self.xs]
        self.count = self.counted(length)

    def counted(self, length: int | None) -> Any:
        """How many rounds there are."""
        counts = [x.sizes[0] for x in self.xs] + ([length] if length is not None else [])
        if not counts or any(n != counts[0] for n in counts) or not at_least(counts[0], FEW):
            raise OneByOneError
        return counts[0]

    def rolled(self) -> tuple[Any, Any]:
        trace = ACTIVE.traces[-1]
        found = self.settled()
        before = trace.mark()
        if not self.round().same_as(found):
            raise OneByOneError
        trace.reset(before)
        roots, given, outside = close_over([*found.after, *found.outputs], [*found.states, *found.slices])
        k = len(found.after)
        rounds = Rounds(self.count, found.states, found.slices, given, roots[:k], roots[k:])
        rounds.places = {x: j for j, x in enumerate(rounds.outputs)}
        first = [broadcasting.broadcast_to(box(x), s.sizes) for x, s in zip(self.first, found.states, strict=True)]
        stacks = [x if x.ndim > 1 else reshape_node(x, (*x.sizes, 1)) for x in self.xs]
        node = Traced((), SCAN, (*first, *stacks, *outside), {"rounds": rounds})
        return self.results(node, found)

    def settled(self) -> Round:
        """A round that leaves the shape of its state unchanged: (1, h) at first may be (n, h) from then on."""
        for _ in range(4):
            found = self.round()
            kinds = [s.kind if a.kind == s.kind else FLOAT for a, s in zip(found.after, found.states, strict=True)]
            if kinds != self.kinds:  # a state that starts as integer 0 may become 0.5
                self.kinds = kinds
                continue
            shapes = [elementwise_shape("scan", (a, s)) for a, s in zip(found.after, found.states, strict=True)]
            if all(same(a.sizes, s) for a, s in zip(found.states, shapes, strict=True)):
                if not all(same(a.sizes, s) for a, s in zip(found.after, shapes, strict=True)):
                    break
                return found
            self.shapes = shapes
        raise OneByOneError

    def round(self) -> Round:
        trace = ACTIVE.traces[-1]
        outside, known = (len(trace.masks), len(trace.followed)), set(trace.captured)
        states = [leaf(shape or (1,), "state", kind=k) for shape, k in zip(self.shapes, self.kinds, strict=True)]
        slices = [
            leaf(shape or (1,), "entry", is_index(x), x.kind)
            for x, shape in zip(self.xs, self.entry_shapes, strict=True)
        ]
        own = map(mark_like, unbox(states, self.shapes), self.first)
        entries = map(mark_like, unbox(slices, self.entry_shapes), self.xs)
        state = unflatten(self.state_nesting, own)
        x = unflatten(self.xs_nesting, entries) if self.has_xs else None
        result = self.step(state, x)
        if not (isinstance(result, tuple) and len(result) == 2) or outside != (len(trace.masks), len(trace.followed)):
            raise OneByOneError
        after, outputs = [], []  # type: ignore[var-annotated]
        nesting = flatten(result[0], after), flatten(result[1], outputs)
        if nesting[0] != self.state_nesting:
            raise OneByOneError
        if any(isinstance(y, Traced) and is_truth(y) for y in [*self.first, *after, *outputs]):
            raise OneByOneError  # a loop stores numbers only
        self.none = [y is None for y in outputs]
        self.output_shapes = [as_node(y).sizes for y in outputs if y is not None]
        given = [box(as_node(y)) for y in outputs if y is not None]
        made = {name: trace.captured[name] for name in trace.captured if name not in known and is_unheld(trace, name)}
        return Round(states, slices, [box(as_node(x)) for x in after], given, nesting, made)

    def results(self, node: Traced, found: Round) -> tuple[Any, Any]:
        states = [reshape_node(pick(node, ("state", i)), shape) for i, shape in enumerate(self.shapes)]
        stacked = iter(
            [reshape_node(pick(node, ("ys", j)), (self.count, *shape)) for j, shape in enumerate(self.output_shapes)]
        )
        ys = [None if missing else next(stacked) for missing in self.none]
        return unflatten(self.state_nesting, iter(states)), unflatten(found.nesting[1], iter(ys))


def is_unheld(trace: Any, name: str) -> bool:
    """Is it an array that only the trace holds, so that its numbers cannot change?"""
    references = sys.getrefcount(trace.captured[name])  # one of them is this call's own
    return isinstance(trace.captured[name], np.ndarray) and references <= 2


def identical(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def unbox(leaves: list[Traced], shapes: list[Any]) -> Any:
    return iter([x if shape else reshape_node(x, ()) for x, shape in zip(leaves, shapes, strict=True)])


def same(a: ArrayLike, b: ArrayLike) -> bool:
    """Are the lengths equal? Two names for one length are noted as equal."""
    return len(a) == len(b) and all(text_of(m) == text_of(n) or m == n for m, n in zip(a, b, strict=True))


def is_index(x: Traced) -> bool:
    """Does it hold whole numbers? Those can only be read where they are, not through a view."""
    source = x
    while op_name(source) in ("reshape", "transpose", "broadcast_to", "window"):
        source = source.parents[0]
    if source.integer and source is not x:
        raise OneByOneError
    return source.integer


DECOMPOSITIONS["scan"] = scan  # type: ignore[assignment]
