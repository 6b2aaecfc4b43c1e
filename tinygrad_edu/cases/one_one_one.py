"""Case 5: a 1-1-1 sigmoid network in Java for y = (1.2x + 1)/10, x = 1 ... 9. All outputs become the mean.

Their update, sample by sample: e = t - o, then w₂ += e·σ'(e)·w₂ and, with e₁ = σ'(e)·w₂, w₁ += e₁·σ'(e₁)·w₁.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

from tinygrad_edu.cases.aliases import Canvas
from tinygrad_edu.cases.charts import BLUE, GREEN, GREY, RED, bars
from tinygrad_edu.cases.report import Report, Trial
from tinygrad_edu.clinic import BackpropReport, Diagnosis, check_backprop, diagnose
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.nn import MLP
from tinygrad_edu.optim import Adam
from tinygrad_edu.train import fit, fit_many

Array = np.ndarray[Any, Any]
X = np.arange(1.0, 10.0)[:, None]
GOAL = 1e-4  # mean squared error
EPOCHS = 10_000
CAUSES = ("update", "bias", "range")
STARTS = (0.3, 0.5, 0.8)  # the initial value of both weights


def targets(divisor: float = 10.0) -> Array:
    """(1.2x + 1)/divisor, (9, 1): from 0.22 to 1.18."""
    return (1.2 * X + 1.0) / divisor


def sigmoid(z: ArrayLike) -> Any:
    bounded = np.minimum(np.maximum(z, -700.0), 700.0)  # np.clip takes three times as long for one sample
    return 1.0 / (1.0 + np.exp(-bounded))


def slope(z: ArrayLike) -> Any:
    """σ'(z)."""
    s = sigmoid(z)
    return s * (1.0 - s)


class Published:
    """Their network and update; `bias` gives each unit a bias, `linear` leaves out the last σ."""

    def __init__(self, start: float, bias: bool = False, linear: bool = False) -> None:
        self.hidden, self.output = (np.array([start] * (1 + bias)) for _ in range(2))
        self.linear = linear

    def forward(self, x: Array) -> tuple[Array, Array]:
        """The activations of the hidden unit and of the output, for inputs (samples, 1)."""
        h = sigmoid(with_one(x, self.hidden) @ self.hidden)[:, None]
        z = with_one(h, self.output) @ self.output
        return h, z if self.linear else sigmoid(z)

    def changes(self, x: Array, t: Array) -> tuple[Array, Array]:
        """Their update of the weights after a sample: Δ of the hidden unit, Δ of the output."""
        error = float(t[0, 0] - self.forward(x)[1][0])
        hidden_error = slope(error) * self.output[0]
        return hidden_error * slope(hidden_error) * self.hidden, error * slope(error) * self.output

    def learn(self, x: Array, t: Array) -> None:
        """One epoch of their update."""
        for i in range(len(x)):
            hidden, output = self.changes(x[i : i + 1], t[i : i + 1])
            self.hidden, self.output = self.hidden + hidden, self.output + output


def examine_update(start: float = 0.5) -> BackpropReport:
    """The examiner's report on their update, summed over the nine samples: it adds minus the gradient."""
    net, t = Published(start), targets()
    pairs = [net.changes(X[i : i + 1], t[i : i + 1]) for i in range(len(X))]

    def forward(p: dict[str, Any]) -> Any:
        h = sigmoid(X @ p["w1"])
        return 0.5 * np.sum((t[:, 0] - sigmoid(h * p["w2"])) ** 2)

    grads = {"w1": -sum(hidden for hidden, _ in pairs), "w2": -sum(output for _, output in pairs)}
    return check_backprop(forward, {"w1": net.hidden, "w2": net.output}, grads)


def clinic_verdict(quick: bool = False) -> tuple[str, Diagnosis]:
    """The clinic's diagnosis of their network with the right gradient: the two causes that remain."""
    model = MLP([1, 1, 1], "sigmoid", "sigmoid", bias=False)
    seen = fit(model, X, targets(), loss="mse", optimizer=Adam(model.parameters(), lr=0.01), epochs=EPOCHS)
    found = diagnose(seen, goal={"mse": GOAL}, seeds=3 if quick else 5)
    return f"their network, trained by the right gradient for {EPOCHS:,} epochs", found


def with_one(x: Array, weights: Array) -> Array:
    """The inputs, with a 1 appended if there is a weight for it."""
    return x if len(weights) == x.shape[1] else np.hstack([x, np.ones_like(x)])


