"""What a thread has switched on or off: recording of the graph, and the search for NaN."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Modes(threading.local):
    recording = True
    anomaly = False
    usual = True  # recording and no search for NaN: one look on the fast path (40 ns) in place of two


MODES = _Modes()


@contextmanager
def no_grad() -> Iterator[None]:
    """Compute without recording a graph, in this thread, until the block ends.

    >>> from tinygrad_edu import Value, no_grad
    >>> with no_grad():
    ...     y = Value(2.0) * 3.0
    >>> y.parents
    ()
    """
    with _switched("recording", False):
        yield


@contextmanager
def recording() -> Iterator[None]:
    """Record a graph, in this thread, until the block ends: transforms do, even under `no_grad`."""
    with _switched("recording", True):
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
    with _switched("anomaly", True):
        yield


@contextmanager
def _switched(mode: str, value: bool) -> Iterator[None]:
    before = getattr(MODES, mode)
    _set(mode, value)
    try:
        yield
    finally:
        _set(mode, before)


def _set(mode: str, value: bool) -> None:
    setattr(MODES, mode, value)
    MODES.usual = MODES.recording and not MODES.anomaly
