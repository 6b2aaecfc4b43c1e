"""One round of a loop as a graph of its own, which reads nothing but its leaves.

A loop has two kinds of nodes: `scan`, whose parents are the first states, the stacks that it reads and what it closes
over, and `pick`, one of its results. The graph of a round is closed: everything outside it is a leaf in it, so that it
can be differentiated, lowered and scheduled by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.dims import ACTIVE, NAME, Size, text_of
from tinygrad_edu.compile.ir.indexing import reshape_node
from tinygrad_edu.compile.ir.node import Traced, is_constant, op_name
from tinygrad_edu.compile.ir.parts import Part, Parts
from tinygrad_edu.compile.ir.truth import FLOAT, Kind
from tinygrad_edu.compile.passes.lower import VIEWS
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.graph import topological

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(eq=False)
class Rounds:
    """A loop: stateₜ₊₁ and what round t gives, from stateₜ, the t-th entry of each stack, and what is closed over.

    `states`, `slices`, `given`: leaves, in the order of the scan node's parents; `after`: the states after a round;
    `outputs`: what each round gives, to be stacked; `backwards`: is the last entry of each stack read first?
    """

    count: Any
    states: list[Traced]
    slices: list[Traced]
    given: list[Traced]
    after: list[Traced]
    outputs: list[Traced] = field(default_factory=list)
    backwards: bool = False
    places: dict[Traced, int] = field(default_factory=dict)  # nodes that derivatives need -> their outputs

    @property
    def roots(self) -> list[Traced]:
        return [*self.after, *self.outputs]

    @property
    def leaves(self) -> list[Traced]:
        return [*self.states, *self.slices, *self.given]

    def __repr__(self) -> str:
        """Equal for loops that compute the same; outputs that were added for a derivative do not count."""
        return f"Rounds{(text_of(self.count), self.backwards, description(self.roots, self.leaves))}"


class Scan:
    """The operation of a node that runs a loop; its pull-back is in reverse.py."""

    name = "scan"


class Pick:
    """One array of what a loop gives: a state after the last round, or what all rounds gave, stacked."""

    name = "pick"

    def vjp(self, g: Any, _y: Any, _x: Any, part: Part) -> tuple[Parts]:
        return (Parts({part: g}),)


SCAN, PICK = Scan(), Pick()


def pick(scan: Traced, part: Part) -> Traced:
    rounds = scan.options["rounds"]
    kind, i = part
    sizes = rounds.states[i].sizes if kind == "state" else (rounds.count, *rounds.outputs[i].sizes)
    held = rounds.states[i].kind if kind == "state" else rounds.outputs[i].kind
    return Traced(sizes, PICK, (scan,), {"part": part}, kind=held)


def picked(x: Traced) -> Traced:
    """What a round computes of a result of a loop."""
    (kind, i), rounds = x.options["part"], x.parents[0].options["rounds"]
    return (rounds.after if kind == "state" else rounds.outputs)[i]  # type: ignore[no-any-return]


def leaf(sizes: tuple[Any, ...], name: str, integer: bool = False, kind: Kind = FLOAT) -> Traced:
    """A new leaf, known to the current trace: nothing outside the loop may depend on it."""
    leaves = ACTIVE.traces[-1].leaves
    node = Traced(sizes, name=f"{name}_at{len(leaves)}", kind=kind)
    node.integer = integer
    leaves.add(node)
    return node


def depends_on(roots: Iterable[Traced], leaves: Iterable[Traced]) -> set[Traced]:
    """All ancestors of the roots that depend on one of the leaves, the leaves included."""
    found = set(leaves)
    for root in roots:
        for x in topological(root, lambda x: x.parents):
            if any(p in found for p in x.parents):
                found.add(x)
    return found


def substitute(roots: Sequence[Traced], exchange: Mapping[Traced, Traced]) -> list[Traced]:
    """The same graph with some of its nodes replaced."""
    done = dict(exchange)
    for root in roots:
        for x in topological(root, lambda x: () if x in done else x.parents):
            if x not in done:
                parents = tuple([done[p] for p in x.parents])
                same = all(p is q for p, q in zip(parents, x.parents, strict=True))
                done[x] = x if same else Traced(x.sizes, x.op, parents, x.options, x.name, x.label, x.kind)
    return [done[root] for root in roots]


def close_over(roots: Sequence[Traced], own: Iterable[Traced]) -> tuple[list[Traced], list[Traced], list[Traced]]:
    """(the graph over leaves alone, the leaves for what is outside, what each stands for).

    A node is outside if it depends on none of the `own` leaves: it is computed once, before the loop. A view of it is
    not worth an array, so each round reads through it.
    """
    inside = depends_on(roots, own)
    stands_for: dict[Traced, Traced] = {}
    pending, seen = list(roots), set(own)
    while pending:
        x = pending.pop()
        if x in seen:
            continue
        seen.add(x)
        if x in inside or op_name(x) in VIEWS:
            pending += x.parents
        elif not is_constant(x):
            stands_for[x] = leaf(x.sizes, "given", x.integer, x.kind)
    return substitute(roots, stands_for), list(stands_for.values()), list(stands_for)


def description(
    roots: Sequence[Traced], leaves: Sequence[Traced], renamed: Mapping[str, str] = NOTHING
) -> tuple[Any, ...]:
    """Equal for graphs that compute the same function of their leaves; `renamed`: inputs that replace others."""
    number: dict[Traced, int] = {x: i for i, x in enumerate(leaves)}
    nodes: list[Any] = [texts([x.sizes for x in leaves])]
    for root in roots:
        for x in topological(root, lambda x: x.parents):
            if x not in number:
                number[x] = len(number)
                name = x.op.name if x.op is not None else renamed.get(x.name, x.name)
                nodes.append((name, texts(x.sizes), texts(x.options), tuple([number[p] for p in x.parents])))
    return (*exchange_names(nodes, renamed), tuple([number[root] for root in roots]))


def exchange_names(x: ArrayLike, renamed: Mapping[str, str]) -> Any:
    """Sizes of inputs that replace others, under the others' names."""
    if not renamed:
        return x
    if isinstance(x, str):
        return NAME.sub(lambda found: of_other(found[0], renamed), x)
    return tuple([exchange_names(each, renamed) for each in x]) if isinstance(x, (tuple, list)) else x


def of_other(size: str, renamed: Mapping[str, str]) -> str:
    """ "given3_0" → "given2_0" if given3 replaces given2."""
    name, _, axis = size.rpartition("_")
    return f"{renamed[name]}_{axis}" if name in renamed else size


def box(x: Traced) -> Traced:
    """A single number as an array of one, which can be kept in memory."""
    return x if x.sizes else reshape_node(x, (1,))


def texts(x: ArrayLike) -> Any:
    """A setting of an operation with every number in it."""
    if isinstance(x, Size):
        return x.text
    if isinstance(x, np.ndarray):
        return x.shape, str(x.dtype), x.tobytes()
    if isinstance(x, Mapping):
        return tuple([(key, texts(each)) for key, each in x.items()])
    return tuple(map(texts, x)) if isinstance(x, (tuple, list)) else repr(x)
