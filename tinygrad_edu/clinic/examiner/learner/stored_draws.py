"""What forward has drawn at random and keeps: a dropout mask, noise, the rows of a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward
from tinygrad_edu.clinic.examiner.learner.reachable import MutableState, spots_in

Array = np.ndarray[Any, Any]
Places = dict[tuple[int, str], Array]  # (the owner's identity, the name or the index) → the numbers kept there
NEARBY = 1.01  # factor on the parameters: what forward keeps of them changes, what it draws does not


def list_numbers(roots: Iterable[Any]) -> Places:
    """Copies of all arrays and numbers that can be reached, in the order in which they are met."""
    kept = ((place, place.value) for place in spots_in(roots) if isinstance(place.value, (np.ndarray, int, float)))
    arrays = (((id(place.owner), str(place.key)), np.array(x)) for place, x in kept)
    return {place: array for place, array in arrays if array.dtype.kind in "biuf"}


def find_draws(
    learner: LearnerForward, weights: Mapping[str, Array], now: MutableState, prepare: Callable[[], Any]
) -> Places:
    """What forward keeps that other draws change and other parameters do not, with the numbers that `prepare` leaves.

    now: the state in which the generators go on from where forward has left them.
    """
    assert learner.state is not None
    moved = {name: NEARBY * x + 0.01 for name, x in weights.items()}
    runs = ((learner.state, weights), (learner.state, moved), (now, weights))
    first, elsewhere, redrawn = (numbers_after(learner, state, at) for state, at in runs)
    prepare()
    there = list_numbers(learner.roots)
    if not len(first) == len(elsewhere) == len(redrawn) == len(there):
        return {}
    rows = zip(there.items(), first, elsewhere, redrawn, strict=True)
    return {place: x for (place, x), a, b, c in rows if np.array_equal(a, b) and not np.array_equal(a, c)}


def numbers_after(learner: LearnerForward, state: MutableState, weights: Mapping[str, Array]) -> list[Array]:
    """What can be reached after a forward from this state."""
    state.restore()
    learner.function(learner.form.fill(weights))
    return [*list_numbers(learner.roots).values()]


def are_untouched(places: Places, roots: Iterable[Any]) -> bool:
    """Are there such numbers, and are all of them as they were?"""
    now = list_numbers(roots)
    return bool(places) and all(place in now and np.array_equal(now[place], x) for place, x in places.items())
