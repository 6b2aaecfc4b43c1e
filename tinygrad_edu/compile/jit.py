"""`jit`: a function traced once and run at compiled speed, on the tape for numbers, as a program for arrays."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

import numpy as np

from tinygrad_edu.compile.array_function import ArrayFunction
from tinygrad_edu.compile.codegen.formulas import literal, partial_texts
from tinygrad_edu.compile.codegen.names import free_name
from tinygrad_edu.compile.scalar.tape import Tape
from tinygrad_edu.core.modes import MODES, tracing
from tinygrad_edu.core.operation import EVERYWHERE, Operation
from tinygrad_edu.core.operators import install
from tinygrad_edu.core.pytree import flatten, unflatten
from tinygrad_edu.core.value import Value, constant, is_array, over_arrays
from tinygrad_edu.errors import NonScalarBackwardError, OperandError, TraceError

Function = Callable[..., Any]
PLAIN = frozenset([float, int])
NUMBER: Any = vars(Value)["data"]  # the slot itself, whatever a subclass makes of the name


class TracedValue(Value):
    """A Value during tracing: a comparison is recorded like any operation, and neither `if` nor `.data` is allowed.

    Whatever is computed from Values while the trace is at work becomes one, and so does a plain number.
    """

    __slots__ = ()

    @property
    def data(self) -> float:
        """The number of the first call: refused while the trace is at work, which would keep it for all calls."""
        if MODES.value_trace is not None:
            raise TraceError(
                "the number of a traced Value would be frozen in the program: a compiled function computes with "
                "operations alone. To decide by a number use tg.ops.where(condition, a, b)"
            )
        return NUMBER.__get__(self)  # type: ignore[no-any-return]

    @data.setter
    def data(self, x: float) -> None:
        NUMBER.__set__(self, x)

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Any:
        if any(map(is_array, arguments)):
            return over_arrays(operation, arguments)
        parents = tuple([x if isinstance(x, Value) else TracedValue(x) for x in arguments])
        inputs = [NUMBER.__get__(x) for x in parents]
        y = operation.on_floats(*inputs)
        made = TracedValue(float(y))
        made.op, made.parents = operation, parents
        made.partials = operation.partials_on_floats(y, inputs)
        return made

    def __bool__(self) -> bool:
        what = self.op.name if self.op else self.label or "a Value"
        raise TraceError(
            f"a compiled function cannot decide by the value of {what} = {NUMBER.__get__(self)!r}: the trace would "
            "keep one branch for all inputs. Compute both branches and choose with tg.ops.where(condition, a, b)"
        )

    def __repr__(self) -> str:
        op = f", op={self.op.name!r}" if self.op else ""
        return f"TracedValue({NUMBER.__get__(self)!r}{op})"

    __hash__ = object.__hash__


install(TracedValue)


class Program:
    """One trace: the tape, where the arguments stand on it, and what the function returns."""

    def __init__(self, f: Function, nesting: Any, given: Sequence[Any]) -> None:
        self.nesting = nesting
        inputs = [TracedValue(number(x)) for x in given]
        with tracing("value_trace", TracedValue):
            self.result = f(*unflatten(nesting, iter(inputs)))
        outputs: list[Any] = []
        self.result_nesting = flatten(self.result, outputs)
        if not all(isinstance(y, Value) for y in outputs):
            raise OperandError(
                f"a compiled function returns numbers that it computes from its arguments, not {self.result!r:.80}"
            )
        self.tape = Tape(outputs, inputs)
        self.input_rows = np.array([self.tape.row(x) for x in inputs], dtype=np.int64)
        self.output_rows = self.tape.outputs
        self.closed_over = [x for x in self.tape.leaves if not isinstance(x, TracedValue)]
        self.closed_over_rows = [self.tape.row(x) for x in self.closed_over]
        self.lock = threading.RLock()  # of the tape's numbers

    def forward(self, given: Sequence[Any]) -> Any:
        """The result for these arguments and the present data of the Values that the function closes over."""
        data = self.tape.data
        data[self.input_rows] = given if set(map(type, given)) == {float} else [number(x) for x in given]
        data[self.closed_over_rows] = [x.data for x in self.closed_over]
        self.tape.forward()
        return unflatten(self.result_nesting, iter(data[self.output_rows].tolist()))

    def backward(self) -> Any:
        """The gradient of the one output, in the nesting of the arguments."""
        if len(self.output_rows) != 1:
            raise NonScalarBackwardError(
                f"a gradient needs one number as the result; here there are {len(self.output_rows)}. Sum them first"
            )
        self.tape.backward([1.0])
        return unflatten(self.nesting, iter(self.tape.grad[self.input_rows].tolist()))


class ScalarFunction:
    """A function of numbers, on the tape: another nesting of the arguments is traced anew, other numbers are not."""

    def __init__(self, f: Function) -> None:
        self.f = f
        self.programs: dict[Any, Program] = {}

    def program(self, arguments: Sequence[Any]) -> tuple[Program, list[Any]]:
        """The trace for arguments nested like these, and the numbers in them."""
        given: list[Any] = []
        nesting = flatten(tuple(arguments), given)
        if nesting not in self.programs:
            self.programs[nesting] = Program(self.f, nesting, given)
        return self.programs[nesting], given

    def call(self, arguments: Sequence[Any]) -> Any:
        """The result as plain numbers."""
        program, given = self.program(arguments)
        with program.lock:
            return program.forward(given)

    def value_and_gradients(self, arguments: Sequence[Any]) -> tuple[Any, Any]:
        """(result, gradients nested like the arguments)."""
        program, given = self.program(arguments)
        with program.lock:
            return program.forward(given), program.backward()

    def backward(self, arguments: Sequence[Any]) -> Any:
        """The result, its gradient added to the Values that the function closes over."""
        program, given = self.program(arguments)
        with program.lock:
            result = program.forward(given)
            program.backward()
            gradients = program.tape.grad[program.closed_over_rows].tolist()
        for x, g in zip(program.closed_over, gradients, strict=True):
            x.grad += g
        return result

    def source(self, name: str) -> str:
        """The newest trace as plain Python."""
        text = "\n".join(python_lines(list(self.programs.values())[-1], free_name(name, (), ())))
        return f"import math\n\n\n{text}" if "math." in text else text


class CompiledFunction:
    """A function, traced at its first call and run at compiled speed from then on.

    With numbers as arguments it runs on the tape; with an array among them, or no argument and a Tensor as the
    result, as a program of its own. Arguments may be nested in lists, tuples and dicts. Values and Tensors that the
    function closes over, such as a model's parameters, are read anew at every call; what it computes from plain
    arrays of its own is not.
    """

    __name__: str

    def __init__(self, f: Function, accurate: bool = False, parallel: bool = False) -> None:
        functools.update_wrapper(self, f)
        name = getattr(f, "__name__", "")
        self.__name__ = name if name.isidentifier() else "program"
        self.scalars, self.arrays = ScalarFunction(f), ArrayFunction(f, accurate, parallel)
        self.f = f
        self.of_tensors: set[Any] = set()  # nestings of plain numbers for which the function computes with Tensors
        self.newest: ScalarFunction | ArrayFunction | None = None

    def __call__(self, *arguments: Any) -> Any:
        if not MODES.usual and at_work():  # a compiled function inside another one is part of its trace
            return self.f(*arguments)
        return self.chosen(arguments).call(arguments)

    def value_and_grad(self, *arguments: Any, argnum: int | Sequence[int] = 0) -> tuple[Any, Any]:
        """(result, its gradient by the argument, or by several for a sequence of numbers)."""
        result, gradients = self.chosen(arguments).value_and_gradients(arguments)
        return result, gradients[argnum] if isinstance(argnum, int) else tuple(gradients[i] for i in argnum)

    def backward(self, *arguments: Any) -> Any:
        """The result; its gradient is added to `.grad` of the Values or Tensors that the function closes over.

        An optimizer over them then takes its step as after any backward().
        """
        return self.chosen(arguments).backward(arguments)

    def chosen(self, arguments: Sequence[Any]) -> ScalarFunction | ArrayFunction:
        """Which of the two ways fits the arguments."""
        if not MODES.usual and at_work():
            raise TraceError(f"{self.__name__}: a gradient inside a compiled function cannot be compiled")
        given: list[Any] = []
        nesting = flatten(tuple(arguments), given)
        arrays = not PLAIN.issuperset(map(type, given)) and any(map(has_axes, given))
        self.newest = self.arrays if arrays or self.computes_tensors(nesting, arguments) else self.scalars
        return self.newest

    def computes_tensors(self, nesting: Any, arguments: Sequence[Any]) -> bool:
        """Do these plain numbers meet Tensors that the function closes over? Found out by a first trace."""
        if nesting not in self.of_tensors and nesting not in self.scalars.programs:
            try:
                self.scalars.program(arguments)
            except OperandError:
                self.of_tensors.add(nesting)
        return nesting in self.of_tensors

    @property
    def source(self) -> str:
        """The newest trace as Python: forward, then backward, as a student could have written it."""
        if self.newest is None or not self.newest.programs:
            raise TraceError("nothing has been traced yet: call the function once, then read its source")
        return self.newest.source(self.__name__)


@overload
def jit(f: Function, accurate: bool = False, parallel: bool = False) -> CompiledFunction: ...
@overload
def jit(*, accurate: bool = False, parallel: bool = False) -> Callable[[Function], CompiledFunction]: ...
def jit(f: Function | None = None, accurate: bool = False, parallel: bool = False) -> Any:
    """Compile a function: traced at its first call, run at compiled speed from then on.

    In programs of arrays exp, expm1, log, log1p, tanh, erf and what is made of them come from our own fast kernels
    (within 3 ulp), and sums are added in partial sums; `@jit(accurate=True)` computes them with the C library, in
    order. Functions of numbers always do.

    `parallel=True` shares the loops of a program of arrays among Numba's threads: for arrays of 100,000 numbers and
    more. It compiles for longer, adds sums in another order, and Numba's threads do not survive a fork of the process.

    What a function reads from `.data`, `.item()` or `float(...)` of a Value or Tensor that it closes over is a plain
    number, which the program keeps: compute with the Value or Tensor itself. Of arguments these are refused.

    `f.value_and_grad(*arguments)`, `f.backward(*arguments)` and `f.source` come with it.
    Errors: TraceError where the function decides by a traced value, or uses an operation that cannot be compiled.

    >>> @jit
    ... def f(w, x):
    ...     return (w * x).tanh()
    >>> round(f(0.5, 2.0), 6)
    0.761594
    >>> f.value_and_grad(0.5, 0.0)
    (0.0, 0.0)
    """
    if f is None:
        return functools.partial(CompiledFunction, accurate=accurate, parallel=parallel)
    return CompiledFunction(f, accurate, parallel)


def at_work() -> bool:
    """Is a function being traced in this thread?"""
    return MODES.value_trace is not None or MODES.tensor_trace is not None


def has_axes(x: Any) -> bool:
    return getattr(x, "shape", ()) != ()


def number(x: Any) -> float:
    return x.data if isinstance(x, Value) else constant(x).data


def python_lines(program: Program, name: str) -> Iterable[str]:
    """The trace as a Python function that returns the results and the gradients of the inputs."""
    tape = program.tape
    nodes = list(tape.rows)
    at = row_names(program)
    yield f"def {name}({', '.join(at[i] for i in program.input_rows)}):"
    for i, node in enumerate(nodes):
        inputs = ", ".join(at[tape.rows[p]] for p in node.parents)
        if node.op is not None:
            yield f"    {at[i]} = {node.op.name}({inputs})"
        elif i not in program.input_rows:
            yield f"    {at[i]} = {literal(float(tape.data[i]))}"
    yield "    # backward: d_v is the derivative of the result by v"
    yield f"    {' = '.join(f'd_{x}' for x in at)} = 0.0"
    yield f"    d_{at[program.output_rows[-1]]} = 1.0"
    for i, node in reversed(list(enumerate(nodes))):
        if node.op is not None and node.op.partials is not None:
            letters = [at[tape.rows[p]] for p in node.parents]
            indent = "    "
            if node.op.domain is not EVERYWHERE:  # its derivative may be infinite
                yield f"    if d_{at[i]} != 0.0:"
                indent = "        "
            for letter, text in zip(letters, partial_texts(node.op, at[i], letters), strict=True):
                yield f"{indent}d_{letter} += d_{at[i]} * ({text})"
    results = ", ".join(at[i] for i in program.output_rows)
    yield f"    return ({results},), ({''.join(f'd_{at[i]}, ' for i in program.input_rows)})"


def row_names(program: Program) -> list[str]:
    """What each row is called: labels and argument names where they are free, v and the row's number elsewhere."""
    found: dict[int, str] = {}
    taken: set[str] = set()
    labelled = [(row, f"x{k}") for k, row in enumerate(program.input_rows)]
    labelled += zip(program.closed_over_rows, (x.label for x in program.closed_over), strict=True)
    for row, label in labelled:
        if not label:
            continue
        found[row] = free_name(label, taken, ())
        taken.add(found[row])
    return [found.get(i, f"v_{i}") for i in range(len(program.tape.rows))]
