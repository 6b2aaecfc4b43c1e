"""`jit`: a function traced once and run at compiled speed, on the tape for numbers, as a program for arrays."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, overload

from tinygrad_edu.compile.array_function import ArrayFunction
from tinygrad_edu.compile.in_graph import meets_graph
from tinygrad_edu.compile.scalar.function import ScalarFunction, TracedValue
from tinygrad_edu.compile.variants import Variants
from tinygrad_edu.core import transforms
from tinygrad_edu.core.modes import MODES, tracing
from tinygrad_edu.core.pytree import flatten
from tinygrad_edu.core.transforms import DEPTH
from tinygrad_edu.errors import TraceError

Function = Callable[..., Any]
Task = Callable[[Any, Sequence[Any]], Any]  # of a ScalarFunction or ArrayFunction and the arguments
PLAIN = frozenset([float, int])


class CompiledFunction:
    """A function, traced at its first call and run at compiled speed from then on.

    With numbers as arguments it runs on the tape; with an array among them, or no argument and a Tensor as the
    result, as a program of its own. Arguments may be nested in lists, tuples and dicts, or given by name; text, None
    and what else is no number belongs to the program. Values and Tensors that the function closes over, such as a
    model's parameters, are read anew at every call; what it computes from plain arrays of its own is not.

    Inside of a graph it is what the function is: see in_graph.py.
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
        self.variants = Variants(f, lambda g: CompiledFunction(g, accurate, parallel))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if not MODES.usual and at_work():  # a compiled function inside another one is part of its trace
            return self.f(*arguments, **named)
        given: list[Any] = []
        nesting = flatten((arguments, named), given)
        if meets_graph(given):
            return self.f(*arguments, **named)
        return self.run(lambda way, leaves: way.call(leaves, self.__name__), arguments, nesting, given)

    def value_and_grad(self, *arguments: Any, argnum: int | Sequence[int] = 0, **named: Any) -> tuple[Any, Any]:
        """(result, its gradient by the argument, or by several for a sequence of numbers), as plain numbers and arrays.

        Inside of a transform or of another compiled function they are nodes, as from `tg.value_and_grad`.
        """
        if at_work() or (MODES.recording and DEPTH.level):
            return transforms.value_and_grad(self.f, argnum)(*arguments, **named)  # type: ignore[no-any-return]
        given: list[Any] = []
        nesting = flatten((arguments, named), given)
        wanted = (argnum,) if isinstance(argnum, int) else tuple(argnum)
        chosen = None if named else frozenset(i % max(len(arguments), 1) for i in wanted)
        result, gradients = self.run(
            lambda way, x: way.value_and_gradients(x, chosen if x is arguments else None),
            arguments,
            nesting,
            given,
            nested=True,
        )
        return result, gradients[argnum] if isinstance(argnum, int) else tuple(gradients[i] for i in argnum)

    def backward(self, *arguments: Any, **named: Any) -> Any:
        """The result; its gradient is added to `.grad` of the Values or Tensors that the function closes over.

        An optimizer over them then takes its step as after any backward().
        """
        given: list[Any] = []
        nesting = flatten((arguments, named), given)
        return self.run(lambda way, leaves: way.backward(leaves), arguments, nesting, given)

    def run(self, task: Task, arguments: Sequence[Any], nesting: Any, given: list[Any], nested: bool = False) -> Any:
        """The task with the way that fits the arguments, and with these; `nested`: are gradients among its results?"""
        if MODES.value_trace is not None or MODES.tensor_trace is not None:
            raise TraceError(
                f"{self.__name__}: a gradient that is added to .grad cannot be part of a compiled function"
            )
        numbers = PLAIN.issuperset(map(type, given)) or not self.variants.concern(nesting, given)
        if not numbers:
            return self.variants.run(task, nesting, given, nested)
        self.variants.newest = None
        try:
            return task(self.choose(arguments, nesting[1][0], given), arguments)
        except TraceError:
            found = self.variants.attempt(task, nesting, given, nested)
            if found is None:
                raise
            return found[0]

    def choose(self, arguments: Sequence[Any], nesting: Any, given: list[Any]) -> ScalarFunction | ArrayFunction:
        """Which of the two ways fits the arguments."""
        arrays = not PLAIN.issuperset(map(type, given)) and any(map(has_axes, given))
        self.newest = self.arrays if arrays or self.computes_tensors(nesting, arguments) else self.scalars
        return self.newest

    def computes_tensors(self, nesting: Any, arguments: Sequence[Any]) -> bool:
        """Does the function need arrays for these plain numbers, as for Tensors that it closes over, or for x.T?

        Found out by a first trace, on Values, and where that has an error by a second one.
        """
        if nesting not in self.of_tensors and nesting not in self.scalars.programs:
            try:
                self.scalars.program(arguments)
            except Exception:
                if not self.compiles_with_arrays(arguments):
                    raise
                self.of_tensors.add(nesting)
        return nesting in self.of_tensors

    def compiles_with_arrays(self, arguments: Sequence[Any]) -> bool:
        try:
            with tracing("value_trace", TracedValue):  # a Value that is closed over decides nothing here either
                self.arrays.prepare(arguments, by="")
        except Exception:
            return False
        return True

    @property
    def source(self) -> str:
        """The newest trace as Python: forward, then backward, as a student could have written it.

        Below the loops stand the operations that they call.
        """
        return str(self.newest_trace().source(self.__name__))

    @property
    def module_source(self) -> str:
        """The newest trace as the whole module that is compiled, with what makes machine code of the loops."""
        return str(self.newest_trace().module_source(self.__name__))

    def newest_trace(self) -> Any:
        """What was traced last. Errors: TraceError before the first call."""
        newest = self.variants.newest or self
        if newest.newest is None or not newest.newest.programs:
            raise TraceError("nothing has been traced yet: call the function once, then read its source")
        return newest.newest


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
    Errors: TraceError for whatever cannot be compiled, of which the function without jit would give a result.

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
