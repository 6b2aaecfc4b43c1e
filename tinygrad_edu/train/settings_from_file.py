"""Put back from a file what the callbacks of its run had set: checked first, against the program that resumes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from tinygrad_edu.checks import is_flag, is_number, is_whole
from tinygrad_edu.errors import CheckpointError, SettingError
from tinygrad_edu.nn.kept import PLAIN
from tinygrad_edu.optim.groups import Group
from tinygrad_edu.optim.schedule import Schedule, as_schedule
from tinygrad_edu.optim.schedule_text import schedule_of
from tinygrad_edu.train.config import without_flags
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.recipe import CHECKS
from tinygrad_edu.train.set_by_callbacks import CLIPPING, schedulers_of, settings_now

SET = (*CLIPPING, "batch_size", "lr", "optimizer_settings", "groups")  # what `put_settings` sets


def refuse_other_schedulers(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Errors: SettingError where the program's schedulers are other ones at the start than those of the run."""
    pairs = [*zip(ours["schedulers"], theirs["schedulers"], strict=False)]
    if len(ours["schedulers"]) != len(theirs["schedulers"]):
        raise SettingError(
            f"a run is resumed with its own callbacks: they knew {len(theirs['schedulers'])} learning rate schedulers, "
            f"and know {len(ours['schedulers'])} now"
        )
    for own, other in pairs:
        for name in {**other, **own}:
            if repr(own.get(name)) != repr(other.get(name)):
                raise SettingError(
                    f"a run is resumed with its own settings: {own['class']}.{name} was {other.get(name)!r:.60} at the "
                    f"start and is {own.get(name)!r:.60} now"
                )


def refuse_other_changes(begun: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Errors: SettingError where the run changed a setting that `put_settings` does not set again."""
    for name, x in changed(begun, now):
        if name not in SET and not (name == "model" and is_set_again(begun[name], x)):
            raise SettingError(
                f"the run changed {name} from {begun.get(name)!r:.60} to {x!r:.60}, and a file does not hold that: "
                "continue in this process with run.resume(epochs)"
            )


def is_set_again(before: object, after: object) -> bool:
    """Is it the same model, apart from the share that dropout drops and from what is frozen?"""
    if isinstance(before, dict) and isinstance(after, dict):
        return before | {"dropout": None} == {**after, "dropout": None}
    return without_flags(before) == without_flags(after)


def put_settings(job: Job, found: Mapping[str, Any], sizes: Sequence[Sequence[int]]) -> None:
    """Set what the run's callbacks had set. Errors: CheckpointError, SettingError for what no file can hold."""
    start, now = found["start"], found["now"]
    for own, before, after in zip(job.optimizer.parts, start["parts"], now["parts"], strict=True):
        for name, x in changed(before["options"], after["options"]):
            Group(own, job.optimizer)[name] = tuple(x) if isinstance(x, list) else x
        if repr(before["lr"]) != repr(after["lr"]):
            own.schedule = schedule_in(after["lr"])
    clipping = {name: CHECKS[name](name, x) for name, x in changed(start["clipping"], now["clipping"])}
    if clipping:
        job.settings = replace(job.settings, **clipping)
    job.sizes[:] = [(done, size) for done, size in sizes]
    schedulers = zip(schedulers_of(job.settings.callbacks), start["schedulers"], now["schedulers"], strict=True)
    for scheduler, before, after in schedulers:
        if repr(before) != repr(after):
            scheduler.load_state_dict({name: x for name, x in after.items() if name != "class"})


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, value) of the settings that are others than before."""
    return ((name, x) for name, x in after.items() if repr(before.get(name)) != repr(x))


def schedule_in(lr: object) -> Schedule:
    """A rate that a callback set, as a schedule. Errors: SettingError for a function."""
    made = as_schedule(lr) if is_number(lr) else schedule_of(lr)
    if made is None:
        raise SettingError(
            f"a callback set the learning rate to {lr!r:.60}, and a file does not hold functions: continue in this "
            "process with run.resume(epochs)"
        )
    return made


def refuse_settings(given: Any, sizes: object, job: Job, done: int) -> None:
    """Errors: CheckpointError unless these have the form of what `settings_now` gives, for this job."""
    own = settings_now(job.optimizer, job.settings)
    known = isinstance(given, dict) and given.keys() == {"start", "now"}
    # rates, options and schedulers have been compared with those of the program before
    if not known or repr(given["start"]) != repr(own) or not is_state(given["now"], own) or not are_sizes(sizes, done):
        raise CheckpointError(
            "it was not written by Run.save, or was changed: the settings that callbacks set cannot be right"
        )


def is_state(given: object, own: Mapping[str, Any]) -> bool:
    """Has it the form of this job's settings?"""
    if not isinstance(given, dict) or given.keys() != own.keys() or given["clipping"].keys() != own["clipping"].keys():
        return False
    parts, schedulers = given["parts"], given["schedulers"]
    alike = len(parts) == len(own["parts"]) and len(schedulers) == len(own["schedulers"])
    return (
        alike
        and all(map(is_part, parts, own["parts"]))
        and all(map(is_scheduler, schedulers, own["schedulers"]))
        and all(x is None or is_number(x) for x in given["clipping"].values())
    )


def is_part(given: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """A rate, and options by the same names."""
    same = given.keys() == own.keys() and given["options"].keys() == own["options"].keys()
    return same and (is_number(given["lr"]) or isinstance(given["lr"], str))


def is_scheduler(given: object, own: object) -> bool:
    """The state of a scheduler of the same class: numbers where it has numbers, or None, lists and states alike."""
    if isinstance(own, dict):
        return (
            isinstance(given, dict)
            and given.keys() == own.keys()
            and all(map(is_scheduler, given.values(), [own[k] for k in given]))
        )
    if isinstance(own, list):
        return isinstance(given, list) and len(given) == len(own) and all(map(is_scheduler, given, own))
    if isinstance(own, str) or is_flag(own):
        return given == own and type(given) is type(own)
    if is_whole(own):
        return is_whole(given) and abs(given) < 2**53
    return type(given) in PLAIN and not isinstance(given, str)


def are_sizes(given: Any, done: int) -> bool:
    """Batch sizes over time: (epochs done when it was set, samples), the first from the start."""
    pairs = isinstance(given, list) and all(isinstance(x, list) and len(x) == 2 for x in given)
    if not pairs or not given or not all(is_whole(x) for pair in given for x in pair):
        return False
    epochs = [when for when, _ in given]
    return epochs[0] == 0 and epochs == sorted(epochs) and epochs[-1] <= done and all(n > 0 for _, n in given)
