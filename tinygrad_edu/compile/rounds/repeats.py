"""Repetitions in a trace become loops: a Python loop over time, or a stack of equal blocks.

Python has already run such a loop, and left one group of nodes after another. In the order in which they were made, a
loop with P operations in each round shows as a row in which every node resembles the one P places later. What the
rounds read tells its role: a node of the round before is a state, an array that differs from round to round is an entry
of a stack, an array that is the same in all rounds is closed over. If anything fits none of these, the trace stays as
it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from tinygrad_edu.compile.ir.dims import ACTIVE, length, lengths
from tinygrad_edu.compile.ir.indexing import entry_of, reshape_node, stack_entries, window, without_shape
from tinygrad_edu.compile.ir.node import Traced, is_constant, op_name
from tinygrad_edu.compile.rounds.body import SCAN, Rounds, box, close_over, leaf, pick, substitute
from tinygrad_edu.core import shapes
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.graph import topological

ROUNDS, NODES = 2, 100  # least number of rounds, and of nodes in all rounds together, for which a loop pays off
TRIED = 12  # ways of cutting that are tried


class NoLoopError(Exception):
    """The rounds cannot form one loop."""


def roll(roots: Sequence[Traced]) -> list[Traced]:
    """The same results, with repetitions as loops, the longest first."""
    found = list(roots)
    ACTIVE.traces[-1].find_dropped(found)
    if ACTIVE.traces[-1].written_out is None:
        return found
    for _ in range(TRIED):
        smaller = roll_longest(found)
        if smaller is None:
            break
        found = smaller
    return found


def roll_longest(roots: list[Traced]) -> list[Traced] | None:
    """The graph with one more loop; None where there is none."""
    nodes = {x: None for root in roots for x in topological(root, lambda x: x.parents) if x.op is not None}
    row = sorted(nodes, key=lambda x: x.made)
    for start, end, period in repetitions([look(x) for x in row]):
        for groups in cuts(row[start:end], period):
            try:
                return Repeat(groups, roots, row).rolled()
            except NoLoopError:
                continue
    return None


def cuts(row: Sequence[Traced], period: int) -> list[list[Sequence[Traced]]]:
    """Ways to cut the row into rounds, at the places that the fewest reads cross; those with the most rounds first."""
    found = []
    for first in range(2 * period):  # start later too: the first round may read arrays of another shape
        rounds = (len(row) - first) // period
        if rounds >= ROUNDS:
            groups = [row[first + r * period :][:period] for r in range(rounds)]
            before, after = set(groups[0]), groups[1]
            carried = {p for x in after for p in x.parents if p in before}
            found.append((-rounds, len(carried), first, groups))
    found.sort(key=lambda each: each[:3])
    return [groups for *_, groups in found[:TRIED]]


def look(x: Traced) -> Any:
    """What two nodes must share to be the same operation in two rounds; the start of a window may differ."""
    options = {"steps": x.options["steps"]} if op_name(x) == "window" else x.options
    return op_name(x), lengths(x), plain(options), tuple([lengths(p) for p in x.parents])


def plain(x: ArrayLike) -> Any:
    """Options with sizes as numbers."""
    if isinstance(x, dict):
        return tuple([(key, plain(each)) for key, each in x.items()])
    if isinstance(x, (tuple, list)):
        return tuple(map(plain, x))
    return length(x) if hasattr(x, "length") else repr(x)


def repetitions(looks: Sequence[Any]) -> list[tuple[int, int, int]]:
    """(start, end, period) of rows of similar rounds, those with the most nodes first."""
    last: dict[Any, int] = {}
    distances: Counter[int] = Counter()
    for i, each in enumerate(looks):
        if each in last:
            distances[i - last[each]] += 1
        last[each] = i
    found = [(*run, period) for period, _ in distances.most_common(TRIED) for run in runs(looks, period)]
    return sorted(found, key=lambda each: (each[0] - each[1], each[2]))


def runs(looks: Sequence[Any], period: int) -> Iterable[tuple[int, int]]:
    """(start, end) of rows in which every node resembles the one a period later."""
    start = 0
    for i in range(len(looks) - period + 1):
        if i == len(looks) - period or looks[i] != looks[i + period]:
            if i - start >= (ROUNDS - 1) * period and i - start + period >= NODES:
                yield start, i + period
            start = i + 1


class Repeat:
    """Rounds that may be one loop, each a row of nodes in the same order."""

    def __init__(self, groups: Sequence[Sequence[Traced]], roots: Sequence[Traced], row: Sequence[Traced]) -> None:
        self.groups, self.roots = groups, roots
        self.place = {x: (r, k) for r, group in enumerate(groups) for k, x in enumerate(group)}
        self.entries: dict[Any, Traced] = {}  # nodes at the same place in all rounds → the stack to read there
        self.slices: dict[Any, Traced] = {}  # the same → the leaf for its entry in a round
        self.exchange: dict[Traced, Traced] = {}  # for the second round, which becomes the loop body: node → leaf
        # place of a node that the next round reads → what the first round reads instead
        self.states: dict[int, Traced] = {}
        self.leaves: dict[int, Traced] = {}
        self.starts: dict[Traced, Traced] = {}  # single numbers -> arrays of one entry
        users = defaultdict(set)
        for x in row:
            for p in x.parents:
                if p in self.place and x not in self.place:
                    users[self.place[p][1]].add(self.place[p][0])
        for root in roots:
            if root in self.place:
                users[self.place[root][1]].add(self.place[root][0])
        self.users = users  # place → rounds whose node is read from outside
        self.stacks = defaultdict(list)  # place → nodes that join it over all rounds, in order
        for x in row:
            k = self.joined(x)
            if k is not None:
                self.stacks[k].append(x)

    def joined(self, x: Traced) -> int | None:
        """The place whose nodes, of all rounds in order, x is the stack of."""
        places = [self.place.get(without_shape(p)) for p in x.parents] if op_name(x) == "stacked" else []
        k = places[0][1] if places and places[0] else None
        return k if k is not None and places == [(r, k) for r in range(len(self.groups))] else None

    def rolled(self) -> list[Traced]:
        for column in zip(*self.groups, strict=True):
            self.take(column)
        second, count = self.groups[1], len(self.groups)
        after = [box(second[k]) for k in self.states]
        given_out = [k for k, rounds in self.users.items() if rounds != {count - 1} or k not in self.states]
        roots = substitute([*after, *(box(second[k]) for k in given_out)], self.exchange)
        states, slices = [self.leaves[k] for k in self.states], list(self.slices.values())
        if any(x in self.place for root in roots for x in topological(root, lambda x: x.parents)):
            raise NoLoopError
        roots, given, outside = close_over(roots, [*states, *slices])
        rounds = Rounds(count, states, slices, given, roots[: len(after)], roots[len(after) :])
        rounds.places = {x: j for j, x in enumerate(rounds.outputs)}
        parents = (*self.states.values(), *self.entries.values(), *outside)
        if any(x in self.place for root in parents for x in topological(root, lambda x: x.parents)):
            raise NoLoopError
        return self.around(Traced((), SCAN, parents, {"rounds": rounds}), given_out)

    def around(self, node: Traced, given_out: Sequence[int]) -> list[Traced]:
        """The results, with everything that they read from the rounds taken from the loop."""
        last, exchange = len(self.groups) - 1, {}
        for i, k in enumerate(self.states):
            if self.users.get(k) == {last}:
                exchange[self.groups[last][k]] = reshape_node(pick(node, ("state", i)), self.groups[1][k].sizes)
        for j, k in enumerate(given_out):
            ys = pick(node, ("ys", j))
            exchange |= {x: reshape_node(ys, x.sizes) for x in self.stacks.get(k, ())}
            for r in self.users[k]:
                exchange[self.groups[r][k]] = reshape_node(entry_of(ys, r), self.groups[1][k].sizes)
        return substitute(self.roots, exchange)

    # What the rounds read

    def take(self, column: Sequence[Traced]) -> None:
        """One node of every round: its sizes equal those in the second round, and its parents fit into a loop."""
        for x in column:
            if not all(m == n for m, n in zip(x.sizes, column[1].sizes, strict=True)):
                raise NoLoopError  # even by name: a condition that these sizes stay equal
        starts = [x.options["starts"] for x in column] if op_name(column[1]) == "window" else []
        if starts and any(plain(s) != plain(starts[0]) for s in starts):
            self.take_window(column)
            return
        for parents in zip(*(x.parents for x in column), strict=True):
            self.take_parents(parents)

    def take_window(self, column: Sequence[Traced]) -> None:
        """Windows that move by one from round to round, as x[:, t] does: entries of one stack."""
        x = column[1]
        if any(other.parents[0] is not x.parents[0] for other in column) or x.parents[0] in self.place:
            raise NoLoopError
        starts = [plain(other.options["starts"]) for other in column]
        moved = [axis for axis in range(x.ndim) if starts[0][axis] != starts[1][axis]]
        numbers = [[int(start[axis]) for start in starts] for axis in moved]
        if len(moved) != 1 or x.sizes[moved[0]] != 1:
            raise NoLoopError
        (axis,), (places,) = moved, numbers
        step = places[1] - places[0]
        if not step or places != [places[0] + r * step for r in range(len(places))]:
            raise NoLoopError
        sizes = (*x.sizes[:axis], len(column), *x.sizes[axis + 1 :])
        begin = column[0].options["starts"]
        steps = tuple(step if i == axis else s for i, s in enumerate(x.options["steps"]))
        read = window(x.parents[0], begin, steps, sizes)
        order = (axis, *(i for i in range(x.ndim) if i != axis))
        self.enter(tuple(column), reshape_node(shapes.transpose(read, order), (len(column), *x.sizes)))

    def take_parents(self, parents: Sequence[Traced]) -> None:
        """Handle the parents at one position, one from each round."""
        first, second = parents[:2]
        if all(p is second for p in parents) and second not in self.place:
            return
        places = [self.place.get(p) for p in parents]
        (r, k) = places[1] or (-1, -1)
        if places[1] is None:
            self.take_entries(tuple(parents), places)
        elif r == 1 and places == [(i, k) for i in range(len(parents))]:
            return
        elif r == 0 and places[1:] == [(i, k) for i in range(len(parents) - 1)]:
            self.carry(k, first, second)
        else:
            raise NoLoopError

    def take_entries(self, parents: tuple[Traced, ...], places: Sequence[Any]) -> None:
        """A different array from outside in each round."""
        if any(place is not None for place in places):
            raise NoLoopError
        if all(is_constant(p) and (p.name, lengths(p)) == (parents[1].name, lengths(parents[1])) for p in parents):
            return
        if any(p.integer or is_constant(p) for p in parents):
            raise NoLoopError
        if not all(m == n for p in parents for m, n in zip(p.sizes, parents[1].sizes, strict=True)):
            raise NoLoopError
        self.enter(parents, stack_entries(parents))

    def enter(self, key: tuple[Traced, ...], stack: Traced) -> None:
        if key in self.entries:
            return
        if key[1] in self.exchange:  # the second round also reads it elsewhere, in another role
            raise NoLoopError
        self.entries[key] = stack
        entry = self.slices[key] = leaf(stack.sizes[1:], "entry", kind=stack.kind)
        self.exchange[key[1]] = entry if key[1].sizes else reshape_node(entry, ())

    def carry(self, k: int, first: Traced, node: Traced) -> None:
        """A state: the node that the next round reads, and what the first round reads in its place."""
        first = self.starts.setdefault(first, box(first))
        other = lengths(first) != lengths(box(node)) or first in self.place
        if other or self.states.setdefault(k, first) is not first:
            raise NoLoopError
        if k not in self.leaves:
            self.leaves[k] = leaf(first.sizes, "state", kind=first.kind)
            self.exchange[node] = reshape_node(self.leaves[k], node.sizes)
