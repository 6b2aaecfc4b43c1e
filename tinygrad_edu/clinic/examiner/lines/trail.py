"""What each value of a learner's run is: right, scaled, of the forward or unknown; and which of those are suspects.

Every value that a line made is one of these: *right* (a derivative of the loss, or a value of the forward, or made of
such values alone), *scaled* (a derivative times a plain factor such as -1 or n, which may be the learner's way of
writing it), or *unknown*. An unknown value from which a right one is made later is a detour, and pardoned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.book import NOTHING, Truth
from tinygrad_edu.clinic.examiner.lines.recording import Key, Made, Recording, is_selection, key_of

RIGHT, FORWARD, MADE, SCALED, PART, UNKNOWN = "right", "forward", "made", "scaled", "part", "unknown"
# What counts as known in each pass: everything; no scaled derivatives; nothing made from forward values.
PASSES = (0, 1, 2)
HALVES = (0.5, -0.5)  # y - p is half the derivative of (y - p)²


class Trail:
    """A recording with what each of its values is."""

    def __init__(
        self,
        recording: Recording,
        truth: Truth,
        factors: Iterable[float],
        wrong: Iterable[Any] = (),
        known: Iterable[float] = (),
    ) -> None:
        """known: the factors of the wrong gradients themselves, beside those that people leave for later."""
        self.made, self.truth = recording.made, truth
        self.usual = [*factors]
        self.factors = [*self.usual, *known]
        self.kinds: dict[Key, str] = {}
        self.found: dict[Key, tuple[str, float]] = {}
        self.repeated: set[Key] = set()  # one derivative with repeated entries, as before the mask of a maximum
        self.both: set[Key] = set()  # derivatives that are forward values too: y - t, a mean with its KL term
        for key, made in self.made.items():  # in order of execution, so inputs come first
            self.kinds[key] = self.kind(made)
        made_of_forward = [m for m in self.made.values() if self.kinds[m.key] == MADE]
        slopes = [m for m in made_of_forward if m.value.size > 1 or truth.singly]
        self.slopes = {m.key for m in slopes if (x := truth.slopes.find(m.value)) and self.is_one(x[1])}
        self.wrong = {key_of(np.asarray(x, dtype=float)) for x in wrong}
        ends = [self.made[key] for key in self.wrong if key in self.made]
        # the new parameters, and what is subtracted to get them
        self.updates = self.wrong | {k for made in ends for k in made.inputs if made.total}
        self.pardoned = self.detours()

    def kind(self, made: Made) -> str:
        x = made.value
        if float(np.linalg.norm(x)) < NOTHING or not np.isfinite(x).all() or reads_nothing(made):
            return FORWARD
        if self.is_drawn(made):
            return FORWARD
        found = self.truth.derivatives.find(x)
        if found is None and self.truth.singly and x.size > 1 and self.truth.derivatives.has_each(x):
            found = ("", 1.0)
        if found is None and x.size == 1 and made.line and made.inputs:
            found = self.times_a_factor(x.item())
        if found is not None:
            self.found[made.key] = found
        of_forward = self.truth.values.find(x)
        if found is not None and of_forward and self.is_one(of_forward[1]) and self.is_plain(found[1]):
            self.both.add(made.key)
        if found is not None and self.is_one(found[1]):
            return RIGHT
        if (of_forward and self.is_one(of_forward[1])) or (self.truth.singly and self.truth.values.has_each(x)):
            return FORWARD
        if found is not None and self.is_plain(found[1]):
            return SCALED
        part = self.truth.parts.find(x) if x.size > 1 else None
        if part and self.is_one(abs(part[1])):
            return PART
        if made.view:
            return self.kinds.get(made.inputs[0], UNKNOWN)
        if x.ndim == 1 and x.size not in self.truth.derivatives.shelves and self.truth.derivatives.has_each(x):
            return PART  # several derivatives, concatenated
        held = x[x != 0.0]
        if x.size > 2 and 2 * np.unique(held).size <= held.size and self.truth.derivatives.has_each(x):
            self.repeated.add(made.key)
            return PART
        if not made.line:
            return FORWARD
        kinds = [self.kinds.get(k, UNKNOWN) for k in made.inputs]
        of_values = kinds and all(k in (FORWARD, MADE) for k in kinds) and self.both.isdisjoint(made.inputs)
        if of_values and made.total and has_only_noughts_and_ones(x):
            return FORWARD  # a one-hot label
        return MADE if of_values else UNKNOWN

    def is_drawn(self, made: Made) -> bool:
        """Is it what a loop takes from the data, the x and y of `for x, y in zip(X, t)`? It computes nothing."""
        if not made.source.startswith("for "):
            return False
        read = [self.made[k] for k in made.inputs if k in self.made]
        return all(self.kinds[m.key] == FORWARD or not m.line for m in read) and is_selection(made, self.made)

    def times_a_factor(self, x: float) -> tuple[str, float] | None:
        """A single number that is a derivative times one of the factors that people leave for later: y - p, say."""
        tried = (c for c in (*self.factors, *HALVES) if c and self.truth.derivatives.has_number(x / c))
        factor = next(tried, None)
        return None if factor is None else ("", factor)

    def is_plain(self, factor: float) -> bool:
        """Is it a factor by which people scale their deltas?"""
        return self.is_among(factor, self.factors)

    def is_usual(self, factor: float) -> bool:
        """Is it plain without what is known of the wrong gradients? y - p is a derivative times -1, 2 or 1/n."""
        return self.is_among(factor, self.usual)

    def is_among(self, factor: float, factors: Iterable[float]) -> bool:
        near = max(1e-6, self.truth.same)
        return self.is_one(factor) or any(abs(factor / c - 1.0) < near for c in (*factors, *HALVES))

    def is_one(self, factor: float) -> bool:
        return abs(factor - 1.0) <= self.truth.same

    def whole_of(self, key: Key) -> Made | None:
        """The value itself, or the one of which it is a part or the transpose."""
        made = self.made.get(key)
        while made is not None and made.view and not made.line and made.inputs:
            made = self.made.get(made.inputs[0])
        return made

    def is_share(self, key: Key) -> bool:
        """Is it what one path gives to a derivative that has several, and no complete derivative?"""
        if self.kinds.get(key) != RIGHT:
            return False
        x = self.made[key].value
        if self.truth.singly:
            return not self.truth.wholes.has_each(x)
        whole = self.truth.wholes.find(x) if x.size > 1 else ("", 1.0)
        return whole is None or not self.is_one(whole[1])

    def detours(self) -> set[Key]:
        """The unknown values from which a right derivative was made later: not by taking a part, which may be right."""
        pardoned: set[Key] = set()
        right = [self.made[key] for key, kind in self.kinds.items() if kind in (RIGHT, PART)]
        waiting = [
            key
            for made in right
            if not made.view and made.key not in self.wrong and not has_only_noughts_and_ones(made.value)
            for key in self.told(made)
        ]
        while waiting:
            key = waiting.pop()
            if key not in pardoned and self.kinds.get(key) in (UNKNOWN, SCALED, MADE):
                pardoned.add(key)
                waiting += self.told(self.made[key])
        return pardoned

    def told(self, made: Made) -> list[Key]:
        """The inputs for which a right value speaks: one number can be the right sum of an array that is not right."""
        alone = made.value.size == 1 and not self.truth.singly
        return [k for k in made.inputs if not alone or k not in self.made or self.made[k].value.size == 1]

    def known(self, key: Key, strict: int) -> bool:
        """Is it right, or on a way of the learner's own to something right?"""
        kind = self.kinds.get(key, UNKNOWN)
        lenient = (kind == SCALED and strict < 1) or (kind == MADE and strict < 2)
        return kind in (RIGHT, FORWARD, PART) or key in self.pardoned or key in self.slopes or lenient

    def suspects(self, end: Key, strict: int) -> set[Key]:
        """The unknown values behind `end` that are made of known things only."""
        found: set[Key] = set()
        seen: set[Key] = set()
        waiting = [(end, False)]
        while waiting:
            key, adds_on = waiting.pop()
            made = self.made.get(key)
            if key in seen or made is None:
                continue
            seen.add(key)
            if self.known(key, strict) and key != end:
                continue
            open_inputs = [k for k in made.inputs if not self.known(k, strict)]
            waiting += [(k, made.total) for k in open_inputs]
            if (
                made.line
                and (made.inputs or key == end)
                and (not adds_on and self.adds_right_things(made) if made.total else not open_inputs)
            ):
                found.add(key)
        return found

    def adds_right_things(self, made: Made) -> bool:
        """A sum that grew line by line: is all that was added right, so that it is the adding that is not?"""
        seen: set[Key] = set()
        waiting = [made.key]
        while waiting:
            total = self.made[waiting.pop()]
            seen.add(total.key)
            for key in total.inputs:
                inner = self.made.get(key)
                if inner is None or key in seen or self.known(key, PASSES[-1]):
                    continue
                if not inner.total:
                    return False
                waiting.append(key)
        return True


def reads_nothing(made: Made) -> bool:
    """A number that a line writes and reads from nowhere: the 1 of a label, a count that begins at 0.5."""
    return bool(made.line) and made.value.size == 1 and not made.inputs


def has_only_noughts_and_ones(x: Any) -> bool:
    """Zeros and ones: such arrays are alike by chance."""
    return x.size > 1 and bool(np.all((x == 0.0) | (x == 1.0)))
