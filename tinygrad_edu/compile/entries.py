"""What a compiled function depends on in Python, noted at its trace and compared before each call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import repeat
from operator import is_
from typing import Any

import numpy as np

from tinygrad_edu.compile.unread import FORM, GRADIENT, NUMBERS, Put, original
from tinygrad_edu.compile.user_code import ATOMS, same
from tinygrad_edu.core.checksum import checksum
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value

ABSENT = object()
FEW = 3  # names that are looked up one by one, 0.06 µs each; `Entries.holds` takes 0.25 for any number


class Names:
    """Some names of a namespace: called, what is there now, and ABSENT where there is nothing yet."""

    __slots__ = ("get", "keys")

    def __init__(self, get: Callable[..., Any], keys: Sequence[str]) -> None:
        self.get, self.keys = get, keys

    def __call__(self) -> Iterable[Any]:
        return map(self.get, self.keys, repeat(ABSENT))


class Entries:
    """Some entries of a namespace, or all items of a container. `live` gives them as they are; `sized` has a length.

    `put(at, x)` replaces the one that is at this key or index, if that is possible.
    """

    __slots__ = ("at", "keys", "live", "lookups", "name", "put", "sized", "was")

    def __init__(
        self,
        name: str,
        live: Callable[[], Iterable[Any]],
        sized: Any = None,
        keys: Sequence[str] = (),
        put: Put | None = None,
        at: Sequence[Any] = (),
    ) -> None:
        self.name, self.live, self.sized, self.keys, self.was = name, live, sized, keys, list(map(original, live()))
        self.put, self.at = put, at or (live.keys if isinstance(live, Names) else keys)
        self.lookups: list[tuple[Callable[..., Any], str, Any]] = []  # (get, key, what it gave) of a few names
        if isinstance(live, Names) and len(self.was) <= FEW:
            self.lookups = [(live.get, key, x) for key, x in zip(self.at, self.was, strict=True)]

    def holds(self) -> bool:
        """Are they the same objects, or equal numbers and texts? (0.4 µs)"""
        if self.sized is not None and len(self.sized) != len(self.was):
            return False
        return all(map(is_, self.live(), self.was)) or self.equal()

    def what(self) -> str:
        """The name of the first entry that has changed."""
        pairs = zip(self.keys, self.live(), self.was, strict=False)
        key = next((key for key, now, was in pairs if not same_atom(now, was)), "")
        return ".".join(part for part in (self.name, key) if part)

    def equal(self) -> bool:
        """The same, number by number."""
        now = list(map(original, self.live()))  # another thread may be tracing
        if len(now) != len(self.was) or not all(map(same_atom, now, self.was)):
            return False
        self.was = now
        return True


class Content:
    """The numbers of an array, Tensor or Value; or its form, or its gradient."""

    __slots__ = ("aspect", "name", "thing", "was")

    def __init__(self, name: str, thing: Any, aspect: str = NUMBERS) -> None:
        self.name, self.thing, self.aspect = name, thing, aspect
        self.was = ASPECTS[aspect](thing)

    def what(self) -> str:
        return f"{self.name}.grad" if self.aspect == GRADIENT else self.name

    def holds(self) -> bool:
        return bool(ASPECTS[self.aspect](self.thing) == self.was)


def same_atom(a: Any, b: Any) -> bool:
    return a is b or (isinstance(a, ATOMS) and same(a, b))


def numbers(x: Any) -> Any:
    """Shape, dtype and checksum of an array; the number of a Value."""
    if isinstance(x, Value):
        return x.data
    held = x.array if isinstance(x, Tensor) else x
    return held.shape, held.dtype, checksum(held)


def form(x: Any) -> Any:
    """Shape and dtype, of which a trace may have made plain numbers."""
    held = x.array if isinstance(x, Tensor) else x
    return held.shape, held.dtype


def gradient(x: Any) -> Any:
    """The numbers of the gradient."""
    return numbers(x.grad) if isinstance(x.grad, np.ndarray) else x.grad


ASPECTS: dict[str, Callable[[Any], Any]] = {NUMBERS: numbers, FORM: form, GRADIENT: gradient}
