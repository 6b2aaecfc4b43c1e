"""A run that failed, of a setup that works with other seeds, and whether a wider network depends less on luck."""

from __future__ import annotations

import numpy as np

from tinygrad_edu.clinic.diagnosis.causes.changes import larger_network
from tinygrad_edu.clinic.diagnosis.causes.table import PROVED_OTHERWISE
from tinygrad_edu.clinic.diagnosis.proof.trials import SURE, Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause


def bad_luck(t: Trials, measured: str) -> FoundCause:
    """The cause; measured: how far the run is from the goal."""
    as_is = t.as_is
    sentence, remedy = PROVED_OTHERWISE["unlucky_init"]
    spread = [s.sentence for s in t.symptoms if s.code == "spread_over_seeds"]
    seen = " ".join([f"This run misses the goal ({measured}).", *spread])
    seed = as_is.runs[int(np.argmax(as_is.worths))].seed
    low, high = as_is.interval
    proof = (
        f"from {as_is.count} other seeds, with nothing else changed, {as_is.reached} reach the goal "
        f"(90% interval {low:.0%} to {high:.0%})."
    )
    remedy = f"{remedy} {width_measured(t)}".strip()
    return FoundCause("unlucky_init", sentence, seen, proof, remedy, {"seed": seed}, as_is)


def width_measured(t: Trials) -> str:
    """Of a narrow network, how many seeds a wider one of the same kind learns from; "" where no more do.

    XOR by two hidden units is the usual case: they can compute it, and from some seeds they do not learn to.
    """
    if not any(symptom.code == "small_net" for symptom in t.symptoms):
        return ""
    change = next(larger_network(t.record), None)
    trial = t.trial(change, "too_small_network") if change else None
    trial = t.extend(trial, SURE) if trial is not None and trial.share > t.as_is.share else trial
    if change is None or trial is None or trial.share <= t.as_is.share:
        return ""
    wider, narrow = t.record.setup.difference(change), f"{t.as_is.reached} of {t.as_is.count}"
    return f"With {wider}, {trial.reached} of {trial.count} seeds reach the goal, as against {narrow}."
