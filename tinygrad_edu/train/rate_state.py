"""Does a learning rate that is a function keep state of its own, which neither a program nor a file holds?"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.core.tensor import Tensor

AHEAD = 16  # later steps at which a rate is asked for, evenly spread


def state_of_rate(job: Any, later: bool = False) -> str:
    """What it does besides computing a number from the step, as the end of a sentence; "" for nothing.

    It is asked for the rate of the next step twice, and what it has changed by that is put back.
    later: for later steps too: one that sets `k = t // 100` changes nothing at first. A program is given all rates of
    an epoch before its first step.
    """
    now = job.optimizer.steps
    asked = [now, now, *np.linspace(now, job.steps, AHEAD, dtype=int).tolist() * later]
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
            for step in asked:
                function(step)
            if changed := state.first_change():
                return f"changes {changed} each time that it is asked"
        finally:
            state.restore()
    return ""
