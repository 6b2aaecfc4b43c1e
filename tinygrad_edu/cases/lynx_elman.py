"""Case 7: R's RSNNS `elman` on the lynx series, 5 lags, 1,000 iterations. After how many has it converged?

The answer given there, the first epoch with |Δerror| < 1e-20, never happens. The reference is a run of RSNNS 0.4-18:
its initial weights, and the error of each epoch.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import numpy as np

from tinygrad_edu.cases.aliases import Canvas
from tinygrad_edu.cases.charts import BLUE, GREEN, RED, at_moments
from tinygrad_edu.cases.report import Figure, Report
from tinygrad_edu.clinic import diagnose_curve
from tinygrad_edu.data import lagged, lynx, min_max
from tinygrad_edu.nn import Elman, losses
from tinygrad_edu.optim import SGD
from tinygrad_edu.train import Run, fit_online

Array = np.ndarray[Any, Any]
TOO_SMALL = 1e-20  # the published test: |Δerror| below it
ENOUGH = 1e-4  # a test that works: |Δerror| is at most this share of the error
TOLERANCE = 1e-5  # RSNNS computes in float32
CHECKED = (1, 2, 10, 100, 500, 1000)  # epochs that are printed; `worst` covers all


def reference() -> dict[str, Any]:
    """The run of RSNNS: settings, weights at the start, errors."""
    text = files(__package__).joinpath("rsnns_elman_lynx.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def series() -> tuple[Array, Array]:
    """The lynx series from 0 to 1: each year from the five before it, X (109, 5), y (109, 1)."""
    return lagged(min_max(lynx())[0], 5)


def network(horizon: int | None = 1) -> Elman:
    """The Elman network with RSNNS's initial weights."""
    start = reference()
    model = Elman(start["lags"], start["hidden"], 1, horizon=horizon)
    model.load_state_dict(
        {
            "hidden.weight_ih": np.transpose(start["W_in"]),
            "hidden.weight_hh": np.transpose(start["W_context"]),
            "hidden.bias": start["b_hidden"],
            "output.weight": [start["w_out"]],
        }
    )
    return model


def train_by_pattern(epochs: int) -> Run:
    """Train as RSNNS does, one update per pattern. Its δ = t - y belongs to ½(t - y)², so its rate is halved here."""
    model = network()
    optimizer = SGD(model.parameters(), lr=reference()["learning_rate"] / 2.0)
    return fit_online(model, *series(), loss="mse", optimizer=optimizer, epochs=epochs)


def errors(run: Run) -> Array:
    """RSNNS's sum of squared errors of each epoch."""
    return np.asarray(run.loss_curve * len(series()[0]))


