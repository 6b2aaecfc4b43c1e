"""Checks of settings, with one wording for all: each returns the setting, or says which one is out of range.

A bool is not a number here: `epochs=True` is a mistake, not 1.
"""

from __future__ import annotations

import numbers
import os
from collections.abc import Container, Iterable
from functools import cache
from pathlib import Path
from typing import Any, TypeGuard

from tinygrad_edu.errors import SettingError
from tinygrad_edu.foreign_arguments import OF_NUMBERS, is_page_or_picture

UNLIMITED = "(-inf, inf)"
PLAIN = (int, float)  # tested first: an abstract class takes five times as long


def is_whole(x: object) -> TypeGuard[int]:
    """Is it an integer of Python or NumPy?"""
    return type(x) is int or (isinstance(x, numbers.Integral) and not is_flag(x))


def is_number(x: object) -> TypeGuard[float]:
    """Is it a real number of Python or NumPy? NaN and infinity are."""
    return type(x) in PLAIN or (isinstance(x, numbers.Real) and not is_flag(x))


def is_flag(x: object) -> bool:
    """Is it True or False, Python's or NumPy's?"""
    return isinstance(x, bool) or type(x).__name__ in ("bool_", "bool")


def whole(name: str, x: object, least: int = 1, owner: str = "", what: str = "") -> int:
    """A whole number of at least `least`. `owner`: the layer or class whose argument it is; `what`: its meaning.

    >>> whole("epochs", True)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: epochs=True: a whole number of at least 1 is needed
    """
    if not is_whole(x) or x < least:
        raise SettingError(f"{argument(name, x, owner)}: a whole number of at least {least} is needed{meaning(what)}")
    return int(x)


def number(name: str, x: object, interval: str = UNLIMITED, owner: str = "", what: str = "") -> float:
    """A number within an interval, which is written as in mathematics: [ ] with the end, ( ) without.

    >>> import math
    >>> number("p", 0.5, "[0, 1)"), number("limit", math.inf, "(0, inf]")
    (0.5, inf)
    >>> number("p", 1.0, "[0, 1)", owner="Dropout")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: Dropout(p=1.0) lies outside [0, 1)
    """
    if not is_number(x):
        why = "is text" if isinstance(x, str) else f"lies outside {interval}"
        raise SettingError(f"{argument(name, x, owner)} {why}: a number is needed{meaning(what)}")
    low, high = ends_of(interval)
    above = x >= low if interval[0] == "[" else x > low
    below = x <= high if interval[-1] == "]" else x < high
    if not (above and below):
        raise SettingError(f"{argument(name, x, owner)} lies outside {interval}{meaning(what)}")
    return float(x)


@cache
def ends_of(interval: str) -> tuple[float, float]:
    """The two numbers of an interval, parsed once: the checks of an optimizer took half as long as making it."""
    low, high = interval[1:-1].split(",")
    return float(low), float(high)


def flag(name: str, x: object, owner: str = "") -> bool:
    """True or False, not merely something that is truthy or falsy."""
    return x if isinstance(x, bool) else bool(one_of(name, x, (True, False), owner))


def one_of(name: str, x: object, allowed: Iterable[Any], owner: str = "") -> Any:
    """One of a few values, of the same type: 1 is not True."""
    choices = list(allowed)
    plain = x is None or isinstance(x, (str, int, float)) or is_flag(x)
    if not (plain and any(is_flag(x) == is_flag(each) and x == each for each in choices)):
        *most, last = map(repr, choices)
        raise SettingError(f"{argument(name, x, owner)}: {', '.join(most)} or {last} is needed")
    return x


def seed(name: str, x: object, owner: str = "") -> int:
    """The seed of a random generator."""
    return whole(name, x, 0, owner)


def pair(name: str, x: object, what: str) -> tuple[Any, Any]:
    """Two of something; `what` says of what."""
    if not (isinstance(x, (tuple, list)) and len(x) == 2):
        raise SettingError(f"{name}={x!r}: {what}")
    return x[0], x[1]


def divisor(name: str, x: object) -> float:
    """A small number that keeps a quotient finite when the gradient is 0."""
    found = number(name, x, "[0, inf)")
    if found == 0:
        raise SettingError(
            f"{name}=0: a weight whose gradient is 0 would be moved by 0/0. Use a small number, such as 1e-8"
        )
    return found


def optional(check: Any, name: str, x: object, *arguments: Any) -> Any:
    """A check of a setting that may be left out: None stays None."""
    return None if x is None else check(name, x, *arguments)


def unless(words: Container[Any], check: Any, name: str, x: object, *arguments: Any) -> Any:
    """A check of a setting that may also be one of a few words."""
    return x if isinstance(x, str) and x in words else check(name, x, *arguments)


def meaning(what: str) -> str:
    """The meaning of a setting, for the end of an error message."""
    return f", {what}" if what else ""


def function(name: str, x: object, owner: str = "") -> None:
    """Something that can be called.

    >>> function("f", 3.0, "grad")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: grad(f=3.0): a function is needed
    """
    if not callable(x):
        raise SettingError(f"{argument(name, x, owner)}: a function is needed")


def path(name: str, x: object, owner: str = "") -> Path:
    """Where a file is: a text or a Path.

    >>> path("path", None, "export")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: export(path=None): the path of a file is needed
    """
    found = os.fspath(x) if isinstance(x, (str, os.PathLike)) else None
    if not isinstance(found, str) or not found or "\0" in found:
        raise SettingError(f"{argument(name, x, owner)}: the path of a file is needed")
    return Path(found)


def path_of_numbers(x: object, owner: str) -> Path:
    """Where a file of numbers is. Errors: SettingError for the ending of a page or a picture, which others write.

    >>> path_of_numbers("net.svg", "Module.save")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: Module.save('net.svg') would write numbers to be loaded again, not a page or a \
picture: tg.draw(model(X)).save('net.svg') writes a page or a picture
    """
    found = path("path", x, owner)
    if is_page_or_picture(found.name):
        file = repr(os.fspath(found))
        raise SettingError(
            f"{owner}({file}) would write numbers to be loaded again, not a page or a picture: "
            f"{OF_NUMBERS[owner].format(file=file)}"
        )
    return found


def argument(name: str, x: object, owner: str) -> str:
    """The setting as an error shows it: p=1.5, or Dropout(p=1.5)."""
    text = f"{name}={x!r:.80}"
    return f"{owner}({text})" if owner else text


def entries_that_are(count: int) -> str:
    """What is wrong with so many entries of an array, in words.

    >>> entries_that_are(1), entries_that_are(2)
    ('1 entry that is', '2 entries that are')
    """
    return f"{count} entry that is" if count == 1 else f"{count} entries that are"
