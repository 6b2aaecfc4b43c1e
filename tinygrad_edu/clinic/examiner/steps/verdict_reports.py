"""Reports on a step: the plainest of several; for right gradients that are used wrongly, the step that shows it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.lines import FoundPlace
from tinygrad_edu.clinic.examiner.lines.recording import Made, Recording, key_of
from tinygrad_edu.clinic.examiner.lines.untouched import words_of_unused
from tinygrad_edu.clinic.examiner.report import BackpropReport, FoundSlip
from tinygrad_edu.clinic.examiner.steps.made_gradients import relative
from tinygrad_edu.clinic.examiner.steps.step_walk import Walk

SECOND = "The first step is right, the second is not: these are its numbers."
LATE = "The first step changes no parameter, the second one does: is the update made before what it needs is computed?"
ADDS = (
    "Your update adds (line {line}), and the delta begins with y - t: what is added points uphill. Subtract, "
    "W -= lr * dW, or begin the delta with t - y."
)
OTHERS_ADD = "Your update adds (line {line}), which is right for the others: give this delta the sign that theirs have."
UPHILL = "This line adds the gradient of {names}, which points uphill: it is to be subtracted."
ADDITION = re.compile(r"\+=|(\b[\w.\[\]]+) = \1 \+")
Array = np.ndarray[Any, Any]
Known = tuple[dict[str, Array], str, str]  # (the right gradients, the method, a note)
Examined = tuple[int, tuple[int, ...], BackpropReport, float]  # (update, its samples, report, scale)


def plainest(updates: Sequence[Sequence[Examined]]) -> Examined:
    """The update and the scale at which the fewest slips explain the numbers, and explain those of the others too.

    One sample can leave open what it is: with a target of 0, y - t is y.
    """
    found: list[tuple[tuple[bool, bool, int], Examined]] = []
    for n, (_, _, report, _) in enumerate(updates[0]):
        others = [e for update in updates[1:] for _, _, r, _ in update if r.certain for e in r.explanations]
        common = report.keep_common(others) if report.certain and others else False
        number = len((report.explanations or [()])[0])
        found.append(((not report.certain, bool(others) and not common, number), updates[0][n]))
    key, best = min(found, key=lambda x: x[0])
    later = [x for update in updates[1:] for x in update if x[2].certain]
    return later[0] if key[0] and later else best


def rate_between(ends: tuple[Mapping[str, Array], Mapping[str, Array]], given: Mapping[str, Array]) -> float:
    """The rate by which gradients were read off a change of the parameters, from the first to the second of `ends`."""
    changed = {n: float(np.linalg.norm(ends[0][n] - ends[1][n])) for n, g in given.items() if np.any(g)}
    largest = max(changed, key=lambda n: changed[n], default=None)
    return changed[largest] / float(np.linalg.norm(given[largest])) if largest and changed[largest] else 1.0


def has_penalty(net: Any) -> bool:
    """Does the loss have a penalty whose factor is not 0?"""
    handed = net.program.handed
    return any(np.any(handed.get(use.step, {}).get(use.slot, 0.0)) for use in net.penalties)


def wrong_update(net: Any, known: Known, walk: Walk, lr: float, tolerance: float) -> BackpropReport:
    """The report on an update that is not right: the numbers of the first step that shows it."""
    right, method, note = known
    for k, (before, after) in enumerate(itertools.pairwise(walk.weights)):
        given, right = {n: (x - after[n]) / lr for n, x in before.items()}, walk.gradients[k]
        errors = {n: relative(given[n], g) for n, g in right.items()}
        wrong = {n: e for n, e in errors.items() if e > tolerance}
        if wrong:
            break
    still = [n for n in wrong if not np.any(given[n])]
    text = words_of_unused(still, wrong) + (f" It shows in step {k + 1}." if k else "")
    text += f" The step leaves {', '.join(still)} unchanged." if still else ""
    report = BackpropReport(errors, wrong, [], given, right, method=method, network=net, followed=True)
    report.note, report.update_alone = f"{text} {note}".strip(), True
    return report


def tell_of_signs(report: BackpropReport, recording: Recording, after: Mapping[str, Array]) -> None:
    """Of a gradient with the wrong sign: does the update add what is to be subtracted? Nobody passes numbers here.

    after: the parameters after the step, made on the lines that update them.
    """
    made = {n: x for n in after if (x := recording.made.get(key_of(np.asarray(after[n], dtype=float)))) and x.line}
    adding = {n: x for n, x in made.items() if ADDITION.search(x.source)}
    fixes = [*dict.fromkeys(ADDS.format(line=adding[n].line) for n in report.wrong if n in adding)]
    everywhere = {*report.wrong} == {*report.errors} and {*report.wrong} <= {*adding}
    if fixes and not everywhere:
        fixes = [OTHERS_ADD.format(line=x.line) for x in adding.values()]

    def tell(slip: FoundSlip) -> FoundSlip:
        fix = fixes[0] if fixes else slip.fix.partition(" If your update adds")[0]  # here it is seen
        return replace(slip, fix=fix) if slip.code == "sign_flipped" else slip

    report.explanations = [tuple(tell(slip) for slip in e) for e in report.explanations]
    if everywhere and report.certain and report.explanations[0][0].code == "sign_flipped":
        report.places = adding_lines(report, [adding[n] for n in report.wrong])


def adding_lines(report: BackpropReport, adding: Sequence[Made]) -> list[FoundPlace]:
    """The lines that add, before the others."""
    lines: dict[tuple[str, int], list[Made]] = {}
    for made in adding:
        lines.setdefault((made.file, made.line), []).append(made)
    found = [
        FoundPlace(*place, x[0].source, UPHILL.format(names=", ".join(m.variable for m in x)), x[0].variable)
        for place, x in lines.items()
    ]
    return [*found, *(place for place in report.places if (place.file, place.line) not in lines)]
