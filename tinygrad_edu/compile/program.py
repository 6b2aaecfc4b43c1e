"""From a function of arrays to a compiled program: trace, differentiate, lower, fuse, write, load."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.codegen import module_writer
from tinygrad_edu.compile.codegen.index_maps import bare
from tinygrad_edu.compile.codegen.loops import Writer
from tinygrad_edu.compile.codegen.names import TRAINING, free_name
from tinygrad_edu.compile.ir import rules  # noqa: F401  (fills DECOMPOSITIONS)
from tinygrad_edu.compile.ir.dims import ACTIVE, Conditions, evaluate
from tinygrad_edu.compile.ir.node import Size, Traced, as_node, differentiate
from tinygrad_edu.compile.ir.replay import replay
from tinygrad_edu.compile.ir.truth import FLOAT
from tinygrad_edu.compile.passes.fuse import SizeNames, own_nodes, schedule, without_reshape
from tinygrad_edu.compile.passes.lower import lower
from tinygrad_edu.compile.passes.whole_numbers import read_as_numbers
from tinygrad_edu.compile.rounds import reverse as of_loops  # noqa: F401  (fills PULL_BACKS)
from tinygrad_edu.compile.rounds import trace as rounds  # noqa: F401  (fills DECOMPOSITIONS)
from tinygrad_edu.compile.unread import array_unnoted, read_of
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.modes import tracing
from tinygrad_edu.core.readings import refuse_masked
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.writes.write_guard import CLOCK
from tinygrad_edu.errors import NonScalarBackwardError, OperandError, TraceError

Array = np.ndarray[Any, Any]
INDENT = "    "
OPERATIONS = "# The operations that are called above."


@dataclass(frozen=True)
class Mask:
    """The random numbers for a dropout layer in each step."""

    node: Traced
    p: float
    rng: np.random.Generator


@dataclass
class Trace:
    """A function run on nodes: its inputs by name, the arrays that it closes over, its results, equal sizes."""

    inputs: dict[str, Traced] = field(default_factory=dict)
    captured: dict[str, Any] = field(default_factory=dict)
    results: Any = None
    conditions: Conditions = field(default_factory=Conditions)
    reserved: Container[str] = TRAINING  # names used around the program
    fixed: bool = False  # sizes are plain numbers: the program serves these alone
    careful: bool = False  # a gradient of 0 stays 0 whatever the derivative: see differentiate
    differentiated: bool = False  # a transform inside the function has asked for derivatives
    floats: Any = FLOAT  # the dtype of its floats, as far as it is known yet
    in_float64: bool = False  # it computes with float64 whatever its arrays hold
    draws: bool = False  # belongs to a training step, which may draw random numbers and change buffers of the model
    masks: dict[str, Mask] = field(default_factory=dict)
    followed: list[tuple[Tensor, Traced]] = field(default_factory=list)  # what a step changes besides the parameters
    signature: Any = None  # equal for traces that give the same program
    # operations recorded whole, for an interpreter that has a form of its own for them
    keep: frozenset[str] = frozenset()
    written_out: frozenset[Any] | None = frozenset()  # steps of loops that are unrolled; None: all
    begun: int = field(default_factory=lambda: next(CLOCK))  # Tensors made later belong to the trace
    lookups: list[Traced] = field(default_factory=list)  # nodes that read at an index
    dropped: list[Traced] = field(default_factory=list)  # those of `lookups` on which no result depends
    leaves: set[Traced] = field(default_factory=set)  # nodes inside loop bodies, which are meaningless outside

    node = staticmethod(as_node)

    def input(self, name: str, array: Any, named: int = 0) -> Traced:
        """A new input with the shape of an array; an axis of length 1 keeps that length in the program.

        `named`: how many axes have names where the others are fixed.
        """
        name = free_name(name, self.inputs, self.reserved)
        shape, count = np.shape(array), named if self.fixed else np.ndim(array)
        sizes = tuple(Size(n, f"{name}_{i}") if i < count and n != 1 else n for i, n in enumerate(shape))
        self.inputs[name] = Traced(sizes, name=name, label=name)
        return self.inputs[name]

    def mask(self, like: Traced, p: float, rng: np.random.Generator) -> Traced:
        """An array of that shape that is drawn anew in each step: 0 with probability p, else 1/(1 - p)."""
        if not self.draws:
            raise TraceError("Dropout draws new numbers at every call: compile it after eval(), or train it by tg.fit")
        name = free_name("mask", {**self.inputs, **self.masks}, self.reserved)
        self.masks[name] = Mask(Traced(like.sizes, name=name, label=name), p, rng)
        return self.masks[name].node

    def follow(self, kept: Tensor, new: Traced) -> None:
        """Note that state kept from step to step, such as a running mean, becomes `new` after this step."""
        if not self.draws:
            raise TraceError("BatchNorm changes its running statistics: compile it after eval(), or train it by tg.fit")
        if any(known is kept for known, _ in self.followed):
            raise TraceError(
                "BatchNorm that forward uses twice changes its running statistics twice: that runs eagerly"
            )
        self.followed.append((kept, new))

    def capture(self, array: Any) -> Traced:
        """The input for an array that the function closes over, the same one each time."""
        for name, known in self.captured.items():
            if known is array:
                return self.inputs[name]
        if isinstance(array, Tensor) and array.parents:
            if array._made > self.begun:
                return self.lift(array)
            if self.draws:
                raise TraceError(
                    f"{array!r:.60} was computed before training, from what training may change: compute it in forward"
                )
        if not isinstance(array, Tensor) and np.asarray(array).dtype.kind not in "fiub":
            raise OperandError(f"{array!r:.60} in a compiled function is neither a number nor an array of them")
        node = self.input(getattr(array, "label", "") or "given", read_of(array))
        self.captured[node.name] = array
        return node

    def lift(self, root: Tensor) -> Traced:
        """Tensor operations done before a traced value was met, lifted into the program."""
        done: dict[Any, Traced] = {}
        for x in topological(root):
            inputs = [done.get(p, p) if isinstance(p, Tensor) else p for p in x.parents]
            done[x] = replay(x, inputs) if x.op is not None and x._made > self.begun else self.capture(x)
        return done[root]

    def mark(self) -> Any:
        """The state that `reset` needs to return to this moment."""
        found = self.conditions
        sets = set(found.equal), set(found.answers), set(found.signs)
        lists = list(self.followed), list(self.lookups)
        return dict(self.inputs), dict(self.captured), dict(self.masks), *lists, Conditions(*sets)

    def reset(self, mark: Any) -> None:
        """Forget what was traced since then."""
        self.inputs, self.captured, self.masks, self.followed, self.lookups, self.conditions = mark

    def find_dropped(self, results: Iterable[Traced]) -> None:
        """Note the lookups without a use. Their indices are checked all the same, as NumPy does."""
        inner = [x for x in self.lookups if not any(p in self.leaves for p in topological(x, lambda x: x.parents))]
        used = {x for root in results for x in topological(root, lambda x: x.parents)} if inner else set()
        self.dropped = [x for x in inner if x not in used]

    def refuse_leaks(self, results: Iterable[Traced]) -> None:
        """Errors: TraceError if a result depends on a value that exists only inside one round of a loop."""
        for root in results if self.leaves else ():
            if any(x in self.leaves for x in topological(root, lambda x: x.parents)):
                raise TraceError("a value computed in a step of scan reaches the result without being returned")

    def run(self, f: Callable[[], Any]) -> Any:
        """Run f() with all that it closes over as further inputs; sizes that turn out to be equal are noted."""
        ACTIVE.traces.append(self)
        try:
            with tracing("tensor_trace", Traced):
                return f()
        finally:
            ACTIVE.traces.pop()

    def gradients(self, wanted: Sequence[Traced]) -> list[Traced]:
        """The derivatives of the one result."""
        if not isinstance(self.results, Traced) or self.results.sizes:
            raise NonScalarBackwardError(
                f"a gradient needs one number as the result, not {self.results!r:.80}. Reduce it, as in loss.sum()"
            )
        return self.run(lambda: differentiate(self.results, wanted))  # type: ignore[no-any-return]


class ProgramBody:
    """The lines that compute the results of a trace, and what they need.

    `lines`; `functions`, the text of the operations that they call; `buffers`, the arrays for intermediate results by
    name, with their sizes as texts; `shapes` of the results that are arrays. `accurate`: the C library's exp, tanh and
    so on instead of our faster ones, and sums in the order of their items. `style`: settings of the Writer.
    """

    def __init__(
        self,
        trace: Trace,
        results: Mapping[str, Traced],
        dtype: str,
        accurate: bool = False,
        scalar: str = "{key}",
        **style: Any,
    ) -> None:
        self.trace, self.dtype, self.accurate = trace, dtype, accurate
        trace.refuse_leaks(list(results.values()))
        lowered = trace.run(lambda: lower([*results.values(), *trace.dropped]))
        nodes = lowered[: len(results)]
        whole = read_as_numbers(nodes)
        self.whole = [i for i, x in enumerate(trace.inputs.values()) if x in whole]
        self.names = SizeNames(trace.conditions.equal)
        roots = own_nodes([without_reshape(x, self.names) for x in nodes])
        plan = schedule(roots, self.names)
        self.scalars = [key for key, x in results.items() if not x.sizes]
        self.shapes = {key: self.names.shape(x) for key, x in results.items() if x.sizes}
        places = [scalar.format(i=self.scalars.index(k), key=k) if k in self.scalars else k for k in results]
        writer = Writer(plan, self.names, dict(zip(roots, places, strict=True)), dtype, accurate, **style)
        writer.taken.update(trace.inputs, trace.masks, results)
        for lookup in lowered[len(results) :]:
            writer.require_range(lookup)
        self.lines = writer.body()
        self.buffers, self.functions, self.steps = writer.buffers, writer.functions(), plan.steps

    def own_sizes(self) -> dict[str, tuple[str, int]]:
        """Each name of a size that the lines use → (input, axis) where it is found."""
        return {
            size.text: (name, axis)
            for name, x in self.trace.inputs.items()
            for axis, size in enumerate(x.sizes)
            if isinstance(size, Size) and self.names.of(size) == size.text
        }

    def sizes(self, arrays: Sequence[Any]) -> dict[str, int] | None:
        """Name → length for these inputs; None if the trace would have taken another course with them."""
        found: dict[str, int] = {}
        for x, array in zip(self.trace.inputs.values(), arrays, strict=True):
            shape = np.shape(array)
            if len(shape) != x.ndim:
                return None
            for size, n in zip(x.sizes, shape, strict=True):
                if (found.setdefault(size.text, n) if isinstance(size, Size) else size) != n:
                    return None
        return found if self.trace.conditions.hold(found) else None

    def shape_comments(self) -> list[str]:
        shapes = [f"{name} ({', '.join(self.names.shape(x))})" for name, x in self.trace.inputs.items() if x.sizes]
        shapes += [f"{name} ({', '.join(sizes)})" for name, sizes in self.buffers.items()]
        return [f"# {'; '.join(shapes[i : i + 5])}" for i in range(0, len(shapes), 5)]


class Program(ProgramBody):
    """A compiled trace: `code`, with arrays for the workspace and the results; `text` is its Python source."""

    name = "program"
    by_address = False  # whether it receives its arrays by address

    def __init__(
        self, trace: Trace, results: Mapping[str, Traced], dtype: str, accurate: bool = False, parallel: bool = False
    ) -> None:
        wide = (
            dtype == "float32"
        )  # single numbers are float64, as in Python and for NumPy's own, whatever the arrays are
        super().__init__(trace, results, dtype, accurate, scalar="results[{i}]", parallel=parallel, wide=wide)
        self.parallel = any("prange(" in line for line in self.lines)
        self.parameters = list(dict.fromkeys([*trace.inputs, "work", *self.shapes, "results"]))
        self.workspaces = threading.local()
        self.captured_structure: list[Any] = []

    def signature(self) -> Any:
        """Equal for two traces that compute the same from the same numbers."""
        numbers = [(x.shape, x.dtype, x.tobytes()) for x in map(number_array, self.read_anew())]
        # body(), because the whole text takes as long as a trace
        return self.parameters, self.body(), self.functions, numbers

    def read_anew(self) -> Sequence[Any]:
        """The things the function closes over whose numbers the program reads at each call."""
        return list(self.trace.captured.values())

    @property
    def text(self) -> str:
        """The module: the operations, then the program as one function."""
        return module_writer.module(
            self.functions, self.name, ", ".join(self.parameters), self.body(), accurate=self.accurate,
            parallel=self.parallel,
        )  # fmt: skip

    def body(self) -> str:
        """The lines of the program: shapes, sizes, loops."""
        return "\n".join(indent([*self.shape_comments(), *self.prologue(), *self.rooms(), *self.lines]))

    def prologue(self) -> Iterable[str]:
        """The lines that read the sizes off the arguments."""
        return [f"{size} = {name}.shape[{axis}]" for size, (name, axis) in self.own_sizes().items()]

    def listing(self, name: str) -> str:
        """The loops as one function of that name, then the operations that they call, without the code around them."""
        parameters = module_writer.list_names(", ".join(self.parameters), 4)
        function = f"def {name if name.isidentifier() else self.name}(\n{parameters}\n):\n{self.body()}\n"
        below = module_writer.without_decorators(self.functions)
        return f"{function}\n\n{OPERATIONS}\n\n{below}" if below else function

    def rooms(self) -> Iterable[str]:
        """Each intermediate result as a part of one workspace: another array takes 0.02 s to compile and 0.1 µs a call.

        Each begins at a multiple of 8 numbers.
        """
        if self.buffers:
            yield "place = 0"
        for name, sizes in self.buffers.items():
            yield f"{name} = room(work, place, ({', '.join(map(bare, sizes))}{',' * (len(sizes) == 1)}))"
            yield f"place += ({' * '.join(f'({bare(n)})' for n in sizes)} + 7) // 8 * 8"

    def compile(self) -> Callable[..., None]:
        """Compile the text to machine code."""
        return getattr(cache.load(self.text, self.name), self.name)  # type: ignore[no-any-return]

    def workspace(self, sizes: Mapping[str, int], key: Any = None) -> list[Array]:
        """The arrays for intermediate results: made once for these sizes, separately in each thread."""
        key = key or tuple(sizes.items())
        kept: dict[Any, list[Array]] = self.workspaces.__dict__.setdefault("kept", {})
        if key not in kept:
            if len(kept) > 8:
                kept.clear()
            total = sum(-(-math.prod(shape_of(s, sizes)) // 8) * 8 for s in self.buffers.values())
            kept[key] = [np.empty(total, self.dtype)]
        return kept[key]

    def arguments(
        self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]], sizes: Mapping[str, int]
    ) -> tuple[list[Any], list[Array]]:
        """(what the machine code takes, before its single results; the arrays of the results)."""
        out = [np.empty(shape, self.dtype) for shape in shapes]
        return [*inputs, *self.workspace(sizes), *out], out

    def results(self, sizes: Mapping[str, int]) -> list[Array]:
        """New arrays for the results."""
        return [np.empty(shape_of(s, sizes), self.dtype) for s in self.shapes.values()]

    @property
    def code(self) -> Callable[..., None]:
        found = self.__dict__.get("_code")
        if found is None:
            found = self.__dict__["_code"] = self.compile()
        return found


def indent(lines: Iterable[str], depth: int = 1) -> list[str]:
    return [INDENT * depth + line for line in lines]


def shape_of(texts: Sequence[str], sizes: Mapping[str, int]) -> tuple[int, ...]:
    """Named sizes as numbers: ("n", "2 * m") → (10, 6)."""
    return tuple(evaluate(text, sizes) for text in texts)


def number_array(x: Any) -> Array:
    if isinstance(x, Tensor):
        return array_unnoted(x)  # type: ignore[no-any-return]
    refuse_masked(x)
    return np.asarray(x)
