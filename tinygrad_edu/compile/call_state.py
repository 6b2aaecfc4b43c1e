"""What a compiled function can reach in Python, before one of its traces: compared afterwards, and put back."""

from __future__ import annotations

import threading
from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.kept import Kept
from tinygrad_edu.compile.left_behind import caches_node, hides_node, holds_node
from tinygrad_edu.compile.python_state import MOST, SHARED, PythonState
from tinygrad_edu.compile.settings_read import GENERATORS
from tinygrad_edu.compile.unread import read_of
from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TraceError


class CallState(PythonState):
    """The state around a trace. Where the user's code writes to nothing, the work of other threads stays."""

    def __init__(self, **roots: Option) -> None:
        alone = threading.active_count() == 1
        super().__init__(**roots)
        # are changes the function's own, not those of other threads?
        self.is_own = alone or any(map(self.may_be_called, self.writers))

    def is_over(self) -> bool:
        """What lies beside an iterator is put back after a refusal, so the search goes on."""
        return len(self.kept) > MOST

    def may_be_called(self, name: str) -> bool:
        """Not a method that no code names, such as `model.train` beside `model.forward`."""
        path, _, key = name.rpartition(".")
        return not path or key in self.words or key == "forward" or key.startswith("__")

    def restore(self) -> None:
        """Put back whatever the function has changed."""
        if self.is_own:
            super().restore()
        for kept in () if self.is_own else self.kept:
            if is_generator(kept) and kept.first_change():
                kept.write(kept.was)

    def settle_left_behind(self, name: str) -> list[Any]:
        """Make plain numbers of the sizes that a trace has left, and return these.

        Errors: TraceError for results in places unknown.
        """
        sizes: list[Any] = []
        for kept in self.kept:
            if kept.first_change():
                now = kept.read()
                if hides_node(now) or (isinstance(now, list) and holds_node(now)):
                    raise TraceError(
                        f"{name} changes {kept.first_change()}: it keeps what it computes of its arguments there, and "
                        "a compiled program cannot. Keep it under a name, in an attribute or a dict, return it, or "
                        "call the function without jit"
                    )
                sizes += kept.settle_sizes()
        return sizes

    def refuse_cached(self, name: str) -> None:
        """Errors: TraceError where a function with functools.lru_cache has kept what a trace computes."""
        for cache, _ in self.caches:
            if caches_node(cache):
                cache.cache_clear()
                raise TraceError(
                    f"{name} keeps what it computes in the cache of {cache.__name__}, where later calls would find it: "
                    "call that function without functools.lru_cache"
                )

    def first_replaced(self) -> str:
        """The name of the first thing in which an equal one has been put in the place of another."""
        return next((kept.name for kept in self.kept if kept.has_replaced()), "")

    def put_back_drawn(self) -> None:
        """Put back random numbers and settings of NumPy, so that a next trace is seen to set them as well."""
        for kept in self.kept:
            if (is_generator(kept) or kept.thing is np) and kept.first_change():
                kept.write(kept.was)

    def put_back_nodes(self) -> None:
        """Put back what was there before where a trace has left its nodes, which mean nothing later."""
        for kept in self.kept:
            if kept.first_change():
                kept.put_back_nodes()

    def change_of_each_call(self, results: Container[str]) -> str:
        """What the function itself changes in Python, besides results that it keeps under these names, or ""."""
        changed = (kept for kept in self.kept if kept.first_change())
        return next(filter(None, (kept.change_besides(results) for kept in changed)), "") if self.is_own else ""

    def refuse_written(self, values: Sequence[Any]) -> None:
        """Errors: TraceError if one of these Values holds another number than before."""
        for kept in self.kept:
            if any(kept.thing is x for x in values) and kept.first_change():
                raise TraceError(
                    f"the function writes to {kept.name} and computes with it. A compiled function reads a Value that "
                    "it closes over as it is when it is called: compute a new one"
                )

    def name_of(self, array: ArrayLike) -> str:
        """The name of what shares memory with an array and was there before the trace; "" if there is nothing."""
        arrays = (kept for kept in self.kept if isinstance(kept.thing, (np.ndarray, Tensor)))
        return next((kept.name for kept in arrays if np.may_share_memory(read_of(kept.thing), read_of(array))), "")


def is_generator(kept: Kept) -> bool:
    """Is it the state of random numbers?"""
    return kept.name in SHARED or isinstance(kept.thing, GENERATORS)
