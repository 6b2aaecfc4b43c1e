"""What a thread has switched on or off: recording the graph, and the search for NaN."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import (
    RAISED,
    DetachedError,
    DtypeError,
    GraphError,
    OperandError,
    TinygradError,
    TraceError,
    UnsupportedNumpyError,
)

OF_NODES = (TraceError, DetachedError, DtypeError, OperandError, UnsupportedNumpyError)


class _Modes(threading.local):
    recording = True
    anomaly = False
    lines = False  # record the source line of every node
    steps = False  # record each step of a recurrent layer, for those who look at its gates in the graph
    value_trace: Any = None  # during a trace, the class whose `__apply__` receives every operation on Values
    tensor_trace: Any = None  # the same for operations on Tensors
    memory: Any = None  # while a user's function runs on nodes: what `+=` has written to (writes/other_names.py)
    written = False  # whether that is anything
    samples = ""  # "vmap" where it computes for all samples at once
    usual = True  # recording, and no anomaly detection, line recording or trace, and nothing written by `+=`


MODES = _Modes()
UNUSUAL: list[
    None
] = []  # one entry for each thread whose modes are not the default: if it is empty (5 ns to see), all have it (40 ns)


def no_grad(function: Callable[..., Any] | None = None) -> Any:
    """Compute without recording a graph, in this thread, until the block ends; or a decorator, with or without ().

    In it `w -= rate * w.grad` writes into a leaf w that requires a gradient, as in PyTorch; elsewhere it makes a node.
    function: the function to decorate, as in @no_grad; None in a `with` block.

    >>> from tinygrad_edu import Value, no_grad
    >>> with no_grad():
    ...     y = Value(2.0) * 3.0
    >>> y.parents
    ()
    """
    block = not_recording()
    return block if function is None else block(function)


@contextmanager
def not_recording() -> Iterator[None]:
    with switch_mode("recording", False):
        yield


@contextmanager
def recording() -> Iterator[None]:
    """Record a graph, in this thread, until the block ends: transforms do, even under `no_grad`."""
    with switch_mode("recording", True):
        yield


@contextmanager
def detect_anomaly() -> Iterator[None]:
    """Raise AnomalyError at the first operation, forward or backward, that yields NaN or infinity.

    >>> from tinygrad_edu import Value, detect_anomaly
    >>> with detect_anomaly():
    ...     Value(-1.0, label="x").log()
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.AnomalyError: log(x) gave nan. Its inputs: x = -1.0
    """
    with switch_mode("anomaly", True):
        yield


@contextmanager
def tracing(mode: str, back_end: ArrayLike) -> Iterator[None]:
    """Record every operation of this thread on nodes of `back_end`; `mode` is "value_trace" or "tensor_trace"."""
    with none_caught(), switch_mode("recording", True), switch_mode("anomaly", False), switch_mode(mode, back_end):
        yield


@contextmanager
def none_caught() -> Iterator[None]:
    """Raise an error of the trace again that the function has caught: without a trace it would have gone another way.

    An example is `try: k = int(x)`, `except TypeError: k = 1`.
    """
    with errors_raised() as found:
        yield
    for error in found:
        raise error


@contextmanager
def errors_raised() -> Iterator[list[Exception]]:
    """A block that collects errors raised in it by nodes alone, which numbers and arrays would not have raised.

    Others, such as one about shapes, come either way.
    """
    outer, mine = RAISED.in_trace, list[Exception]()
    RAISED.in_trace = mine
    try:
        yield mine
    finally:
        RAISED.in_trace = outer
    mine[:] = [
        x for x in mine if isinstance(x, OF_NODES) or x.__class__ is GraphError or not isinstance(x, TinygradError)
    ]


def forgive(error: Exception) -> None:
    """Forget an error that the library has caught itself: it goes another way to the same result."""
    if RAISED.in_trace is not None and error in RAISED.in_trace:
        RAISED.in_trace.remove(error)


@contextmanager
def switch_mode(mode: str, value: ArrayLike) -> Iterator[None]:
    """One mode of this thread, until the block ends."""
    before = getattr(MODES, mode)
    turn(mode, value)
    try:
        yield
    finally:
        turn(mode, before)


def turn(mode: str, value: ArrayLike) -> None:
    """Set one mode of this thread."""
    setattr(MODES, mode, value)
    traced = MODES.value_trace is not None or MODES.tensor_trace is not None
    usual = MODES.recording and not (MODES.anomaly or MODES.lines or traced or MODES.written)
    # An interrupt between two of these lines can leave one entry too many (slower), never one too few (wrong).
    if MODES.usual and not usual:
        UNUSUAL.append(None)
        MODES.usual = False
    elif usual and not MODES.usual:
        MODES.usual = True
        UNUSUAL.pop()
