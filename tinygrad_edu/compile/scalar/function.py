"""`jit` of functions of numbers: a trace on the tape, replayed forward and backward."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.compile.codegen.names import free_name
from tinygrad_edu.compile.first_run import compared, float_of, on_leaves, with_gradients
from tinygrad_edu.compile.in_graph import number_node
from tinygrad_edu.compile.ir.truth import is_comparison, refuse_own
from tinygrad_edu.compile.ir.work import CALL
from tinygrad_edu.compile.kept_results import WithoutSizes, kept_by_trace, put_each, undo_attempt
from tinygrad_edu.compile.number_classes import class_of, float_in_class, gradient_like, kinds_of
from tinygrad_edu.compile.passes.exact_range import (
    EXACT,
    KEEP_WHOLE,
    WholeNumbers,
    read_exactly,
    refuse_computed,
)
from tinygrad_edu.compile.planted_errors import meet
from tinygrad_edu.compile.scalar.listing import python_lines
from tinygrad_edu.compile.scalar.tape import Tape
from tinygrad_edu.compile.scalar.tape_loops import LEAF
from tinygrad_edu.compile.untraceable import call_with_nodes, explain_failure
from tinygrad_edu.core import ops
from tinygrad_edu.core.graph import cotangents, topological
from tinygrad_edu.core.modes import MODES, tracing
from tinygrad_edu.core.mutex import Mutex
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.core.operators import install
from tinygrad_edu.core.pytree import flatten, tree_leaves, tree_map, unflatten, with_leaves
from tinygrad_edu.core.stretched_values import LEFT, warn_stretched_values
from tinygrad_edu.core.tracing.stands_for import class_told, let_answer, refuse_number, set_class
from tinygrad_edu.core.transforms.origins import remember_call
from tinygrad_edu.core.value import PARENTS, Value, constant, is_array, over_arrays
from tinygrad_edu.errors import NonScalarBackwardError, OperandError, TraceError

Function = Callable[..., Any]
NUMBER: Any = inspect.getattr_static(Value, "data")  # the slot itself, because a subclass redefines `data`


class TracedValue(Value):
    """A Value during tracing: a comparison is recorded like any operation, and neither `if` nor `.data` is allowed.

    Everything computed from Values while the trace is running becomes one, and so does a plain number.
    """

    __slots__ = ()

    @property
    def data(self) -> float:
        """The number of the first call: refused while tracing, which would keep it for all calls."""
        if MODES.value_trace is not None:
            raise TraceError(
                "the number of a traced Value would be frozen in the program: a compiled function consists of "
                "operations only. To choose by a number use tg.ops.where(condition, a, b)"
            )
        return NUMBER.__get__(self)  # type: ignore[no-any-return]

    @data.setter
    def data(self, x: float) -> None:
        NUMBER.__set__(self, x)

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Any:
        if any(map(is_array, arguments)):
            return over_arrays(operation, arguments)
        refuse_own(operation)
        meet(operation.name, (), not isinstance(arguments[-1], Value))
        if not MODES.recording:  # a program on arrays can handle no_grad
            raise TraceError("no_grad in a compiled function of numbers: give them as arrays, np.array(x)")
        parents = tuple([x if isinstance(x, Value) else made_of(x) for x in arguments])
        inputs = [NUMBER.__get__(x) for x in parents]
        y = operation.on_floats(*inputs)
        made = TracedValue(float(y))
        made.op, made.parents = operation, parents
        made.partials = operation.partials_on_floats(y, inputs)
        return made

    @staticmethod
    def derivatives(root: Value, inputs: Sequence[Value], seed: Any) -> list[Value]:
        """seed·∂root/∂input as further nodes: a transform inside a compiled function."""

        def pull(x: Value, g: Value) -> Iterable[tuple[Value, Value]]:
            partials = x.op.partials(x, *x.parents) if x.op is not None and x.op.partials else ()
            each = zip(x.parents, partials, strict=False)
            return [(p, keep_zero(g, d)) for p, d in each if isinstance(d, Value) or d != 0.0]

        start = seed if isinstance(seed, Value) else TracedValue(seed)
        found = cotangents(topological(root, PARENTS), start, pull)
        return [found[x] if x in found else TracedValue(0.0) for x in inputs]

    def __bool__(self) -> bool:
        what = self.op.name if self.op else self.label or "a Value"
        raise TraceError(
            f"a compiled function cannot branch on the value of {what} = {NUMBER.__get__(self)!r}: the trace would "
            "keep one branch for all inputs. Compute both branches and choose with tg.ops.where(condition, a, b)"
        )

    def __repr__(self) -> str:
        op = f", op={self.op.name!r}" if self.op else ""
        return f"TracedValue({NUMBER.__get__(self)!r}{op})"

    __hash__ = object.__hash__
    __class__ = property(class_told, set_class)

    def eager_classes(self) -> tuple[Any, ...]:
        """Errors: TraceError, after which the function is traced with nodes that know what they are computed from."""
        raise TraceError("a compiled function asks for the class of a number")

    refuse_question = refuse_number


class WholeConstant(TracedValue):
    """An int in the text of a function: what Python computes of such numbers alone is exact."""

    __slots__ = ()


def made_of(x: Any) -> TracedValue:
    """A number in the text of a function."""
    return WholeConstant(x) if isinstance(x, int) else TracedValue(x)


def keep_zero(g: Value, partial: Any) -> Any:
    """g·∂y/∂x, where a gradient of 0 stays 0 even through an infinite derivative."""
    if not isinstance(partial, Value):
        return g * partial
    infinite = ops.not_equal(partial - partial, 0.0)
    return g * ops.where(ops.equal(g, 0.0) * infinite, 0.0, partial)


install(TracedValue)
let_answer(TracedValue)


class TapeProgram(WithoutSizes):
    """One trace: the tape, the rows of the arguments on it, and what the function returns."""

    def __init__(self, f: Function, nesting: Any, given: Sequence[Any]) -> None:
        self.nesting = nesting
        self.inputs = inputs = [TracedValue(number(x)) for x in given]
        with tracing("value_trace", TracedValue):
            self.result = call_with_nodes(f, unflatten(nesting, iter(inputs)))
        outputs: list[Any] = []
        self.result_nesting = flatten(self.result, outputs)
        if not all(isinstance(y, Value) for y in outputs):
            raise OperandError(
                f"a compiled function returns numbers that it computes from its arguments, not {self.result!r:.80}"
            )
        self.kept = kept_by_trace()
        left = [x for keep in self.kept for x in keep.nodes()]
        self.tape = Tape([*outputs, *left], inputs, lambda leaf: isinstance(leaf, TracedValue))
        self.input_rows = np.array([self.tape.row(x) for x in inputs], dtype=np.int64)
        self.kept_rows = self.tape.outputs[len(outputs) :]
        self.output_rows = self.tape.outputs = self.tape.outputs[: len(outputs)]
        self.closed_over = [x for x in self.tape.leaves if not isinstance(x, TracedValue)]
        self.closed_over_rows = [self.tape.row(x) for x in self.closed_over]
        self.lock = Mutex()  # guards the tape's numbers
        self.compared: set[Any] = set()  # the kinds of runs that were compared with the function: see first_run.py
        self.classes: dict[Any, list[Any]] = {}  # of results, by those of the arguments: see number_classes.py
        self.changes_python = False  # does its trace change anything in Python? Set by forms.py
        self.before: Any = None  # the state before that trace, until its first run
        self.whole: dict[Any, Any] = {}  # rows of whole numbers, by the types of the arguments

    def work(self) -> float:
        """How long the function itself takes, in numbers that NumPy would compute in the same time."""
        return float(CALL * len(self.tape.rows))

    def has_float32(self) -> bool:
        """Is anything computed in float32?"""
        return False

    def signature(self) -> Any:
        """Equal for two traces that compute the same from the same Values."""
        tape, own = self.tape, [*self.input_rows, *self.closed_over_rows]
        constants = np.where((tape.code == LEAF) & ~np.isin(np.arange(tape.code.size), own), tape.data, 0.0)
        kept = [keep.name for keep in self.kept]
        return tape.code.tobytes(), tape.inputs.tobytes(), constants.tobytes(), [x.data for x in self.closed_over], kept

    def keep_arrays(self, outside: Any) -> None:
        """Errors: TraceError if the function writes to a Value that it computes with."""
        outside.refuse_written(self.closed_over)

    def read_anew(self) -> Sequence[Any]:
        """The Values the function closes over whose numbers the program reads at each call."""
        return self.closed_over

    def forward(self, given: Sequence[Any]) -> Any:
        """The result for these arguments and the present data of the Values that the function closes over."""
        data = self.tape.data
        kinds = tuple(map(type, given))
        floats = set(kinds) == {float}
        data[self.input_rows] = given if floats else [number(x) for x in given]
        data[self.closed_over_rows] = [x.data for x in self.closed_over]
        self.tape.forward()
        if self.kept:
            put_each(self.kept, data[self.kept_rows].tolist())
        if not floats:
            refuse_computed(float(np.sum(~(np.abs(data[self.whole_rows(kinds)]) <= EXACT["float64"]))), "float64")
        return unflatten(self.result_nesting, iter(data[self.output_rows].tolist()))

    def note_classes(self, kinds: tuple[Any, ...], results: Any) -> None:
        """Results for arguments of these classes have the classes of those of the function itself."""
        found = list(map(class_of, tree_leaves(results)))
        if any(found):
            self.classes[kinds] = found

    def in_classes(self, y: Any, given: Sequence[Any]) -> Any:
        """Results of the tape, which are floats, as whole numbers and truth values where the function gives these."""
        found = self.classes.get(kinds_of(given)) if self.classes else None
        return y if found is None else with_leaves(y, map(float_in_class, tree_leaves(y), found))

    def whole_rows(self, kinds: tuple[type, ...]) -> list[int]:
        """The rows of what Python computes exactly, from arguments that are ints, and whose last digit counts."""
        if kinds not in self.whole:
            pairs = zip(self.inputs, kinds, strict=True)
            whole: dict[Value, Any] = dict.fromkeys([x for x, kind in pairs if issubclass(kind, int)], int)
            order = list(self.tape.rows) if whole else []
            for x in order:
                ints = x.op is not None and x.op.name in KEEP_WHOLE
                if ints and all(p in whole or isinstance(p, WholeConstant) for p in x.parents):
                    whole[x] = int
            found = WholeNumbers([x for x in order if x in whole or is_comparison(x)], whole, {})
            self.whole[kinds] = [self.tape.row(x) for x in read_exactly(found)[None]]
        return self.whole[kinds]  # type: ignore[no-any-return]

    def backward(self) -> Any:
        """The gradient of the one output, in the nesting of the arguments."""
        if len(self.output_rows) != 1:
            raise NonScalarBackwardError(
                f"a gradient needs one number as the result; here there are {len(self.output_rows)}. Sum them first"
            )
        self.tape.backward([1.0])
        return unflatten(self.nesting, iter(self.tape.grad[self.input_rows].tolist()))

    def look_for_stretched(self) -> None:
        """Warn if the number that it returns compares each output with the target of every sample."""
        own = set(map(id, self.inputs))
        inner = [x for x in self.tape.rows if x.op is not None]
        warn_stretched_values(inner, lambda x: x.op is None and isinstance(x, TracedValue) and id(x) not in own)

    def slopes(self) -> list[float]:
        """After `forward`: the gradient with respect to each Value that the function closes over."""
        self.backward()
        return self.tape.grad[self.closed_over_rows].tolist()  # type: ignore[no-any-return]

    def slopes_at(self, given: Sequence[Any]) -> Callable[[], list[float]]:
        """A function that returns `slopes` for these arguments and the Values' numbers at that time."""

        def now() -> list[float]:
            with self.lock.freed(), self.lock.taken:
                self.forward(given)
                return self.slopes()

        return now


