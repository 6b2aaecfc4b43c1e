"""Parsing Python, one thread at a time."""

from __future__ import annotations

import ast
import threading
from typing import Any

# CPython 3.11 counts the depth of a tree that it hands over for all threads together: of two that parse at once, one
# can end with SystemError, "AST constructor recursion depth mismatch" (seen with 3.11.7, in two threads of Dask)
LOCK = threading.Lock()


def parsed(text: str, mode: str = "exec") -> Any:
    """ast.parse(text)."""
    with LOCK:
        return ast.parse(text, mode=mode)
