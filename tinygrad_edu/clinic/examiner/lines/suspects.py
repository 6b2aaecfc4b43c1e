"""The values of one pass at which wrong gradients begin, and what is right by itself and makes them wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.carried_factors import Ratio
from tinygrad_edu.clinic.examiner.lines.misplaced import (
    against_sign,
    another_gradient,
    find_misnamed,
    find_other_path,
    first_share,
    last_named,
    wrong_statistics,
)
from tinygrad_edu.clinic.examiner.lines.recording import Key, Made
from tinygrad_edu.clinic.examiner.lines.trail import RIGHT, Trail
from tinygrad_edu.clinic.examiner.lines.undone_lines import (
    wrong_addends,
    wrong_derivatives,
    wrong_factors,
    wrong_links,
    wrong_repeats,
    wrong_values,
)

Array = np.ndarray[Any, Any]
Ranked = tuple[tuple[int, ...], Made, tuple[str, ...]]  # (rank, value, names of the gradients that it goes into)


@dataclass(frozen=True)
class Hints:
    """What the numbers tell: gradients that are multiples of the right ones; right ends; that a delta is left out."""

    ratios: Mapping[str, Ratio]
    right: Sequence[Any] = ()
    delta_left_out: bool = False
    updates: bool = False  # the ends are new parameters instead of gradients
    at_end: bool = False  # the mistake is in the last line itself, which writes the new parameter
    gradients: Mapping[str, Array] = field(default_factory=dict)  # the right gradients of all parameters


@dataclass(frozen=True)
class Suspects:
    """The values of one pass at which wrong gradients begin; `reached`: each with the gradients that it goes into."""

    trail: Trail
    reached: Mapping[Key, Sequence[str]]
    strict: int
    in_arrays: bool

    def rank(self, made: Made, names: Sequence[str], last: int = 1) -> tuple[int, ...]:
        """Where all else is an array, a single number (a norm, a step count) is last; what explains more is first."""
        lonely = int(self.in_arrays and made.value.size == 1)
        return (self.strict, lonely, -len(names), made.order, last)


def rank_suspects(suspects: Suspects, deltas: Mapping[str, Sequence[Array]], hints: Hints) -> list[Ranked]:
    """The lines of the suspects, and before each the lines of what is right and stands in the wrong place in it."""
    trail, order = suspects.trail, list[Ranked]()
    # contributions that replace the whole gradient, and the gradients they go into
    shares: dict[Key, tuple[Made, list[str]]] = {}
    for key, reasons in suspects.reached.items():
        made, unique = trail.made[key], tuple(dict.fromkeys(reasons))
        is_right = trail.kinds.get(key) == RIGHT
        misplaced = find_misplaced(trail, made, unique, deltas, hints)
        # what reads one path's share of a derivative is right, where no line adds the other paths' to it
        reader = any(trail.is_share(x.key) and not is_completed(trail, x) and not x.remark for x in misplaced)
        for names in [(n,) for n in unique] if is_right else [unique] if not reader else []:
            last = last_named(first_share(trail, made), names[0]) if is_right else made
            order.append((suspects.rank(made, unique), last, names))
        order += [(suspects.rank(x, unique), x, unique) for x in wrong_statistics(trail, made)]
        for earlier in misplaced:
            order.append((suspects.rank(made, unique, 0), earlier, unique))
            shares.setdefault(earlier.key, (earlier, []))[1].extend(unique)
    for share, held in shares.values():
        more = [n for key, reasons in suspects.reached.items() if share.key in trail.made[key].inputs for n in reasons]
        whole = tuple(dict.fromkeys((*held, *more)))
        order += [(suspects.rank(share, whole, 0), share, whole)] if more else []
    return order


def is_completed(trail: Trail, share: Made) -> bool:
    """Does a line make the whole derivative of which this is a share?"""
    label = trail.found.get(share.key, ("", 0.0))[0]
    same = (m for m in trail.made.values() if m.line and m.value.size == share.value.size)
    right = (m for m in same if trail.kinds[m.key] == RIGHT and not trail.is_share(m.key))
    return any(trail.found.get(m.key, ("", 0.0))[0] == label for m in right)


def find_misplaced(
    trail: Trail, made: Made, names: Sequence[str], deltas: Mapping[str, Sequence[Array]], hints: Hints
) -> list[Made]:
    """What is right by itself and makes a suspect wrong."""
    if addends := wrong_addends(trail, made):  # so the others are right shares
        return addends
    found = wrong_factors(trail, made) + wrong_links(trail, made)
    found += wrong_derivatives(trail, made) + wrong_repeats(trail, made) + wrong_values(trail, made)
    found += find_misnamed(trail, made, [d for name in names for d in deltas.get(name, ())])
    found += find_other_path(trail, made) if made.key in trail.updates else []
    found += against_sign(trail, made)
    ratios = [(n, hints.ratios[n].given) for n in names if n in hints.ratios]
    return found + [x for n, g in ratios for x in another_gradient(trail, made, n, g, hints.gradients)]
