"""`jit`: a function traced once and run at compiled speed, on the tape for numbers, as a program for arrays."""

from __future__ import annotations

import copy
import functools
import sys
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from types import MethodType
from typing import Any, overload

import numpy as np

from tinygrad_edu.compile.array_function import ArrayFunction
from tinygrad_edu.compile.forms import ChangesStateError, Forms, Task
from tinygrad_edu.compile.in_graph import meets_graph
from tinygrad_edu.compile.numpy_errors import are_raised
from tinygrad_edu.compile.quick_call import QuickCall, signature
from tinygrad_edu.compile.running import RUNNING
from tinygrad_edu.compile.scalar.function import ScalarFunction
from tinygrad_edu.compile.static_arguments import Named, StaticArguments
from tinygrad_edu.core.conversions.conversion import float_array
from tinygrad_edu.core.modes import MODES, UNUSUAL
from tinygrad_edu.core.pytree import flatten, refuse_deep, tree_leaves
from tinygrad_edu.core.transforms import derivatives
from tinygrad_edu.core.transforms.argnums import is_several, places_of
from tinygrad_edu.core.transforms.depth import DEPTH, inside_loss
from tinygrad_edu.errors import TinygradError, TraceError

Function = Callable[..., Any]
MOST_STATES = 8  # states of what a function closes over that are kept; each has its own programs


