"""One error for whatever a trace or the compiler cannot do, and the user's own errors as they are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.user_errors import without_numpys_words
from tinygrad_edu.errors import TinygradError, TraceError


@contextmanager
def explain_failure(f: Callable[..., Any], arguments: Sequence[Any]) -> Iterator[None]:
    """Around a trace of f: TraceError if f itself runs on these arguments without an error.

    An error that f raises by itself (a wrong shape, a bug) is not about compiling and is passed on as it is.
    """
    try:
        yield
    except TraceError:
        raise
    except Exception as error:
        if fails(f, arguments):
            raise
        raise untraceable(getattr(f, "__name__", "the function"), error) from error


def fails(f: Callable[..., Any], arguments: Sequence[Any]) -> bool:
    """Does the function raise an error when it is not compiled?"""
    try:
        with no_grad(), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            f(*arguments)
    except Exception:
        return True
    return False


@contextmanager
def compiling(name: str) -> Iterator[None]:
    """Around the compiling of a trace: our own errors say what they are about, any other is the compiler's."""
    try:
        yield
    except TinygradError:
        raise
    except Exception as error:
        raise untraceable(name, error) from error


def untraceable(name: str, error: Exception) -> TraceError:
    """The error, with the original one in its text."""
    error = without_numpys_words(error)
    reason = " ".join(str(error).split())
    return TraceError(f"{name} cannot be compiled; call it without jit: {type(error).__name__}: {reason:.300}")
