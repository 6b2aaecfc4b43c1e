"""Which arguments to differentiate with respect to, as a user writes it: `argnum=0`, `-1`, or `(0, 2)`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from tinygrad_edu import checks
from tinygrad_edu.core.conversions.printing import preview
from tinygrad_edu.errors import OperandError, SettingError

INSTEAD = {  # options of JAX's transforms that do not exist here, and why
    "holomorphic": "all numbers here are real: take the real and the imaginary part as two arguments",
    "allow_int": "whole numbers have no gradient: leave the argument out of argnums",
    "reduce_axes": "sum over the axes in the function",
}


def refuse_options(transform: str, options: Mapping[str, Any]) -> None:
    """Refuse unknown options. Errors: SettingError for options of JAX that ask for something, TypeError for others."""
    for name, given in options.items():
        if name not in INSTEAD:
            raise TypeError(f"{transform}() got an unexpected keyword argument {name!r}")
        if given:
            raise SettingError(f"{transform}({name}={given!r}): {INSTEAD[name]}")


def is_several(argnum: int | Sequence[int]) -> bool:
    """Are several arguments meant, so that a tuple of gradients is the result?"""
    return isinstance(argnum, Sequence) and not isinstance(argnum, str)


def places_of(argnum: int | Sequence[int], count: int, several: bool = True) -> list[int]:
    """The positional arguments meant, as numbers from 0 to count - 1. Errors: SettingError for any other number.

    >>> places_of(-1, 3), places_of((0, 2), 3)
    ([2], [0, 2])
    >>> places_of(2, 2)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: argnum=2: the function was called with 2 positional arguments, numbered from 0
    """
    listed: list[Any] = list(cast(Any, argnum)) if several and is_several(argnum) else [argnum]
    if not listed or not all(map(checks.is_whole, listed)):
        what = "a whole number, or a tuple of them, is needed" if several else "a whole number is needed"
        raise SettingError(f"argnum={preview(argnum)}: {what}")
    if not all(-count <= i < count for i in listed):
        plural = "" if count == 1 else "s"
        raise SettingError(
            f"argnum={argnum!r}: the function was called with {count or 'no'} positional argument{plural}, "
            "numbered from 0"
        )
    places = [i % count for i in listed]
    if len(set(places)) < len(places):
        raise SettingError(f"argnum={argnum!r} names an argument twice")
    return places


def at_places(arguments: Sequence[Any], places: Sequence[int]) -> list[Any]:
    """The arguments meant. Errors: OperandError for None, which has numbers only beside others, as in a dict."""
    chosen = [arguments[i] for i in places]
    for i, x in zip(places, chosen, strict=True):
        if x is None:
            raise OperandError(f"argument {i} is None: a derivative is taken with respect to numbers")
    return chosen