class ScalarFunction:
    """A function of numbers, on the tape: another nesting of the arguments is traced again, other numbers are not."""

    def __init__(self, f: Function, run_trace: Callable[[Function], Any] = lambda trace: trace()) -> None:
        self.f, self.run_trace = f, run_trace
        self.programs: dict[Any, TapeProgram] = {}

    def program(self, arguments: Sequence[Any]) -> tuple[TapeProgram, list[Any]]:
        """The trace for arguments nested like these, and the numbers in them."""
        given: list[Any] = []
        nesting = flatten(tuple(arguments), given)
        if nesting not in self.programs:
            self.programs[nesting] = self.run_trace(lambda: self.trace_program(nesting, arguments, given))
        return self.programs[nesting], given

    def trace_program(self, nesting: Any, arguments: Sequence[Any], given: Sequence[Any]) -> TapeProgram:
        undo_attempt()
        with explain_failure(self.f, arguments):
            return TapeProgram(self.f, nesting, given)

    def call(self, arguments: Sequence[Any], name: str) -> Any:
        """The result as plain numbers; a Value if it depends on Values that the function closes over."""
        program, given = self.program(arguments)
        run, kinds = partial(self.run_program, program, arguments, given, name), kinds_of(given)
        note = partial(program.note_classes, kinds)
        return compared(program, self.f, arguments, run, note=note, key=kinds)

    def run_program(self, program: TapeProgram, arguments: Sequence[Any], given: Sequence[Any], name: str) -> Any:
        """The same, by a program that there is."""
        closed_over = program.closed_over if MODES.recording else []
        if closed_over and (program.result_nesting is not None or program.kept):
            return self.f(*arguments)
        with program.lock.freed(), program.lock.taken:
            y = program.forward(given)
            partials = program.slopes() if closed_over else []
        if not closed_over:
            return program.in_classes(y, given)
        return number_node(name, y, partials, program.slopes_at(given), lambda: self.f(*arguments), closed_over)

    def value_and_gradients(self, arguments: Sequence[Any], *_: Any) -> tuple[Any, Any]:
        """(result, gradients nested like the arguments): all of them, since the tape computes them anyway."""
        program, given = self.program(arguments)
        if LEFT[0] > 0:
            program.look_for_stretched()
        own = on_leaves(with_gradients(self.f, None), float_of)
        return tuple(
            compared(program, own, arguments, partial(self.run_both, program, given), partial(tree_map, float_of))
        )

    def run_both(self, program: TapeProgram, given: Sequence[Any]) -> tuple[Any, Any]:
        """The same, by a program that there is."""
        with program.lock.freed(), program.lock.taken:
            value, found = program.forward(given), program.backward()
        if np.ndarray in map(type, given):
            found = with_leaves(found, map(gradient_like, tree_leaves(found), given))
        return tuple(remember_call(self.f, (value, found), program.closed_over if MODES.recording else [], given))

    def backward(self, arguments: Sequence[Any]) -> Any:
        """The result, its gradient added to the Values that the function closes over."""
        program, given = self.program(arguments)
        own, run = on_leaves(self.f, float_of), partial(self.run_backward, program, given)
        result, gradients = compared(program, own, arguments, run, lambda both: both[0], key="backward")
        for x, g in zip(program.closed_over, gradients, strict=True):
            x.grad += g
        return result

    def run_backward(self, program: TapeProgram, given: Sequence[Any]) -> tuple[Any, Sequence[float]]:
        """(the result, its gradient by each Value that the function closes over)."""
        with program.lock.freed(), program.lock.taken:
            return program.forward(given), program.slopes()

    def source(self, name: str) -> str:
        """The newest trace as plain Python."""
        text = "\n".join(python_lines(list(self.programs.values())[-1], free_name(name, (), ())))
        return f"import math\n\n\n{text}" if "math." in text else text

    def module_source(self, name: str) -> str:
        """`source`: what really runs is a list of numbers that a compiled loop goes through."""
        return self.source(name)


def number(x: Any) -> float:
    return x.data if isinstance(x, Value) else constant(x).data
