"""Which operations share a loop: elementwise chains and the reductions at their end, over the same sizes."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.compile.ir.dims import NAME, Size
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.passes.lower import VIEWS, copy_node
from tinygrad_edu.core.graph import topological

REDUCTIONS = ("sum", "max", "prod", "scatter", "settle")
KEPT = ("matmul", "class_of", "scan", "pick", "stacked", *REDUCTIONS)  # their results are stored in memory anyway
COMPARISONS = ("greater", "greater_equal", "less", "less_equal", "equal", "not_equal")
CHEAP = ("add", "sub", "mul", "neg", "square", "where", "maximum", "minimum", "relu", *COMPARISONS)
LONG = 6  # operations; recomputing more than this costs more than storing and reading the result
Sizes = tuple[str, ...]


@dataclass
class SizeNames:
    """Sizes that were found to be equal share one name, preferably that of an axis rather than a product."""

    pairs: Iterable[tuple[str, str]]
    root: dict[str, str] = field(default_factory=dict)
    # cached results of `of`: without this it takes a quarter of a trace's time
    known: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        pairs = sorted(self.pairs)
        while sum(self.unite(a, b) for a, b in pairs):
            pass  # again until nothing changes: once x_0 equals y_0, (x_0 - 1) equals (y_0 - 1)

    def unite(self, a: str, b: str) -> bool:
        first, second = sorted((self.find(a), self.find(b)), key=lambda name: (name.count("*"), "(" in name, name))
        if first != second:
            self.root[second] = first
        return first != second

    def find(self, name: str) -> str:
        if name.startswith("("):  # a sum of sizes
            name = NAME.sub(lambda found: self.find(found[0]), name)
        while name in self.root:
            name = self.root[name]
        return name

    def of(self, size: Any) -> str:
        """A size as text: a number, a name, or a product of names."""
        text = size.text if isinstance(size, Size) else str(size)
        if text not in self.known:
            self.known[text] = self.parts(self.find(self.parts(text)))
        return self.known[text]

    def parts(self, text: str) -> str:
        return " * ".join(self.find(part) for part in text.split(" * "))

    def shape(self, x: Traced) -> Sizes:
        return tuple(map(self.of, x.sizes))


@dataclass
class Loop:
    """One loop nest over `sizes`, with the operations that are computed at each point."""

    sizes: Sizes
    nodes: list[Traced] = field(default_factory=list)


@dataclass
class Product:
    """One matrix product."""

    node: Traced


@dataclass
class TimeLoop:
    """A loop over time, and the arrays of those results that are read."""

    node: Traced
    picks: dict[Any, Traced] = field(default_factory=dict)


@dataclass
class Stack:
    """Arrays copied into one, one after the other."""

    node: Traced


Step = Loop | Product | TimeLoop | Stack
OWN_STEPS: dict[str, type[Product | TimeLoop | Stack]] = {"matmul": Product, "scan": TimeLoop, "stacked": Stack}


@dataclass
class LoopSchedule:
    """The steps in order; where each node is computed; which results need an array in memory."""

    steps: list[Step] = field(default_factory=list)
    at: dict[Traced, int] = field(default_factory=dict)
    stored: dict[Traced, None] = field(default_factory=dict)  # a dict, to keep the order
    again: set[Traced] = field(default_factory=set)  # nodes recomputed in each later step that reads them


def is_view(x: Traced) -> bool:
    return op_name(x) in VIEWS


def base(x: Traced) -> Traced:
    """The node that a view reads."""
    while is_view(x):
        x = x.parents[0]
    return x


def without_reshape(x: Traced, names: SizeNames) -> Traced:
    """The node whose shape is kept by a reshape, as that of a sum over broadcast axes often is."""
    while op_name(x) == "reshape" and names.shape(x) == names.shape(x.parents[0]):
        x = x.parents[0]
    return x


def own_nodes(roots: Sequence[Traced]) -> list[Traced]:
    """Each result as a node with its own array: a copy if it is an input, a view, or also another result."""
    found: dict[Traced, None] = {}
    for x in roots:
        found[copy_node(x) if x.op is None or is_view(x) or x in found else x] = None
    return list(found)


def is_reduction(x: Traced) -> bool:
    return op_name(x) in REDUCTIONS


def loop_sizes(x: Traced, names: SizeNames) -> Sizes:
    """The sizes over which a node is computed: a reduction over those of its input."""
    return names.shape(x.parents[0] if is_reduction(x) else x)


def schedule(roots: list[Traced], names: SizeNames) -> LoopSchedule:
    """Give each node a loop, greedily: the first one over its sizes that comes late enough, or a new one."""
    plan = LoopSchedule()
    order = numbers_first(list(dict.fromkeys(n for root in roots for n in topological(root, lambda x: x.parents))))
    for node in order:
        if node.op is None or is_view(node):
            continue
        if node.op.name in OWN_STEPS:
            plan.at[node] = len(plan.steps)
            plan.steps.append(OWN_STEPS[node.op.name](node))
        elif node.op.name == "pick":
            place_pick(node, plan)
        else:
            place_node(node, plan, names)
    mark_stored(order, roots, plan)
    return plan


def numbers_first(order: Sequence[Traced]) -> list[Traced]:
    """The same topological order, but what is computed of single numbers alone comes before every loop over arrays.

    Otherwise a loop that reads such a number late could not be joined with one that was opened before it.
    """
    alone: set[Traced] = set()
    for x in order:
        if not x.sizes and all(p in alone for p in x.parents):
            alone.add(x)
    return [*(x for x in order if x in alone), *(x for x in order if x not in alone)]


def place_pick(node: Traced, plan: LoopSchedule) -> None:
    plan.at[node] = plan.at[node.parents[0]]
    step = plan.steps[plan.at[node]]
    assert isinstance(step, TimeLoop)
    step.picks[node.options["part"]] = node


def place_node(node: Traced, plan: LoopSchedule, names: SizeNames) -> None:
    """Put a node into the first loop over its sizes that comes after all that it reads, or into a new one at the end.

    Nodes come in topological order, so all parents have a step. No step is ever inserted or moved: what was placed
    before keeps its number, and one pass over the nodes is enough.
    """
    sizes = loop_sizes(node, names)
    earliest = max((ready(p, sizes, plan, names) for p in node.parents), default=0)
    for i in range(earliest, len(plan.steps)):
        step = plan.steps[i]
        if isinstance(step, Loop) and step.sizes == sizes:
            break
    else:
        i = len(plan.steps)
        plan.steps.append(Loop(sizes))
    step = plan.steps[i]
    assert isinstance(step, Loop)
    step.nodes.append(node)
    plan.at[node] = i


def ready(parent: Traced, sizes: Sizes, plan: LoopSchedule, names: SizeNames) -> int:
    """The first step that can use the parent: its own loop if it is read at the same point there, else the next."""
    source = base(parent)
    if source.op is None:
        return 0
    return plan.at[source] + (0 if same_point(parent, sizes, names) else 1)


def same_point(parent: Traced, sizes: Sizes, names: SizeNames) -> bool:
    """Is the parent's number at a point of the loop computed at that very point?"""
    computed = parent.op is not None and op_name(parent) not in (*VIEWS, *KEPT)
    return computed and names.shape(parent) == sizes


