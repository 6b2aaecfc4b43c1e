"""A function run on nodes: its inputs, the arrays that it closes over, what it has asked for, its results."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.compile.codegen.names import TRAINING, free_name
from tinygrad_edu.compile.ir import rules  # noqa: F401  (fills DECOMPOSITIONS)
from tinygrad_edu.compile.ir.casts import ROUNDED
from tinygrad_edu.compile.ir.dims import ACTIVE, MADE, Conditions, conditions_at_start
from tinygrad_edu.compile.ir.node import COUNTER, Size, Traced, as_node, differentiate
from tinygrad_edu.compile.ir.replay import replay
from tinygrad_edu.compile.ir.stands_for import mark
from tinygrad_edu.compile.ir.truth import FLOAT, TRUTH, as_float
from tinygrad_edu.compile.met_arrays import MetArrays
from tinygrad_edu.compile.passes.float_dtypes import SINGLE, add_dtypes, dtype_of_input
from tinygrad_edu.compile.rounds import reverse as of_loops  # noqa: F401  (fills PULL_BACKS)
from tinygrad_edu.compile.rounds import trace as rounds  # noqa: F401  (fills DECOMPOSITIONS)
from tinygrad_edu.compile.unread import original, read_of
from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import Dtype
from tinygrad_edu.core.formulas.readings import numbers_of_frame, refuse_own_rules
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.modes import MODES, tracing
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.identity import first_places
from tinygrad_edu.core.writes.other_names import MADE_BY_PROGRAM, ArrayMemory, refuse_old, watching
from tinygrad_edu.core.writes.write_guard import CLOCK
from tinygrad_edu.errors import NonScalarBackwardError, OperandError, TraceError


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
    conditions: Conditions = field(default_factory=conditions_at_start)
    reserved: Container[str] = TRAINING  # names used around the program
    fixed: bool = False  # sizes are plain numbers: the program serves these alone
    # the numbers of rows that it is traced for, if plain numbers made of the rows do not fix them: see forward.py
    counted: tuple[int, ...] = ()
    careful: bool = False  # a gradient of 0 stays 0 whatever the derivative: see differentiate
    differentiated: bool = False  # a transform inside the function has asked for derivatives
    floats: Any = FLOAT  # the dtype of its floats, as far as it is known yet
    numbers: set[Any] = field(default_factory=set)  # float64 where a number of NumPy's has it
    mixed: bool = False  # there are both float32 and float64 among the arguments
    dtypes: dict[Traced, Any] = field(default_factory=dict)  # see passes/float_dtypes.py
    of_inputs: dict[Traced, Any] = field(default_factory=dict)  # their dtypes; None: a number
    known: dict[Traced, Any] = field(default_factory=dict)  # the dtypes of nodes that have been asked for theirs
    casts: set[Any] = field(default_factory=set)  # the dtypes of floats that the function casts to, besides `floats`
    asked: set[str] = field(default_factory=set)  # for the "class" of a node, or whether two are one: "identity"
    same: dict[Traced, Traced] = field(default_factory=dict)  # inputs for which others stand: see one_for_each
    in_float64: bool = False  # it computes with float64 whatever its arrays hold
    meets_double: bool = False  # there are both float32 and float64 among what it computes
    draws: bool = False  # belongs to a training step, which may draw random numbers and change buffers of the model
    masks: dict[str, Mask] = field(default_factory=dict)
    followed: list[tuple[Tensor, Traced]] = field(default_factory=list)  # what a step changes besides the parameters
    signature: Any = None  # equal for traces that give the same program
    # operations recorded whole, for an interpreter that has a form of its own for them
    keep: frozenset[str] = frozenset()
    written_out: frozenset[Any] | None = frozenset()  # steps of loops that are unrolled; None: all
    begun: int = field(default_factory=lambda: next(CLOCK))  # Tensors made later belong to the trace
    first: int = field(default_factory=lambda: next(COUNTER))  # nodes made earlier belong to another trace
    sizes_from: int = field(default_factory=lambda: next(MADE))  # the same for sizes
    met: MetArrays = field(default_factory=MetArrays)
    lookups: list[Traced] = field(default_factory=list)  # nodes that read at an index
    from_zero: dict[Traced, str] = field(default_factory=dict)  # indices that may not be negative: who says so
    dropped: list[Traced] = field(default_factory=list)  # those of `lookups` on which no result depends
    leaves: set[Traced] = field(default_factory=set)  # nodes inside loop bodies, which are meaningless outside
    tensors: list[Traced] = field(default_factory=list)  # inputs that stand for arguments which are Tensors
    frame: Any = None  # the results with the constants among them, which are not part of the program
    written: list[Any] = field(default_factory=list)  # what the function has written into its arguments by `+=`
    kept: list[Any] = field(default_factory=list)  # what it leaves in Python of what it computes: kept_results.py
    left: list[Traced] = field(default_factory=list)  # the nodes in `kept`
    kept_dtypes: Sequence[Any] = ()  # NumPy's dtypes of these
    memory: ArrayMemory = field(default_factory=ArrayMemory)  # of the last run: what its += have written to

    node = staticmethod(as_node)

    def input(self, name: str, array: Any, named: int = 0) -> Traced:
        """A new input with the shape of an array; an axis of length 1 keeps that length in the program.

        `named`: how many axes have names where the others are fixed.
        """
        name = free_name(name, self.inputs, self.reserved)
        shape, count = np.shape(array), named if self.fixed else np.ndim(array)
        sizes = tuple(Size(n, f"{name}_{i}") if i < count and n != 1 else n for i, n in enumerate(shape))
        x = self.inputs[name] = Traced(sizes, name=name, label=name)
        self.of_inputs[x] = getattr(array, "dtype", FLOAT if shape else None)
        return x

    def one_for_each(self, leaves: Sequence[Any]) -> list[Traced]:
        """The inputs for these arguments, one for an array that is given twice."""
        self.asked.add("identity")
        inputs = list(self.inputs.values())
        self.same = {x: inputs[i] for x, i in zip(inputs, first_places(leaves), strict=True)}
        return list(self.same.values())

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
        array = numbers_of_frame(array)
        for name, known in self.captured.items():
            if known is array and self.met.is_same(name, array):
                return self.inputs[name]
        if isinstance(array, Tensor) and array.parents:
            if array._made > self.begun:
                return self.lift(array)
            if self.draws:
                raise TraceError(
                    f"{array!r:.60} was computed before training, from what training may change: compute it in forward"
                )
        refuse_own_rules(array)
        if not isinstance(array, Tensor) and np.asarray(array).dtype.kind not in "fiub":
            raise OperandError(f"{array!r:.60} in a compiled function is neither a number nor an array of them")
        node = self.input(getattr(array, "label", "") or "given", read_of(array))
        self.captured[node.name] = array
        self.met.note(node.name, array)
        mark(node, Tensor if isinstance(array, Tensor) else type(original(array)))
        return node

    def lift(self, root: Tensor) -> Traced:
        """Tensor operations done before a traced value was met, lifted into the program."""
        done: dict[Any, Traced] = {}
        for x in topological(root):
            inputs = [done.get(p, p) if isinstance(p, Tensor) else p for p in x.parents]
            done[x] = replay(x, inputs) if x.op is not None and x._made > self.begun else self.capture(x)
        return done[root]

    def note_gradients(self, found: list[Traced], inputs: Sequence[Traced]) -> list[Traced]:
        """The gradients by these inputs; eagerly each has the dtype of its input."""
        self.differentiated = True
        return [self.note_dtype(g, x) for g, x in zip(found, inputs, strict=True)] if self.mixed else found

    def note_dtype(self, x: Traced, like: Any) -> Traced:
        """The same numbers, of this dtype or of that of another node."""
        if self.mixed:
            x = Traced(x.sizes, ops.pos, (x,), kind=x.kind)
            self.dtypes[x] = like
        elif x.op is not None:
            self.dtypes.setdefault(x, like)
        return x

    def dtype_of(self, x: Traced) -> Any:
        """The dtype of floats that x has eagerly, as far as it is certain."""
        return SINGLE if (self.numpys_dtype_of(x) if self.mixed else self.floats) == SINGLE else FLOAT

    def numpys_dtype_of(self, x: Traced) -> Any:
        """NumPy's dtype of a node; None for a number of Python's."""
        for each, dtype in self.of_inputs.items():
            if each not in self.known:
                self.known[each] = dtype_of_input(each, dtype)
        add_dtypes([x], self.known, self.dtypes)
        return self.known[x]

    def cast(self, x: Traced, dtype: Dtype) -> Traced:
        """x in that dtype of floats; from the first cast on the function has both, and the program float64."""
        # not `in (None, self.floats)`: np.dtype(float) == None
        others = [each for each in self.of_inputs.values() if each is not None and each != self.floats]
        self.mixed |= any(each.kind == "f" for each in others)
        if x.dtype == dtype:
            return self.note_dtype(x, dtype)
        if dtype != self.floats:
            self.casts.add(dtype)
            self.mixed = True
            self.in_float64 |= dtype == FLOAT
        exact = x.kind == TRUTH
        if x.kind is not FLOAT:
            x = as_float(x)
            self.dtypes[x] = dtype
        return self.note_dtype(ROUNDED(x) if dtype == SINGLE and self.mixed and not exact else x, dtype)

    def refuse_casts(self, dtype: str) -> None:
        """Errors: TraceError where a program of float32 alone would ignore a cast to float64."""
        if dtype == "float32" and FLOAT in self.casts:
            raise TraceError(
                "a cast to float64 in a float32 program cannot be compiled: write x.astype(x.dtype), which keeps the "
                "dtype of x, or use model.astype(np.float64)"
            )

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
        results = list(results)
        self.refuse_stale(results)
        for root in results if self.leaves else ():
            if any(x in self.leaves for x in topological(root, lambda x: x.parents)):
                raise TraceError("a value computed in a step of scan reaches the result without being returned")

    def refuse_stale(self, results: Iterable[Traced]) -> None:
        """Errors: TraceError if a result depends on an input of an earlier trace, which has been kept in Python."""
        nodes = (x for root in results for x in topological(root, lambda x: x.parents))
        kept = next((x for x in nodes if x.op is None and x.made < self.first and x.label), None)
        if kept is not None:
            raise TraceError(
                f"what was computed of {kept.label} in an earlier call was kept in Python (an attribute, a dict, a "
                "list), and this call computes with it, which a compiled program cannot do: give it as an argument, "
                "and return the new one"
            )

    def run(self, f: Callable[[], Any]) -> Any:
        """Run f() with all that it closes over as further inputs; sizes that turn out to be equal are noted."""
        ACTIVE.traces.append(self)
        try:
            with tracing("tensor_trace", Traced), watching(anew=True) as self.memory:
                self.memory.of_tensor.update(dict.fromkeys(self.tensors, True))
                results = f()
                if MODES.written:
                    refuse_old([y for y in tree_leaves(results) if isinstance(y, Traced)], TraceError)
                return results
        finally:
            ACTIVE.traces.pop()

    def gradients(self, wanted: Sequence[Traced]) -> list[Traced]:
        """The derivatives of the one result."""
        if not isinstance(self.results, Traced) or self.results.sizes:
            results = self.results if self.frame is None else self.frame.tree
            raise NonScalarBackwardError(
                f"a gradient needs one number as the result, not {results!r:.80}. Reduce it, as in loss.sum()"
            )
        return self.run(lambda: differentiate(self.results, wanted))  # type: ignore[no-any-return]


def stands_for_tensor(x: Traced, begun: int) -> bool:
    """Is it an input that stands for a Tensor which the function closes over?"""
    return any(isinstance(trace.captured.get(x.name), Tensor) for trace in ACTIVE.traces)


MADE_BY_PROGRAM[Traced] = stands_for_tensor
