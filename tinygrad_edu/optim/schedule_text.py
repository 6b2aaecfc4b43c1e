"""A schedule from its printed text, and as Python code: a file holds only the text, which is never run."""

from __future__ import annotations

import ast
from typing import Any

from tinygrad_edu.errors import TinygradError
from tinygrad_edu.optim import schedules
from tinygrad_edu.optim.schedule import Schedule

LONGEST = 2000  # characters; the library's own schedules print a few hundred at most
OTHERS = (
    "Plateau",
    "Schedule",
    "as_schedule",
    "by_function",
)  # these make no schedule, or one from a function, which text cannot hold
MAKERS = {name: getattr(schedules, name) for name in schedules.__all__ if name not in OTHERS}


def schedule_of(text: Any) -> Schedule | None:
    """The schedule that prints this text; None for other text, and for a schedule made from a user's function.

    >>> schedule_of("warmup(schedule=cosine(lr=0.1, steps=9, final=0.0), steps=3)")
    warmup(schedule=cosine(lr=0.1, steps=9, final=0.0), steps=3)
    >>> schedule_of("__import__('os')"), schedule_of("by_function(function=f)")
    (None, None)
    """
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    try:
        made = read_schedule(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, TypeError, OverflowError, RecursionError, MemoryError, TinygradError):
        return None
    return made if isinstance(made, Schedule) else None


def read_schedule(node: ast.expr) -> Any:
    """A schedule with named settings, a list of them, or a plain number. Errors: ValueError for anything else."""
    if isinstance(node, ast.List):
        return tuple([read_schedule(each) for each in node.elts])
    if not isinstance(node, ast.Call):
        return ast.literal_eval(node)
    if not isinstance(node.func, ast.Name) or node.func.id not in MAKERS or node.args:
        raise ValueError("not a schedule")
    return MAKERS[node.func.id](**{str(each.arg): read_schedule(each.value) for each in node.keywords})


def schedule_source(schedule: Any) -> str:
    """Python code that makes it again from its parameters; "..." stands for a user's function.

    >>> schedule_source(schedules.inverse_time(0.1, decay=1.0))
    'tg.optim.schedules.inverse_time(lr=0.1, decay=1.0)'
    """
    if isinstance(schedule, (tuple, list)):
        return f"[{', '.join(map(schedule_source, schedule))}]"
    if not isinstance(schedule, Schedule):
        return repr(schedule) if isinstance(schedule, (int, float, type(None))) else "..."
    if schedule.kind not in MAKERS:
        return "..."
    if schedule.kind == "constant":
        return repr(schedule.parameters["lr"])
    settings = ", ".join(f"{name}={schedule_source(x)}" for name, x in schedule.parameters.items())
    return "..." if "..." in settings else f"tg.optim.schedules.{schedule.kind}({settings})"
