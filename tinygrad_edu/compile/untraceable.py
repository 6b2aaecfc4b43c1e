"""One error for whatever a trace or the compiler cannot do, and the user's own errors as they are."""

from __future__ import annotations

import operator
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu.compile.kept_results import undo_attempt
from tinygrad_edu.compile.planted_errors import PlantedError
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.pytree import flatten, tree_map
from tinygrad_edu.core.tracing.askers import HERE
from tinygrad_edu.core.tracing.stands_for import users_function
from tinygrad_edu.core.tracing.user_errors import without_numpys_words
from tinygrad_edu.errors import TinygradError, TraceError

LONGEST = 300  # letters of an error that is not ours


@contextmanager
def explain_failure(f: Callable[..., Any], arguments: Sequence[Any]) -> Iterator[None]:
    """Around a trace of f: TraceError if f itself runs on these arguments without an error.

    An error that f raises by itself (a wrong shape, a bug) is not about compiling and is passed on as it is.
    """
    try:
        yield
    except (TraceError, PlantedError):
        raise
    except Exception as error:
        undo_attempt()
        if fails(f, arguments):
            raise
        raise untraceable(getattr(f, "__name__", "the function"), error) from error


def call_with_nodes(f: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any] = {}) -> Any:
    """f(*arguments, **named) in a trace. Errors: TraceError if it writes to a dict or list that it is given.

    These are the program's own: the caller's would stay as they are, and the next call would not find them changed.
    """
    refuse_noticing()
    before: list[Any] = []
    after: list[Any] = []
    nesting = flatten((tuple(arguments), dict(named)), before)
    with users_function():
        result = f(*arguments, **named)
    if flatten((tuple(arguments), dict(named)), after) != nesting or any(map(operator.is_not, before, after)):
        raise TraceError(
            f"{getattr(f, '__name__', 'the function')} writes to a dict or list that it is given, which a compiled "
            "function cannot do: let it write to a copy, as in p = dict(p), and return what is new"
        )
    return result


def refuse_noticing() -> None:
    """Errors: TraceError for a function that acts on what NumPy warns of: a program computes without warnings."""
    if HERE.notices:
        raise TraceError(
            f"{HERE.notices} acts on what NumPy warns of (overflow, 0/0), and a compiled function computes without "
            "warnings: look at the numbers, as in np.where(np.isfinite(x), x, 0.0), or call the function without jit"
        )


def fails(f: Callable[..., Any], arguments: Sequence[Any]) -> bool:
    """Does the function raise an error when it is not compiled?"""
    try:
        with no_grad(), np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            f(*tree_map(copy_of_array, tuple(arguments)))
    except Exception:
        return True
    return False


def copy_of_array(x: ArrayLike) -> Any:
    """A copy of a plain array, to which a function may write."""
    return x.copy() if isinstance(x, np.ndarray) else x


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
    most = len(str(error)) if isinstance(error, TinygradError) else LONGEST  # our own words say what to write instead
    reason = textwrap.shorten(str(error), most + 1, placeholder=" ...")
    kind = "" if isinstance(error, TraceError) else f"{type(error).__name__}: "
    return TraceError(f"{name} cannot be compiled; call it without jit: {kind}{reason}")