def by_their_update(bias: bool, linear: bool, epochs: int = 300) -> Array:
    """The final outputs of their update, from a few starts: (starts, 9)."""
    outputs = []
    for start in STARTS:
        net = Published(start, bias, linear)
        for _ in range(epochs):
            net.learn(X, targets())
        outputs.append(net.forward(X)[1])
    return np.array(outputs)


def by_the_gradient(bias: bool, linear: bool, seeds: int) -> Array:
    """The outputs after training with the right gradient, in one batch, by Adam: (seeds, 9)."""
    runs = fit_many(
        lambda seed: MLP([1, 1, 1], "sigmoid", "identity" if linear else "sigmoid", bias=bias, seed=seed),
        X, targets(), loss="mse", optimizer=lambda p: Adam(p, lr=0.01), epochs=EPOCHS, seeds=range(seeds),
    )  # fmt: skip
    return np.asarray(runs.predictions[0, :, :, 0])


def errors(outputs: Array) -> Array:
    """The mean squared error of each run."""
    return np.asarray(((outputs - targets().T) ** 2).mean(axis=1))


def trial(done: Sequence[bool], seeds: int) -> Trial:
    """One of the eight networks in which each of CAUSES is fixed or not."""
    mended = [name for name, each in zip(CAUSES, done, strict=True) if each]
    gradient, bias, linear = done
    reached = errors(by_the_gradient(bias, linear, seeds) if gradient else by_their_update(bias, linear))
    name = "as published" if not mended else "all three fixed" if len(mended) == 3 else "fixed: " + ", ".join(mended)
    return Trial(name, int(np.sum(reached < GOAL)), reached.size, f"median error {np.median(reached):.1e}")


def run(quick: bool = False) -> Report:
    """All eight combinations of the three fixes, and where their update leads."""
    seeds = 10 if quick else 100
    trials = [trial(mended, seeds) for mended in sorted(product((False, True), repeat=3), key=sum)]
    ends = by_their_update(False, False)
    return Report(
        name="one_one_one",
        question="a 1-1-1 sigmoid network is to learn (1.2x + 1)/10 for x = 1 ... 9. Its outputs all become the mean, "
        "its first weight goes to infinity; divided by 100 instead of 10, the second one goes to 0. Why?",
        goal=f"a mean squared error below {GOAL:g}",
        trials=tuple(trials),
        findings=(
            f"As published: every output ends at {ends.mean():.3f} (they differ by {np.ptp(ends):.0e}); the mean of "
            f"the targets is {targets().mean():.2f}. {weights()}",
            "1. The range: targets run from 0.22 to 1.18, and a sigmoid never exceeds 1. Make the output linear, or "
            "scale the targets into (0, 1). 2. The bias: without one, a hidden unit that rises with x is between σ(0) "
            "= 0.5 and 1, so the largest output is at most twice the smallest; the targets rise by a factor of 5.4. "
            "3. The update uses σ' of the error instead of σ' of the sum, and the weight instead of its input: a "
            "weight is only multiplied, never shifted, and as the hidden unit's error is always positive, w₁ grows "
            "for ever.",
        ),
        examined=examine_update(),
        diagnosed=clinic_verdict(quick),
        answer="three causes at once, and each alone is enough: with any two of them fixed no run succeeds, with "
        f"all three {trials[-1].reached} of {trials[-1].runs} do. So changing one thing at a time led nowhere.",
        draw=lambda canvas: draw(canvas, ends, trials),
    )


def weights() -> str:
    """Where their two weights go."""
    tenth, hundredth = Published(0.5), Published(0.5)
    for _ in range(300):
        tenth.learn(X, targets())
        hundredth.learn(X, targets(100.0))
    return (
        f"After 300 epochs the first weight is {tenth.hidden[0]:.0e}; with targets divided by 100 the second one is "
        f"{hundredth.output[0]:.0e}."
    )


def draw(canvas: Canvas, ends: Array, trials: list[Trial]) -> None:
    """The outputs beside the targets, and the eight networks."""
    left, right = canvas.subplots(1, 2)
    left.plot(X, targets(), "o", color="black", label="targets")
    for colour, name, outputs in (
        (RED, "as published", ends),
        (GREY, "all fixed but the range", by_the_gradient(True, False, 1)),
        (GREEN, "all fixed but the bias", by_the_gradient(False, True, 1)),
        (BLUE, "all three fixed", by_the_gradient(True, True, 1)),
    ):
        left.plot(X, outputs[0], color=colour, label=name)
    left.set(xlabel="x", ylabel="output", ylim=(0.0, 1.3))
    left.legend()
    left.grid(alpha=0.3)
    bars(right, trials, f"an error below {GOAL:g}")
