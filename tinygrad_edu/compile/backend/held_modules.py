"""Loaded programs, kept only while they are in use: memory stays flat over any number of compiled functions.

Numba keeps what it has compiled as long as the function lives, and looks up the function's module in sys.modules. So
sys.modules gets a stand-in that keeps nothing alive, and the function is removed from the names of its module, which
its own machine code keeps alive.
"""

from __future__ import annotations

import sys
import weakref
from types import ModuleType, SimpleNamespace
from typing import Any

# Weak references to modules that are gone; their stand-ins are removed at the next look. A Python callback could not do
# it: a Ctrl-C during a callback is lost, because Python only prints errors of callbacks.
GONE: list[Any] = []


class Held(ModuleType):
    """The stand-in for a module, and its compiled functions."""

    def __init__(self, module: ModuleType) -> None:
        super().__init__(module.__name__)
        vars(module)["__own_module__"] = module  # keeps the module alive as long as one of its functions
        release_modules()
        self.module = weakref.KeyedRef(module, GONE.append, module.__name__)
        self.functions: dict[str, Any] = {}

    def take_functions(self) -> SimpleNamespace:
        """The compiled functions, which the module itself no longer holds."""
        module = self.module()
        assert module is not None
        entries = {
            k: x for k, x in vars(module).items() if type(getattr(x, "_cache", None)).__name__ == "FunctionCache"
        }
        for name, function in entries.items():
            del vars(module)[name]
            self.functions[name] = weakref.ref(function)
        return SimpleNamespace(**entries)

    def in_use(self) -> Any:
        """The functions, if all of them are still there, or the module of a program that Python runs; else None."""
        if not self.functions:
            return self.module()
        found = {name: function() for name, function in self.functions.items()}
        return SimpleNamespace(**found) if None not in found.values() else None

    def __getattr__(self, name: str) -> Any:
        return self.functions[name]() if name in self.functions else getattr(self.module(), name)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        module = self.module()
        return {} if module is None else vars(module)


def release_modules() -> None:
    """Remove the stand-ins of modules that are gone from sys.modules."""
    while GONE:
        reference = GONE.pop()
        entry = sys.modules.get(reference.key)
        if isinstance(entry, Held) and entry.module is reference:
            del sys.modules[reference.key]


def in_use(name: str) -> Any:
    """The functions of the program of that name, if it is loaded and used; else None."""
    release_modules()
    entry = sys.modules.get(name)
    return entry.in_use() if isinstance(entry, Held) else None
