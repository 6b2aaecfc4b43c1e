"""Does a learning rate that is a function keep state of its own, which neither a program nor a file holds?"""

from __future__ import annotations

from typing import Any

from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.core.tensor import Tensor


def state_of_rate(job: Any) -> str:
    """What it does besides computing a number from the step, as the end of a sentence; "" for nothing.

    It is asked for the rate of the next step twice, and what it has changed by that is put back.
    """
    rates = {id(x): x for schedule in job.optimizer.schedules for x in (schedule, *schedule.parts())}
    for schedule in rates.values():
        if schedule.kind != "by_function":
            continue
        function = schedule.parameters["function"]
        state = PythonState(lr=function)
        if state.opaque:
            return f"keeps state: {state.opaque}"
        if any(isinstance(kept.thing, Tensor) for kept in state.kept):
            return "reads Tensors, which training changes"
        try:
            for _ in range(2):
                function(job.optimizer.steps)
            if changed := state.first_change():
                return f"changes {changed} each time that it is asked"
        finally:
            state.restore()
    return ""
