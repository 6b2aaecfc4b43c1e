"""Networks for tests of programs in other languages: every optimizer, loss, activation and layer, by the tables."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.nn.layers import CASES as LAYER_CASES
from tests.nn.layers import given as layer_input
from tests.nn.layers import made as layer
from tests.nn.layers import output
from tests.nn.test_losses import problem
from tinygrad_edu import nn, optim
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.nn.activations import is_activation
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim.named import optimizer_classes

N = 10  # samples; the last batch of 4 is a short one


@dataclass(frozen=True)
class Network:
    """How a model is made, its samples, and the settings of `fit`."""

    make: Callable[[], Any]
    X: Any
    y: Any
    loss: str = "mse"
    optimizer: Callable[[Any], Any] = lambda parameters: optim.Adam(parameters, lr=0.01)
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def arguments(self) -> dict[str, Any]:
        return {"loss": self.loss, "optimizer": self.optimizer, **self.settings}

    def run(self, epochs, compiled=False, **more):
        """(the trained model, its run), where samples are taken in turn."""
        model = self.make()
        settings = {"shuffle": False, **self.arguments, **more}
        return model, tg.fit(model, self.X, self.y, epochs=epochs, compiled=compiled, **settings)


def rng():
    return np.random.default_rng(3)


def mlp(activation="tanh", sizes=(2, 5, 3), **settings):
    return lambda: nn.MLP(list(sizes), activation=activation, seed=1, **settings)


X, Y = rng().normal(size=(N, 2)), rng().normal(size=(N, 3))
BATCHES = {"batch_size": 4}


def with_optimizer(kind):
    return Network(mlp(), X, Y, optimizer=lambda p: kind(p, lr=0.02), settings=BATCHES)


SETTINGS_OF = {  # settings that change the structure of an update
    "SGD with momentum": lambda p: optim.SGD(p, lr=0.02, momentum=0.9, weight_decay=0.01, nesterov=True),
    "Adam with decay": lambda p: optim.Adam(p, lr=0.02, weight_decay=0.1),
    "AMSGrad": lambda p: optim.Adam(p, lr=0.02, amsgrad=True),
    "RMSprop centred": lambda p: optim.RMSprop(p, lr=0.02, momentum=0.5, centered=True),
}
OURS = {name: kind for name, kind in optimizer_classes().items() if kind.__module__.startswith("tinygrad_edu.")}
OPTIMIZERS = {name: with_optimizer(kind) for name, kind in OURS.items() if name != "LBFGS"}
OPTIMIZERS |= {name: Network(mlp(), X, Y, optimizer=make, settings=BATCHES) for name, make in SETTINGS_OF.items()}


schedules = optim.schedules
SCHEDULES = {
    "inverse_time": schedules.inverse_time(0.1), "inverse_power": schedules.inverse_power(0.1, power=0.5),
    "exponential": schedules.exponential(0.1, factor=0.9), "step": schedules.step(0.1, every=4, factor=0.5),
    "cosine": schedules.cosine(0.1, steps=9, final=0.01), "cosine_restarts": schedules.cosine_restarts(0.1, steps=5),
    "cosine_restarts longer": schedules.cosine_restarts(0.1, steps=3, mult=2),
    "invscaling": schedules.invscaling(0.1, samples=10, batch_size=4), "one_cycle": schedules.one_cycle(0.1, steps=12),
    "warmup": schedules.warmup(schedules.inverse_time(0.1), steps=4),
    "piecewise": schedules.piecewise([3, 7], [0.1, 0.05, 0.2]), "by_function": lambda t: 0.1 / (1.0 + 0.1 * t),
}  # fmt: skip


def with_schedule(schedule):
    return Network(mlp(), X, Y, optimizer=lambda p: optim.SGD(p, schedule), settings=BATCHES)


def with_loss(name):
    _, y = problem(name, rng(), N)
    last = {"bce": "sigmoid", "nll": "log_softmax", "kl_div": "log_softmax"}.get(name, "identity")
    if last == "log_softmax":
        return Network(lambda: nn.Sequential(nn.Linear(2, 3, rng=1), nn.LogSoftmax()), X, y, name, settings=BATCHES)
    return Network(mlp(out_activation=last), X, y, name, settings=BATCHES)


OF_LOSSES = {name: with_loss(name) for name in LOSSES}
OF_LOSSES["class numbers"] = Network(mlp(), X, rng().integers(0, 3, N), "cross_entropy", settings=BATCHES)

# outside their domain except near 0; NaN is the same everywhere, but shows little
INSIDE = ("acosh", "atanh", "asin", "acos")
ACTIVATIONS = {
    name: Network(mlp(name), 0.1 * np.abs(X) if name in INSIDE else X, Y, settings=BATCHES)
    for name, operation in TABLE.items()
    if is_activation(operation)
}


class Flat(nn.Module):
    """A layer, its output flattened, and a Linear layer behind it."""

    def __init__(self, name, i):
        self.layer = layer(name, i)
        shape = np.shape(output(self.layer(layer_input(name, i))))
        self.last = nn.Linear(math.prod(shape[1:]), 2, rng=2)

    def forward(self, x):
        y = output(self.layer(x))
        return self.last(y.reshape(y.shape[0], -1))


def with_layer(name, i):
    shape = np.shape(layer_input(name, i))[1:]
    inputs = rng().integers(0, 5, N) if name == "Embedding" else rng().uniform(0.1, 0.9, (N, *shape))
    return Network(
        lambda: Flat(name, i), inputs, rng().normal(size=(N, 2)), optimizer="sgd", settings={"batch_size": 6}
    )


OF_LAYERS = {f"{name}{i or ''}": with_layer(name, i) for name, i in LAYER_CASES}


class Block(nn.Module):
    """A residual block; four of them are a loop in a program."""

    def __init__(self, i):
        self.norm, self.wide, self.narrow = nn.LayerNorm(6), nn.Linear(6, 4, rng=i), nn.Linear(4, 6, rng=i + 9)
        self.drop = nn.Dropout(0.2, rng=i)

    def forward(self, x):
        return x + self.drop(self.narrow(np.tanh(self.wide(self.norm(x)))))


OTHERS = {
    "equal blocks": Network(
        lambda: nn.Sequential(nn.Linear(2, 6, rng=7), *map(Block, range(4)), nn.Linear(6, 3, rng=8)),
        X, Y, settings=BATCHES,
    ),
    "one number out": Network(mlp(sizes=(2, 4, 1)), X, Y[:, :1], settings={"batch_size": 3}),
    "one number in": Network(mlp(sizes=(1, 3, 2)), X[:, :1], Y[:, :2]),
    "batches of one": Network(mlp(), X, Y, settings={"batch_size": 1}),
    "clipped": Network(mlp(), X, 9.0 * Y, settings={"batch_size": 4, "clip_norm": 1.0, "clip_value": 0.5}),
    "accurate": Network(mlp(), X, Y, settings={"batch_size": 4, "accurate": True}),
    "no bias": Network(mlp(bias=False), X, Y, settings=BATCHES),
    "norms": Network(mlp("relu", norm="batch"), X, Y, optimizer="sgd", settings={"batch_size": 6}),
    "dropout": Network(mlp("relu", dropout=0.3), X, Y, settings=BATCHES),
    "deviations": Network(
        lambda: nn.Sequential(nn.Linear(2, 3, rng=1), lambda x: x / np.std(x, axis=-1, keepdims=True)), X, Y
    ),
    "functions between layers": Network(
        lambda: nn.Sequential(nn.Linear(2, 4, rng=1), tg.ops.tanh, np.sin, nn.Linear(4, 3, rng=2)),
        X, Y, settings=BATCHES,
    ),
    "whole numbers in": Network(mlp(), rng().integers(-3, 4, (N, 2)), Y, settings=BATCHES),
    "series": Network(
        lambda: nn.Sequential(nn.GRU(2, 3, rng=1), nn.last_output, nn.Linear(3, 3, rng=2)),
        rng().normal(size=(N, 6, 2)), Y, settings=BATCHES,
    ),
    "images": Network(
        lambda: nn.Sequential(
            nn.Conv2d(1, 2, 3, rng=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 3, rng=2)
        ),
        rng().normal(size=(N, 1, 6, 6)), Y, settings=BATCHES,
    ),
}  # fmt: skip
ALL = {
    **{f"optimizer {k}": x for k, x in OPTIMIZERS.items()},
    **{f"schedule {k}": with_schedule(x) for k, x in SCHEDULES.items()},
    **{f"loss {k}": x for k, x in OF_LOSSES.items()},
    **{f"activation {k}": x for k, x in ACTIVATIONS.items()},
    **{f"layer {k}": x for k, x in OF_LAYERS.items()},
    **OTHERS,
}
# Tried in every run of the tests; the others are slow, because they start many processes.
QUICK = {
    "optimizer Adam", "optimizer SGD with momentum", "optimizer Rprop", "loss class numbers", "activation gelu",
    "layer LSTM", "layer Conv2d", "layer LayerNorm", "layer MultiHeadAttention", "schedule one_cycle", "norms",
    "dropout", "functions between layers", "whole numbers in", "layer Embedding", "clipped",
}  # fmt: skip
MARKED = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in ALL]


def group_of(name):
    """Networks that are compiled together, or run in one process."""
    return "quick" if name in QUICK else name.partition(" ")[0]
