"""A loop over time as text: the round's own steps, and the arrays that it reads and writes in each round.

A state is kept in two places in turn, so that it is never copied; the results of each round are written straight to
their places in the stack.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tinygrad_edu.compile.codegen.index_maps import bare
from tinygrad_edu.compile.ir.indexing import without_shape
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.passes.fuse import LoopSchedule, Stack, TimeLoop, own_nodes, schedule, without_reshape

INDENT = "    "


def stack_lines(writer: Any, step: Stack) -> list[str]:
    """Each array copied to its place in the stack."""
    node = step.node
    size, name = " * ".join(writer.names.shape(node)[1:]), writer.arrays[node]
    return [copy_line(writer, x, name, r, size) for r, x in enumerate(node.parents)]


def copy_line(writer: Any, x: Traced, stack: str, r: int, size: str) -> str:
    """x, an array or a single number, copied to entry r of a stack whose entries have that size."""
    source = without_shape(x)
    if not source.sizes:
        return f"{stack}[{', '.join([str(r), *['0'] * x.ndim])}] = {writer.at(source, []).text}"
    return f"copy(view({place_in_memory(writer, x)}, 0, ({size},)), view({stack}, {r} * ({size}), ({size},)))"


def place_in_memory(writer: Any, x: Traced) -> str:
    """Where an array is in memory; the shape does not matter."""
    x = without_shape(x)
    return str(x.name if x.op is None else writer.arrays[x])


class RoundWriter:
    """Writes one loop; `writer` is that of the text around it."""

    def __init__(self, writer: Any, step: TimeLoop) -> None:
        self.writer, self.names, self.picks = writer, writer.names, step.picks
        self.rounds, parents = step.node.options["rounds"], step.node.parents
        k, split = len(self.rounds.states), len(self.rounds.states) + len(self.rounds.slices)
        self.first, self.stacks, self.outside = parents[:k], parents[k:split], parents[split:]
        self.count = bare(self.names.of(self.rounds.count))
        self.wanted = [j for kind, j in self.picks if kind == "ys"]
        self.time, self.entry = self.fresh("round"), ""

    def text(self) -> list[str]:
        inner, roots = self.inner()
        k = len(self.rounds.after)
        carried = [self.fresh_buffer(("2", *self.names.shape(s))) for s in self.rounds.states]
        lines = [self.start(*each) for each in zip(self.rounds.states, self.first, carried, strict=True)]
        lines.append(f"for {self.time} in range({self.count}):")
        inside = list(self.entry_lines())
        for state, name, after in zip(self.rounds.states, carried, roots[:k], strict=True):
            inside.append(self.part(state.name, name, f"{self.time} % 2", state))
            inside.append(self.part(inner.outputs[after], name, f"({self.time} + 1) % 2", state))
        for x, stack in zip(self.rounds.slices, self.stacks, strict=True):
            inside.append(self.part(x.name, self.array(stack), self.entry, x))
        for j, y in zip(self.wanted, roots[k:], strict=True):
            inside.append(self.part(inner.outputs[y], self.writer.arrays[self.picks["ys", j]], self.entry, y))
        inside += self.steps(inner)
        lines += [INDENT + line for line in inside]
        return [*lines, *self.ends(carried)]

    def inner(self) -> tuple[Any, list[Traced]]:
        """The writer of a round, and the nodes that it computes."""
        rounds = self.rounds
        wanted = [*rounds.after, *(rounds.outputs[j] for j in self.wanted)]
        roots = own_nodes([without_reshape(x, self.names) for x in wanted])
        for x, outside in zip(rounds.given, self.outside, strict=True):
            if x.sizes:
                x.name = self.array(outside)
        places = {x: self.fresh("after" if i < len(rounds.after) else "y") for i, x in enumerate(roots)}
        plan: LoopSchedule = schedule(roots, self.names)
        prefix = f"{self.writer.prefix}{self.time}_"
        inner = replace(
            self.writer,
            plan=plan,
            outputs=places,
            prefix=prefix,
            lines=[],
            text={},
            arrays={},
            checks={},
            partial=[],
            writes=[],
            blocks=[],
            shared_steps="",
            parallel=False,
        )
        for x, outside in zip(rounds.given, self.outside, strict=True):
            if not x.sizes:
                inner.text[x] = self.writer.double(outside) if self.writer.wide else self.writer.at(outside, [])
        return inner, roots

    def steps(self, inner: Any) -> list[str]:
        """The lines of a round. Its names, functions and shared steps belong to the program around it too."""
        lines: list[str] = inner.body()
        writer = self.writer
        writer.counter, writer.sums, writer.entries = inner.counter, inner.sums, inner.entries
        writer.shared_steps += inner.shared_steps
        return lines

    def entry_lines(self) -> Iterable[str]:
        """The line that computes which entry of the stacks a round reads."""
        self.entry = self.time
        if self.rounds.backwards:
            self.entry = self.fresh("now")
            yield f"{self.entry} = {self.count} - 1 - {self.time}"

    def start(self, state: Traced, first: Traced, name: str) -> str:
        return copy_line(self.writer, first, name, 0, self.size(state))

    def ends(self, carried: Sequence[str]) -> Iterable[str]:
        """The states after the last round."""
        for (kind, i), x in self.picks.items():
            if kind == "state":
                size = self.size(x)
                last = f"view({carried[i]}, ({self.count}) % 2 * ({size}), ({size},))"
                yield f"copy({last}, view({self.writer.arrays[x]}, 0, ({size},)))"

    def part(self, name: str, stack: str, index: str, like: Traced) -> str:
        shape = ", ".join(map(bare, self.names.shape(like)))
        return f"{name} = view({stack}, {index} * ({self.size(like)}), ({shape}{',' * (like.ndim == 1)}))"

    def size(self, x: Traced) -> str:
        """How many numbers it has."""
        return " * ".join(self.names.shape(x))

    def array(self, x: Traced) -> str:
        return place_in_memory(self.writer, x)

    def fresh(self, name: str) -> str:
        """A name that nothing in the program has."""
        self.writer.counter += 1
        found = f"{name}_at{self.writer.counter}"
        self.writer.taken.add(found)
        return found

    def fresh_buffer(self, sizes: tuple[str, ...]) -> str:
        name = self.fresh("states")
        self.writer.buffers[name] = sizes
        return name
