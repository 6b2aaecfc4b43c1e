"""What is measured on a network at its start and at its end: activations, gradients, updates, curvature."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts import look
from tinygrad_edu.clinic.diagnosis.facts.initial_weights import glorot
from tinygrad_edu.clinic.diagnosis.facts.nearest_neighbours import neighbour_share
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.formulas.limits import FLAT
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm
from tinygrad_edu.train.histograms import NEARLY_FLAT, data_of, ends_in_activation, ends_of_layers, slope_at
from tinygrad_edu.train.own_code import for_own_code

Array = np.ndarray[Any, Any]
ROWS = 512  # samples used for a measurement
ADAPTIVE = ("Adam", "AdamW", "RMSprop")
WIDEST = 256  # longest sequence (in numbers) that is treated as one row
POWER_STEPS = 12  # of the power iteration: in experience the largest eigenvalue within a few per cent


@dataclass(frozen=True)
class MeasuredLayer:
    """A layer of weights on the samples: what it gives, the slopes of its activation there, and its parameters.

    slopes (samples, units): of the row of THE table that ends the layer; empty where none does.
    gradient: of the weights; NaN where they are frozen.
    """

    number: int
    after: Array
    slopes: Array
    activation: Operation | None
    weight: Array
    gradient: Array

    @property
    def saturated(self) -> float:
        """The share of (sample, unit) that sits at a flat end of an activation with two of them."""
        if self.activation is None or not self.activation.saturates:
            return 0.0
        return float(np.mean(np.abs(self.slopes) < NEARLY_FLAT * abs(float(self.activation.slope(0.0)))))

    @property
    def dead(self) -> float:
        """The share of units that let nothing through for any sample, of an activation with one flat side."""
        if self.activation is None or not self.activation.rectifies:
            return 0.0
        return float(np.mean((np.abs(self.slopes) < FLAT).reshape(-1, self.slopes.shape[-1]).all(axis=0)))

    @property
    def gain(self) -> float:
        """The size of the weights over that of Glorot and Bengio's."""
        return float(np.sqrt(np.mean(self.weight**2))) / glorot(self.weight.shape)

    @property
    def alike(self) -> bool:
        """Are all units of the layer the same?"""
        return len(self.weight) > 1 and bool(np.all(self.weight == self.weight[0]))


class Moment:
    """One moment of a network: `model` at the start or at the end."""

    def __init__(self, model: Module, setup: Setup, X: Array, y: Array, fresh: bool = False) -> None:
        self.model, self.setup, self.X, self.y = model, setup, X, y
        self.fresh = fresh  # before the first step: BatchNorm has only the statistics of the batch

    def output(self, rows: ArrayLike = slice(None)) -> Any:
        """The output of the model's own forward, without dropout."""
        self.model.eval()
        for _, module in self.model.named_modules():
            if self.fresh and isinstance(module, BatchNorm):
                module.train()
        return self.model(*for_own_code(self.model, None, self.X[rows]))

    def loss(self, rows: ArrayLike = slice(None)) -> Any:
        return losses.find(self.setup.loss)(self.output(rows), self.y[rows])

    @cached_property
    def value(self) -> float:
        with no_grad(), np.errstate(all="ignore"):
            return float(self.loss().item())

    def gradient_of(self, rows: ArrayLike = slice(None)) -> dict[str, Array]:
        """The gradients of all parameters by name."""
        with np.errstate(all="ignore"):
            self.model.zero_grad()
            self.loss(rows).backward()
            found = self.model.gradients()
            self.model.zero_grad()
        return found

    @cached_property
    def gradients(self) -> dict[str, Array]:
        return self.gradient_of()

    @cached_property
    def norm(self) -> float:
        """The length of the gradient."""
        return length(self.gradients)

    @cached_property
    def size(self) -> float:
        """The length of all parameters."""
        return length(self.model.state_dict())

    @cached_property
    def layers(self) -> list[MeasuredLayer]:
        """The layers that end in a matrix of weights, from the input on, seen in the model's own forward."""
        with np.errstate(all="ignore"):
            ends = ends_of_layers(self.model, self.output())
            found = [(weight, ends[name]) for name, weight in self.weights() if name in ends]
            return [self.layer(i, weight, nodes[-1]) for i, (weight, nodes) in enumerate(found)]

    def weights(self) -> Iterator[tuple[str, str]]:
        """(name of the layer that carries the activation, name of its weights); a norm layer may be between them."""
        norms = getattr(self.model, "norms", []) if isinstance(self.model, MLP) else []
        for name, array in self.model.state_dict().items():
            if name.endswith(".weight") and array.ndim == 2:
                layer = name.removesuffix(".weight")
                number = int(layer.rpartition(".")[2]) if norms else 0
                normed = number < len(norms) and isinstance(norms[number], Module)
                yield (f"norms.{number}" if normed else layer), name

    def layer(self, number: int, weight: str, node: Any) -> MeasuredLayer:
        """One layer, which ends in a node of the graph."""
        row = node.op if ends_in_activation(node) else None
        weights: dict[str, Array] = self.model.state_dict()
        gradient = self.gradients.get(weight, np.array(math.nan))
        return MeasuredLayer(number, data_of(node), slope_at(node), row, weights[weight], gradient)

    @property
    def hidden(self) -> list[MeasuredLayer]:
        return self.layers[:-1]

    @cached_property
    def ratio(self) -> float:
        """How much of the gradient by a layer's sums comes down from the last layer to the first.

        dL/dW = δᵀx: the size of the gradient by the sums, δ, is taken from those of dL/dW and of the input x.
        """
        if len(self.layers) < 2:
            return math.nan
        last = rms(self.layers[-1].gradient) / max(rms(self.layers[-2].after), 1e-300)
        first = rms(self.layers[0].gradient) / max(rms(self.X), 1e-300)
        return first / last if last > 0.0 else math.nan

    @cached_property
    def sharpness(self) -> float:
        """The largest eigenvalue of the Hessian, by power iteration on Hessian-vector products.

        The products are central differences of the gradient, so that every Module and loss has them.
        """
        weights: dict[str, Array] = self.model.state_dict()
        rng, found = np.random.default_rng(0), 0.0
        v: dict[str, Array] = {name: np.asarray(rng.standard_normal(g.shape)) for name, g in self.gradients.items()}
        with np.errstate(all="ignore"):
            for _ in range(POWER_STEPS):
                v = {name: x * np.array(1.0 / max(length(v), 1e-300)) for name, x in v.items()}
                v = self.hessian_times(v, weights)
                found = length(v)
        self.model.load_state_dict(weights)
        return found

    def hessian_times(self, v: Mapping[str, Array], weights: Mapping[str, Array]) -> dict[str, Array]:
        eps = 1e-5 * max(1.0, length(weights))
        sides = []
        for sign in (1.0, -1.0):
            self.model.load_state_dict({k: w + sign * eps * v[k] if k in v else w for k, w in weights.items()})
            sides.append(self.gradient_of())
        return {name: (sides[0][name] - sides[1][name]) / (2.0 * eps) for name in v}

    def noise(self, batch: int) -> float:
        """How far the gradients of batches lie from the whole one, over its length."""
        rng = np.random.default_rng(0)
        drawn = [self.gradient_of(rng.choice(len(self.X), batch)) for _ in range(4)]
        away = [length({k: g[k] - self.gradients[k] for k in g}) for g in drawn]
        return float(np.mean(away)) / max(self.norm, 1e-300)


