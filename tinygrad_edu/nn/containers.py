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

    >>> from tinygrad_edu import nn
    >>> blocks = nn.ModuleList([nn.Linear(2, 2, False), nn.Linear(2, 1, False)])
    >>> [name for name, _ in blocks.named_parameters()], len(blocks)
    (['0.weight', '1.weight'], 2)
    """

    def __init__(self, modules: Iterable[Any] = ()) -> None:
        self.items = [check_members(module) for module in modules]

    def members(self) -> Iterator[tuple[str, Any]]:
        """(number, module)."""
        yield from ((str(i), module) for i, module in enumerate(self.items))

    def __getitem__(self, i: ArrayLike) -> Any:
        return type(self)(self.items[i]) if isinstance(i, slice) else self.items[i]

    def __setitem__(self, i: ArrayLike, module: Any) -> None:
        self.items[i] = [check_members(x) for x in module] if isinstance(i, slice) else check_members(module)

    def __delitem__(self, i: ArrayLike) -> None:
        del self.items[i]

    def __len__(self) -> int:
        return len(self.items)

    def insert(self, index: int, value: ArrayLike) -> None:
        """Put a module before the one at `index`."""
        self.items.insert(index, check_members(value))

    __hash__ = object.__hash__


class ModuleDict(Module, MutableMapping[str, Any]):
    """A dict of modules that is a module: `self.heads = nn.ModuleDict({...})` has the parameters `heads.mean.weight`.

    As in PyTorch `self.heads.mean` is `self.heads["mean"]`.

    >>> from tinygrad_edu import nn
    >>> heads = nn.ModuleDict({"mean": nn.Linear(2, 1), "scale": nn.Linear(2, 1)})
    >>> [name for name, _ in heads.named_arrays()]
    ['mean.weight', 'mean.bias', 'scale.weight', 'scale.bias']
    """

    def __init__(self, modules: Mapping[str, Any] | Iterable[tuple[str, Any]] = ()) -> None:
        self.entries = {str(name): check_members(module) for name, module in dict(modules).items()}

    def members(self) -> Iterator[tuple[str, Any]]:
        """(name, module)."""
        yield from list(self.entries.items())

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


def check_members(module: Any) -> Any:
    """Modules, parameters and functions as given; anything else would not be trained. Errors: OperandError."""
    if isinstance(module, Module) or is_parameter(module) or callable(module):
        return module
    raise OperandError(f"a list or dict of modules may hold modules and parameters, not {module!r:.60}")
