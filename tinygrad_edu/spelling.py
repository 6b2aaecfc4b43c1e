"""Names that people write a little differently, and which known name they mean."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def spelled(name: str) -> str:
    """A name without what people spell in several ways: capitals, and the line between two words."""
    return name.lower().replace("-", "_").replace(" ", "_")


def near_names(name: str, known: Iterable[str], most: int = 1, cutoff: float = 0.6) -> list[str]:
    """The known names that somebody may have meant, the nearest first.

    Two letters that changed places are one slip, which difflib counts as two: it takes "tahn" for "tan".

    >>> near_names("tahn", ["tan", "tanh"], 2), near_names("zzz", ["tan"])
    (['tanh', 'tan'], [])
    """
    names = list(known)
    swaps = {name[:i] + name[i + 1] + name[i] + name[i + 2 :] for i in range(len(name) - 1)}
    found = [each for each in names if each in swaps]
    return [*found, *(x for x in difflib.get_close_matches(name, names, most, cutoff) if x not in found)][:most]
