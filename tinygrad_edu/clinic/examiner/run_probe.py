"""The learner's backward at parameters where two explanations of its numbers differ: one of them is ruled out there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner
from tinygrad_edu.clinic.examiner.distinguish import OTHERS, add_probe, words_of_explanation
from tinygrad_edu.clinic.examiner.followed import Followed
from tinygrad_edu.clinic.examiner.forward.forward_network import network_of
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.learner.inputs import parameters
from tinygrad_edu.clinic.examiner.report import BackpropReport

Array = np.ndarray[Any, Any]
SAME = 1e-6  # relative; two explanations differ by a thousandth at least at a probe


def rule_out(run: Followed, rate: float | None) -> None:
    """Drop from the run's report what its backward does not do at other parameters; the report says so."""
    report, learner = run.report, run.learner

    def network_at(p: dict[str, Array]) -> Network:
        return network_of(learner, p, learner.loss(p))[0]

    while len(report.ruled_out) < OTHERS and (gone := contradiction(run, report)):
        report.explanations = [e for e in report.explanations if words_of_explanation(e) != gone]
        report.ruled_out, report.probe = (*report.ruled_out, gone), None
        add_probe(report, Learner(run.weights, run.given.grads, rate), network_at)
        if report.probe is not None:
            report.probe = replace(report.probe, params=learner.form.fill(report.probe.params))


def contradiction(run: Followed, report: BackpropReport) -> str:
    """The one of the probe's two explanations whose number the backward does not give there; "" if that is open."""
    probe = report.probe
    if probe is None or probe.between[0] == probe.between[1]:
        return ""
    try:
        _, given = run.backward.follow(run.learner, parameters(probe.params)[1])
        number = float(given.grads[probe.name][probe.index])
    except Exception:  # the learner's program may raise anything at other parameters
        return ""
    fits = [abs(number - x) <= SAME * max(abs(probe.first), abs(probe.second)) for x in (probe.first, probe.second)]
    return str(probe.between[fits.index(False)]) if fits[0] != fits[1] else ""
