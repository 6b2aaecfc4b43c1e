"""By what factor each value of a run is a derivative, and where on the way to a wrong gradient a factor came in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.recording import RESULT, Key, Made, is_selection

Array = np.ndarray[Any, Any]
Place = tuple[str, int, str]  # (file, line, variable)
SAME = 1e-5  # relative


@dataclass(frozen=True)
class Ratio:
    """A wrong parameter: the gradient that was given, the right one, and c with given = c·right."""

    given: Array
    right: Array
    factor: float


def ratios_of(given: Mapping[str, Array], right: Mapping[str, Array], wrong: Mapping[str, Any]) -> dict[str, Ratio]:
    """The wrong gradients that are a multiple of the right ones.

    >>> {n: r.factor for n, r in ratios_of({"w": np.full(2, 6.0)}, {"w": np.full(2, 3.0)}, {"w": 1.0}).items()}
    {'w': 2.0}
    """
    found = {}
    for name in (n for n in wrong if n in right):  # missing gradients cannot be compared
        a, b = np.asarray(given.get(name, 0.0), dtype=float), np.asarray(right[name], dtype=float)
        c = multiple_of(a, b)
        if c is not None and abs(c - 1.0) > SAME:
            found[name] = Ratio(a, b, c)
    return found


def multiple_of(a: Array, b: Array) -> float | None:
    """c with a = c·b, where b may be transposed; None if there is none."""
    if a.size != b.size or not np.isfinite(a).all():
        return None
    for turned in (b, b.T):
        x, y = a.ravel(), turned.ravel()
        c = float(np.vdot(y, x)) / (float(np.vdot(y, y)) or np.inf)
        if c and np.linalg.norm(x - c * y) <= SAME * np.linalg.norm(x):
            return c
    return None


class LineFactors:
    """A trail, and what factor each of its lines brings in."""

    def __init__(self, trail: Any) -> None:
        self.trail, self.made = trail, trail.made
        self.lines: dict[Place, list[Made]] = {}  # single numbers by the lines that made them
        for made in self.made.values():
            for place in lines_that_made(made) if made.value.size == 1 and made.line else ():
                self.lines.setdefault(place, []).append(made)

    def of(self, key: Key) -> float | None:
        """The value as a multiple of a derivative."""
        found = self.trail.found.get(key) if key in self.made else None
        kind = self.trail.kinds[key] if found is not None else "forward"
        # with one sample, h is a multiple of ∂L/∂W = h ⊗ δ by chance; y - t is ½ of a derivative, and not by chance
        if found is None or (kind == "forward" and not (self.is_error(key) and self.trail.is_usual(found[1]))):
            return None
        return float(found[1])

    def is_error(self, key: Key) -> bool:
        """Is a value of the forward a plain multiple of a derivative, and computed: y - t, and not the labels t?"""
        made = self.made[key]
        computed = made.line and made.inputs and not is_selection(made, self.made)
        return bool(computed and key in self.trail.both and not np.all((made.value == 0.0) | (made.value == 1.0)))

    def factors_before(self, made: Made) -> list[float]:
        """The factors of the derivatives that go into a line, past those values that are none."""
        seen, waiting, factors = {made.key}, [*made.inputs], list[float]()
        while waiting:
            key = waiting.pop()
            if key in seen or key not in self.made:
                continue
            seen.add(key)
            c = self.of(key)
            if c is not None:
                factors.append(c)
            elif self.trail.kinds[key] == "unknown":
                waiting += self.made[key].inputs
        return factors

    def factor_before(self, made: Made) -> float | None:
        """The factor of the derivatives that a line reads: 1 where it reads none, nothing where they differ."""
        factors = self.factors_before(made)
        if not factors:
            return 1.0
        return factors[0] if all(abs(c / factors[0] - 1.0) < SAME for c in factors) else None

    def carries(self, made: Made, factor: float) -> bool:
        """Is the value this factor times a derivative (only by its sign, where the factor is -1)?

        A single number may be so by chance: all that the same line has made must be.
        """
        return self.line_of(made, factor) is not None

    def line_of(self, made: Made, factor: float, alone: bool = False) -> Place | None:
        """The line, of those that made this value, that brings out this factor; None if the value does not carry it.

        With a label of 0 the error o - y is the number o, which an earlier line has made. alone: what else its line
        has made does not count, as that of a sum has not while it grew.
        """
        first: Place = (made.file, made.line, made.variable)
        if alone or made.value.size > 1 or made.total or not made.line:
            return first if self.is_times(made, factor) else None
        lines = ((place, self.lines[place]) for place in lines_that_made(made))
        return next((place for place, alike in lines if all(self.is_times(m, factor) for m in alike)), None)

    def is_times(self, made: Made, factor: float) -> bool:
        if is_factor(self.of(made.key), factor):
            return True
        x = made.value.item() if made.value.size == 1 else 0.0
        right = self.trail.truth.derivatives
        return made.value.size == 1 and (not x or not np.isfinite(x) or right.has_number(x / factor))

    def factor_change(self, made: Made) -> float | None:
        after, before = self.of(made.key), self.factor_before(made)
        return after / before if after is not None and before else None

    def changes(self, ends: Sequence[Key], factor: float) -> list[Made]:
        """The arrays behind the ends whose line multiplies by this very factor; of two on one way, the later one.

        y - t is half a derivative, and 2·(y - t) makes up for it: a line that halves once more is the later one.
        """
        at = [m for m in self.behind(*ends) if m.line and m.inputs and m.value.size > 1]
        exact = [m for m in at if (c := self.factor_change(m)) is not None and is_factor(c, factor)]
        earlier = {made.key for made in self.behind(*(k for m in exact for k in m.inputs))}
        return [m for m in exact if m.key not in earlier]

    def undone(self, end: Key, *, update: bool) -> set[Key]:
        """The values behind a right one of which a line has made several whose factors cancel: -1 in two layers.

        update: the end is a new parameter, and its line subtracts: several -1 on it are as they should be.
        """
        changes: dict[tuple[str, int, str], dict[Key, float]] = {}
        subtracts = (self.made[end].file, self.made[end].line) if update and end in self.made else None
        for made in self.behind(end):
            c = self.factor_change(made) if made.line and made.inputs and made.value.size > 1 else None
            if (made.file, made.line) != subtracts and c is not None and abs(c - 1.0) > SAME:
                changes.setdefault((made.file, made.line, made.variable), {})[made.key] = c
        cancel = (x for x in changes.values() if len(x) > 1 and abs(np.prod([*x.values()]) - 1.0) < SAME)
        return {key for x in cancel for key in x}

    def sources(self, ends: Sequence[Key], factor: float, passed: set[Key], right: set[Key]) -> list[Made]:
        """The values behind the ends at which a factor comes in: they carry it, and nothing that they are made of does.

        passed: values of the last line, which may have a factor of their own; right: values that are right.
        """
        found, seen, waiting = list[Made](), {*ends}, [*ends]
        while waiting:
            made = self.made.get(waiting.pop())
            if made is None:
                continue
            inputs = [k for k in made.inputs if k not in seen]
            if made.key in passed or not self.is_multiple(made):
                seen.update(inputs)
                waiting += inputs
            elif place := self.line_of(made, factor, alone=made.key in ends):
                carry = [k for k in inputs if k in self.made and self.leads_to(k, factor, right)]
                seen.update(carry)
                waiting += carry
                earlier = any(k in self.made and self.leads_to(k, factor, right) for k in made.inputs)
                where = dict(zip(("file", "line", "variable"), place, strict=True))
                found += [replace(made, **where)] if made.line and made.inputs and not earlier else []
        return found

    def is_multiple(self, made: Made) -> bool:
        """Is it a derivative, or some multiple of one?"""
        return self.of(made.key) is not None

    def leads_to(self, key: Key, factor: float, right: set[Key]) -> bool:
        """Does a value carry the factor, or is it none that is known, made of one that does?"""
        seen, waiting = {key}, [key]
        while waiting:
            made = self.made.get(waiting.pop())
            if made is None or made.key in right:
                continue
            if self.is_multiple(made):
                if self.carries(made, factor):
                    return True
            elif self.trail.kinds[made.key] == "unknown":
                fresh = [k for k in made.inputs if k not in seen]
                seen.update(fresh)
                waiting += fresh
        return False

    def behind(self, *ends: Key) -> Iterator[Made]:
        """The values and all values that they are made of."""
        seen, waiting = {*ends}, [*ends]
        while waiting:
            made = self.made.get(waiting.pop())
            if made is not None:
                yield made
                fresh = [k for k in made.inputs if k not in seen]
                seen.update(fresh)
                waiting += fresh

    def update_of(self, end: Key, ratio: Ratio) -> tuple[float | None, list[Made]]:
        """(the factor that the line of the update brings in, the values made on it)."""
        made = self.made[end]
        same_line = [made, *(self.made[k] for k in made.inputs if k in self.made and made.total)]
        line = [m for m in same_line if m.line == made.line and m.file == made.file]
        held = [self.made[k].value for m in line for k in m.inputs if k in self.made and self.made[k] not in line]
        factors = [c for x in held if (c := multiple_of(x, ratio.right)) is not None]
        if ratio.right.size == 1:
            factors = [c for c in factors if abs(c / ratio.factor - 1.0) < SAME]
        if factors:
            return ratio.factor / factors[0], line
        signs = {
            c
            for m in line
            if not m.total and (c := self.factor_before(m)) is not None and any(self.of(k) for k in m.inputs)
        }
        # the gradient is computed on the update's own line
        plain = abs(abs(ratio.factor) - 1.0) < SAME and len(signs) == 1
        return (ratio.factor * float(np.sign(signs.pop())) if plain else None), line


def lines_that_made(made: Made) -> list[Place]:
    """The lines that made a value, each with the name that it gave it: (file, line, variable)."""
    others = ((file, line, variable) for file, line, variable, _ in made.named if variable != RESULT)
    return [*dict.fromkeys([(made.file, made.line, made.variable), *others])]


def is_minus_one(factor: float) -> bool:
    return abs(factor + 1.0) < SAME


def is_factor(factor: float | None, wanted: float) -> bool:
    """Is it that factor; or, where only a sign is wrong, one of that sign?"""
    if factor is None or is_minus_one(wanted):
        return factor is not None and factor < 0.0
    return abs(factor / wanted - 1.0) < SAME
