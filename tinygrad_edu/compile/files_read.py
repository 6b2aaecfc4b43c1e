"""The files that a function opens while it is traced: a program keeps what was in them, so a change is traced again."""

from __future__ import annotations

import builtins
import functools
import io
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

CODE = (".py", ".pyc", ".so")  # imports and tracebacks read these
FROM = threading.local()  # .paths: the files that this thread's trace has opened; unset outside of a trace
LOCK = threading.RLock()
# np.loadtxt opens by a function of its own
PLACES: list[Any] = [x for x in (builtins, io, getattr(np.lib, "_datasource", None)) if x is not None]
NESTED: list[Callable[[], None]] = []  # what ends the noting: one entry for each trace that runs


class FileRead:
    """A file that a trace has read; checks its size, time and place on the disk. (2 µs)"""

    __slots__ = ("path", "was")

    def __init__(self, path: str) -> None:
        self.path, self.was = path, facts_of(path)

    def holds(self) -> bool:
        return facts_of(self.path) == self.was

    def what(self) -> str:
        return f"the file {self.path}"

    def settle(self, first: int | None = None) -> list[FileRead]:
        """The check after a trace, which may itself have written the file."""
        self.was = facts_of(self.path)
        return [self]


def facts_of(path: str) -> tuple[int, ...]:
    try:
        found = os.stat(path)
    except OSError:
        return ()
    return found.st_size, found.st_mtime_ns, found.st_ino


@contextmanager
def files_read() -> Iterator[list[FileRead]]:
    """While the block runs, what this thread opens for reading by open(), pathlib or NumPy is added to the list."""
    found: list[FileRead] = []
    before = getattr(FROM, "paths", None)
    FROM.paths = paths = dict[str, None]()
    with LOCK:
        NESTED.append(start() if not NESTED else lambda: None)
    try:
        yield found
    finally:
        FROM.paths = None if before is None else before | paths
        with LOCK:
            end = NESTED.pop() if len(NESTED) > 1 else NESTED.pop(0)
            end()
        found += map(FileRead, paths)


def start() -> Callable[[], None]:
    """Let the names of open() note what they open; what puts them back."""
    changed = [(place, place.open, noting(place.open)) for place in PLACES]
    for place, _, new in changed:
        place.open = new

    def end() -> None:
        for place, real, new in changed:
            if place.open is new:
                place.open = real

    return end


def noting(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def opened(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        note(file, mode)
        return real(file, mode, *arguments, **options)

    return opened


def note(file: Any, mode: Any) -> None:
    """Add the path, if this thread traces and the file is read."""
    paths = getattr(FROM, "paths", None)
    if paths is not None and "r" in str(mode) and isinstance(file, (str, bytes, os.PathLike)):
        path = os.path.abspath(os.fsdecode(file))
        if not path.endswith(CODE):
            paths[path] = None
