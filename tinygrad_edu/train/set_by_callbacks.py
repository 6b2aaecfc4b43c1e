"""Settings that callbacks may set as a run goes on: rates, an optimizer's options, batch sizes, clipping, schedulers.

They belong to the run, so its file holds them. The program that resumes it gives those of the beginning once more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_edu.optim import Optimizer
from tinygrad_edu.optim.lr_scheduler_base import LRScheduler
from tinygrad_edu.train.code_of_runs import known_to, numbers_read
from tinygrad_edu.train.config import as_json
from tinygrad_edu.train.recipe import Recipe, Settings, rate

CLIPPING = ("clip_norm", "clip_value")  # settings that a callback may replace, as job.settings = replace(...)


class Begun:
    """The settings of a run at its start, which the program that resumes it is to give once more."""

    def __init__(self, optimizer: Optimizer, settings: Settings, batch_size: int) -> None:
        self.config = {**Recipe.of(settings, optimizer).record, "batch_size": batch_size}
        self.settings: Mapping[str, Any] = settings_now(optimizer, settings)  # those that callbacks may set
        self.numbers = numbers_read(settings.callbacks)


def settings_now(optimizer: Optimizer, settings: Settings) -> dict[str, Any]:
    """What callbacks may set, in JSON's types."""
    parts = [{"lr": rate(own), "options": own.options} for own in optimizer.parts]
    clipping = {name: getattr(settings, name) for name in CLIPPING}
    schedulers = [{"class": type(x).__name__, **x.state_dict()} for x in schedulers_of(settings.callbacks)]
    found: dict[str, Any] = as_json({"parts": parts, "clipping": clipping, "schedulers": schedulers})
    return found


def schedulers_of(callbacks: Sequence[object]) -> list[LRScheduler]:
    """PyTorch's schedulers that the callbacks know. One that is a part of another is in the state of that one."""
    found = [x for _, x in known_to({"": list(callbacks)}) if isinstance(x, LRScheduler)] if callbacks else []
    inner = {id(x) for each in found for x in getattr(each, "schedulers", ())}
    return [x for x in found if id(x) not in inner]
