"""Case 6: the delta rule on AND, full batch, learning rate 0.021, with and without σ'(z). Why is "without" better?

One sigmoid unit p = σ(w·x + b), weights 0 and bias -2 at the start. With σ' the step follows ½(p - t)², without it the
cross-entropy; both losses are summed over the four samples.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np

from tinygrad_edu.cases.aliases import Canvas
from tinygrad_edu.cases.charts import BLUE, RED
from tinygrad_edu.cases.report import Figure, Report
from tinygrad_edu.clinic import Diagnosis, diagnose
from tinygrad_edu.compile.jit import jit
from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.data import and_gate
from tinygrad_edu.nn import MLP, losses
from tinygrad_edu.optim import SGD
from tinygrad_edu.train import fit

Array = np.ndarray[Any, Any]
WITHOUT, WITH = "without σ'", "with σ'"
START = (0.0, 0.0, -2.0)  # two weights and the bias
LEARNING_RATE = 0.021
PART = 1000  # epochs between two measurements
CORNERS = ((1.0, 1.0), (0.0, 0.0), (0.0, 1.0), (1.0, 0.0))  # the order of the published outputs
INPUTS = ("11", "00", "01", "10")
PUBLISHED = {  # outputs for (1, 1), (0, 0), (0, 1), (1, 0); the last two are equal
    (WITHOUT, 10_000): (0.9666565909058419, 2.05087653022386e-5, 0.023803593411627456, 0.023803593411627456),
    (WITHOUT, 35_000): (0.9903810162649429, 4.6475933225663785e-7, 0.006870001301253153, 0.006870001301253153),
    (WITH, 10_000): (0.8446651307271656, 0.004030424878725242, 0.129178264332045, 0.129178264332045),
    (WITH, 35_000): (0.9218773156128204, 4.169603485934177e-4, 0.06555977437019253, 0.06555977437019253),
}
TOLERANCE = 1e-11


def without_derivative(z: ArrayLike, t: ArrayLike) -> Any:
    """The loss whose gradient with respect to z is p - t, p = σ(z): the cross-entropy."""
    return losses.delta_rule(z, t, reduction="sum")


def with_derivative(z: ArrayLike, t: ArrayLike) -> Any:
    """The loss whose gradient with respect to z is (p - t)·σ'(z): half the squared error."""
    return 0.5 * losses.mse(ops.sigmoid(z), t, reduction="sum")


RULES = {WITHOUT: without_derivative, WITH: with_derivative}


