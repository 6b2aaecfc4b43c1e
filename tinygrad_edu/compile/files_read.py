"""The files that a function opens while it is traced: a program keeps what was in them, so a change is traced again."""

from __future__ import annotations

import builtins
import functools
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_edu.compile.user_code import is_foreign
from tinygrad_edu.core.mutex import Mutex

CODE = (".py", ".pyc", ".so")  # imports and tracebacks read these
FROM = threading.local()  # .paths: the files that this thread's trace has opened; unset outside of a trace
LOCK = Mutex()
# np.loadtxt opens by a function of its own
OPENS: list[Any] = [x for x in (builtins, io, getattr(np.lib, "_datasource", None)) if x is not None]
# what tells of a file or folder without opening it: os.path.exists and getsize, Path.glob, os.walk
TELLS = ("access", "listdir", "lstat", "readlink", "scandir", "stat")
THROUGH = {"fnmatch", "genericpath", "glob", "ntpath", "os", "pathlib", "posixpath"}  # ask for their caller
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
    with LOCK.freed(), LOCK.taken:
        NESTED.append(start() if not NESTED else lambda: None)
    try:
        yield found
    finally:
        FROM.paths = None if before is None else before | paths
        with LOCK.freed(), LOCK.taken:
            end = NESTED.pop() if len(NESTED) > 1 else NESTED.pop(0)
            end()
        found += map(FileRead, paths)


def start() -> Callable[[], None]:
    """Let open() and os.stat() under their names note what they read; what puts them back."""
    changed = [(place, "open", place.open, noting(place.open)) for place in OPENS]
    changed += [(os, name, getattr(os, name), telling(getattr(os, name))) for name in TELLS if hasattr(os, name)]
    for place, name, _, new in changed:
        setattr(place, name, new)

    def end() -> None:
        for place, name, real, new in changed:
            if getattr(place, name) is new:
                setattr(place, name, real)

    return end


def telling(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    def told(path: Any = ".", *arguments: Any, **options: Any) -> Any:
        if getattr(FROM, "paths", None) is not None and is_for_user(sys._getframe(1)):
            note(path, "r")
        return real(path, *arguments, **options)

    return told


def is_for_user(frame: FrameType | None) -> bool:
    """Does the user's own code ask, perhaps through os.path or pathlib? Imports and caches ask at any time."""
    while frame is not None and frame.f_globals.get("__name__") in THROUGH:
        frame = frame.f_back
    return frame is not None and is_foreign(frame.f_globals.get("__name__"))


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
