"""The little number in a loss's log, as in log(p + 1e-8), which people leave out of their derivative.

It keeps the log from 0, and nobody differentiates it: with softmax, p - y is written all the same. That is right but
for a share of 1e-8/p, which shows where a probability is small; it is not a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.program import ForwardProgram, Step

Array = np.ndarray[Any, Any]
LITTLE = 1e-4  # a larger number in a log is part of the model
SHOWS = 1e-8  # relative to what it is added to


def little_logs(program: ForwardProgram) -> Iterator[tuple[Step, Array, float]]:
    """(the log, what it is taken of without the little number, the little number), where that shows.

    >>> from tinygrad_edu.clinic.examiner.forward.tracing import trace_call
    >>> program = trace_call(lambda p: np.log(p["w"] + 1e-5).sum(), {"w": np.array([0.5, 0.1])})
    >>> [little for _, _, little in little_logs(program)]
    [1e-05]
    """
    for log in program.steps:
        inner = program.steps[log.parents[0]] if log.operation == "log" and log.parents[0] >= 0 else None
        if inner is None or inner.operation != "add" or inner.activation:
            continue
        for slot in (k for k, parent in enumerate(inner.parents) if parent < 0):
            little, x = inner.operand(slot), inner.operand(1 - slot)
            if little.size == 1 and 0.0 < float(little) <= LITTLE and np.any(little > SHOWS * np.abs(x)):
                yield log, x, float(little)


def leave_out(program: ForwardProgram) -> list[float]:
    """Take 1/x for the derivative of each log(x + ε); the numbers ε that were left out."""
    found = [*little_logs(program)]
    for log, x, little in found:
        whole = np.asarray(np.where(x > 0.0, x, x + little) + np.zeros(log.y.shape))
        log.partials = [1.0 / whole]
    if found:
        program.settle()
    return [*dict.fromkeys(little for _, _, little in found)]


def words_of_little(numbers: list[float]) -> str:
    """What is said of gradients that are right without it.

    >>> words_of_little([1e-08])
    'The 1e-08 that the loss adds inside its log is left out of the derivative, as is usual.'
    """
    added = " and the ".join(f"{x:g}" for x in numbers)
    are = "is" if len(numbers) == 1 else "are"
    return f"The {added} that the loss adds inside its log {are} left out of the derivative, as is usual."
