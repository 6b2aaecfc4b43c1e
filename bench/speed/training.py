"""Whole training runs: `fit` as compiled code, torch operation by operation, JAX with the loop inside one jit.

All start from the same weights and see the samples in the same order; the answer that they must agree on is the last
loss.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.speed.workload import OURS, Run, Workload
from tinygrad_edu.data import moons

THREADS = 2


@dataclass(frozen=True)
class Task:
    """A fully connected network with tanh or relu, mean squared error or cross-entropy, SGD or Adam."""

    sizes: tuple[int, ...]
    samples: int
    batch: int
    epochs: int
    activation: str
    loss: str
    optimizer: str
    lr: float
    dtype: str = "float64"
    weight_decay: float = 0.0

    def data(self) -> tuple[Any, Any]:
        """X and y: the moons for the hinge loss, else made up, because only the time matters."""
        if self.loss == "hinge":
            return tuple(array.astype(self.dtype) for array in moons(self.samples))
        rng = np.random.default_rng(0)
        X = rng.normal(size=(self.samples, self.sizes[0])).astype(self.dtype)
        if self.loss == "cross_entropy":
            return X, np.eye(self.sizes[-1], dtype=self.dtype)[rng.integers(0, self.sizes[-1], self.samples)]
        return X, np.sign(X[:, :1] * X[:, -1:]).astype(self.dtype)

    def weights(self) -> list[Any]:
        """W (out, in) and b (out,) of each layer."""
        rng, found = np.random.default_rng(1), []
        for a, b in zip(self.sizes, self.sizes[1:], strict=False):
            found += [(rng.normal(size=(b, a)) / a**0.5).astype(self.dtype), np.zeros(b, self.dtype)]
        return found


def ours(task: Task) -> Run:
    from tinygrad_edu import nn, optim
    from tinygrad_edu.train import fit

    X, y = task.data()
    weights = task.weights()  # made before, as for JAX: drawing them is the benchmark's own work

    def run() -> list[float]:
        model = nn.MLP(task.sizes, activation=task.activation)
        for p, w in zip(model.parameters(), weights, strict=True):
            p.data = w.copy()
        make = optim.SGD if task.optimizer == "sgd" else optim.Adam
        record = fit(
            model, X, y, loss=task.loss, epochs=task.epochs,
            optimizer=make(model.parameters(), lr=task.lr, weight_decay=task.weight_decay),
            batch_size=task.batch, shuffle=False, compiled=True,
        )  # fmt: skip
        return [float(record.loss_curve[-1])]

    return run


def torch(task: Task) -> Run:
    import torch
    from torch.nn import functional

    X, y = (torch.tensor(array) for array in task.data())
    weights = task.weights()
    activation = getattr(torch, task.activation)
    cost = {
        "mse": functional.mse_loss, "cross_entropy": functional.cross_entropy,
        "hinge": lambda p, t: functional.relu(1.0 - p * t).mean(),
    }[task.loss]  # fmt: skip

    def forward(x: Any, parameters: list[Any]) -> Any:
        for i in range(0, len(parameters), 2):
            x = functional.linear(x, parameters[i], parameters[i + 1])
            x = activation(x) if i + 2 < len(parameters) else x
        return x

    def run() -> list[float]:
        parameters = [torch.tensor(w, requires_grad=True) for w in weights]
        make = torch.optim.SGD if task.optimizer == "sgd" else torch.optim.Adam
        optimizer = make(parameters, lr=task.lr, weight_decay=task.weight_decay)
        total = 0.0
        for _ in range(task.epochs):
            total = 0.0
            for start in range(0, task.samples, task.batch):
                x, t = X[start : start + task.batch], y[start : start + task.batch]
                optimizer.zero_grad()
                loss = cost(forward(x, parameters), t)
                loss.backward()
                optimizer.step()
                total += loss.item() * len(x)
        return [total / task.samples]

    return run


def jax(task: Task) -> Run:
    import jax
    from jax import numpy as jnp

    jax.config.update("jax_enable_x64", task.dtype == "float64")
    X, y = (jnp.asarray(array) for array in task.data())
    steps = task.samples // task.batch
    batches = (X.reshape(steps, task.batch, -1), y.reshape(steps, task.batch, -1))
    activation = jnp.tanh if task.activation == "tanh" else jax.nn.relu

    def loss(parameters: list[Any], x: Any, t: Any) -> Any:
        for i in range(0, len(parameters), 2):
            x = x @ parameters[i].T + parameters[i + 1]
            x = activation(x) if i + 2 < len(parameters) else x
        if task.loss == "mse":
            return jnp.mean((x - t) ** 2)
        if task.loss == "hinge":
            return jnp.mean(jax.nn.relu(1.0 - x * t))
        return -jnp.sum(t * jax.nn.log_softmax(x)) / len(x)

    def step(state: Any, batch: Any) -> Any:
        parameters, m, v, count = state
        value, g = jax.value_and_grad(loss)(parameters, *batch)
        count = count + 1
        if task.optimizer == "sgd":
            moved = [p - task.lr * (d + task.weight_decay * p) for p, d in zip(parameters, g, strict=True)]
            return (moved, m, v, count), value
        m = [0.9 * a + 0.1 * d for a, d in zip(m, g, strict=True)]
        v = [0.999 * a + 0.001 * d * d for a, d in zip(v, g, strict=True)]
        c1, c2 = 1.0 - 0.9**count, 1.0 - 0.999**count
        moved = [p - task.lr * (a / c1) / (jnp.sqrt(b / c2) + 1e-8) for p, a, b in zip(parameters, m, v, strict=True)]
        return (moved, m, v, count), value

    def epoch(_: Any, carry: Any) -> Any:
        state, _ = carry
        state, values = jax.lax.scan(step, state, batches)
        return state, jnp.mean(values)

    @jax.jit
    def train(parameters: list[Any]) -> Any:
        zeros = [jnp.zeros_like(p) for p in parameters]
        count = jnp.zeros((), X.dtype)
        return jax.lax.fori_loop(0, task.epochs, epoch, ((parameters, zeros, zeros, count), jnp.zeros((), X.dtype)))[1]

    weights = [jnp.asarray(w) for w in task.weights()]
    return lambda: [float(train(weights))]


MAKERS: dict[str, Callable[[Task], Run]] = {OURS: ours, "torch": torch, "jax": jax}


def workload(name: str, what: str, task: Task, at_least: dict[str, float], rounds: int, rtol: float) -> Workload:
    peers = {package: lambda make=make: make(task) for package, make in MAKERS.items() if package in (OURS, *at_least)}
    return Workload(f"train {name}", what, peers, at_least, rounds, rtol, THREADS)


DIGITS = (900, 64, 10)
TRAINING = [
    workload(
        "2-16-16-1",
        "moons, 100 samples, hinge loss, full batch, SGD with weight decay, 1,000 steps, float64",
        Task((2, 16, 16, 1), 100, 100, 1000, "relu", "hinge", "sgd", 0.05, weight_decay=2e-4),
        {"torch": 40.0, "jax": 1.2},
        15,
        1e-6,
    ),
    workload(
        "2-16-16-1 float32",
        "the same in float32, which torch and JAX take unless told otherwise",
        Task((2, 16, 16, 1), 100, 100, 1000, "relu", "hinge", "sgd", 0.05, "float32", weight_decay=2e-4),
        {"torch": 45.0, "jax": 2.0},
        15,
        1e-3,
    ),
    workload(
        "2-3-1 online",
        "4 samples in turn, SGD, 100,000 steps, float64",
        Task((2, 3, 1), 4, 1, 25_000, "tanh", "mse", "sgd", 1e-4),
        {"jax": 2.2},
        15,
        1e-6,
    ),
    workload(
        "2-3-1 online float32",
        "the same in float32",
        Task((2, 3, 1), 4, 1, 25_000, "tanh", "mse", "sgd", 1e-4, "float32"),
        {"jax": 1.0},
        15,
        1e-3,
    ),
    workload(
        "900-64-10 batch 32",
        "10,000 samples, Adam, one epoch, float32",
        Task(DIGITS, 10_016, 32, 1, "relu", "cross_entropy", "adam", 1e-3, "float32"),
        {"torch": 4.0, "jax": 1.3},
        15,
        1e-3,
    ),
    workload(
        "900-64-10 batch 128",
        "10,000 samples, Adam, one epoch, float32",
        Task(DIGITS, 10_112, 128, 1, "relu", "cross_entropy", "adam", 1e-3, "float32"),
        {"torch": 2.0, "jax": 1.2},
        15,
        1e-3,
    ),
    workload(
        "784-512-512-10 batch 128",
        "10,000 samples, Adam, one epoch, float32",
        Task((784, 512, 512, 10), 10_112, 128, 1, "relu", "cross_entropy", "adam", 1e-3, "float32"),
        {"torch": 1.1, "jax": 1.1},
        7,
        1e-3,
    ),
]
