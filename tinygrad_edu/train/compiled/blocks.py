"""Equal blocks of a network: what a loop over them reads lies in one array.

A loop over n blocks (rounds/repeats.py) reads the weights of all blocks as a stack, and the random numbers of their
dropout as another. Each kind of array is one name in the program then, however many blocks there are. With a name for
each array, 24 transformer layers took 3,000 lines and 10 s to compile; with these, as long as 4 of them.

The layout of the state stays as it is: weight after weight, block after block. A stack is copied together at the
beginning of a step, and its gradient is copied apart at the end.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.compile.codegen.names import free_name
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.rounds.body import substitute
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.graph import topological


@dataclass(frozen=True)
class Blocks:
    """n equal groups of names in a row: `stacks` has a leaf of shape (n, ...) for each name of the first group."""

    stacks: Sequence[Traced]
    groups: Sequence[Sequence[str]]

    @property
    def first(self) -> str:
        """The name that stands for all of them."""
        return str(self.stacks[0].name)


@dataclass
class BlocksOfTrace:
    """All blocks of a step: of the parameters, and of the masks."""

    weights: list[Blocks] = field(default_factory=list)
    masks: list[Blocks] = field(default_factory=list)

    @property
    def leaves(self) -> list[Traced]:
        """The stacks of weights, by which the loss is differentiated instead of by each weight."""
        return [stack for blocks in self.weights for stack in blocks.stacks]


def find_blocks(trace: Trace, parameters: Sequence[str]) -> BlocksOfTrace:
    """The blocks in a trace of a loss; its results read the stacks then."""
    roots = [trace.results, *(new for _, new in trace.followed)]
    nodes = {x: None for root in roots for x in topological(root, lambda x: x.parents)}
    reads = Counter(p for x in nodes for p in x.parents)
    stacked = [x for x in nodes if op_name(x) == "stacked" and all(is_read_here_alone(p, reads) for p in x.parents)]
    exchange: dict[Traced, Traced] = {}
    weights = list(blocks_among(trace, parameters, stacked, exchange))
    masks = list(blocks_among(trace, list(trace.masks), [x for x in stacked if one_share(trace, x)], exchange))
    trace.results, *new = substitute(roots, exchange)
    trace.followed = [(kept, x) for (kept, _), x in zip(trace.followed, new, strict=True)]
    return BlocksOfTrace(weights, masks)


def is_read_here_alone(x: Traced, reads: Mapping[Traced, int]) -> bool:
    """Is it an array of the program, or a single number of it as an array of one, that nothing else reads?"""
    source = leaf_of(x)
    return source.op is None and (source is x or not source.sizes) and reads[source] == reads[x] == 1


def leaf_of(x: Traced) -> Traced:
    return x.parents[0] if op_name(x) == "reshape" else x


def one_share(trace: Trace, stack: Traced) -> bool:
    """Do all masks in a stack drop the same share?"""
    return len({trace.masks[p.name].p for p in map(leaf_of, stack.parents) if p.name in trace.masks}) == 1


def blocks_among(
    trace: Trace, names: Sequence[str], stacked: Iterable[Traced], exchange: dict[Traced, Traced]
) -> Iterator[Blocks]:
    """Blocks of these names, which lie in memory in this order; their stacks with a leaf for each in `exchange`."""
    place = {name: i for i, name in enumerate(names)}
    of_step: dict[tuple[int, int], dict[int, Traced]] = defaultdict(dict)  # (n, names in a block) → first place → stack
    for x in stacked:
        places = [place[p.name] for p in map(leaf_of, x.parents) if p.name in place]
        step = places[1] - places[0] if len(places) == len(x.parents) > 1 else 0
        if step > 0 and places == list(range(places[0], places[0] + step * len(places), step)):
            of_step[len(places), step][places[0]] = x
    for (n, step), found in of_step.items():
        for start in whole_rows(sorted(found), step):
            row = [found[start + j] for j in range(step)]
            leaves = [leaf_for(trace, x, exchange) for x in row]
            yield Blocks(leaves, [names[start + k * step :][:step] for k in range(n)])


def whole_rows(places: Sequence[int], step: int) -> Iterator[int]:
    """Where `step` places in a row begin."""
    known, end = set(places), -1
    for start in places:
        if start > end and all(start + j in known for j in range(step)):
            yield start
            end = start + step - 1


def leaf_for(trace: Trace, stack: Traced, exchange: dict[Traced, Traced]) -> Traced:
    taken = {**trace.inputs, **trace.masks, **{x.name: x for x in exchange.values()}}
    name = free_name(f"{leaf_of(stack.parents[0]).name}_stack", taken, trace.reserved)
    exchange[stack] = Traced(stack.sizes, name=name, label=name, kind=stack.kind)
    return exchange[stack]


def with_blocks(names: Iterable[str], blocks: Iterable[Blocks]) -> Iterator[str | Blocks]:
    """The names in order, with all names of blocks together in the place of the first."""
    starts = {found.groups[0][0]: found for found in blocks}
    inside = {name for found in starts.values() for group in found.groups for name in group}
    for name in names:
        if name in starts:
            yield starts[name]
        elif name not in inside:
            yield name


# The lines of a program; `shapes`: name of a stack → its shape as texts

Shapes = Mapping[str, Sequence[str]]


def place_lines(blocks: Blocks, shapes: Shapes) -> Iterator[str]:
    """Where in the state the first block's weights are, and how far it is to the next block's."""
    names = [x.name for x in blocks.stacks]
    for name in names:
        yield f"at_{name} = at"
        yield f"at += {size(shapes[name])}"
    yield f"at_next_{names[0]} = at - at_{names[0]}"
    yield f"at += {len(blocks.groups) - 1} * at_next_{names[0]}"


def read_lines(blocks: Blocks, shapes: Shapes) -> Iterator[str]:
    """The weights of all blocks, copied together."""
    yield from copy_lines(blocks, shapes, "copy({memory}, {stack})", "state", "")


def write_lines(blocks: Blocks, shapes: Shapes) -> Iterator[str]:
    """The gradients of all blocks, copied to where each weight's gradient is."""
    yield from copy_lines(blocks, shapes, "copy({stack}, {memory})", "gradient", "d_")


