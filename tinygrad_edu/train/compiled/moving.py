"""Numbers that training changes, and whether the user's code looks at them besides computing with them.

A compiled program computes with parameters, running statistics and memories as they are at each step. But a plain
number that `forward` or the loss makes of one (`weight.data.sum()`, a branch on `optimizer.t`, `job.losses[-1]`) is a
constant of the program, and stays what it was when it was traced. There are two ways to notice that:

- `Lookout`: while a trace runs, the objects themselves note who asks for their numbers;
- `as_later`: a trace in which they are what they may be later in the run, whose constants are then compared with the
  others'. It sees what was taken hold of before the trace, and needs the number to be another one.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu.compile.files_read import files_read
from tinygrad_edu.compile.outside import asked_outside
from tinygrad_edu.compile.unread import ARRAY, FORM, make_class, readings
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TraceError
from tinygrad_edu.nn.kept import untrained
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer

CHANGED_BY_STEPS = (
    "each step changes {}, which a compiled program would do only once: what is kept to be looked at later is better "
    "kept where the model does not train, `if not self.training: self.weights = ...`"
)
OF_A_JOB = {
    "array_class",
    *("model", "optimizer", "loss", "batch_loss", "data", "samples", "batch_size", "settings", "held_out", "own_code"),
}
OF_AN_OPTIMIZER = {
    "params",
    "given",
    "held",
    "held_back",
    "groups",
    "rule",
    "memories",
}  # attributes that no step changes
MOVED = 1.25  # factor that stands for "another value later in the run"


class Lookout:
    """The names of moving numbers that were asked for while a trace was running in this thread.

    model, optimizer: what training changes the numbers of.
    others: further objects that each step changes, (name, object, what may be asked for).
    """

    def __init__(self, model: Module, optimizer: Optimizer, others: Any = ()) -> None:
        self.found: list[str] = []
        self.names = {id(x): name for name, x in (*model.named_arrays(), *model.named_buffers())}
        tensors = {id(x): x for x in (*optimizer.params, *(x for _, x in untrained(model)))}
        self.moving = [x for x in tensors.values() if isinstance(x, Tensor) and not x.parents]
        things: list[Any] = [("optimizer", optimizer, OF_AN_OPTIMIZER), *others]
        things += [("schedule", schedule, ()) for schedule in optimizer.schedules if schedule.follows_loss]
        self.swaps: list[Any] = [(x, type(x), self.like(type(x), name, free)) for name, x, free in things]

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Until the block ends."""
        try:
            for x, _, watched in self.swaps:
                x.__class__ = watched
            with readings(self.moving) as read:
                yield
        finally:
            for x, kind, _ in self.swaps:
                x.__class__ = kind
        self.found += [self.names.get(x, "a parameter") for x, parts in read.items() if parts != {FORM}]

    def note(self, name: str) -> None:
        """Note a name that was asked for, if a trace is running."""
        if MODES.tensor_trace is not None:
            self.found.append(name)

    def like(self, kind: type, name: str, free: Container[str]) -> type:
        """A class that notes which of an object's attributes are asked for, but those that do not move."""

        of_kind: Any = kind.__getattribute__

        def get(x: Any, attribute: str) -> Any:
            if attribute not in free and not attribute.startswith("__"):
                self.note(f"{name}.{attribute}")
            return of_kind(x, attribute)

        return make_class(kind, {"__getattribute__": get})

    def refuse(self) -> None:
        """Errors: TraceError where something was asked for."""
        if self.found:
            raise TraceError(
                f"forward or the loss looks at the numbers of {self.found[0]}, which training changes: a compiled "
                "program would keep what they were at first. Compute with the Tensor itself where that is meant"
            )


@contextmanager
def as_later(model: Module, optimizer: Optimizer, steps: int, curves: Any = ()) -> Iterator[None]:
    """Within the block, everything that training changes has values that it may have `steps` steps later."""
    tensors = [x for x in (*optimizer.params, *(x for _, x in untrained(model))) if isinstance(x, Tensor)]
    arrays = [(x, ARRAY.__get__(x)) for x in dict.fromkeys(tensors)]
    t, memory, lengths = list(optimizer.t), list(optimizer.memory), list(map(len, curves))
    try:
        for x, array in arrays:
            ARRAY.__set__(x, later(array))
        optimizer.t[:] = [count + steps for count in t]
        optimizer.memory[:] = [tuple(map(later, each)) for each in memory]
        for curve in curves:
            curve.extend([0.5 * (curve[-1] if len(curve) else 1.0)] * 2)
        yield
    finally:
        for x, array in arrays:
            ARRAY.__set__(x, array)
        optimizer.t[:], optimizer.memory[:] = t, memory
        for curve, length in zip(curves, lengths, strict=True):
            del curve[length:]


def later(x: Any) -> Any:
    """Other numbers of the same shape, dtype and sign."""
    if not isinstance(x, np.ndarray):
        return MOVED * x + 0.01
    return (MOVED * x + np.where(np.signbit(x), -0.01, 0.01)).astype(x.dtype)


def refuse_frozen_numbers(model: Module, optimizer: Optimizer, trace: Callable[[], Any], others: Any = ()) -> Any:
    """A trace, its result; Errors: TraceError where numbers that training changes were asked for in it."""
    lookout = Lookout(model, optimizer, others)
    with lookout.looking():
        found = trace()
    lookout.refuse()
    return found


def refuse_outside(trace: Callable[[], Any]) -> Any:
    """The result of a further trace.

    Errors: TraceError where it asks for the time, for random numbers of the system, or for what is in a file. (The
    first trace also reads the files of what forward imports.)
    """
    with files_read() as files, asked_outside() as asked:
        found = trace()
    for file in files[:1]:
        raise TraceError(
            f"forward or the loss looks at {file.what()}, which may change while it trains, and a compiled program "
            "would keep what was in it: read it before"
        )
    for name in asked[:1]:
        raise TraceError(
            f"forward or the loss calls {name}, which answers otherwise at each call: a compiled program would keep "
            "the answer of its trace"
        )
    return found
