"""A case's report: published figures beside measured ones, trials of one change each, and the answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import Any

from tinygrad_edu import packages
from tinygrad_edu.pen import check_attributes

WIDTH = 100
ADVICE = 'no picture without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it'


@dataclass(frozen=True)
class Figure:
    """A number from the question or its answers, and what this library computes for it.

    >>> print(Figure("accuracy", 0.984, 0.97, tolerance=1e-3))
    accuracy                                             0.984                  0.97   differs by more than 0.001
    """

    what: str
    published: float
    found: float
    tolerance: float  # allowed difference

    @property
    def reproduced(self) -> bool:
        """Is the difference within the tolerance?"""
        return abs(self.found - self.published) <= self.tolerance

    def __str__(self) -> str:
        mark = "" if self.reproduced else f"   differs by more than {self.tolerance:g}"
        found = self.found
        if self.tolerance > 0.0 and math.isfinite(found):  # one decimal more than the tolerance
            found = round(found, max(0, 1 - math.floor(math.log10(self.tolerance))))
        return f"{self.what:<52} {all_digits(self.published):<22} {all_digits(found)}{mark}"


def all_digits(x: float) -> str:
    """Whole numbers without a point, others with all their digits.

    >>> all_digits(200.0), all_digits(0.984)
    ('200', '0.984')
    """
    return f"{x:.0f}" if float(x).is_integer() else repr(float(x))


@dataclass(frozen=True)
class Trial:
    """Runs with one change, and how many of them reach the goal.

    change: what was changed, in words.
    reached: how many runs reached the goal.
    runs: how many runs there were.
    measured: what was measured, in words.

    >>> print(Trial("learning rate 0.5", reached=9, runs=10, measured="loss 0.01"))
    learning rate 0.5                                    9 of 10      loss 0.01
    """

    change: str
    reached: int
    runs: int
    measured: str

    def __str__(self) -> str:
        return f"{self.change:<52} {f'{self.reached} of {self.runs}':<12} {self.measured}"


@check_attributes
@dataclass(frozen=True)
class Report:
    """What a case found; print it. `goal`: what a run of `trials` has to reach; `draw(figure)` draws the picture.

    >>> trials = (Trial("learning rate 0.5", reached=9, runs=10, measured=""),)
    >>> report = Report("or_xor", "Why 97%?", "Too few steps.", draw=print, goal="99%", trials=trials)
    >>> report.reproduced, str(report).splitlines()[0]
    (True, 'or_xor: Why 97%?')
    """

    name: str
    question: str
    answer: str
    draw: Callable[[Any], None]
    figures: tuple[Figure, ...] = ()
    goal: str = ""
    trials: tuple[Trial, ...] = ()
    findings: tuple[str, ...] = ()
    examined: Any = None  # what `tinygrad_edu.clinic` says about the question's own backward pass
    diagnosed: tuple[str, Any] | None = None  # (a run of the case in words, the result of `clinic.diagnose`)
    picture: Path | str | None = None

    @property
    def reproduced(self) -> bool:
        """Are all published figures reproduced?"""
        return all(figure.reproduced for figure in self.figures)

    def drawn(self, out: Path) -> Path | str:
        """The picture, written into `out`; or a sentence that says what to install for it."""
        if not packages.available("matplotlib"):
            return ADVICE
        from matplotlib.figure import Figure as Canvas  # without pyplot, which would change a notebook's back end

        canvas = Canvas(figsize=(10.0, 4.2), layout="constrained")
        self.draw(canvas)
        out.mkdir(parents=True, exist_ok=True)
        canvas.savefig(out / f"{self.name}.png", dpi=110)
        return out / f"{self.name}.png"

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """The report as text."""
        yield from wrap(f"{self.name}: {self.question}", WIDTH)
        if self.figures:
            yield f"\n  {'':<52} {'published':<22} measured"
            yield from (f"  {figure}" for figure in self.figures)
        if self.trials:
            yield f"\n  how many runs reach {self.goal}"
            yield from (f"  {trial}" for trial in self.trials)
        for sentence in self.findings:
            yield ""
            yield from wrap(sentence, WIDTH, initial_indent="  ", subsequent_indent="  ")
        if self.examined is not None:
            yield from card("The examiner of hand-written backprop, given their code:", self.examined)
        if self.diagnosed is not None:
            yield from card(f"clinic.diagnose, given {self.diagnosed[0]}:", self.diagnosed[1])
        yield ""
        yield from wrap(f"Answer: {self.answer}", WIDTH)
        if self.picture:
            yield f"\npicture: {self.picture}"


def card(title: str, found: Any) -> Iterator[str]:
    """The clinic's result, under a heading that names the tool and its subject."""
    yield ""
    yield from wrap(title, WIDTH, initial_indent="  ", subsequent_indent="  ")
    yield ""
    yield from (indented for line in str(found).splitlines() for indented in shift(line))


def shift(line: str) -> list[str]:
    """A line of a card, indented by four; a long one is wrapped with the same indent."""
    if len(line) <= WIDTH - 4:
        return [f"    {line}".rstrip()]
    inner = " " * (4 + len(line) - len(line.lstrip()))
    return wrap(line.lstrip(), WIDTH, initial_indent=inner, subsequent_indent=inner)
