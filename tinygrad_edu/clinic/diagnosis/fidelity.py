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
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.nn.parameters import trained

TIMES = 2.0  # factor by which the run's number of epochs may lie outside the range of the repetitions
FIRST = 3.0  # the same for its first loss, times the spread of the repetitions' first losses
FOREIGN = ("torch", "keras")  # libraries of which only the training that diagnose was told is known
SURELY = 20  # if all of 20 repetitions do well, a run that belongs to them fails with probability 1 in 21
ADDED_UP = {"options": {"momentum": 1.0 - 1e-9}}  # SGD whose gradients are never set back to 0
UNTOLD = (
    "what diagnose was not told and cannot see: other data, weights or layers that were set or frozen by hand, a rate "
    "that was changed on the way, several calls of fit, a loop that never sets the gradients back to 0"
)
CLOSE = 1e-3  # relative, for the first loss from the same random_state: rounding errors are far smaller


def differs(subject: Subject, runs: Sequence[Trained]) -> str:
    """How the repetitions differ from the run in what does not hang on luck, in a sentence; "" where they do not."""
    if not len(subject.losses) or subject.setup.optimizer in ("LBFGS", lbfgs.NAME):
        return ""
    exact = repeat_fit(subject)
    if exact is not None:
        return exact
    return by_first_loss(subject, runs) or by_epochs(subject, runs)


def relies_on_words(subject: Subject) -> bool:
    """Is only that known of its training which diagnose was told?"""
    return subject.own_loop or subject.setup.dialect in FOREIGN


def all_others_learn(record: Record, as_is: Trial) -> bool:
    """Do all repetitions do well, where this run failed, and what was told of it may not be all?

    Where a layer of it is dead, which does happen by luck, that is the more likely cause.
    """
    known = not relies_on_words(record.subject) and not record.subject.fixed
    if known or as_is.share < 1.0:
        return False
    few = as_is.count < SURELY and not record.subject.notes
    # units with weights that are not numbers pass as dead
    finite = all(np.isfinite(p.data).all() for p in trained(record.subject.model.parameters()))
    return not few and not (finite and any(layer.dead == 1.0 for layer in record.end.hidden))


def others_learn(t: Trials) -> str:
    """How many repetitions do well, and how many with a usual mistake in the loop, where that can be imitated."""
    found = f"{t.as_is.reached} of {t.as_is.count} repetitions from other seeds reach the goal"
    setup = t.record.setup
    if (
        not (setup.dialect == "torch" or t.record.subject.own_loop)
        or setup.optimizer != "SGD"
        or setup.options.get("momentum", 0.0)
    ):
        return found
    trial = t.trial(ADDED_UP, "gradients_not_reset")
    if trial is None or not t.as_is.beats(trial):
        return found
    added = "add up from step to step, as they do in a loop without optimizer.zero_grad(): look whether yours calls it"
    return f"{found}, and {trial.reached} of {trial.count} with gradients that {added}"


def repeat_fit(subject: Subject) -> str | None:
    """How a second fit from the same random_state differs, "" if not at all; None if it cannot be repeated."""
    setup, rule = subject.setup, subject.setup.estimator
    if rule is None or rule.state is None or lbfgs.refusal(setup, subject.task):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the user has seen the convergence warning already
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
    room = FIRST * ours.max() / ours.min()  # wider if the seeds differ much among themselves
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
