"""Whose error is it: the user's own, or that of NumPy or the engine, which were given what they cannot work with?"""

from __future__ import annotations

import dis
from pathlib import Path

import numpy as np

from tinygrad_edu.errors import TinygradError

LIBRARIES = (str(Path(__file__).parents[2]), str(Path(np.__file__).parent))


def without_numpys_words(error: Exception) -> Exception:
    """Our error behind NumPy's "setting an array element with a sequence", which `a[i] = x` says of any failure."""
    return error.__cause__ if isinstance(error, ValueError) and isinstance(error.__cause__, TinygradError) else error


def is_of_user(error: Exception) -> bool:
    """Was it raised by a line of the user's: any ValueError, as of int("a"), and others by the word `raise`?"""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_filename.startswith(LIBRARIES):
        return False
    word = dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]]
    return isinstance(error, ValueError) or word.startswith(("RAISE", "RERAISE"))
