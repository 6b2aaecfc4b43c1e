"""What the file of a run says of a model besides its arrays: classes, plain attributes and functions of its modules.

Attributes such as Dropout's p, LeakyReLU's slope or a counter in `forward` are not part of state_dict. A run that is
resumed with others would go on as another training, and nothing would tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

from tinygrad_edu.compile.reachable import EVERY
from tinygrad_edu.compile.user_code import is_own_class
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.kept import PLAIN
from tinygrad_edu.nn.module import Module
from tinygrad_edu.train.config import as_json

# they say how a model was initialized, or change with each use of it
APART = {"init", "seed", "training", "kept_results", "kept_before", "place"}
ABSENT = "absent"
Form = Mapping[str, Mapping[str, Any]]


def form_of(model: Module) -> dict[str, dict[str, Any]]:
    """{name of a module: {attribute: value}}, in JSON's types; the class is an attribute, a function is its name."""
    return {place: {"class": type(x).__name__, **dict(attributes_of(x))} for place, x in model.named_modules()}


def attributes_of(module: Module) -> Iterator[tuple[str, Any]]:
    """(name, value) of the attributes that are plain, tuples and dicts of plain ones, or functions."""
    for name, x in vars(module).items():
        if name not in APART:
            if holds_plain(x):
                yield name, as_json(x)
            elif callable(x) and not isinstance(x, Module):
                called = getattr(x, "name", getattr(x, "__name__", None))
                yield from [(name, called)] if isinstance(called, str) else []


def holds_plain(x: object) -> bool:
    if isinstance(x, (tuple, dict)):
        return all(type(each) in PLAIN for each in x) and (type(x) is tuple or are_settings(x))
    return type(x) in PLAIN


def are_settings(x: Any) -> bool:
    return all(type(key) is str and type(each) in PLAIN for key, each in x.items())


def refuse_other_form(model: Module, start: Form, names: set[str]) -> None:
    """Errors: SettingError where the model is not as that of the run was at its start.

    `names`: those in the code that trains it. What it does not name cannot matter, such as a date or a path that the
    user's class notes.
    """
    modules = dict(model.named_modules())
    for place, name, now, before in differences(form_of(model), start):
        if name != "class" and place in modules and only_notes(type(modules[place]), name, names):
            continue
        raise SettingError(
            f"a run is resumed with its own model: {spell(place, name)} was {before!r:.60} and is {now!r:.60} now"
        )


def only_notes(kind: type, name: str, names: set[str]) -> bool:
    """Is it an attribute of the user's class that neither the user's code names, nor a layer that it derives from?"""
    if not is_own_class(kind) or {name, EVERY} & names:
        return False
    layers = [base for base in kind.__mro__[:-1] if base is not Module and not is_own_class(base)]
    methods = [x for base in layers for x in vars(base).values() if isinstance(x, FunctionType)]
    return not any(name in x.__code__.co_names for x in methods)


def numbers_to_set(model: Module, start: Form, now: Form) -> list[tuple[dict[str, Any], str, Any]]:
    """(attributes of a module, name, value) of what changed during the run, such as counters.

    Errors: SettingError for what a file does not hold, such as another function.
    """
    modules, found = dict(model.named_modules()), []
    for place, name, value, before in differences(now, start):
        if value == ABSENT:  # it is a result of forward by now, or the like: see state_outside.py
            continue
        own = getattr(modules.get(place), name, value if before == ABSENT else None)
        if type(own) is not type(value) or type(own) not in PLAIN:
            raise SettingError(
                f"the run changed {spell(place, name)} from {before!r:.60} to {value!r:.60}, and a file does not hold "
                "that: continue in this process with run.resume(epochs)"
            )
        found.append((vars(modules[place]), name, value))
    return found


def differences(form: Form, other: Form) -> Iterator[tuple[str, str, Any, Any]]:
    """(module, attribute, value, the other value) of what is not the same; repr is exact for numbers."""
    for place in {**other, **form}:
        one, two = form.get(place, {}), other.get(place, {})
        for name in {**two, **one}:
            pair = one.get(name, ABSENT), two.get(name, ABSENT)
            if repr(pair[0]) != repr(pair[1]):
                yield place, name, *pair


def spell(place: str, name: str) -> str:
    return ".".join(filter(None, ("model", place, name)))
