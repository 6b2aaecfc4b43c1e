"""A backward that works with other numbers than forward: parameters that it writes into, random numbers of its own."""

from __future__ import annotations

import linecache
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.followed import Backward, Followed, same_gradients
from tinygrad_edu.clinic.examiner.judge import judge
from tinygrad_edu.clinic.examiner.learner.inputs import changed_names, parameters
from tinygrad_edu.clinic.examiner.learner.reachable import MutableState
from tinygrad_edu.clinic.examiner.learner.stored_draws import are_untouched, find_draws
from tinygrad_edu.clinic.examiner.lines.first_change import first_change
from tinygrad_edu.clinic.examiner.lines.lines import FoundPlace, from_here
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.errors import ExaminerError

Array = np.ndarray[Any, Any]
DRAWS_ANEW = (
    "Your backward draws random numbers after forward has drawn its own, so it has another dropout mask, or other "
    "noise: store what forward draws, and use that in backward."
)
OWN_DRAWS = (
    "Your backward draws random numbers of its own, and is right for the loss with these. The loss that forward has "
    "given just before is another one: it has other random numbers. If both draw a dropout mask, store that of forward."
)
IN_PLACE = "This line changes the parameters in place: work on a copy, and update them when all gradients are made."
EACH_TIME = (
    "your backward gives other gradients each time for the same params: it draws random numbers of its own. Let it "
    "use the mask or the noise that forward has drawn, or fix the seed inside both"
)


def refuse_chance(run: Followed) -> None:
    """Errors: ExaminerError where a second run of the backward gives other gradients."""
    _, again = run.backward.follow(run.learner, run.weights)
    if not same_gradients(again, run.given):
        raise ExaminerError(EACH_TIME)


def drawn_anew(run: Followed, rate: float | None) -> BackpropReport | None:
    """The report on a backward that is right only with the random numbers which forward has drawn already.

    In training, backward comes after forward, and what it draws then is new. A backward that computes all of the loss
    again, with a mask of its own, is right in its own way, and a note says so; but not where forward keeps a mask.
    """
    state = run.learner.state
    if state is None or run.backward.alone or not state.has_drawn():
        return None
    in_turn = replace(run.backward, in_turn=True)
    handed = in_turn.prepare(run.learner, run.weights)
    now = state.with_draws_of_now()
    later, place = replace(run.learner, state=now), first_change(in_turn.function, handed, now.has_drawn)
    _, given = in_turn.follow(run.learner, run.weights)
    if same_gradients(given, run.given):
        return None
    report, in_its_own_way = judge(run.learner, run.weights, given, rate), judge(later, run.weights, given, rate).ok
    if report.ok:
        return None
    if in_its_own_way and not keeps_draws_unread(run, in_turn, now):
        return replace(run.report, note=f"{OWN_DRAWS} {run.report.note}".strip())
    name_in_note(report, DRAWS_ANEW)
    report.places = [found_at(place, "This line draws new numbers.", report)] if place else []
    return report


def keeps_draws_unread(run: Followed, in_turn: Backward, now: MutableState) -> bool:
    """Does forward keep what it draws, and does the backward, which is right for draws of its own, leave it there?"""
    handed: list[Any] = []
    learner = run.learner
    try:
        kept = find_draws(
            learner, run.weights, now, lambda: handed.append(in_turn.prepare(learner, run.weights))
        )  # fmt: skip
        in_turn.function(*handed)
    except Exception:  # forward need not run at other parameters
        return False
    return are_untouched(kept, learner.roots)


def found_at(place: tuple[str, int], sentence: str, report: BackpropReport) -> FoundPlace:
    source = linecache.getline(*place).strip()
    return FoundPlace(*place, source, sentence, explains=tuple(report.wrong))


def name_in_note(report: BackpropReport, words: str) -> None:
    """What explains the numbers is in the note, and not in the catalogue."""
    report.note, report.noted = f"{words} {report.note}".strip(), True
    report.explanations, report.predicted, report.followed = [], {}, True


def tell_of_writes(run: Followed, rate: float | None) -> None:
    """Say that the backward writes into its parameters, and prove it where that alone makes the gradients wrong."""
    report, handed = run.report, run.recording.handed[0]
    names = changed_names(handed, run.weights)
    if not names or any(slip.code == "updated_weights_used" for slip in report.slips):
        return
    again = run.backward.prepare(run.learner, run.weights)
    place = first_change(run.backward.function, again, lambda: bool(changed_names(again, run.weights)))
    if place is None:
        return
    words = f"Your backward writes into the parameters ({', '.join(names)})"
    if are_right_there(run, handed, rate):
        name_in_note(report, f"{words}. At those that it makes of them its gradients are right.")
        report.places = [found_at(place, IN_PLACE, report)]
    else:
        words = (
            f"{words}, first at {from_here(place[0])}:{place[1]}. What it computes after that is at other parameters."
        )
        report.note = f"{words} {report.note}".strip()


def are_right_there(run: Followed, handed: Any, rate: float | None) -> bool:
    """Are the gradients right at the parameters that the backward has made of those that it was given?"""
    try:
        now: Mapping[str, Array] = parameters(handed)[1]
        return judge(run.learner, {n: now[n] for n in run.weights}, run.given, rate).ok
    except (ExaminerError, KeyError):  # they may be infinite, or gone
        return False
