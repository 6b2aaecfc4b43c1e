"""A griffe extension: the package's docstrings, which are plain text with doctests, as Markdown.

Doctests become code blocks, the letters of formulas lose their meaning to Markdown, and where a sentence has ended, a
line with `Errors:` in front begins a paragraph. What a docstring says of arguments (`lr: the rate.`) goes
into a table, beside their types and defaults, which the signature gives. What it does not say of `rng`, `backend` and
the like, which mean the same everywhere, docs/arguments.py says.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any

import griffe

sys.path.insert(0, str(Path(__file__).parent))
from arguments import EVERYWHERE, HERE

PARAGRAPH = re.compile(r"^(Errors|Args|Attributes|Source|Returns|[a-z_]\w*(?:, [a-z_]\w*)*):\s")
SPECIAL = re.compile(r"([\\*_>\[\]#])")
CODE = re.compile(r"(`[^`]*`)")
LISTED = re.compile(r"(?:^|\s)Args:\s(.*)\Z", re.S)  # "Args: `lr`, the rate; `beta`, the decay. And so on."
# "lr, eps: " at the beginning of a sentence
START = re.compile(r"(?:^|(?<=[.;:)] )|(?<=\n))\s*(\w+(?:, \w+)*): ", re.M)
ITEM = re.compile(r"(?:^|; |, and )`(\w+)(?:=\w+)?`(?: and `(\w+)`)?(,|:)? ")


class Docstrings(griffe.Extension):
    """Rewrites each docstring as soon as it is read."""

    def on_object(self, *, obj: Any, **_: Any) -> None:
        if obj.docstring:
            arguments = arguments_of(obj)
            prose, said, rest = divided(obj.docstring.value, list(arguments))
            told = {name: words for name in arguments if (words := said.get(name) or known(obj, name))}
            listed = said or len(told) == len(arguments) > 0
            parts = [markdown(prose), table(arguments, told) if listed else "", markdown(rest)]
            obj.docstring.value = "\n\n".join(filter(None, parts))


def arguments_of(obj: Any) -> dict[str, tuple[str, str]]:
    """name → (type, default) of what a function, or a class, is called with; "" for what has none."""
    if not (obj.is_function or obj.is_class):
        return {}
    given = [each for each in getattr(obj, "parameters", []) if each.name not in ("self", "cls")]
    return {each.name: (str(each.annotation or ""), str(each.default or "")) for each in given}


def known(obj: Any, name: str) -> str:
    """What an argument of this name means, in this function or everywhere; "" if nobody has said."""
    return HERE.get(f"{obj.name}.{name}") or HERE.get(f"{obj.parent.name}.{name}") or EVERYWHERE.get(name, "")


def divided(text: str, names: list[str]) -> tuple[str, dict[str, str], str]:
    """(the sentences, name → what is said of that argument, errors and examples).

    >>> divided("Steps. lr: the rate. beta: the\\n    decay.\\nErrors: SettingError.\\n\\n>>> 1\\n1", ["lr", "beta"])
    ('Steps.', {'lr': 'the rate', 'beta': 'the decay'}, 'Errors: SettingError.\\n\\n>>> 1\\n1')
    """
    end = re.search(r"^\s*(?:Errors|Source)\b|^\s*>>> |(?<=\.) Errors:", text, re.M)
    prose, rest = (text[: end.start()], text[end.start() :].strip()) if end else (text, "")
    starts = [start for start in START.finditer(prose) if set(start[1].split(", ")) <= set(names)] if names else []
    said = {}
    for i, start in enumerate(starts):
        end_of = starts[i + 1].start() if i + 1 < len(starts) else len(prose)
        words = " ".join(prose[start.end() : end_of].split())
        said |= dict.fromkeys(start[1].split(", "), words.rstrip(".;"))
    prose, listed = without_list((prose[: starts[0].start()] if starts else prose).strip(), names)
    return prose, listed | said, rest


def without_list(prose: str, names: list[str]) -> tuple[str, dict[str, str]]:
    """Sentences without their `Args:`, and what it says: name → meaning. What follows the list stays.

    >>> without_list("Steps. Args: `lr`, the rate; `beta`, how fast\nit decays. In place.", ["lr", "beta"])
    ('Steps. In place.', {'lr': 'the rate', 'beta': 'how fast it decays'})
    """
    found = LISTED.search(prose)
    text = " ".join(found[1].split()) if found else ""
    starts = [start for start in ITEM.finditer(text) if start[1] in names]
    if found is None or not starts or starts[0].start():
        return prose, {}
    end = re.search(r"\.(?: (?=[A-Z])|\Z)", text[starts[-1].end() :])
    last = starts[-1].end() + end.start() if end else len(text)
    said = {}
    for start, upto in zip(starts, [*(x.start() for x in starts[1:]), last], strict=True):
        words = text[start.end() if start[3] else start.start() : upto].strip("; ")
        said |= dict.fromkeys(filter(None, start.group(1, 2)), words)
    return f"{prose[: found.start()].strip()} {text[last:].lstrip('. ')}".strip(), said


def table(arguments: dict[str, tuple[str, str]], said: dict[str, str]) -> str:
    """A line for each argument; what several of them share is said once."""
    first = {words: name for name in reversed(arguments) if (words := said.get(name, ""))}
    meanings = {
        name: words if first.get(words, name) == name else f"see `{first[words]}`" for name, words in said.items()
    }
    rows = [f"| `{name}` | {code(kind)} | {code(default)} | {prose_of(meanings.get(name, ''))} |"
            for name, (kind, default) in arguments.items()]  # fmt: skip
    return "\n".join(["| argument | type | default | meaning |", "|---|---|---|---|", *rows])


def code(text: str) -> str:
    """A type or a default in a cell: between backticks a | ends no cell, and a backslash before it would be shown."""
    return f"`{text}`" if text else ""


def markdown(text: str) -> str:
    """A docstring as Markdown."""
    return "\n".join(lines(text))


def prose_of(text: str) -> str:
    """Sentences in a cell."""
    return "".join(part if part.startswith("`") else escape(part) for part in CODE.split(text))


def lines(text: str) -> Iterator[str]:
    in_doctest, in_drawing, before = False, False, ""
    given = text.splitlines()
    for line, after in zip_longest(given, given[1:], fillvalue=""):
        if line.lstrip().startswith(">>>") and not in_doctest:
            in_doctest = True
            yield from ("", "```pycon")
        elif in_doctest and not line.strip():
            in_doctest = False
            yield "```"
        # a tree of errors, drawn with line characters
        if in_drawing != bool(re.match(r"[├└│]", line) or re.match("├", after)) and not in_doctest:
            yield from ("```", "") if in_drawing else ("", "```text")
            in_drawing = not in_drawing
        yield line if in_doctest or in_drawing else prose(line, before)
        before = line
    if in_doctest or in_drawing:
        yield "```"


def prose(line: str, before: str) -> str:
    """A line of sentences, after the one before it."""
    escaped = prose_of(line)
    return f"\n{escaped}" if PARAGRAPH.match(line) and before.endswith((".", ";", ":", ")")) else escaped


def escape(text: str) -> str:
    """Text whose every character stands for itself."""
    return SPECIAL.sub(r"\\\1", text).replace("<", "&lt;").replace("|", "&#124;")
