"""`jit`: a function traced once and run at compiled speed, on the tape for numbers, as a program for arrays."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, overload

from tinygrad_edu.compile.arrays import ArrayFunction
from tinygrad_edu.compile.naming import free_name
from tinygrad_edu.compile.symbols import literal, partial_texts
from tinygrad_edu.compile.tape import Tape
from tinygrad_edu.core.containers import leaves, mapped
from tinygrad_edu.core.modes import MODES, tracing
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.core.operators import install
from tinygrad_edu.core.value import Value, constant, is_array, over_arrays
from tinygrad_edu.errors import NonScalarBackwardError, OperandError, TraceError

Function = Callable[..., Any]


class TracedValue(Value):
    """A Value during tracing: a comparison is recorded like any operation, and `if` on it is refused.

    Whatever is computed from Values while the trace is at work becomes one, and so does a plain number.
    """

    __slots__ = ()

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Any:
        if any(map(is_array, arguments)):
            return over_arrays(operation, arguments)
        parents = tuple([x if isinstance(x, Value) else TracedValue(x) for x in arguments])
        inputs = [x.data for x in parents]
        y = operation.on_floats(*inputs)
        made = TracedValue(float(y))
        made.op, made.parents = operation, parents
        made.partials = operation.partials_on_floats(y, inputs)
        return made

    def __bool__(self) -> bool:
        what = f"{self.op.name} " if self.op else ""
        raise TraceError(
            f"a compiled function cannot decide by the value of {what}{self!r}: the trace would keep one branch for "
            "all inputs. Compute both branches and choose with tg.ops.where(condition, a, b)"
        )

    __hash__ = object.__hash__


install(TracedValue)


class Program:
    """One trace: the tape, where the arguments stand on it, and what the function returns."""

    def __init__(self, f: Function, arguments: Sequence[Any]) -> None:
        self.variables = mapped(lambda x: TracedValue(number(x)), tuple(arguments))
        with tracing("value_trace", TracedValue):
            self.result = f(*self.variables)
        outputs = list(leaves(self.result))
        if not all(isinstance(y, Value) for y in outputs):
            raise OperandError(
                f"a compiled function returns numbers that it computes from its arguments, not {self.result!r:.80}"
            )
        inputs = list(leaves(self.variables))
        self.tape = Tape([*inputs, *outputs])
        self.count = len(inputs)
        self.input_rows = self.tape.outputs[: self.count]
        self.output_rows = self.tape.outputs[self.count :]
        self.closed_over = [x for x in self.tape.leaves if not isinstance(x, TracedValue)]
        self.closed_over_rows = [self.tape.row(x) for x in self.closed_over]
        self.lock = threading.RLock()  # of the tape's numbers

    def forward(self, arguments: Sequence[Any]) -> Any:
        """The result for these arguments and the present data of the Values that the function closes over."""
        data = self.tape.data
        data[self.input_rows] = [number(x) for x in leaves(tuple(arguments))]
        data[self.closed_over_rows] = [x.data for x in self.closed_over]
        self.tape.forward()
        found = iter(data[self.output_rows].tolist())
        return mapped(lambda _: next(found), self.result)

    def backward(self) -> Any:
        """The gradient of the one output, in the nesting of the arguments."""
        if len(self.output_rows) != 1:
            raise NonScalarBackwardError(
                f"a gradient needs one number as the result; here there are {len(self.output_rows)}. Sum them first"
            )
        self.tape.backward([0.0] * self.count + [1.0])
        found = iter(self.tape.grad[self.input_rows].tolist())
        return mapped(lambda _: next(found), self.variables)


class ScalarFunction:
    """A function of numbers, on the tape: another nesting of the arguments is traced anew, other numbers are not."""

    def __init__(self, f: Function) -> None:
        self.f = f
        self.programs: dict[str, Program] = {}

    def call(self, arguments: Sequence[Any]) -> Any:
        """The result as plain numbers."""
        program = self.program(arguments)
        with program.lock:
            return program.forward(arguments)

    def program(self, arguments: Sequence[Any]) -> Program:
        """The trace for arguments nested like these."""
        key = nesting(arguments)
        if key not in self.programs:
            self.programs[key] = Program(self.f, arguments)
        return self.programs[key]

    def value_and_gradients(self, arguments: Sequence[Any]) -> tuple[Any, Any]:
        """(result, gradients nested like the arguments)."""
        program = self.program(arguments)
        with program.lock:
            return program.forward(arguments), program.backward()

    def backward(self, arguments: Sequence[Any]) -> Any:
        """The result, its gradient added to the Values that the function closes over."""
        program = self.program(arguments)
        with program.lock:
            result, _ = self.value_and_gradients(arguments)
            gradients = program.tape.grad[program.closed_over_rows].tolist()
        for x, g in zip(program.closed_over, gradients, strict=True):
            x.grad += g
        return result

    def source(self, name: str) -> str:
        """The newest trace as plain Python."""
        text = "\n".join(python_lines(list(self.programs.values())[-1], free_name(name, ())))
        return f"import math\n\n\n{text}" if "math." in text else text


class CompiledFunction:
    """A function, traced at its first call and run at compiled speed from then on.

    With numbers as arguments it runs on the tape; with an array among them, or no argument and a Tensor as the
    result, as a program of its own. Arguments may be nested in lists, tuples and dicts. Values and Tensors that the
    function closes over, such as a model's parameters, are read anew at every call; what it computes from plain
    arrays of its own is not.
    """

    __name__: str

    def __init__(self, f: Function, accurate: bool = False) -> None:
        functools.update_wrapper(self, f)
        name = getattr(f, "__name__", "")
        self.__name__ = name if name.isidentifier() else "program"
        self.scalars, self.arrays = ScalarFunction(f), ArrayFunction(f, accurate)
        self.f = f
        self.of_tensors: set[str] = set()  # nestings of plain numbers for which the function computes with Tensors
        self.newest: ScalarFunction | ArrayFunction | None = None

    def __call__(self, *arguments: Any) -> Any:
        if at_work():  # a compiled function inside another one is part of its trace
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
        if at_work():
            raise TraceError(f"{self.__name__}: a gradient inside a compiled function cannot be compiled")
        arrays = any(hasattr(x, "shape") and x.shape != () for x in leaves(tuple(arguments)))
        self.newest = self.arrays if arrays or self.computes_tensors(arguments) else self.scalars
        return self.newest

    def computes_tensors(self, arguments: Sequence[Any]) -> bool:
        """Do these plain numbers meet Tensors that the function closes over? Found out by a first trace."""
        key = nesting(arguments)
        if key not in self.of_tensors:
            try:
                self.scalars.program(arguments)
            except OperandError:
                self.of_tensors.add(key)
        return key in self.of_tensors

    @property
    def source(self) -> str:
        """The newest trace as Python: forward, then backward, as a student could have written it."""
        if self.newest is None or not self.newest.programs:
            raise TraceError("nothing has been traced yet: call the function once, then read its source")
        return self.newest.source(self.__name__)


@overload
def jit(f: Function, accurate: bool = False) -> CompiledFunction: ...
@overload
def jit(*, accurate: bool = False) -> Callable[[Function], CompiledFunction]: ...
def jit(f: Function | None = None, accurate: bool = False) -> Any:
    """Compile a function: traced at its first call, run at compiled speed from then on.

    In programs of arrays exp, expm1, log, log1p, tanh, erf and what is made of them come from our own fast kernels
    (within 3 ulp), and sums are added in partial sums; `@jit(accurate=True)` computes them with the C library, in
    order. Functions of numbers always do.

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
        return functools.partial(CompiledFunction, accurate=accurate)
    return CompiledFunction(f, accurate)


def at_work() -> bool:
    """Is a function being traced in this thread?"""
    return MODES.value_trace is not None or MODES.tensor_trace is not None


def nesting(arguments: Sequence[Any]) -> str:
    """How numbers are nested in the arguments."""
    return repr(mapped(lambda _: 0, tuple(arguments)))


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
            for letter, text in zip(letters, partial_texts(node.op, at[i], letters), strict=True):
                yield f"    d_{letter} += d_{at[i]} * ({text})"
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
        found[row] = free_name(label, taken)
        taken.add(found[row])
    return [found.get(i, f"v_{i}") for i in range(len(program.tape.rows))]
