"""The place in the user's program that made a node, kept while `record_lines` is on; the standard library alone.

The frame's current instruction knows its columns, so that of `h = np.tanh(x @ W + b)` the product knows `x @ W`.
"""

from __future__ import annotations

import linecache
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from types import FrameType
from typing import NamedTuple

from tinygrad_edu.core.modes import switch_mode

OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class Place(NamedTuple):
    """Where a node was made: file, line (from 1), the whole line, and the part of it that made the node."""

    file: str
    line: int
    source: str
    part: str

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}, line {self.line}"


@contextmanager
def record_lines() -> Iterator[None]:
    """Let every node that is made in this thread, until the block ends, remember the line of the program that made it.

    `draw(node).save("graph.html")` shows it in the panel of the node. It costs about 2 µs a node, so it is off
    otherwise; `draw(model)`, which runs the model itself, switches it on.

    >>> from tinygrad_edu import Value, record_lines
    >>> with record_lines():
    ...     y = (Value(2.0) * 3.0).tanh()
    >>> y.place.part, y.parents[0].place.part
    ('(Value(2.0) * 3.0).tanh()', 'Value(2.0) * 3.0')
    """
    with switch_mode("lines", True):
        yield


def find_place() -> Place | None:
    """The innermost line outside this package and NumPy that is being run; None where there is none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_inside(frame):
        frame = frame.f_back
    return None if frame is None else place_of(frame)


def is_inside(frame: FrameType) -> bool:
    """Is it of this package, or NumPy's own Python between a program and us?"""
    file, module = frame.f_code.co_filename, str(frame.f_globals.get("__name__"))
    return file.startswith((OURS, "<__array_function__")) or module.partition(".")[0] == "numpy"


def place_of(frame: FrameType) -> Place:
    """The line that a frame is at."""
    code = frame.f_code
    line, last, start, end = next(islice(code.co_positions(), frame.f_lasti // 2, None), (None,) * 4)
    number = frame.f_lineno if line is None else line
    source = linecache.getline(code.co_filename, number, frame.f_globals).rstrip("\n")
    whole = source.strip()
    if start is None or end is None or last != line:
        return Place(code.co_filename, number, whole, whole)
    part = source.encode()[start:end].decode(errors="replace")  # Python counts columns in bytes
    return Place(code.co_filename, number, whole, part or whole)
