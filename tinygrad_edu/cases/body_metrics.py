"""Case 1: scikit-learn's MLPClassifier, 3 logistic units, on height, weight and shoe size of eleven people.

Four runs of the same lines ended after 200, 39, 4 and 158 epochs, with losses from 0.62 to 0.70, and had one or both of
two test people right. Up to its release 0.19, scikit-learn gave up after 2 epochs without improvement; now it is 10.
"""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.cases.aliases import Canvas
from tinygrad_edu.cases.charts import BLUE, RED, bars
from tinygrad_edu.cases.report import Figure, Report, Trial
from tinygrad_edu.clinic import Diagnosis, diagnose
from tinygrad_edu.data import body_metrics, standardize
from tinygrad_edu.estimators import MLPClassifier

Array = np.ndarray[Any, Any]
PUBLISHED = (200, 39, 4, 158)  # epochs
SEEDS = 1000
COMPARED = 20  # seeds for which scikit-learn is run too
SHOWN = 1  # the random_state that is diagnosed: 200 epochs, loss 0.66, one of the two test people right
SATURATED = 0.01  # a unit counts as saturated if its slope σ' is below this; the largest slope is 0.25


@dataclass(frozen=True)
class Outcomes:
    """How the runs of many seeds ended, each (seeds,)."""

    epochs: Array
    losses: Array
    scores: Array  # accuracy on the two test people

    @property
    def right(self) -> int:
        """How many runs get both test people right."""
        return int(np.sum(self.scores == 1.0))


def people(scaled: bool) -> tuple[Array, Array, Array, Array]:
    """X (11, 3), y (11,), and the two test people; scaled: with the mean and standard deviation of the eleven."""
    (X, y), (X_test, y_test) = body_metrics(), body_metrics("test")
    if scaled:
        X, scaling = standardize(X)
        X_test = scaling(X_test)
    return X, y, X_test, y_test