def rms(x: Array) -> float:
    """The root of the mean square."""
    return math.sqrt(float(np.mean(x * x)))


def length(arrays: Mapping[str, Array]) -> float:
    """√Σx² over all arrays."""
    return math.sqrt(sum(float(np.sum(x * x)) for x in arrays.values()))


class Record:
    """A subject, and what is measured on it when it is asked for. Symptoms are functions of it."""

    def __init__(self, subject: Subject) -> None:
        self.subject, self.setup, self.task = subject, subject.setup, subject.task
        self.losses = np.append(subject.losses, np.nan) if subject.diverged else subject.losses

    @cached_property
    def rows(self) -> Array:
        """The samples that are looked at: all, or as many as ROWS drawn from them."""
        n = self.task.samples
        return np.arange(n) if n <= ROWS else np.sort(np.random.default_rng(0).choice(n, ROWS, replace=False))

    def state(self, model: Module, fresh: bool = False) -> Moment:
        X, y = self.task.inputs(self.setup), self.task.targets(self.setup)
        return Moment(model, self.setup, X[self.rows], y[self.rows], fresh)

    @cached_property
    def start(self) -> Moment:
        """The network as it began, or as one of the same kind begins."""
        model = self.setup.model(0)
        if self.subject.start:
            model.load_state_dict(self.subject.start)
        return self.state(model, fresh=True)

    @cached_property
    def end(self) -> Moment:
        return self.state(self.trained_copy())

    def trained_copy(self) -> Module:
        """A copy of the network as it is now."""
        model = self.setup.model(0)
        model.load_state_dict(self.subject.model.state_dict())
        return model

    @cached_property
    def steps(self) -> int:
        """Updates that were made."""
        return max(1, self.setup.steps(self.task.samples) * max(1, len(self.losses)) // self.setup.epochs)

    @property
    def batch(self) -> int:
        return min(self.setup.batch_size or self.task.samples, self.task.samples)

    @cached_property
    def reach(self) -> float:
        """lr·λ/2 at the start, with momentum: above 1 gradient descent is unstable; NaN for adaptive optimizers."""
        if self.setup.optimizer != "SGD":
            return math.nan
        mu = float(self.setup.options.get("momentum", 0.0))
        return self.setup.rate * self.start.sharpness / (2.0 * (1.0 + mu))

    @cached_property
    def flat(self) -> Task | None:
        """What yardsticks are measured on: each sample once, without outliers, sequences as rows; None where they
        cannot be made rows of."""
        if self.setup.pattern is not None and (self.task.X.dtype.kind != "f" or self.task.X[0].size > WIDEST):
            return None
        task = self.task.judged
        rows = look.unique_rows(task)
        labels = None if task.labels is None else task.labels[rows]
        X = task.X.reshape(task.samples, -1)[rows]
        return Task(X, task.y[rows], task.truth[rows], labels, task.codes)

    @cached_property
    def neighbours(self) -> tuple[float, float]:
        """The share of the task that the nearest neighbours of a sample tell, and the most of permuted targets."""
        assert self.flat is not None
        return neighbour_share(self.flat)
