"""Does the repetition repeat the run? What is proved on another training than the user's is proved of nothing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts import lbfgs
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.proof.retrain import Trained
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial

TIMES = 2.0  # the run's epochs may lie so far outside of those of the repetitions
FIRST = 3.0  # likewise its first loss, times the spread of theirs
FOREIGN = ("torch", "keras")  # whose training is known only as far as it was told
SURELY = 20  # repetitions of which all do well: of a run that is one of them, the others would do so once in 21 times
OTHERS_LEARN = "{} of {} repetitions from other seeds reach the goal"
UNTOLD = (
    "what diagnose was not told and cannot see: other data, weights or layers that were set or frozen by hand, a rate "
    "that was changed on the way, several calls of fit"
)
CLOSE = 1e-3  # relative, of a first loss from the same random_state: rounding is far below


def differs(subject: Subject, runs: Sequence[Trained]) -> str:
    """How the repetitions differ from the run in what does not hang on luck, in a sentence; "" where they do not."""
    if not len(subject.losses) or subject.setup.optimizer in ("LBFGS", lbfgs.NAME):
        return ""
    exact = repeat_fit(subject)
    if exact is not None:
        return exact
    return by_first_loss(subject, runs) or by_epochs(subject, runs)


def all_others_learn(record: Record, as_is: Trial) -> bool:
    """Do all repetitions do well, where this run failed, and what was told of it may not be all?

    Where a layer of it is dead, which does happen by luck, that is the more likely cause.
    """
    if record.setup.dialect not in FOREIGN or as_is.share < 1.0:
        return False
    few = as_is.count < SURELY and not record.subject.notes
    return not few and not any(layer.dead == 1.0 for layer in record.end.hidden)


def repeat_fit(subject: Subject) -> str | None:
    """The same fit again from the same random_state; None where it has none, or cannot be repeated so."""
    setup, rule = subject.setup, subject.setup.estimator
    if rule is None or rule.state is None or lbfgs.refusal(setup, subject.task):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge was said when it was fitted first
        _, losses = lbfgs.fit_network(setup, subject.task, rule.state)
    ours, theirs = float(losses[0]), float(subject.losses[0])
    if np.isclose(ours, theirs, rtol=CLOSE):
        return ""
    return (
        f"fitted again with random_state={rule.state} its first loss is {ours:.4g}, but this estimator's is "
        f"{theirs:.4g}. It may have been trained on other data, with warm_start or partial_fit, or with sample_weight, "
        "which diagnose takes too"
    )


def by_first_loss(subject: Subject, runs: Sequence[Trained]) -> str:
    theirs = float(subject.losses[0])
    ours = np.array([run.losses[0] for run in runs if len(run.losses)])
    if not np.isfinite(theirs) or not ours.size or not np.isfinite(ours).all() or ours.min() <= 0.0:
        return ""
    room = FIRST * ours.max() / ours.min()  # seeds that differ much among themselves say little
    low, high = ours.min() / room, ours.max() * room
    if low <= theirs <= high:
        return ""
    return f"its first loss was {theirs:.4g}, but trained again it is {ours.min():.4g} to {ours.max():.4g}"


def by_epochs(subject: Subject, runs: Sequence[Trained]) -> str:
    theirs, ours = len(subject.losses), np.array([len(run.losses) for run in runs])
    ended = subject.diverged or any(run.diverged for run in runs)
    if ended or ours.min() / TIMES <= theirs <= ours.max() * TIMES:
        return ""
    return f"it ended after {theirs} epochs, but trained again after {ours.min()} to {ours.max()}"
