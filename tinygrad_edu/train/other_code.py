"""What a run's file says of the user's own code, and what `run.how` says where a resumed run has other code.

The code is not refused: another message, or a loss written in other words, is a right run too. Where loss, gradient or
update of the first batch are other ones, it is refused by first_batch.py.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FunctionType
from typing import Any

from tinygrad_edu.compile.user_code import is_foreign
from tinygrad_edu.train.code_of_runs import digests, numbers_read
from tinygrad_edu.train.job import Job

VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
PARTS = ("callback", "model", "loss", "optimizer")


def code_of(job: Job) -> dict[str, Any]:
    """The code of a job's callbacks, model, loss and optimizer, for its file."""
    classes = [type(module) for module in job.model.modules()]
    attributes = [x for module in job.model.modules() for x in vars(module).values() if isinstance(x, FunctionType)]
    parts = {
        "callback": list(job.settings.callbacks),
        "model": [*classes, *attributes],
        "loss": job.loss,
        "optimizer": [type(job.optimizer), *(x.parameters.get("function") for x in job.optimizer.schedules)],
    }
    return {"python": VERSION, **{part: digests({part: x}) for part, x in parts.items()}}


def is_of_code(given: object) -> bool:
    """Has it the form of `code_of`? It may come from any file."""
    if not isinstance(given, dict) or given.keys() != {"python", *PARTS} or not isinstance(given["python"], str):
        return False
    return all(are_texts(given[part]) for part in PARTS)


def are_texts(given: object) -> bool:
    """Texts by name."""
    return isinstance(given, dict) and all(isinstance(x, str) for x in given.values())


def note_of_code(job: Job, theirs: Mapping[str, Any], numbers: Mapping[str, str]) -> str:
    """For `run.how`: what is another one than in the saved run; "" for nothing."""
    ours, found = code_of(job), []
    if ours["python"] != theirs["python"]:
        found.append(f"code saved by Python {theirs['python']}, which this one ({ours['python']}) cannot compare")
    else:
        for part in PARTS:
            found += [f"the code of {name} ({part})" for name in others(ours[part], theirs[part])]
    read = numbers_read(job.settings.callbacks)
    found += [f"{name}, {numbers[name]:.20} then and {read[name]:.20} now" for name in others(read, numbers, both=True)]
    told = "; ".join(found[:3]) + ("; ..." if len(found) > 3 else "")
    return f"; another than in the saved run: {told}" if found else ""


def others(ours: Mapping[str, str], theirs: Mapping[str, str], both: bool = False) -> list[str]:
    """The names of what is not the same; `both`: only of what both have."""
    names = [name for name in {**theirs, **ours} if not both or (name in ours and name in theirs)]
    return [name for name in names if ours.get(name) != theirs.get(name)]


def note_of_anew(job: Job) -> str:
    """For `run.how` of a run that goes on in this process: which names of its code stand for other code by now."""
    roots = [*job.settings.callbacks, job.loss, type(job.model)]
    owners = [x if isinstance(x, (FunctionType, type)) else type(getattr(x, "__self__", x)) for x in roots]
    names = [x.__qualname__ for x in owners if is_foreign(x.__module__) and is_anew(x)]
    told = ", ".join(dict.fromkeys(names))
    return f"; {told} was written anew since: this run goes on with the earlier one" if told else ""


def is_anew(x: FunctionType | type) -> bool:
    """Does its name stand for another function or class by now, of other code?"""
    found: Any = sys.modules.get(x.__module__)
    for name in x.__qualname__.split("."):
        found = getattr(found, name, None)
    other = found is not x and isinstance(found, (FunctionType, type))
    return other and digests({"": found}) != digests({"": x})