class CompiledFunction:
    """A function, traced at its first call and run at compiled speed from then on.

    With numbers as arguments it runs on the tape; with an array among them, or with no arguments and a Tensor as the
    result, it runs as a program of arrays. Arguments may be nested in lists, tuples and dicts, or given by name; text,
    None, flags and anything else that is not a number become part of the program. What the function closes over is
    read again at every call: the program reads the numbers of Values, Tensors and arrays; if anything else changes,
    the function is traced again.

    Inside a graph it behaves as the plain function does: see in_graph.py.
    """

    __name__: str

    def __init__(self, f: Function, accurate: bool = False, parallel: bool = False) -> None:
        functools.update_wrapper(self, f)
        name = getattr(f, "__name__", "")
        self.__name__ = name if name.isidentifier() else "program"
        self.f, self.options = f, (accurate, parallel)
        self.forms = self.new_forms()
        self.known = [self.forms]  # one entry per state of what the function closes over

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        """As a method: the instance is the first argument, as for any function in a class."""
        return self if instance is None else MethodType(self, instance)

    def __deepcopy__(self, memo: dict[int, Any]) -> CompiledFunction:
        """A compiled function of the same function, which makes programs of its own."""
        return type(self)(copy.deepcopy(self.f, memo), *self.options)

    def __reduce__(self) -> Any:
        """For pickle: its name, where that means this function, as under @jit; else the function without programs."""
        name = getattr(self, "__qualname__", "")
        named = getattr(sys.modules.get(getattr(self.f, "__module__", "")), name, None)
        return name if named is self else (type(self), (self.f, *self.options))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if are_raised():  # by NumPy; a program does not
            return self.f(*arguments, **named)
        if not (named or (UNUSUAL and not MODES.usual) or DEPTH.level):
            leaves: list[Any] = []
            quick = self.again((), arguments, leaves)
            if quick is not None and (results := quick.run(leaves)) is not None:
                return results[quick.result]
        if not MODES.usual and at_work():  # inside another compiled function it becomes part of that trace
            return self.f(*arguments, **named)
        given: list[Any] = []
        nesting = flat(arguments, named, given)
        if meets_graph(given):
            return self.f(*arguments, **named)
        call = partial(self.f, *arguments, **named)
        return self.run(lambda way, leaves: way.call(leaves, self.__name__), call, arguments, nesting, given)

    def value_and_grad(self, *arguments: Any, argnum: int | Sequence[int] = 0, **named: Any) -> tuple[Any, Any]:
        """(result, its gradient), as plain numbers and arrays; several gradients for a sequence of argument numbers.

        Inside a transform or another compiled function they are nodes, as from `tg.value_and_grad`.
        Errors: DtypeError for arrays of whole numbers or truth values to differentiate by, as there.
        """
        one, raising = argnum.__class__ is int, are_raised()
        usual = not (raising or named or (UNUSUAL and not MODES.usual) or DEPTH.level or DEPTH.losses)
        if usual and (one or argnum.__class__ is tuple):
            leaves: list[Any] = []
            quick = self.again((argnum,) if one else argnum, arguments, leaves)
            if quick is not None and (both := quick.value_and_gradients(leaves, arguments)) is not None:
                return both[0], both[1][0] if one else tuple(both[1])
        # a program does not stop at a NaN, and its gradients are not nodes
        if at_work() or raising or MODES.anomaly or (MODES.recording and (DEPTH.level or DEPTH.losses)):
            return derivatives.value_and_grad(self.f, argnum)(*arguments, **named)  # type: ignore[no-any-return]
        given: list[Any] = []
        nesting = flat(arguments, named, given)
        wanted = places_of(argnum, len(arguments))
        refuse_whole_numbers([arguments[i] for i in wanted])
        chosen = None if named else frozenset(wanted)

        def run_plainly() -> tuple[Any, dict[int, Any]]:
            y, found = derivatives.value_and_grad(self.f, tuple(wanted))(*arguments, **named)
            return y, dict(zip(wanted, found, strict=True))

        result, gradients = self.run(
            lambda way, x: way.value_and_gradients(
                x, chosen if x is arguments else None, [arguments[i] for i in wanted]
            ),
            run_plainly,
            arguments,
            nesting,
            given,
            nested=True,
        )
        found_in = tuple(gradients[i] for i in wanted)
        return result, found_in if is_several(argnum) else found_in[0]

    def backward(self, *arguments: Any, **named: Any) -> Any:
        """Return the result, and add its gradient to `.grad` of the Values or Tensors that the function closes over.

        An optimizer over them can then take its step, as after any backward().
        """
        given: list[Any] = []
        nesting = flat(arguments, named, given)

        def run_plainly() -> Any:
            with inside_loss():
                y = self.f(*arguments, **named)
            y.backward()
            return y.item()

        return self.run(lambda way, leaves: way.backward(leaves), run_plainly, arguments, nesting, given)

    def run(
        self,
        task: Task,
        run_plainly: Callable[[], Any],
        arguments: Sequence[Any],
        nesting: Any,
        given: list[Any],
        nested: bool = False,
    ) -> Any:
        """Run the task with the program for this call, or the plain function with a warning that says why.

        A function that calls itself while it is being compiled, or run beside its program, is plain there: without end
        it would be traced anew at each depth.
        """
        if are_raised() or self in RUNNING.functions:
            return run_plainly()
        RUNNING.functions.append(self)
        try:
            return self.run_once(task, run_plainly, (arguments, nesting, given, nested))
        finally:
            RUNNING.functions.pop()

    def run_once(self, task: Task, run_plainly: Callable[[], Any], call: Any) -> Any:
        """The same, where it does not run already."""
        forms = self.fitting()
        reason = "" if forms is not None else self.note_of_change()
        if forms is not None:
            try:
                return forms.run(task, *call)
            except ChangesStateError as error:
                reason = f"{error}: with these it runs without jit. Set it outside of the function"
            except TinygradError:
                raise
            except Exception:  # one of f's own: it is raised by f itself, which may change something before
                return run_plainly()
        warnings.warn(reason, stacklevel=4)
        return run_plainly()

    def again(self, wanted: Any, arguments: Sequence[Any], leaves: list[Any]) -> QuickCall | None:
        """The short path of a call that has been made before, if what the function closes over has not changed."""
        forms = self.forms
        known = forms.arrays.quick.known
        try:
            quick = known.get((wanted, signature(arguments, leaves))) if known else None
        except RecursionError:
            refuse_deep(arguments)
            raise
        return quick if quick is not None and ((guard := forms.watch.guard) is None or guard.holds()) else None

    def fitting(self) -> Forms | None:
        """The programs for what the function closes over as it is now; None where it has changed too often."""
        if self.forms.watch.fits():
            return self.forms
        for forms in self.known:
            if forms.watch.fits():
                self.forms = forms
                return forms
        if len(self.known) == MOST_STATES:
            return None
        self.forms = self.new_forms()
        self.known.append(self.forms)
        return self.forms

    def new_forms(self) -> Forms:
        accurate, parallel = self.options
        compiled = partial(CompiledFunction, accurate=accurate, parallel=parallel)
        return Forms(self.f, self.__name__, accurate, parallel, compiled)

    def note_of_change(self) -> str:
        what = self.forms.watch.first_change()
        return (
            f"{self.__name__} closes over {what}, which has changed more than {MOST_STATES} times: it runs without jit "
            "when no program fits. Pass it as an argument, and one program serves all"
        )

    @property
    def scalars(self) -> ScalarFunction:
        return self.forms.scalars

    @property
    def arrays(self) -> ArrayFunction:
        return self.forms.arrays

    @property
    def source(self) -> str:
        """The newest trace as Python: forward, then backward, as a student could have written it.

        The operations that the loops call follow below them.
        """
        return str(self.newest_trace().source(self.__name__))

    @property
    def module_source(self) -> str:
        """The newest trace as the whole module that is compiled, with what makes machine code of the loops."""
        return str(self.newest_trace().module_source(self.__name__))

    def newest_trace(self) -> Any:
        """The latest trace. Errors: TraceError before the first call."""
        forms = self.forms
        if forms.variants.newest is not None:
            forms = forms.variants.newest.forms
        if forms.newest is None or not forms.newest.programs:
            raise TraceError("nothing has been traced yet: call the function once, then read its source")
        return forms.newest