def course(rule: str, epochs: int) -> Array:
    """The outputs for 11, 00, 01 and 10 after every thousand epochs, on the tensor back end: (epochs/1000, 4)."""
    X, y = and_gate()
    model = MLP([2, 1])
    model.load_state_dict({"layers.0.weight": [START[:2]], "layers.0.bias": START[2:]})
    optimizer, outputs = SGD(model.parameters(), lr=LEARNING_RATE), []
    for _ in range(epochs // PART):
        fit(model, X, y, loss=RULES[rule], optimizer=optimizer, epochs=PART, compiled=True, accurate=True)
        outputs.append(ops.sigmoid(model(CORNERS).numpy()).ravel())
    return np.array(outputs)


def of_numbers(rule: str, epochs: int) -> Array:
    """The outputs from the scalar back end, with Values on a tape: (epochs/1000, 4)."""
    X, y = (a.tolist() for a in and_gate())

    @jit
    def loss(v: ArrayLike, w: ArrayLike, b: ArrayLike) -> Any:
        return RULES[rule]([v * x[0] + w * x[1] + b for x in X], [t[0] for t in y])

    weights, outputs = list(START), []
    for epoch in range(epochs):
        _, gradient = loss.value_and_grad(*weights, argnum=(0, 1, 2))
        weights = [w - LEARNING_RATE * g for w, g in zip(weights, gradient, strict=True)]
        if (epoch + 1) % PART == 0:
            outputs.append([ops.sigmoid(weights[0] * a + weights[1] * b + weights[2]) for a, b in CORNERS])
    return np.array(outputs)


def gradients(logits: Array, target: float) -> dict[str, Array]:
    """The gradient of each rule's loss with respect to the logit."""
    found = {}
    for rule, loss in RULES.items():
        z = Tensor(logits, requires_grad=True)
        loss(z, np.full_like(logits, target)).backward()
        assert z.grad is not None
        found[rule] = z.grad
    return found


def clinic_verdict(quick: bool = False) -> tuple[str, Diagnosis]:
    """The clinic's diagnosis of the rule with σ', given as a squared error behind a sigmoid."""
    model = MLP([2, 1], out_activation="sigmoid")
    model.load_state_dict({"layers.0.weight": [START[:2]], "layers.0.bias": START[2:]})
    # twice the rate: the loss is the mean of four squares, the delta rule's half their sum
    optimizer = SGD(model.parameters(), lr=2.0 * LEARNING_RATE)
    seen = fit(model, *and_gate(), loss="mse", optimizer=optimizer, epochs=10 * PART)
    found = diagnose(seen, goal={"mae": 0.05}, seeds=3 if quick else 5)
    return "the rule with σ' after 10,000 epochs; goal: a mean absolute error of 0.05", found


def run(quick: bool = False) -> Report:
    """Both rules on both back ends; quick: 10,000 of the 35,000 epochs."""
    epochs = 10_000 if quick else 35_000
    courses = {
        (back_end, rule): train(rule, epochs)
        for (back_end, train), rule in product((("tensor", course), ("scalar", of_numbers)), RULES)
    }
    return Report(
        name="delta_rule",
        question="Leaving σ'(z) out of the delta rule is said to be a mistake, yet it learns better. Why?",
        figures=tuple(figures(courses, epochs)),
        findings=(
            "The rule without σ' is not an approximation: the engine's own gradient differs from p - t by at most "
            f"{exactness():.0e}, which is the gradient of the cross-entropy.",
            saturation(-6.0),
        ),
        diagnosed=clinic_verdict(quick),
        answer="leaving σ' out is not a mistake, it is another loss. The step p - t is exactly the gradient of the "
        "cross-entropy; with σ' it is that of the squared error, whose gradient vanishes when the unit is saturated, "
        "whether it is right or wrong.",
        draw=lambda canvas: draw(canvas, courses["tensor", WITHOUT], courses["tensor", WITH]),
    )


def figures(courses: dict[tuple[str, str], Array], epochs: int) -> list[Figure]:
    """Each published output beside that of each back end."""
    return [
        Figure(f"{rule}, {moment:,} epochs, {name}, {back_end}", published, float(found), TOLERANCE)
        for (back_end, rule), outputs in courses.items()
        for (published_rule, moment), row in PUBLISHED.items()
        if published_rule == rule and moment <= epochs
        for name, published, found in zip(INPUTS, row, outputs[moment // PART - 1], strict=True)
    ]


def saturation(z: float) -> str:
    """The gradient that each rule gives a unit with that logit whose target is 1."""
    short, long = (float(gradients(np.array([z]), 1.0)[rule][0]) for rule in (WITH, WITHOUT))
    return (
        f"A unit that is confidently wrong, z = {z:g} with target 1, gets the gradient {long:.4f} from the "
        f"cross-entropy and {short:.4f} from the squared error, {long / short:.0f} times less: it hardly moves."
    )


def exactness() -> float:
    """The largest difference between the gradient without σ' and p - t."""
    z = np.linspace(-8.0, 8.0, 161)
    return max(float(np.abs(gradients(z, t)[WITHOUT] - (ops.sigmoid(z) - t)).max()) for t in (0.0, 1.0))


def draw(canvas: Canvas, without: Array, with_it: Array) -> None:
    """The gradient with respect to the logit, and the output for 11."""
    left, right = canvas.subplots(1, 2)
    z = np.linspace(-8.0, 8.0, 161)
    for (rule, gradient), colour in zip(gradients(z, 1.0).items(), (BLUE, RED), strict=True):
        left.plot(z, gradient, color=colour, label=rule)
    left.set(xlabel="logit z of a unit whose target is 1", ylabel="gradient of the loss, ∂L/∂z")
    left.set_title("left: saturated, and wrong")
    epochs = PART * np.arange(1, len(without) + 1)
    for (rule, outputs), colour in zip(zip(RULES, (without, with_it), strict=True), (BLUE, RED), strict=True):
        right.plot(epochs, 1.0 - outputs[:, 0], color=colour, label=f"{rule}: 1 - p(1, 1)")
        right.plot(epochs, outputs[:, 2], color=colour, linestyle="--", label=f"{rule}: p(0, 1)")
    right.set(xlabel="epochs", ylabel="error of the output", yscale="log", title="the error that remains")
    right.set_ylim(top=2.0)  # room for the legend above the lines
    for axes in (left, right):
        axes.legend()
        axes.grid(alpha=0.3)