def fit_estimator(seed: int, scaled: bool = False, kind: Any = MLPClassifier, **settings: Any) -> Any:
    """The question's estimator, trained; its ConvergenceWarning is silenced, since the numbers are looked at anyway."""
    X, y, _, _ = people(scaled)
    model = kind(hidden_layer_sizes=(3,), activation="logistic", random_state=seed, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def outcomes(seeds: int, scaled: bool = False, **settings: Any) -> Outcomes:
    """The four runs' results for `seeds` values of random_state."""
    _, _, X_test, y_test = people(scaled)
    models = [fit_estimator(seed, scaled, **settings) for seed in range(seeds)]
    rows = [(model.n_iter_, model.loss_, np.mean(model.predict(X_test) == y_test)) for model in models]
    return Outcomes(*np.array(rows).T)


def saturation(scaled: bool, seeds: int = 50) -> float:
    """The share of (person, hidden unit) at the start whose slope is below SATURATED."""
    X, _, _, _ = people(scaled)
    shares = []
    for seed in range(seeds):
        model = fit_estimator(seed, scaled, max_iter=1)
        h = 1.0 / (1.0 + np.exp(-(X @ model.coefs_[0] + model.intercepts_[0])))
        shares.append(np.mean(h * (1.0 - h) < SATURATED))
    return float(np.mean(shares))


def differences() -> tuple[float, float]:
    """The largest differences from scikit-learn's own estimator, in epochs and anywhere in the loss curves."""
    from sklearn.neural_network import MLPClassifier as Original

    pairs = [(fit_estimator(seed), fit_estimator(seed, kind=Original)) for seed in range(COMPARED)]
    epochs = max(abs(ours.n_iter_ - theirs.n_iter_) for ours, theirs in pairs)
    if epochs:
        return float(epochs), np.inf
    curves = (np.abs(np.subtract(ours.loss_curve_, theirs.loss_curve_)).max() for ours, theirs in pairs)
    return 0.0, float(max(curves))


def clinic_verdict(quick: bool = False) -> tuple[str, Diagnosis]:
    """The clinic's diagnosis of one of the runs."""
    X, y, _, _ = people(scaled=False)
    model = fit_estimator(SHOWN)
    found = diagnose(model, X, y, seeds=3 if quick else 5)
    return f"the run of random_state={SHOWN}: {model.n_iter_} epochs, loss {model.loss_:.2f}", found


def run(quick: bool = False) -> Report:
    """The spread of the four runs, and one change after the other; quick: 100 seeds for the changes."""
    seeds = 100 if quick else SEEDS
    start = time.perf_counter()
    old = outcomes(SEEDS, n_iter_no_change=2)
    seconds, patient = time.perf_counter() - start, outcomes(seeds)
    epochs, losses = differences()
    scaled = outcomes(seeds, scaled=True, max_iter=5000)
    trials = (
        trial("as published, but with a random_state", patient),
        trial("5,000 epochs instead of 200", outcomes(seeds, max_iter=5000)),
        trial("inputs scaled", outcomes(seeds, scaled=True)),
        trial("inputs scaled, and 5,000 epochs", scaled),
    )
    return Report(
        name="body_metrics",
        question="the same lines, run four times, end after 200, 39, 4 and 158 epochs, and get one or both of two test "
        "people right. Why?",
        figures=(
            *(Figure(f"a run ends after {n} epochs (patience 2)", n, nearest(old.epochs, n), 0.0) for n in PUBLISHED),
            Figure(f"epochs: difference from scikit-learn, {COMPARED} seeds", 0.0, epochs, 0.0),
            Figure("losses of every epoch: difference from scikit-learn", 0.0, losses, 1e-12),
        ),
        goal="both test people right",
        trials=trials,
        findings=(
            f"The weights start at random: without a random_state every run is different. {spread(patient)} "
            f"{SEEDS:,} seeds take {seconds:.1f} s.",
            f"Heights of 150 to 190 saturate the logistic units: at the start {saturation(False):.0%} of all pairs of "
            f"person and unit have a slope below {SATURATED}, and {saturation(True):.0%} with scaled inputs.",
            f"ConvergenceWarning says that all 200 epochs were used, as in {np.mean(patient.epochs == 200):.0%} of "
            "the runs. Without it we only know that the loss stopped improving: "
            f"{np.mean(patient.scores[patient.epochs < 200] == 1.0):.0%} of the runs without it get both people right.",
        ),
        diagnosed=clinic_verdict(quick),
        answer="chance, on top of inputs that were not scaled. Set random_state to repeat a run; scale the "
        f"inputs and train until the loss stops improving: then {scaled.right} of {seeds} seeds get both people right.",
        draw=lambda canvas: draw(canvas, patient, scaled, trials),
    )


def nearest(epochs: Array, wanted: int) -> float:
    """The number of epochs closest to the given one."""
    return float(epochs[np.argmin(np.abs(epochs - wanted))])


def spread(found: Outcomes) -> str:
    """The range of the outcomes."""
    low, high = np.percentile(found.losses, (5, 95))
    return (
        f"Of {len(found.epochs):,} seeds, 90% end with a loss between {low:.2f} and {high:.2f}, the earliest after "
        f"{found.epochs.min():.0f} epochs."
    )


def trial(change: str, found: Outcomes) -> Trial:
    return Trial(change, found.right, len(found.scores), f"median {np.median(found.epochs):.0f} epochs")


def draw(canvas: Canvas, published: Outcomes, scaled: Outcomes, trials: tuple[Trial, ...]) -> None:
    """Loss against epochs for every seed, and the changes."""
    left, right = canvas.subplots(1, 2, width_ratios=(3, 2))
    for found, colour, name in ((published, RED, "as published"), (scaled, BLUE, "scaled, up to 5,000 epochs")):
        left.plot(found.epochs, found.losses, ".", color=colour, alpha=0.3, label=f"{name}, {len(found.epochs)} seeds")
    left.axhline(np.log(2.0), color="black", linestyle=":", linewidth=0.8, label="log 2: guessing")
    left.set(xscale="log", xlabel="epochs until it stopped", ylabel="loss at the end", title="one dot for each seed")
    left.legend()
    left.grid(alpha=0.3)
    bars(right, trials, "both test people right")
