"""From a function of arrays to a compiled program: trace, differentiate, lower, fuse, write, load."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.codegen import module_writer
from tinygrad_edu.compile.codegen.index_maps import bare
from tinygrad_edu.compile.codegen.loops import Writer
from tinygrad_edu.compile.ir import rules  # noqa: F401  (fills DECOMPOSITIONS)
from tinygrad_edu.compile.ir.dims import evaluate
from tinygrad_edu.compile.ir.node import Size, Traced
from tinygrad_edu.compile.ir.work import work
from tinygrad_edu.compile.passes.fuse import SizeNames, own_nodes, schedule, without_reshape
from tinygrad_edu.compile.passes.lower import lower
from tinygrad_edu.compile.passes.whole_numbers import read_as_numbers
from tinygrad_edu.compile.rounds import reverse as of_loops  # noqa: F401  (fills PULL_BACKS)
from tinygrad_edu.compile.rounds import trace as rounds  # noqa: F401  (fills DECOMPOSITIONS)
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.compile.unread import array_unnoted
from tinygrad_edu.core.formulas.readings import refuse_masked
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.core.tensor import Tensor

Array = np.ndarray[Any, Any]
INDENT = "    "
OPERATIONS = "# The operations that are called above."


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
        trace.refuse_casts(dtype)
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
        self.classes: dict[Sequence[type], list[Any]] = {}  # of results, by those of the arguments: see result_types.py
        self.compared: set[Any] = set()  # the kinds of runs that were compared with the function: see first_run.py
        self.changes_python = False  # does its trace change anything in Python? Set by forms.py
        self.before: Any = None  # the state before that trace, until its first run
        self.result_dtypes: Sequence[Any] = ()  # NumPy's, of the results, where they are not all the program's own

    def work(self) -> float:
        """About how many numbers NumPy computes for the results, a call of it counted as so many."""
        return work(list(tree_leaves(self.trace.results)))

    def has_float32(self) -> bool:
        """Is anything computed in float32?"""
        return self.dtype == "float32" or self.trace.mixed

    def signature(self) -> Any:
        """Equal for two traces that compute the same from the same numbers."""
        numbers = [(x.shape, x.dtype, x.tobytes()) for x in map(number_array, self.read_anew())]
        # body(), because the whole text takes as long as a trace
        constants = self.trace.frame.constants if self.trace.frame is not None else []
        kept = [keep.name for keep in self.trace.kept]
        return self.parameters, self.body(), self.functions, numbers, constants, kept

    def keeps(self) -> set[str]:
        """The names under which it keeps results in Python."""
        return {keep.name for keep in self.kept_places()}

    def kept_places(self) -> Sequence[Any]:
        """The places themselves."""
        return self.trace.kept

    def conditions(self) -> Any:
        """What its trace has learned about its sizes."""
        return self.trace.conditions

    def fixes(self) -> set[Any]:
        """The sizes that other sizes or numbers have been found equal to."""
        return {(a, b) for a, b, equal in self.trace.conditions.answers if equal}

    def fix_sizes(self, sizes: Sequence[Any]) -> None:
        """Serve these alone, which the function has kept in Python as numbers."""
        for n in sizes:
            self.trace.conditions.note(n.text, str(n.length), True, False)

    def keep_arrays(self, outside: Any) -> None:
        """Keep what was in arrays that the function has made and written to; see met_arrays.py."""
        self.trace.met.keep(self.trace.captured, outside)

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


def has_other_array(x: Any, array: Array) -> bool:
    """Does a Tensor hold another array than this?"""
    return isinstance(x, Tensor) and x.array is not array


def number_array(x: Any) -> Array:
    if isinstance(x, Tensor):
        return array_unnoted(x)  # type: ignore[no-any-return]
    refuse_masked(x)
    return np.asarray(x)
