"""Lists and dicts of modules under PyTorch's names; a plain list or dict as an attribute is registered as well."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, MutableMapping, MutableSequence
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import OperandError
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import is_parameter


class ModuleList(Module, MutableSequence[Any]):
    """A list of modules that is a module: `self.blocks = nn.ModuleList([...])` has the parameters `blocks.0.weight`.

    modules: modules, in order.

    >>> from tinygrad_edu import nn
    >>> blocks = nn.ModuleList([nn.Linear(2, 2, False), nn.Linear(2, 1, False)])
    >>> [name for name, _ in blocks.named_parameters()], len(blocks)
    (['0.weight', '1.weight'], 2)
    """

    def __init__(self, modules: Iterable[Any] = ()) -> None:
        self.items = [check_members(module) for module in listed("ModuleList", modules)]

    def members(self) -> Iterator[tuple[str, Any]]:
        """(number, module)."""
        yield from ((str(i), module) for i, module in enumerate(self.items))

    def __getitem__(self, i: ArrayLike) -> Any:
        return type(self)(self.items[i]) if isinstance(i, slice) else self.items[i]

    def __setitem__(self, i: ArrayLike, module: Any) -> None:
        many = isinstance(i, slice)
        self.items[i] = [check_members(x) for x in listed("ModuleList", module)] if many else check_members(module)

    def __delitem__(self, i: ArrayLike) -> None:
        del self.items[i]

    def __len__(self) -> int:
        return len(self.items)

    def extend(self, values: Iterable[Any]) -> None:
        """Add modules at the end."""
        self.items += [check_members(module) for module in listed("ModuleList", values)]

    def insert(self, index: int, value: ArrayLike) -> None:
        """Put a module before the one at `index`."""
        self.items.insert(index, check_members(value))

    __hash__ = object.__hash__


class ModuleDict(Module, MutableMapping[str, Any]):
    """A dict of modules that is a module: `self.heads = nn.ModuleDict({...})` has the parameters `heads.mean.weight`.

    As in PyTorch `self.heads.mean` is `self.heads["mean"]`.
    modules: a dict of modules by name.

    >>> from tinygrad_edu import nn
    >>> heads = nn.ModuleDict({"mean": nn.Linear(2, 1), "scale": nn.Linear(2, 1)})
    >>> [name for name, _ in heads.named_arrays()]
    ['mean.weight', 'mean.bias', 'scale.weight', 'scale.bias']
    """

    def __init__(self, modules: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self.entries = {str(name): check_members(module) for name, module in pairs_of(modules)}

    def members(self) -> Iterator[tuple[str, Any]]:
        """(name, module)."""
        yield from list(self.entries.items())

    update = MutableMapping.update  # of a dict; other modules name the optimizer's step here

    def __getattr__(self, name: str) -> Any:
        entries = self.__dict__.get("entries", {})
        if name not in entries:
            raise AttributeError(
                f"ModuleDict has no attribute {name!r}; its modules are {', '.join(entries) or 'none'}"
            )
        return entries[name]

    def __getitem__(self, name: str) -> Any:
        return self.entries[name]

    def __setitem__(self, name: str, module: Any) -> None:
        self.entries[str(name)] = check_members(module)

    def __delitem__(self, name: str) -> None:
        del self.entries[name]

    def __len__(self) -> int:
        return len(self.entries)

    def __iter__(self) -> Iterator[str]:
        return iter(self.entries)

    __hash__ = object.__hash__
    __eq__ = object.__eq__


def listed(name: str, modules: Any) -> list[Any]:
    """The modules of a list, tuple or other iterable. Errors: OperandError."""
    if isinstance(modules, Iterable) and not isinstance(modules, (str, bytes, type)):
        return list(modules)
    kind = "dict" if name == "ModuleDict" else "list"
    given = type(modules).__name__ if isinstance(modules, Module) else f"{modules!r:.60}"
    one = ": a single module goes into a list, [module]" if kind == "list" and callable(modules) else ""
    raise OperandError(f"{name} takes a {kind} of modules, not {given}{one}")


def pairs_of(modules: Any) -> list[tuple[str, Any]]:
    """(name, module) of a dict, or of a list of such pairs. Errors: OperandError."""
    found = list(modules.items()) if isinstance(modules, Mapping) else listed("ModuleDict", modules)
    for pair in found:
        if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
            raise OperandError(f"ModuleDict takes a dict, or a list of pairs (name, module), not {pair!r:.60} in it")
    return found


def check_members(module: Any) -> Any:
    """Modules, parameters and functions as given; anything else would not be trained. Errors: OperandError."""
    if isinstance(module, Module) or is_parameter(module) or callable(module):
        return module
    raise OperandError(f"a list or dict of modules may hold modules and parameters, not {module!r:.60}")
