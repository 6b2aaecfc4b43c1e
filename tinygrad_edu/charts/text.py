"""A user's text on one line."""

from __future__ import annotations


def clean(text: str, limit: int = 60) -> str:
    """User text on one line, without characters that cannot be seen.

    >>> clean("loss\\n of  batch")
    'loss of batch'
    """
    visible = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(visible.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shorten(text: str, limit: int) -> str:
    """A long text cut in the middle: names of curves often differ at the end ("..., lr=0.1", "..., validation").

    >>> shorten("the same long name, validation", 20)
    'the sa…e, validation'
    """
    line = clean(text, max(len(text), 1))
    kept = min(limit * 2 // 3, limit - 1)
    return line if len(line) <= limit else f"{line[: limit - 1 - kept]}…{line[len(line) - kept :]}"
