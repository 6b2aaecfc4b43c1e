"""The compiled forms of one function while what it closes over stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.array_function import ArrayFunction
from tinygrad_edu.compile.call_state import CallState, is_generator
from tinygrad_edu.compile.closure_guard import Guard
from tinygrad_edu.compile.entries import Entries
from tinygrad_edu.compile.files_read import files_read
from tinygrad_edu.compile.ir.dims import beginning_with
from tinygrad_edu.compile.ir.stands_for import origin
from tinygrad_edu.compile.ir.truth import NumpyKindError
from tinygrad_edu.compile.kept_results import beginning_from, keeping
from tinygrad_edu.compile.number_classes import kinds_of
from tinygrad_edu.compile.outside import asked_outside
from tinygrad_edu.compile.planted_errors import Place, on_trial, refuse_caught
from tinygrad_edu.compile.read_back import refuse_read_back
from tinygrad_edu.compile.scalar.function import ScalarFunction, TracedValue
from tinygrad_edu.compile.unread import NUMBERS, Readings, readings, stand_ins
from tinygrad_edu.compile.variants import PLAIN, Variants
from tinygrad_edu.core.modes import MODES, switch_mode
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.askers import HERE
from tinygrad_edu.core.value import Value
from tinygrad_edu.core.writes.augmented import WrittenNumberError
from tinygrad_edu.errors import TraceError

Function = Callable[..., Any]
OF_NUMPY = (np.ndarray, Tensor, np.integer, np.float32)  # float64 is a float of Python's
Task = Callable[[Any, Sequence[Any]], Any]  # called with a ScalarFunction or ArrayFunction and the arguments


class ChangesStateError(TraceError):
    """For these arguments the function changes what its programs for other arguments have read.

    A program does not repeat what a trace does in Python, so the function itself has to run.
    """


class ClosureWatch:
    """Watches what a function closes over for changes since it was traced."""

    def __init__(self, f: Function, name: str) -> None:
        self.f, self.name = f, name
        self.guard: Guard | None = None
        self.keeps = False  # do calls of a program set anything in Python? Others may read it

    def fits(self) -> bool:
        """Is it still so?"""
        return self.guard is None or self.guard.holds()

    def first_change(self) -> str:
        """The first thing that has changed, in words; "" if nothing has."""
        return self.guard.first_change() if self.guard is not None else ""

    def run_trace(self, trace: Callable[[], Any]) -> Any:
        """A program, traced a second time if its trace has changed something in Python, or it reads arrays.

        What only the first call makes, such as a table, is harmless, and so are results that it keeps, which each call
        sets again. A counter or a generator, which each call moves on, is not. Errors: TraceError if the second trace
        gives another program, or changes something else too; ChangesStateError if the first changes what the programs
        for other arguments have read. What it has changed is then put back.
        """
        state = CallState(f=self.f)
        try:
            with keeping(state):
                return self.program_of(trace, self.guard_before(), state)
        except BaseException:
            state.restore()
            raise

    def guard_before(self) -> Guard:
        """What has been read so far; and, where calls of other programs set something, that too."""
        if self.guard is None or not self.keeps:
            return self.guard or Guard(self.f)
        guard = Guard(self.f)
        guard.contents.update(self.guard.contents)
        guard.entries += [check for check in self.guard.entries if not isinstance(check, Entries)]
        return guard

    def program_of(self, trace: Callable[[], Any], guard: Guard, state: CallState) -> Any:
        """The program, and the guard of what it has read."""
        nodes = [x for _, x in guard.things if isinstance(x, (Tensor, Value))]
        with readings(nodes) as read, files_read() as files, on_trial(wanted=HERE.catches) as places:
            program = trace()
        state.refuse_cached(self.name)
        changed = state.opaque or state.first_change() or state.first_replaced()
        if changed and not self.fits():
            raise ChangesStateError(f"{self.name} changes {self.first_change()}, which it reads for other arguments")
        if changed:
            program.changes_python, program.before = True, state
            program.fix_sizes(state.settle_left_behind(self.name))
        program.keep_arrays(state)
        lines = [place for place, met in places.items() if of_python(met)]
        if lines:
            self.refuse_caught(trace, lines)
        if changed or state.outside or guard.may_ask_outside:
            guard = self.refuse_difference(program, trace, state, changed, guard)
            refuse_read_back(self.f, self.name, program, trace)
            self.keeps |= bool(changed)
        unread = {id(x) for x in nodes}
        if any(isinstance(x, np.ndarray) for x in program.read_anew()):
            unread |= self.look_for_readers(guard, program, trace, read)
        guard.entries += files
        guard.compare(read, unread)
        if changed:
            state.put_back_nodes()
        self.guard = guard
        return program

    def refuse_difference(
        self, program: Any, trace: Callable[[], Any], state: CallState, changed: str, earlier: Guard
    ) -> Guard:
        """What the function closes over after its trace, such as a table that the trace has made.

        Errors: TraceError if another trace gives another program, or changes something.
        """
        drawn = generators_drawn_from(state)
        state.put_back_drawn()
        after, guard = CallState(f=self.f), Guard(self.f)
        try:
            iterators = state.iterators.values()
            with asked_outside(iterators) as asked, beginning_with(program.conditions()), beginning_from(after):
                again = trace()
            again.fix_sizes(after.settle_left_behind(self.name))
            again.keep_arrays(after)
            source = next((name for name in generators_drawn_from(after) if name in drawn), "")
            each = after.change_of_each_call(program.keeps()) if state.is_own else ""
            guard.settle(earlier)  # the results that it keeps are not compared
        finally:
            after.restore()
        if asked or source or program.signature() != again.signature() or not again.fixes() <= program.fixes():
            seen = (
                f"it changes {source or changed}"
                if source or changed
                else "it depends on the time or on random numbers"
            )
            seen = f"it calls {asked[0]}" if asked else seen
            raise TraceError(
                f"{self.name} computes something else at each call, which a compiled program cannot do: "
                f"{state.opaque or seen}. Give the numbers as an argument"
            )
        if each:
            raise TraceError(
                f"each call of {self.name} changes {each}, which a compiled program would do only once: return what is "
                "new and keep it outside, or call the function without jit"
            )
        guard.contents.update(earlier.contents)  # contents that earlier programs have read
        return guard

    def refuse_caught(self, trace: Callable[[], Any], places: Sequence[Place]) -> None:
        """Errors: TraceError if the function catches what Python's numbers raise at one of these places."""
        after = CallState(f=self.f)
        try:
            with beginning_from(after):
                refuse_caught(trace, places)
        finally:
            after.restore()

    def look_for_readers(self, guard: Guard, program: Any, trace: Callable[[], Any], read: Readings) -> set[int]:
        """The ids of the arrays whose numbers no trace asks for: a further one, with stand-ins for them, says so.

        What it asks for goes to `read`.
        """
        after = CallState(f=self.f)
        arrays = {id(x) for _, x in guard.things if type(x) is np.ndarray} - guard.hidden
        try:
            with stand_ins(guard.places, guard.hidden), readings(()) as found, beginning_from(None):
                again = trace()
            if program.signature() != again.signature():
                return set()
        except Exception:
            return set()
        finally:
            after.restore()
        read.update({x: found[x] for x in arrays & found.keys()})
        return {x for x in arrays if NUMBERS not in read.get(x, ())}


