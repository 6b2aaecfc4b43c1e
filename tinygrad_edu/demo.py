"""The main job: OR and XOR, learned by the same network on both back ends side by side.

A 2-3-1 tanh network without bias, weights drawn from N(0, 1), one sample a step, learning rate 0.2 on half the squared
error: the network of a real question about convergence ("99% after 100 epochs" was promised, 97% after 1,900 seen,
where an "epoch" was a single sample).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import packages
from tinygrad_edu.cases.or_xor import GATES, LEARNING_RATE, half_squared_error, network
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.draw import draw
from tinygrad_edu.draw.render import ADVICE, available
from tinygrad_edu.nn import Module
from tinygrad_edu.optim import SGD, Optimizer
from tinygrad_edu.train import one_minus_mae
from tinygrad_edu.train.progress_bar import bar, say

Array = np.ndarray[Any, Any]
REPORTED = (0.25, 0.5, 1.0)  # fractions of the run at which a line is printed


@dataclass
class Lockstep:
    """Training on both back ends in step, with the differences between them."""

    gate: str
    seed: int = 0
    losses: dict[str, list[float]] = field(default_factory=lambda: {"scalar": [], "tensor": []})
    loss_difference: float = 0.0  # largest so far, relative
    gradient_difference: float = 0.0

    def __post_init__(self) -> None:
        self.X, self.y = GATES[self.gate]()
        self.models: dict[str, Module] = {name: network(name, self.seed) for name in self.losses}
        self.optimizers: dict[str, Optimizer] = {
            name: SGD(model.parameters(), lr=LEARNING_RATE) for name, model in self.models.items()
        }

    def step(self, i: int) -> None:
        """Sample i through both networks; compare, then update."""
        for name, model in self.models.items():
            self.optimizers[name].zero_grad()
            loss = half_squared_error(model(self.X[i]), self.y[i])
            loss.backward()
            self.losses[name].append(float(loss.item()))
        scalar, tensor = self.models["scalar"].gradients(), self.models["tensor"].gradients()
        apart = max(relative_difference(scalar[name], tensor[name]) for name in scalar)
        self.gradient_difference = max(self.gradient_difference, apart)
        pair = (np.array(self.losses[name][-1]) for name in self.losses)
        self.loss_difference = max(self.loss_difference, relative_difference(*pair))
        for optimizer in self.optimizers.values():
            optimizer.step()

    def line(self) -> str:
        """The state of the run, in a line."""
        steps = len(self.losses["tensor"])
        reached = one_minus_mae(self.models["tensor"], self.X, self.y)
        loss = float(np.mean(self.losses["tensor"][-len(self.X) :]))
        return f"  {self.gate:3} {steps:6,} steps   loss {loss:.3e}   1 - mean error {reached:7.2%}"


def relative_difference(a: Array, b: Array) -> float:
    """max |a - b| over the largest entry of both."""
    scale = max(np.max(np.abs(a)), np.max(np.abs(b)))
    return float(np.max(np.abs(a - b)) / scale) if scale else 0.0


def demo(out: Path = Path("out"), steps: int = 2000, seed: int = 0) -> list[Lockstep]:
    """Train both gates on both back ends, print what happens, and write the pictures into `out`."""
    out.mkdir(parents=True, exist_ok=True)  # fails before the training, not after it
    print("OR and XOR: a 2-3-1 tanh network, one sample a step, on the scalar and the tensor back end side by side")
    runs = [train_gate(gate, steps, seed) for gate in GATES]
    print(f"\nLargest relative difference between the two back ends over {2 * steps:,} steps:")
    print(f"  gradients {max(run.gradient_difference for run in runs):.1e}", end="   ")
    print(f"losses {max(run.loss_difference for run in runs):.1e}\n")
    for path in pictures(runs, out):
        print(f"wrote {path}")
    print("In the pictures |data| and |grad| are the length of an array, the root of the sum of its squares.")
    for sentence in missing():
        print(sentence)
    return runs


def train_gate(gate: str, steps: int, seed: int) -> Lockstep:
    """One gate, with a progress bar in a terminal and plain lines in a log."""
    run = Lockstep(gate, seed)
    lines = {max(1, round(steps * part)) for part in REPORTED}
    for i in progress(steps, gate):
        run.step(i % len(run.X))
        if i + 1 in lines:
            say(run.line())
    return run


def progress(steps: int, name: str) -> Iterator[int]:
    """0, 1, ..., with a progress bar on a terminal."""
    with bar(steps, "step", sys.stderr.isatty(), title=name, asked=False) as shown:
        for i in range(steps):
            yield i
            shown.update()


def pictures(runs: list[Lockstep], out: Path) -> Iterator[Path]:
    """The graph of one XOR sample on both back ends, with gradients, and the losses of all runs."""
    suffixes = ("svg", "png") if available() else ("dot",)
    xor = runs[-1]
    for name, model in xor.models.items():
        model.zero_grad()
        x = label_sample(xor.X[1], name)
        loss = half_squared_error(model(x), xor.y[1])
        loss.label = "loss"
        loss.backward()
        for suffix in suffixes:
            yield draw(loss, title=f"XOR, one sample, {name} back end").save(out / f"xor_{name}.{suffix}")
    if has_matplotlib():
        yield loss_plot(runs, out / "loss.png")


def missing() -> Iterator[str]:
    """Advice on what to install for pictures that could not be drawn."""
    if not available():
        yield ADVICE
    if not has_matplotlib():
        yield 'No loss plot without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.'


def has_matplotlib() -> bool:
    return packages.available("matplotlib")


def label_sample(x: Array, backend: str) -> Any:
    """The sample as named inputs of the picture."""
    if backend == "tensor":
        return Tensor(x, label="x")
    values = np.empty(len(x), dtype=object)
    values[:] = [Value(float(number), label=f"x{i}") for i, number in enumerate(x)]
    return values


def loss_plot(runs: list[Lockstep], path: Path) -> Path:
    """Loss against steps: a line for the tensor back end, dots for the scalar one on top of it."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for run, colour in zip(runs, ("#0072b2", "#d55e00"), strict=True):
        rounds = {name: over_rounds(run.losses[name], len(run.X)) for name in run.losses}
        axes.plot(*rounds["tensor"], color=colour, label=f"{run.gate}, tensor")
        dots = [part[::20] for part in rounds["scalar"]]
        axes.plot(*dots, "o", color=colour, mfc="white", label=f"{run.gate}, scalar")
    axes.set(xlabel="steps (one sample each)", ylabel="loss, mean of the last four samples", yscale="log")
    axes.set_title("OR and XOR on both back ends: the dots lie on the lines")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=144)
    pyplot.close(figure)
    return path


def over_rounds(values: list[float], length: int) -> tuple[Array, Array]:
    """(steps, mean of the values) after each round of all samples."""
    rounds = len(values) // length
    return length * np.arange(1, rounds + 1), np.array(values[: rounds * length]).reshape(rounds, length).mean(axis=1)
