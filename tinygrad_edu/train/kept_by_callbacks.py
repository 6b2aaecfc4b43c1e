"""What callbacks of the user's own keep from epoch to epoch, such as the best loss so far: in the file of a run.

Plain attributes of callback objects, and lists, tuples and dicts of plain ones, are held as those of modules are, and
what changed during the run is put back when it is resumed. What else they keep (a closure's variable, a global list, an
array) begins anew, and `run.how` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from inspect import getclosurevars
from types import FunctionType
from typing import Any

import numpy as np

from tinygrad_edu.compile.settings_read import GENERATORS
from tinygrad_edu.compile.user_code import attribute_space, holds_attributes, is_own_class
from tinygrad_edu.nn.kept import PLAIN
from tinygrad_edu.nn.module import Module
from tinygrad_edu.train.code_of_runs import known_to
from tinygrad_edu.train.config import as_json
from tinygrad_edu.train.snapshot import generators

States = Sequence[Any]  # for each callback its class and attributes, or None


def states_of(callbacks: Sequence[Any]) -> list[Any]:
    """What each callback's object keeps, in JSON's types."""
    return [None if owner is None else state_of(owner) for owner in map(owner_of, callbacks)]


def owner_of(callback: Any) -> Any:
    """The object of the user's own class whose attributes it may change: itself, or that of a bound method."""
    owner = getattr(callback, "__self__", callback)
    return owner if is_own_class(type(owner)) and holds_attributes(owner) and not isinstance(owner, Module) else None


def state_of(owner: Any) -> dict[str, Any]:
    kept = {name: as_json(x) for name, x in attribute_space(owner).items() if is_held(x)}
    return {"class": type(owner).__name__, "attributes": kept}


def is_held(x: Any) -> bool:
    """Can a file hold it?"""
    if isinstance(x, dict):
        return all(type(key) is str and is_held(each) for key, each in x.items())
    return all(map(is_held, x)) if isinstance(x, (list, tuple)) else type(x) in PLAIN or isinstance(x, np.generic)


def are_states(given: Any) -> bool:
    """Have these the form of `states_of`? They may come from any file."""

    def fits(state: Any) -> bool:
        known = isinstance(state, dict) and state.keys() == {"class", "attributes"}
        return state is None or (known and isinstance(state["attributes"], dict))

    return isinstance(given, list) and all(map(fits, given))


def changes(callbacks: Sequence[Any], start: States, now: States) -> Iterator[tuple[Any, str, Any]]:
    """(attributes, name, value) of what the run has changed in callbacks of the same classes."""
    for callback, before, after in zip(callbacks, start, now, strict=False):
        owner = owner_of(callback)
        if owner is not None and before and after and type(owner).__name__ == before["class"] == after["class"]:
            for name, x in after["attributes"].items():
                if name not in before["attributes"] or repr(before["attributes"][name]) != repr(x):
                    yield attribute_space(owner), name, x


def put_back(attributes: dict[str, Any], name: str, x: Any) -> None:
    """Set an attribute; a list or dict that is there keeps its identity, because others may hold it."""
    own = attributes.get(name)
    if isinstance(own, list) and isinstance(x, list):
        own[:] = x
    elif isinstance(own, dict) and isinstance(x, dict):
        own.clear()
        own.update(x)
    else:
        attributes[name] = tuple(x) if isinstance(own, tuple) and isinstance(x, list) else x


def names_lost(job: Any) -> list[str]:
    """The names of what callbacks have changed in Python and a file does not hold."""
    if job.before is None:
        return []
    held = {
        f"[{i}].{name}"
        for i, state in enumerate(states_of(job.settings.callbacks))
        for name in (state["attributes"] if state else ())
    }
    trained = tuple(names_of_trained(job))
    apart = tuple(f"{name}." for name in trained)
    found = [*job.before.changed_by_callbacks(), *generators_of(job)]
    return [name for name in found if name not in held and name not in trained and not name.startswith(apart)]


def generators_of(job: Any) -> Iterator[str]:
    """The names of random generators that callbacks know. Nobody compares their states: a draw changes them."""
    own = {id(rng) for rng in generators(job.model)}
    for name, x in known_to({"": list(job.settings.callbacks)}):
        if isinstance(x, GENERATORS) and id(x) not in own:
            yield name


def names_of_trained(job: Any) -> Iterator[str]:
    """The names by which callbacks know the model and the optimizer, which a file holds by itself."""
    for i, callback in enumerate(job.settings.callbacks):
        owner, function = owner_of(callback), getattr(callback, "__func__", callback)
        spaces = {} if owner is None else {f"[{i}].{name}": x for name, x in attribute_space(owner).items()}
        if isinstance(function, FunctionType):
            with suppress(ValueError):  # a variable of the closure has no value yet
                known = getclosurevars(function)
                spaces |= {**known.globals, **known.nonlocals}
        yield from (name for name, x in spaces.items() if x is job.model or x is job.optimizer)


def note_of(names: Sequence[str]) -> str:
    """A sentence for `run.how`."""
    told = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
    return f"; what callbacks keep in {told} began anew, because a file does not hold it" if names else ""