def of_python(met: Sequence[Any]) -> bool:
    """Do any of these operations compute with Python's numbers alone? On the tape they may all do so."""
    return not met or any(all(origin(x) is float for x in operands) for operands in met)


def generators_drawn_from(state: CallState) -> list[str]:
    """The names of the random generators that have changed.

    Two traces that drew from one may be equal: a coin shows the same side twice every other time. Another thread may
    have drawn from a generator that all share, but hardly during both traces.
    """
    return [x.name for x in state.kept if is_generator(x) and x.first_change()]


class Forms:
    """A tape for numbers, programs for arrays, and variants for arguments given by name or that are not numbers."""

    def __init__(self, f: Function, name: str, accurate: bool, parallel: bool, compiled: Callable[..., Any]) -> None:
        self.f, self.name, self.watch = f, name, ClosureWatch(f, name)
        self.scalars = ScalarFunction(f, self.watch.run_trace)
        self.arrays = ArrayFunction(f, accurate, parallel, self.watch.run_trace, self.watch.first_change)
        # (nesting, classes) of plain numbers for which the function computes with Tensors
        self.of_tensors: set[Any] = set()
        self.of_values: set[Any] = set()  # the same of 0-d arrays for which it computes with Values
        self.newest: ScalarFunction | ArrayFunction | None = None
        self.variants = Variants(f, compiled)

    def run(self, task: Task, arguments: Sequence[Any], nesting: Any, given: list[Any], nested: bool = False) -> Any:
        """Run the task in the form that fits these arguments; `nested`: gradients are among its results."""
        if MODES.value_trace is not None or MODES.tensor_trace is not None:
            raise TraceError(f"{self.name}: a gradient that is added to .grad cannot be part of a compiled function")
        if self.variants.concern(nesting, given):
            return self.variants.run(task, nesting, given, nested)
        self.variants.newest = None
        try:
            return task(self.choose(arguments, nesting[1][0], given), arguments)
        except TraceError as error:
            found = self.variants.attempt(task, nesting, given, nested, error)
            if found is None:
                raise
            return found[0]

    def choose(self, arguments: Sequence[Any], nesting: Any, given: list[Any]) -> ScalarFunction | ArrayFunction:
        """The form that fits the arguments: tape or program of arrays."""
        arrays = not PLAIN.issuperset(map(type, given)) and self.takes_arrays(nesting, arguments, given)
        self.newest = self.arrays if arrays or self.computes_tensors(nesting, arguments, given) else self.scalars
        return self.newest

    def takes_arrays(self, nesting: Any, arguments: Sequence[Any], given: list[Any]) -> bool:
        """Is there an array among the arguments, or a number with NumPy's dtype?

        One without axes may meet Values, of which the tape is made.
        """
        if any(map(has_axes, given)):
            return True
        key = nesting, kinds_of(given)
        if key in self.of_values or not any(isinstance(x, OF_NUMPY) for x in given):
            return False
        failure = self.failure_with_arrays(arguments)
        # a Value would not know that it stands for an array, or for a number with a dtype
        if isinstance(failure, (WrittenNumberError, NumpyKindError)):
            raise failure
        if failure is not None:
            self.of_values.add(key)
        return key not in self.of_values

    def computes_tensors(self, nesting: Any, arguments: Sequence[Any], given: Sequence[Any]) -> bool:
        """Does the function need arrays for these plain numbers, as for Tensors that it closes over, or for x.T?

        A first trace, on Values, decides; if it fails, a second one does.
        """
        if nesting in self.scalars.programs:  # the tape does not ask what its numbers are
            return False
        key = nesting, kinds_of(given)
        if key not in self.of_tensors:
            try:
                self.scalars.program(arguments)
            except Exception:
                failure = self.failure_with_arrays(arguments)
                if failure is not None:
                    if not nesting[1]:  # without arguments it can only be about the arrays that it closes over
                        raise failure from None
                    raise
                self.of_tensors.add(key)
        return key in self.of_tensors

    def failure_with_arrays(self, arguments: Sequence[Any]) -> Exception | None:
        """The error of a trace on arrays, if there is one."""
        try:
            # a Value that is closed over must not decide anything here either
            with switch_mode("recording", True), switch_mode("value_trace", TracedValue):
                self.arrays.prepare(arguments, by="")
        except Exception as error:
            return error
        return None


def has_axes(x: Any) -> bool:
    return getattr(x, "shape", ()) != ()
