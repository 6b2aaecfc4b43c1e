"""The derivative of a loop: another loop, which runs from the last round to the first.

Its states are the cotangents of the forward loop's states, and the sums of the gradients of what that loop closes over.
The forward rounds stack whatever it needs of them. A gradient that is a sum of products over the rounds is computed
after the loop as one product of the stacks: BLAS is faster with one long product than with many short ones.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Mapping
from typing import Any

from tinygrad_edu.compile.ir.indexing import reshape_node
from tinygrad_edu.compile.ir.node import PULL_BACKS, Traced, constant, differentiate, op_name, shapes_like
from tinygrad_edu.compile.ir.parts import Part, Parts
from tinygrad_edu.compile.passes.lower import VIEWS
from tinygrad_edu.compile.rounds.body import SCAN, Rounds, depends_on, leaf, pick, substitute
from tinygrad_edu.core import broadcasting
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.linalg import matmul
from tinygrad_edu.core.shapes import transpose

Total = Callable[[Traced], Any]  # returns the sum of a node over all rounds


def reverse(scan: Traced, g: Parts, needed: set[Traced], again: bool) -> list[tuple[Traced, Any]]:
    """(parent, its gradient) for the parents of a scan that are needed, from the cotangents of its results."""
    return Reverse(scan, g.found, needed, again).gradients()


PULL_BACKS["scan"] = reverse


class Reverse:
    def __init__(self, scan: Traced, found: Mapping[Part, Traced], needed: set[Traced], again: bool) -> None:
        self.scan, self.rounds, self.found, self.again = scan, scan.options["rounds"], found, again
        rounds, k = self.rounds, len(self.rounds.states)
        split = k + len(rounds.slices)
        self.first: tuple[Traced, ...]
        self.stacks: tuple[Traced, ...]
        self.first, self.stacks, self.outside = scan.parents[:k], scan.parents[k:split], scan.parents[split:]
        self.forward = {x for root in rounds.roots for x in topological(root, lambda x: x.parents)}
        self.moving = depends_on(rounds.roots, [*rounds.states, *rounds.slices])
        self.cotangents = [leaf(s.sizes, "d_state") for s in rounds.states]
        self.seeds = {j: leaf(rounds.outputs[j].sizes, "d_y") for kind, j in found if kind == "ys"}
        self.wanted_slices = [i for i, x in enumerate(self.stacks) if x in needed]
        self.wanted_given = [i for i, x in enumerate(self.outside) if x in needed]
        self.wanted_first = [i for i, x in enumerate(self.first) if x in needed]
        # Dicts instead of lists, because `==` of two nodes makes a node.
        self.stack_of_slice: dict[Traced, Traced] = dict(zip(rounds.slices, self.stacks, strict=True))
        self.meant = dict(zip(rounds.given, self.outside, strict=True))
        self.kept: dict[Traced, None] = {}  # nodes of a round that are stacked for use after the loop
        self.totals: dict[Traced, int] = {}  # sums over the rounds, carried as states of the loop

    def gradients(self) -> list[tuple[Traced, Any]]:
        rounds = self.rounds
        wanted = [
            *rounds.states,
            *(rounds.slices[i] for i in self.wanted_slices),
            *(rounds.given[i] for i in self.wanted_given),
        ]
        found = differentiate(self.summed(), wanted, again=self.again)
        k, split = len(rounds.states), len(rounds.states) + len(self.wanted_slices)
        before, entries = found[:k], found[k:split]
        after_loop = [self.over_rounds(g) for g in found[split:]]
        node = self.loop(before, entries)
        return [
            *((self.first[i], pick(node, ("state", i))) for i in self.wanted_first),
            *((self.stacks[i], self.output(node, g)) for i, g in zip(self.wanted_slices, entries, strict=True)),
            *((self.outside[i], total(node)) for i, total in zip(self.wanted_given, after_loop, strict=True)),
        ]

    def stack(self, node: Traced, x: Traced) -> Traced:
        """All rounds' numbers of a node of the round."""
        return self.stack_of_forward(x) if self.is_of_forward(x) else self.output(node, x)

    def output(self, node: Traced, x: Traced) -> Traced:
        return pick(node, ("ys", self.outputs[x]))

    def total_of(self, node: Traced, x: Traced) -> Traced:
        return reshape_node(pick(node, ("state", len(self.rounds.states) + self.totals[x])), x.sizes)

    def is_of_forward(self, x: Traced) -> bool:
        """Does it belong to the forward round, change from round to round, and is it not a view?"""
        source = x.parents[0] if op_name(x) == "pick" else x  # `pick` takes one result of an inner loop
        return source in self.forward and source in self.moving and op_name(source) not in VIEWS

    def summed(self) -> Traced:
        """A number whose derivatives are the cotangents of a round's inputs: Σ results times cotangents."""
        pairs = list(zip(self.rounds.after, self.cotangents, strict=True))
        pairs += [(self.rounds.outputs[j], seed) for j, seed in self.seeds.items()]
        sums: list[Traced] = [broadcasting.sum(y * g) for y, g in pairs]
        return functools.reduce(operator.add, sums)

    # Sums over the rounds

    def over_rounds(self, x: Traced) -> Total:
        """Σ over all rounds of a node of the reverse round."""
        name = op_name(x)
        if name == "transpose":
            inner, axes = self.over_rounds(x.parents[0]), x.options["axes"]
            return lambda node: transpose(inner(node), axes)
        if name == "reshape":
            inner = self.over_rounds(x.parents[0])
            return lambda node: reshape_node(inner(node), x.sizes)
        if name == "add" and all(p.sizes == x.sizes for p in x.parents):
            left, right = map(self.over_rounds, x.parents)
            return lambda node: left(node) + right(node)
        if name == "matmul" and x.ndim == 2 and all(p.ndim == 2 for p in x.parents):
            return self.product(*x.parents)
        if name == "sum":
            return self.sum_of(x)
        self.totals.setdefault(x, len(self.totals))
        return lambda node: self.total_of(node, x)

    def product(self, a: Traced, b: Traced) -> Total:
        """Σₜ aₜ bₜ as one product: the aₜ side by side times the bₜ on top of each other."""
        count, k = self.rounds.count, a.sizes[1]
        source = a.parents[0] if op_name(a) == "transpose" else None
        self.keep(a if source is None else source)
        self.keep(b)

        def total(node: Traced) -> Any:
            if source is not None:
                left = transpose(reshape_node(self.stack(node, source), (count * k, a.sizes[0])))
            else:
                left = reshape_node(transpose(self.stack(node, a), (1, 0, 2)), (a.sizes[0], count * k))
            return matmul(left, reshape_node(self.stack(node, b), (count * k, b.sizes[1])))

        return total

    def sum_of(self, x: Traced) -> Total:
        """Σₜ of a sum, as one sum over one more axis of the stack."""
        source, axis = x.parents[0], x.options["axis"]
        self.keep(source)
        axes = (0, *(i + 1 for i in broadcasting.axes_of(source, axis)))
        return lambda node: reshape_node(broadcasting.sum(self.stack(node, source), axis=axes), x.sizes)

    def keep(self, x: Traced) -> None:
        if not self.is_of_forward(x):
            self.kept[x] = None

    # The loop itself

    def loop(self, before: list[Traced], entries: list[Traced]) -> Traced:
        """The loop from the last round to the first."""
        totals = [leaf(x.sizes or (1,), "total") for x in self.totals]
        after = [*before, *(t + x for t, x in zip(totals, self.totals, strict=True))]
        outputs = list(dict.fromkeys([*entries, *self.kept]))
        self.outputs = {x: j for j, x in enumerate(outputs)}
        exchange, slices, stacks, given = self.boundary([*after, *outputs])
        roots = substitute([*after, *outputs], exchange)
        states = [*self.cotangents, *totals]
        rounds = Rounds(
            self.rounds.count,
            states,
            [*self.seeds.values(), *slices],
            list(given.values()),
            roots[: len(states)],
            roots[len(states) :],
            not self.rounds.backwards,
        )
        first = [self.found.get(("state", i), None) for i in range(len(self.cotangents))]
        starts = [shapes_like(constant(0.0), s) if g is None else g for g, s in zip(first, states, strict=False)]
        starts += [shapes_like(constant(0.0), t) for t in totals]
        seeds = [self.found["ys", j] for j in self.seeds]
        return Traced((), SCAN, (*starts, *seeds, *stacks, *given), {"rounds": rounds})

    def boundary(
        self, roots: list[Traced]
    ) -> tuple[dict[Traced, Traced], list[Traced], list[Traced], dict[Traced, Traced]]:
        """What the reverse round reads from the forward one: (replacements, their leaves, the stacks of these, what
        is given from outside and its leaf)."""
        exchange: dict[Traced, Traced] = {}
        slices, stacks, given = [], [], {}
        pending, seen = list(roots), set()
        while pending:
            x = pending.pop()
            if x in seen:
                continue
            seen.add(x)
            if x in self.meant:
                given[self.meant[x]] = exchange[x] = leaf(x.sizes, "given", x.integer, x.kind)
            elif self.is_of_forward(x):
                slices.append(leaf(x.sizes or (1,), "kept", x.integer, x.kind))
                stacks.append(self.stack_of_forward(x))
                exchange[x] = slices[-1] if x.sizes else reshape_node(slices[-1], ())
            else:
                pending += x.parents
        return exchange, slices, stacks, given

    def stack_of_forward(self, x: Traced) -> Traced:
        """All rounds' numbers of a node of the forward round."""
        if x in self.stack_of_slice:
            return self.stack_of_slice[x]
        places = self.rounds.places
        if x not in places:
            places[x] = len(self.rounds.outputs)
            self.rounds.outputs.append(x if x.sizes else reshape_node(x, (1,)))
        return pick(self.scan, ("ys", places[x]))
