"""Right values in the wrong place: one path's share for the whole, a derivative under another's name, a turned sign."""

from __future__ import annotations

import itertools
import linecache
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.recording import RESULT, Key, Made
from tinygrad_edu.clinic.examiner.lines.trail import FORWARD, MADE, PART, RIGHT, SCALED, UNKNOWN, Trail
from tinygrad_edu.clinic.examiner.lines.untouched import is_gradient, last_of, letters_and_digits

Array = np.ndarray[Any, Any]
PLAIN = re.compile(r"return [\w.\[\], ]+")
COPY = re.compile(r"[\w.\[\]]+ *= *[\w.]+(\[[^=]*\][\w.]*)*")  # a = b, a = self.b[k + 1].c
FEW = 400  # entries of a gradient among which another gradient is searched for
ONE_SAMPLE = "of one sample"
OTHER_SIGN = "is the derivative with its sign turned, and is added to others that have theirs."
ANOTHER = "is right as the gradient of another parameter: it is not that of this one."


def another_gradient(trail: Trail, made: Made, name: str, given: Array, gradients: Mapping[str, Array]) -> list[Made]:
    """A right gradient of another parameter to which the run gives this one's name (db); for single numbers only.

    given: the wrong gradient; gradients: the right ones of all parameters.
    """
    others = [g for n, g in gradients.items() if n != name]
    if not trail.truth.singly or given.size != 1 or not any(is_multiple(trail, given, g) for g in others):
        return []
    own, inner = letters_and_digits(last_of(name)), [trail.made[k] for k in made.inputs if k in trail.made]
    named = [(m, n) for m in inner for n in m.named if is_gradient(n[2], own)]
    return [replace(m, file=n[0], line=n[1], variable=n[2], remark=ANOTHER) for m, n in named[:1]]


def is_multiple(trail: Trail, x: Array, gradient: Array) -> bool:
    """Is a number one of a gradient's, or such times a plain factor?"""
    return any(g and trail.is_plain(abs(x.item() / g)) for g in gradient.ravel().tolist()[:FEW])


def find_other_path(trail: Trail, update: Made) -> list[Made]:
    """For a new parameter w - lr·d: where d was computed, if d is the derivative along one path only."""
    waiting, found = [update], []
    while waiting:
        made = waiting.pop()
        inputs = [trail.made[k] for k in made.inputs if k in trail.made]
        if made.total:  # w -= ...: look at what is subtracted, on the same line
            waiting += [x for x in inputs if x.line == made.line and not x.total and x.key not in trail.wrong]
        found += [first_share(trail, x) for x in inputs if x.line and trail.is_share(x.key)]
    return found if len(found) == 1 else []


def wrong_statistics(trail: Trail, made: Made) -> list[Made]:
    """The one input of a wrong value that is not a derivative itself, though a right value was made of it.

    ∂L/∂σ² goes into ∂L/∂μ times a sum that is 0: a right ∂L/∂μ does not speak for it.
    """
    inputs = [trail.made[k] for k in made.inputs if k in trail.made and trail.kinds[k] == UNKNOWN]
    if len(inputs) != 1 or trail.kinds.get(made.key) != UNKNOWN or made.total:
        return []
    (inner,) = inputs
    made_rightly = all(trail.kinds.get(k) in (RIGHT, FORWARD, PART) for k in inner.inputs)
    smaller = 1 < inner.value.size < made.value.size
    return [inner] if inner.key in trail.pardoned and inner.line and smaller and made_rightly else []


def first_share(trail: Trail, made: Made) -> Made:
    """Where one path's share of a derivative was made, which has been handed on since as if it were the whole."""
    while trail.is_share(made.key):
        shares = [x for k in made.inputs if (x := trail.whole_of(k)) and x.line and trail.is_share(x.key)]
        if len(shares) != 1 or shares[0].key in trail.both or shares[0].order >= made.order:
            break
        made = shares[0]
    return last_naming_of_share(trail, made) or made


def last_naming_of_share(trail: Trail, made: Made) -> Made | None:
    """The last naming of a share that its function made rightly: it is the caller who must add the others.

    So it is where that line has made others too (a function called once for each path), and where what is missing
    came past the function (a skip around a norm).
    """
    named = outer_names(made)
    if past_skip(trail, made):
        return past_skip(trail, made)
    label = trail.found.get(made.key, ("", 0.0))[0]
    same = [m for m in trail.made.values() if (m.file, m.line) == (made.file, made.line) and m.key != made.key]
    if (
        not label
        or not named
        or not any(trail.is_share(m.key) and trail.found.get(m.key, ("", 0.0))[0] == label for m in same)
    ):
        return None
    return replace(made, file=named[-1][0], line=named[-1][1], variable=named[-1][2], named=[])


def outer_names(made: Made) -> list[tuple[str, int, str, int]]:
    """The namings of a value on other lines than its own."""
    return [n for n in made.named if n[2] != RESULT and (n[0], n[1]) != (made.file, made.line)]


def past_skip(trail: Trail, made: Made) -> Made | None:
    """Where a caller names what a function returns, of which only what came past the function is missing."""
    named = outer_names(made)
    if made.variable != RESULT or not named or not trail.truth.unskipped.find(made.value):
        return None
    return replace(made, file=named[-1][0], line=named[-1][1], variable=named[-1][2], named=[])