def plateau(curve: Array) -> tuple[float, float, float]:
    """(e, a, p) of the curve e + a·t^-p that fits the second half of the errors best."""
    from scipy.optimize import curve_fit

    t = np.arange(1.0, len(curve) + 1.0)
    half = slice(len(curve) // 2, None)
    first = (0.5 * curve[-1], 0.5 * curve[-1], 0.1)
    found, _ = curve_fit(lambda t, e, a, p: e + a * t**-p, t[half], curve[half], p0=first, bounds=(0.0, np.inf))
    return tuple(map(float, found))  # type: ignore[return-value]


def gradient(horizon: int | None) -> Array:
    """The gradient of the whole series at the start, all weights in one row: truncated, or through all of time."""
    model = network(horizon)
    X, y = series()
    losses.mse(model(X)[0], y).backward()
    return np.concatenate([np.ravel(g) for g in model.gradients().values()])


def in_batches(horizon: int | None, epochs: int, lr: float = 0.5) -> Array:
    """The errors of training with the gradient of the whole series: only the horizon differs."""
    model = network(horizon)
    X, y = series()
    run = fit_online(
        model, X, y, loss="mse", optimizer=SGD(model.parameters(), lr=lr), epochs=epochs, steps=len(X), compiled=False
    )
    return errors(run)


def first_difference(curve: Array, limit: float) -> int | None:
    """The first epoch whose error differs from the previous one's by less than a number."""
    hits = np.flatnonzero(np.abs(np.diff(curve)) < limit)
    return int(hits[0]) + 2 if hits.size else None


def run(quick: bool = False) -> Report:
    """RSNNS's errors, three tests of convergence, and backpropagation through time; quick: less of the last."""
    published, long = np.array(reference()["sse"]), train_by_pattern(10_000)
    curve = errors(long)
    worst = float(np.abs(curve[: len(published)] / published - 1.0).max())
    through_time = {horizon: in_batches(horizon, 20 if quick else 250) for horizon in (1, None)}
    return Report(
        name="lynx_elman",
        question="an Elman network of RSNNS learns the lynx series for 1,000 iterations. When has it converged?",
        figures=(
            *(
                Figure(f"error of epoch {epoch:,}", float(published[epoch - 1]), float(curve[epoch - 1]), within)
                for epoch in CHECKED
                for within in (TOLERANCE * published[epoch - 1],)
            ),
            Figure("largest relative difference in 1,000 epochs", 0.0, worst, TOLERANCE),
        ),
        findings=(*tests_of_convergence(long, curve), truncation(through_time)),
        diagnosed=("the errors of the 1,000 epochs", diagnose_curve(curve[: len(published)])),
        answer="it has not, and the published test cannot tell: in floating point the errors of two epochs differ by "
        f"less than {TOO_SMALL:g} only once training has stopped moving at all. Compare with a share of the error, "
        "and say which; or hold out some years and stop when their error rises.",
        draw=lambda canvas: draw(canvas, long, published, through_time),
    )


def tests_of_convergence(run: Run, curve: Array) -> tuple[str, ...]:
    """The verdicts of three tests of convergence."""
    steps, e = np.abs(np.diff(curve)), plateau(curve[:1000])[0]
    first = first_difference(curve, TOO_SMALL)
    when = f"fires in epoch {first:,}" if first else f"fires in none of {len(curve):,} epochs"
    return (
        f"|Δerror| < {TOO_SMALL:g} {when}; the smallest |Δerror| is {steps.min():.1e}.",
        "|Δerror| ≤ 1e-3 of the error first holds in epoch {}, 1e-4 of it in epoch {}, 1e-5 of it: {}.".format(
            *(run.converged_at(tol) or "none" for tol in (1e-3, ENOUGH, 1e-5))
        ),
        f"A plateau e + a/tᵖ fitted to epochs 500 to 1,000 ends at {e:.2f}. The errors pass that: {curve[999]:.3f} "
        f"after 1,000 epochs, {curve[4999]:.3f} after 5,000, {curve[-1]:.3f} after 10,000. Slow is not converged.",
    )


def truncation(through_time: dict[int | None, Array]) -> str:
    """How much the truncated gradient leaves out."""
    short, full = gradient(1), gradient(None)
    cosine = short @ full / (np.linalg.norm(short) * np.linalg.norm(full))
    ends = {horizon: curve[-1] for horizon, curve in through_time.items()}
    return (
        "RSNNS treats the context as a constant. At the start its gradient of the whole series and that through all of "
        f"time point the same way to within {np.degrees(np.arccos(cosine)):.0f}°; after {len(through_time[1])} epochs "
        f"of either, all else equal, the errors are {ends[1]:.3f} and {ends[None]:.3f}."
    )


def draw(canvas: Canvas, run: Run, published: Array, through_time: dict[int | None, Array]) -> None:
    """The errors beside RSNNS's, and the two gradients."""
    left, right = canvas.subplots(1, 2, width_ratios=(3, 2))
    curve = errors(run)
    left.plot(np.arange(1, len(curve) + 1), curve, color=BLUE, label="this library")
    shown = np.unique(np.geomspace(1, len(published), 25).astype(int))
    left.plot(shown, published[shown - 1], "o", color="black", markersize=4, label="RSNNS, 1,000 epochs")
    left.axhline(plateau(curve[:1000])[0], color=RED, linestyle=":", label="plateau fitted to epochs 500 to 1,000")
    at_moments(left, [(run.converged_at(tol) or len(curve), f"|Δ| ≤ {tol:g} of it") for tol in (1e-3, ENOUGH)])
    left.set(xscale="log", yscale="log", xlabel="epoch", ylabel="sum of squared errors", title="the lynx series")
    left.set_ylim(0.42, 5.0)  # room for the labels of the lines
    left.set_yticks([1.0, 2.0, 3.0, 4.0], labels=["1", "2", "3", "4"])
    left.minorticks_off()
    for (_, each), colour, name in zip(
        through_time.items(), (BLUE, GREEN), ("truncated, as RSNNS", "through all of time"), strict=True
    ):
        right.plot(np.arange(1, len(each) + 1), each, color=colour, label=name)
    right.set(xlabel="epoch, one step each", ylabel="sum of squared errors", title="what truncation leaves out")
    for axes in (left, right):
        axes.legend()
        axes.grid(alpha=0.3)