def copy_lines(blocks: Blocks, shapes: Shapes, line: str, memory: str, prefix: str) -> Iterator[str]:
    yield f"for k in range({len(blocks.groups)}):"
    for x in blocks.stacks:
        n = size(shapes[x.name])
        flat = f"view({memory}, at_{x.name} + k * at_next_{blocks.first}, ({n},))"
        yield "    " + line.format(memory=flat, stack=f"view({prefix}{x.name}, k * ({n}), ({n},))")


def draw_lines(blocks: Blocks, shapes: Shapes, shares: Sequence[float]) -> Iterator[str]:
    """Masks of all blocks, drawn in the order in which a trace draws them; `shares`: which share each drops."""
    names = [x.name for x in blocks.stacks]
    for name in names:
        shape = shapes[name]
        yield f"{name} = room(work, at, ({', '.join(shape)}))"
        yield f"at += {' * '.join(shape)}"
    yield f"for k in range({len(blocks.groups)}):"
    for j, (name, p) in enumerate(zip(names, shares, strict=True)):
        n = size(shapes[name])
        yield f"    {name}_rows = view({name}, k * ({n}), ({n},))"
        yield f"    {name}_rng = view({blocks.first}_all_rng, 2 * ({len(names)} * k + {j}), (2,))"
        yield from (f"    {line}" for line in draw_mask(name, p))


def draw_mask(name: str, p: float) -> Iterator[str]:
    """One mask of dropout, `{name}_rows` in the program: each entry is 0 with probability p, else 1/(1 - p)."""
    yield f"for i in range({name}_rows.size):"
    yield f"    {name}_rows[i] = {1.0 / (1.0 - p)!r} if uniform({name}_rng) >= {p!r} else 0.0"


def size(shape: Sequence[str]) -> str:
    """How many numbers one block has in a stack."""
    return " * ".join(shape[1:]) or "1"


def generator_kinds(masks: Iterable[str], blocks: Iterable[Blocks]) -> Iterator[tuple[str, tuple[str, int]]]:
    """(argument, (dtype, axes)) for the generators of the masks."""
    for each in with_blocks(masks, blocks):
        yield (f"{each.first}_all_rng", ("int64", 2)) if isinstance(each, Blocks) else (f"{each}_rng", ("int64", 1))


def sources_in_order(sources: Mapping[str, Any], blocks: Iterable[Blocks]) -> Iterator[Any]:
    """What a program is given for each mask, those of blocks as the rows of one array."""
    for each in with_blocks(sources, blocks):
        if isinstance(each, Blocks):
            yield np.array([sources[name] for group in each.groups for name in group])
        else:
            yield sources[each]
