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
