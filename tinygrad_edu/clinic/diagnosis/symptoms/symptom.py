"""What a symptom is, and the one place where each is declared: the function that measures it, and its limit."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS


@dataclass(frozen=True)
class Symptom:
    """Something measured that healthy runs do not show. strength: the value over its threshold, as a logarithm."""

    code: str
    value: float
    threshold: float
    sentence: str

    @property
    def strength(self) -> float:
        """0 at the threshold, 1 at ten times of it (or a tenth, for what should be large), at most 3."""
        value, limit = abs(self.value), abs(self.threshold)
        if not (math.isfinite(value) and value > 0.0 and limit > 0.0):
            return 3.0
        return min(3.0, abs(math.log10(value / limit)))

    def __str__(self) -> str:
        return self.sentence


Measured = Symptom | tuple[float, str] | None
Look = Callable[[Any], Symptom | None]


@dataclass(frozen=True)
class Row:
    """A symptom by its code: `look` measures it; `limit`, the name of its number in LIMITS, beyond which it is one
    (`below`: under which); "" where the function decides itself. kind: "curve", "network", "data" or "seeds"."""

    code: str
    look: Look
    limit: str
    below: bool
    kind: str


SYMPTOMS: dict[str, Row] = {}


def symptom(limit: str = "", *, kind: str, below: bool = False) -> Callable[[Callable[[Any], Measured]], Look]:
    """Declare a symptom, whose code is the function's name; it gives (value, sentence), a Symptom, or None."""

    def declare(measure: Callable[[Any], Measured]) -> Look:
        code = measure.__name__

        @functools.wraps(measure)
        def look(subject: Any) -> Symptom | None:
            found = measure(subject)
            if found is None or isinstance(found, Symptom):
                return found
            return beyond(code, found[0], limit, found[1], below)

        SYMPTOMS[code] = Row(code, look, limit, below, kind)
        return look

    return declare


def beyond(code: str, value: float, limit: str, sentence: str, below: bool = False) -> Symptom | None:
    """The symptom where the value lies beyond its limit."""
    threshold = LIMITS[limit]
    found = value < threshold if below else value > threshold
    return Symptom(code, value, threshold, sentence) if found else None


def looks(kind: str) -> list[Look]:
    """The functions of one kind, in the order in which they were declared."""
    return [row.look for row in SYMPTOMS.values() if row.kind == kind]
