"""Case 8: what do Σα = ∞ and Σα² < ∞ mean? Nine schedules, and where each ends on a noisy quadratic.

Many chains descend x²/2 from x = 3, with noise from N(0, 1) in each gradient: x ← x - α(t)·(x + noise).
With a constant α the mean square settles at α/(2 - α); with α = 1/t it is 1/t, the variance of a mean of t numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.cases.aliases import Canvas
from tinygrad_edu.cases.charts import BLUE, GREEN, GREY, PURPLE, RED
from tinygrad_edu.cases.report import Report, Trial
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.optim import SGD, robbins_monro, schedules
from tinygrad_edu.optim.schedule import Schedule

Array = np.ndarray[Any, Any]
START, CHAINS = 3.0, 400
NEAR = 20.0  # the goal is a mean square below NEAR/steps; the schedule 1/t reaches 1/steps
FLOOR = 0.1  # the constant rate

# name, schedule, whether both conditions hold
SCHEDULES: tuple[tuple[str, Schedule, bool], ...] = (
    ("constant 0.1", schedules.constant(FLOOR), False),
    ("1/t", schedules.inverse_time(1.0), True),
    ("1/√t", schedules.inverse_power(1.0, power=0.5), False),
    ("1/t^0.75", schedules.inverse_power(1.0, power=0.75), True),
    ("1/t^1.5", schedules.inverse_power(0.5, power=1.5), False),
    ("exponential", schedules.exponential(0.1, factor=0.95), False),
    ("step", schedules.step(0.1, every=100, factor=0.1), False),
    ("cosine", schedules.cosine(0.1, steps=200), False),
    ("scikit-learn's invscaling", schedules.invscaling(0.1), False),
)
COLOURS = {"constant 0.1": RED, "1/t": BLUE, "1/√t": GREEN, "exponential": PURPLE}


def descent(schedule: Schedule, steps: int, seed: int = 0) -> Array:
    """x of every chain after each step, beginning with the start: (steps + 1, chains)."""
    rng = np.random.default_rng(seed)
    x = Tensor(np.full(CHAINS, START), requires_grad=True, label="x")
    optimizer, course = SGD([x], lr=schedule), [x.numpy()]
    for _ in range(steps):
        optimizer.zero_grad()
        (0.5 * x * x + rng.standard_normal(CHAINS) * x).sum().backward()
        optimizer.step()
        course.append(x.numpy())
    return np.array(course)


def mean_square(course: Array) -> Array:
    """The mean over the chains of x² at each step: (steps + 1,)."""
    return np.asarray((course**2).mean(axis=1))


def run(quick: bool = False) -> Report:
    """The verdict on each schedule, and its descent; quick: 2,000 steps instead of 10,000."""
    steps = 2_000 if quick else 10_000
    squares = {name: mean_square(descent(schedule, steps)) for name, schedule, _ in SCHEDULES}
    goal = NEAR / steps
    tail = squares["constant 0.1"][steps // 2 :].mean()
    return Report(
        name="robbins_monro",
        question="what do the conditions Σα = ∞ and Σα² < ∞ on a learning rate mean?",
        goal=f"a mean distance below {np.sqrt(goal):.3f} from the minimum after {steps:,} steps",
        trials=tuple(trial(name, schedule, squares[name][-1], goal) for name, schedule, _ in SCHEDULES),
        findings=(
            f"The constant rate stalls: its mean square is {tail:.4f}; theory says α/(2 - α) = "
            f"{FLOOR / (2 - FLOOR):.4f}. The rate 1/t has {squares['1/t'][-1]:.1e} after {steps:,} steps, theory: "
            f"1/t = {1 / steps:.1e}.",
            final_distances(),
            "The conditions suffice, they are not necessary: 1/√t fails the second one, and on this quadratic its mean "
            f"square still falls, like α/2, to {squares['1/√t'][-1]:.4f}; it is only slower than 1/t.",
        ),
        answer="Σα = ∞: the steps can cover any distance, so the start does not matter. Σα² < ∞: the noise that the "
        "steps bring in has a finite sum, and dies out. 1/t does both; a constant rate arrives and stays "
        "noisy; a rate that falls exponentially is quiet and stops wherever it happens to be.",
        draw=lambda canvas: draw(canvas, squares),
    )


def trial(name: str, schedule: Schedule, reached: float, goal: float) -> Trial:
    """Where one schedule ended, and what the conditions say about it."""
    verdict = robbins_monro(schedule)
    word = {True: "holds", False: "fails", None: "undecided"}
    said = f"Σα = ∞ {word[verdict.sum_diverges]}, Σα² < ∞ {word[verdict.squares_converge]}"
    return Trial(name, int(reached < goal), 1, f"distance {np.sqrt(reached):<7.4f} {said}")


def final_distances() -> str:
    """How far two schedules end from the minimum when they start ten times as far away, without noise."""
    factor = {name: float(np.prod(1.0 - schedule.rates(0, 10_000))) for name, schedule, _ in SCHEDULES}
    return (
        "Without noise each step multiplies the distance by 1 - α: the exponential rate leaves "
        f"{factor['exponential']:.2f} of it for ever, 1/t^1.5 leaves {factor['1/t^1.5']:.2f}, the constant rate none."
    )


def draw(canvas: Canvas, squares: dict[str, Array]) -> None:
    """The rates, and the distance from the minimum."""
    left, right = canvas.subplots(1, 2)
    steps = len(next(iter(squares.values()))) - 1
    t = np.arange(1, steps + 1)
    for name, schedule, _ in SCHEDULES:
        colour = COLOURS.get(name, GREY)
        style = {
            "color": colour,
            "linewidth": 1.6 if name in COLOURS else 0.7,
            "label": name if name in COLOURS else None,
        }
        left.plot(t, schedule.rates(0, steps), **style)
        right.plot(t, np.sqrt(squares[name][1:]), **style)
    right.plot([], [], color=GREY, linewidth=0.7, label="the other five")
    right.plot(t, np.sqrt(1.0 / t), color="black", linestyle=":", linewidth=0.8, label="theory for 1/t")
    left.set(xscale="log", yscale="log", xlabel="step t", ylabel="learning rate", ylim=(1e-6, 2), title="schedules")
    right.set(
        xscale="log", yscale="log", xlabel="step t", ylabel="root mean square distance", title="a noisy quadratic"
    )
    right.legend()
    for axes in (left, right):
        axes.grid(alpha=0.3)
