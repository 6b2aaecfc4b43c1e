"""Reports on a step: the plainest of several; for right gradients that are used wrongly, the step that shows it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.untouched import unused_or_changed
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.clinic.examiner.steps.made_gradients import relative
from tinygrad_edu.clinic.examiner.steps.step_walk import Walk

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
    """Has the loss a penalty whose factor is not 0?"""
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
    text = unused_or_changed(still, wrong) + (f" It shows in step {k + 1}." if k else "")
    text += f" The step leaves {', '.join(still)} unchanged." if still else ""
    report = BackpropReport(errors, wrong, [], given, right, method=method, network=net, followed=True)
    report.note, report.update_alone = f"{text} {note}".strip(), True
    return report
