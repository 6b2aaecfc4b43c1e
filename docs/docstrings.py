"""A griffe extension: the package's docstrings, which are plain text with doctests, as Markdown.

Doctests become code blocks, the letters of formulas lose their meaning to Markdown, and where a sentence has ended, a
line with `Errors:`, `Args:` or the name of an argument in front begins a paragraph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import griffe

PARAGRAPH = re.compile(r"^(Errors|Args|Attributes|Source|Returns|[a-z_]\w*(?:, [a-z_]\w*)*):\s")
SPECIAL = re.compile(r"([\\*_>\[\]#])")
CODE = re.compile(r"(`[^`]*`)")


class Docstrings(griffe.Extension):
    """Rewrites each docstring as soon as it is read."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = markdown(obj.docstring.value)


def markdown(text: str) -> str:
    """A docstring as Markdown."""
    return "\n".join(lines(text))


def lines(text: str) -> Iterator[str]:
    in_doctest, in_drawing, before = False, False, ""
    for line in text.splitlines():
        if line.lstrip().startswith(">>>") and not in_doctest:
            in_doctest = True
            yield from ("", "```pycon")
        elif in_doctest and not line.strip():
            in_doctest = False
            yield "```"
        if in_drawing != bool(re.match(r"[├└│]", line)) and not in_doctest:  # a tree of errors
            yield from ("```", "") if in_drawing else ("", "```text")
            in_drawing = not in_drawing
        yield line if in_doctest or in_drawing else prose(line, before)
        before = line
    if in_doctest or in_drawing:
        yield "```"


def prose(line: str, before: str) -> str:
    """A line of sentences, after the one before it."""
    parts = CODE.split(line)
    escaped = "".join(part if part.startswith("`") else escape(part) for part in parts)
    return f"\n{escaped}" if PARAGRAPH.match(line) and before.endswith((".", ";", ":", ")")) else escaped


def escape(text: str) -> str:
    """Text whose every character stands for itself."""
    return SPECIAL.sub(r"\\\1", text).replace("<", "&lt;").replace("|", "&#124;")