def mark_stored(order: list[Traced], roots: list[Traced], plan: LoopSchedule) -> None:
    """Whatever a later step, a product or the caller reads must be in memory; single numbers are variables.

    Two rounds: recomputing from a stored array is cheap, and what is stored is known only after the first round.
    """
    known: dict[Traced, None] = {}
    for _ in range(2):
        known, plan.stored, seen = plan.stored, {}, set[tuple[Traced, int]]()
        for node in order:
            if node.op is not None and not is_view(node):
                require_inputs(node, plan.at[node], plan, known, seen)
    break_chains(order, plan)
    for root in roots:
        if root.op is not None and root.sizes:
            plan.stored[root] = None


def break_chains(order: list[Traced], plan: LoopSchedule) -> None:
    """Store what would be recomputed from something that is itself recomputed, and so on: otherwise the state of a
    cell at each time would be computed from the first time on.
    """
    operations: dict[Traced, int] = {}  # operations needed to recompute a number
    for x in order:
        inputs = sum(operations.get(p, 0) for p in x.parents)
        if is_view(x):
            operations[x] = inputs
        elif x.op is not None and x.sizes and x not in plan.stored and op_name(x) not in KEPT:
            operations[x] = 1 + inputs
            if x in plan.again and operations[x] > LONG:
                plan.stored[x], operations[x] = None, 0


def require_inputs(
    node: Traced, step: int, plan: LoopSchedule, known: Container[Traced], seen: set[tuple[Traced, int]]
) -> None:
    """Store what `node`, computed in that step, reads from earlier ones, unless recomputing it is cheaper.

    `seen`: what has been looked at for a step. The paths through a chain of sums, x + x[::-1] and so on, are 2ⁿ.
    """
    if (node, step) in seen:
        return
    seen.add((node, step))
    for parent in node.parents:
        source = base(parent)
        inside = step == plan.at.get(source) and parent is source and not is_reduction(source)
        if source.op is None or not source.sizes or inside:
            continue
        if is_recomputed(source, known) and isinstance(plan.steps[step], Loop):
            plan.again.add(source)
            require_inputs(source, step, plan, known, seen)
        else:
            plan.stored[source] = None


def is_recomputed(x: Traced, known: Container[Traced], budget: int = 3) -> bool:
    """A few additions, products and comparisons of numbers in memory cost less than a pass through memory."""
    return op_name(x) in CHEAP and budget > 0 and all(at_hand(base(p), known, budget - 1) for p in x.parents)


def at_hand(x: Traced, known: Container[Traced], budget: int) -> bool:
    in_memory = x in known or op_name(x) in KEPT
    return x.op is None or not x.sizes or in_memory or is_recomputed(x, known, budget)
