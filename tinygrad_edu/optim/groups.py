"""Parameter groups with their own settings, as in SGD([{"params": ..., "lr": 0.1}, {"params": ...}])."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import SettingError


def are_groups(params: Any) -> bool:
    """Is it a list of dicts, each with "params"?"""
    return isinstance(params, (list, tuple)) and bool(params) and all(isinstance(group, Mapping) for group in params)


def members(group: Mapping[str, Any]) -> list[Any]:
    """The parameters of a group. Errors: SettingError."""
    if "params" not in group:
        raise SettingError(f'a group of parameters needs "params"; it has {sorted(group)}')
    params = group["params"]
    return list(params) if isinstance(params, (list, tuple)) or hasattr(params, "__next__") else [params]


def make_group(optimizer: Any, group: Mapping[str, Any], lr: Any) -> Any:
    """An optimizer for one group; its settings are checked like any other's. Errors: SettingError."""
    own = {name: x for name, x in group.items() if name != "params"}
    known = list(inspect.signature(type(optimizer).__init__).parameters)[2:]
    known.append("maximize")
    unknown = sorted(own.keys() - set(known))
    if unknown:
        raise SettingError(f"a group of {type(optimizer).__name__} has the settings {', '.join(known)}, not {unknown}")
    made = type(optimizer)(members(group), **{"lr": lr, **optimizer.options, **own})
    made.hold_all()
    made.is_group = True
    return made


class Group(MutableMapping[str, Any]):
    """One group as a dict: g["lr"], g["params"] and settings can be read and changed, as in PyTorch's param_groups."""

    def __init__(self, optimizer: Any, whole: Any) -> None:
        self.optimizer, self.whole = optimizer, whole  # the whole one counts the steps

    def __getitem__(self, name: str) -> Any:
        if name == "lr":
            return self.optimizer.schedule(self.whole.steps)
        if name == "params":
            return list(self.optimizer.given)
        return self.optimizer.options[name]

    def __setitem__(self, name: str, x: ArrayLike) -> None:
        optimizer = self.optimizer
        if name == "lr":
            optimizer.lr = x
        elif name in optimizer.options:
            changed = type(optimizer)(optimizer.params, **{"lr": optimizer.schedule, **optimizer.options, name: x})
            if changed.memories != optimizer.memories:
                raise SettingError(f"{name} = {x!r}: another number of memories is needed for it, make a new optimizer")
            optimizer.settings, optimizer.rule, optimizer.maximize = changed.settings, changed.rule, changed.maximize
        else:
            raise SettingError(f"{name!r} cannot be set; a group has lr and {', '.join(optimizer.options)}")

    def __delitem__(self, name: str) -> None:
        raise SettingError(f"{name!r} cannot be deleted: set it to another value")

    def __iter__(self) -> Iterator[str]:
        return iter(["params", "lr", *self.optimizer.options])

    def __len__(self) -> int:
        return 2 + len(self.optimizer.options)
