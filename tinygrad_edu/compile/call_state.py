"""What a compiled function can reach in Python, before one of its traces: compared afterwards, and put back."""

from __future__ import annotations

import threading

from tinygrad_edu.compile.kept import Kept
from tinygrad_edu.compile.python_state import SHARED, PythonState
from tinygrad_edu.compile.settings_read import GENERATORS
from tinygrad_edu.core.aliases import Option


class CallState(PythonState):
    """The state around a trace. Where the user's code writes to nothing, the work of other threads stays."""

    def __init__(self, **roots: Option) -> None:
        alone = threading.active_count() == 1
        super().__init__(**roots)
        # are changes the function's own, not those of other threads?
        self.is_own = alone or any(map(self.may_be_called, self.writers))

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

    def put_back_nodes(self) -> None:
        """Put back what was there before where a trace has left its nodes, which mean nothing later."""
        for kept in self.kept:
            if kept.first_change():
                kept.put_back_nodes()


def is_generator(kept: Kept) -> bool:
    """Is it the state of random numbers?"""
    return kept.name in SHARED or isinstance(kept.thing, GENERATORS)