@overload
def jit(
    f: Function,
    accurate: bool = False,
    parallel: bool = False,
    *,
    static_argnums: tuple[()] = (),
    static_argnames: tuple[()] = (),
) -> CompiledFunction: ...
@overload
def jit(
    f: Function,
    accurate: bool = False,
    parallel: bool = False,
    *,
    static_argnums: Named = (),
    static_argnames: Named = (),
) -> StaticArguments: ...
@overload
def jit(
    *, accurate: bool = False, parallel: bool = False, static_argnums: Named = (), static_argnames: Named = ()
) -> Callable[[Function], Any]: ...
def jit(
    f: Function | None = None,
    accurate: bool = False,
    parallel: bool = False,
    *,
    static_argnums: Named = (),
    static_argnames: Named = (),
) -> Any:
    """Compile a function: traced at its first call, run at compiled speed from then on.

    What a function closes over may change between calls: the numbers of Values, Tensors and arrays are read again, and
    a changed flag, attribute (such as `model.training`) or layer means another program. Anything that each call would
    draw or count by itself (random numbers, a counter) is refused; what it keeps of its results, `self.attention = y`,
    is set again by each, and may not be asked about before. The first call puts back what other threads change
    meanwhile, unless f writes to nothing. Numbers that Python reads while the function is traced (`if A[0] > 0`,
    `w.data`, `float(A[0])`; of arguments that is refused) are compared by a checksum before each call, 1.4 ns a number;
    after 8 changes the function runs without jit, with a warning, and under np.errstate(all="raise").

    Results are Tensors where they are computed from Tensors, and plain numbers and arrays elsewhere, as without jit, in
    NumPy's dtypes: x * np.float64(1.1), x / np.sqrt(64) and x * np.arange(3) of float32 are float64 (with Python's 1.1
    and 8.0, and beside Tensors, float32). A single number in float64 is Python's float; others have f's class.
    It has `f.value_and_grad(*arguments)` (`argnum=(0, 1)`), `f.backward(*arguments)` by what f closes over, `f.source`.
    f: the function to compile.
    accurate: for arrays, use the C library's exp, log, tanh and erf, and add in order; default False: our own fast
        kernels (within 3 ulp), and sums added in parts. Functions of numbers are always accurate.
    parallel: for arrays, share the loops among Numba's threads, which pays from 100,000 numbers on; default False. It
        takes longer to compile, adds in another order, and Numba's threads do not survive a fork of the process.
    static_argnums, static_argnames: arguments (one or several) that decide what the function does, such as a size or a
        number of rounds; there is a program for each of their values, as in JAX.
    Errors: TraceError for a function that cannot be compiled but would give a result without jit, or that writes to a
    dict or list which it is given; DtypeError for whole numbers above 2⁵³ or beyond their dtype.

    >>> @jit
    ... def f(w, x):
    ...     return (w * x).tanh()
    >>> round(f(0.5, 2.0), 6)
    0.761594
    >>> f.value_and_grad(0.5, 0.0)
    (0.0, 0.0)
    """
    compiled: Callable[[Function], Any] = partial(CompiledFunction, accurate=accurate, parallel=parallel)
    if static_argnums != () or static_argnames != ():
        whole = partial(StaticArguments, compiled=compiled, numbers=static_argnums, names=static_argnames)
        return whole if f is None else whole(f)
    return compiled if f is None else compiled(f)


def flat(arguments: Sequence[Any], named: dict[str, Any], given: list[Any]) -> Any:
    """The nesting of the arguments, whose leaves go to `given`. Errors: OperandError where it has no room."""
    try:
        return flatten((arguments, named), given)
    except RecursionError:
        refuse_deep((arguments, named))
        raise


def refuse_whole_numbers(arguments: Sequence[Any]) -> None:
    """Errors: DtypeError for arrays of whole numbers or truth values, by which no gradient is taken without jit."""
    for x in tree_leaves(arguments):
        if x.__class__ is np.ndarray and x.dtype.kind in "iub":
            float_array(x)  # explains it


def at_work() -> bool:
    """Is a function being traced in this thread?"""
    return MODES.value_trace is not None or MODES.tensor_trace is not None