def find_misnamed(trail: Trail, made: Made, wanted: Sequence[Array]) -> list[Made]:
    """Inputs that are right derivatives and the wrong ones here: one path's share for the whole, ∂L/∂a for ∂L/∂z.

    A share is wrong where it was made. A whole derivative under another name is wrong where it was given that name.
    """
    found = []
    # no other share is added to it on this line
    alone = sum(trail.kinds.get(k) in (RIGHT, SCALED) for k in made.inputs) == 1
    for key in made.inputs if trail.kinds.get(made.key) in (UNKNOWN, MADE) and not made.total else ():
        inner = trail.whole_of(key)
        if inner is None or not inner.line or inner.key in trail.both:
            continue
        if trail.kinds.get(inner.key) == RIGHT and trail.is_share(inner.key):
            of_sample = trail.found.get(inner.key, ("", 1.0))[0].endswith(ONE_SAMPLE)
            place = past_skip(trail, inner) or before_reshaping(trail, inner)
            found += ((find_renaming(inner, made.order) if of_sample else []) or [place]) if alone else []
        elif trail.kinds.get(inner.key) in (RIGHT, SCALED) and inner.value.size != made.value.size:
            found += (
                (find_renaming(inner, made.order) or last_return(inner, made.order))
                if is_another(inner.value, wanted)
                else []
            )
    return found


def before_reshaping(trail: Trail, made: Made) -> Made:
    """Where a share was computed, which a line has only reshaped since."""
    while len(made.inputs) == 1 and (before := trail.whole_of(made.inputs[0])) and before.line:
        if not (trail.is_share(before.key) and np.array_equal(before.value.ravel(), made.value.ravel())):
            break
        made = before
    return made


def against_sign(trail: Trail, made: Made) -> list[Made]:
    """The shares added up by a line whose sign is not that of most of the run's derivatives."""
    known = [k for k in made.inputs if trail.kinds.get(k) in (RIGHT, SCALED) and k in trail.found]
    factors = {k: trail.found[k][1] for k in known if trail.made[k].value.size == made.value.size > 1}
    if made.total or len(factors) < 2 or np.ptp(np.abs([*factors.values()])) > 1e-6 * max(map(abs, factors.values())):
        return []
    signs = [np.sign(c) for k, (_, c) in trail.found.items() if trail.kinds[k] in (RIGHT, SCALED)]
    usual = -1.0 if sum(signs) < 0.0 else 1.0
    odd = [trail.made[k] for k, c in factors.items() if c * usual < 0.0 and trail.made[k].line]
    return [replace(x, remark=OTHER_SIGN) for x in odd] if len(odd) < len(factors) else []


def find_renaming(made: Made, before: int) -> list[Made]:
    """The line that last gave a value another name, if one did, before the value with this number was made.

    To receive it from a function under another name is not a renaming.
    """
    named = [n for last, n in itertools.pairwise(made.named) if last[2] != RESULT]
    alias = [n for n in named if n[3] <= before and n[2] not in (RESULT, made.variable)]
    # a value that was computed again under another name, and then copied: not the copy
    computed = [n for n in alias if not is_copy(n[0], n[1])]
    return [replace(made, file=n[0], line=n[1], variable=n[2]) for n in (computed or alias)[-1:]]


def is_copy(file: str, line: int) -> bool:
    """Does a line only give a value another name: a = b, a = self.b[k + 1].c?"""
    return COPY.fullmatch(linecache.getline(file, line).strip()) is not None


def last_return(made: Made, before: int) -> list[Made]:
    """The last `return` of more than a name that handed a value on unchanged: a layer that left its derivative out."""
    own = [n for n in made.named if n[2] == RESULT and n[3] <= before and n[1] != made.line]
    more = [n for n in own if not PLAIN.fullmatch(linecache.getline(n[0], n[1]).strip())]
    return [replace(made, file=n[0], line=n[1], variable=n[2]) for n in more[-1:]]


def is_another(x: Array, wanted: Sequence[Array]) -> bool:
    """Is a derivative of the size of those that are wanted no multiple of any of them?"""
    alike = [d.ravel() for d in wanted if d.size == x.size > 1]
    return bool(alike) and all(abs(cosine(d, x.ravel())) < 1.0 - 1e-9 for d in alike)


def comes_to(recording: Mapping[Key, Made], made: Made, wanted: Sequence[Array]) -> bool:
    """Is a multiple of a wanted derivative made of it later? Then it belongs here, as ∂L/∂a does before ∂L/∂z."""
    made_of_it = {made.key}
    for later in recording.values():
        if later.order > made.order and not made_of_it.isdisjoint(later.inputs):
            made_of_it.add(later.key)
            if any(d.size == later.value.size > 1 for d in wanted) and not is_another(later.value, wanted):
                return True
    return False


def cosine(a: Array, b: Array) -> float:
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / length if length else 0.0


def last_named(made: Made, name: str) -> Made:
    """A right derivative that is handed out as another: the line that gave it the other's name, such as dW1 of W1.

    The first line that did: to hand dW1 on under that name is right. Else the last whose name has the other's in it.
    """
    own = letters_and_digits(last_of(name))
    first = [n for n in made.named if n[2] != RESULT and is_gradient(n[2], own)][:1]
    for file, line, variable, _ in first or reversed(made.named):
        if name.rpartition(".")[2] in variable:
            return replace(made, file=file, line=line, variable=variable)
    return made
