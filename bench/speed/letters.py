"""The nine nets of nets.py, trained for 30 steps: operation by operation, under `jit`, by compiled `fit`; and torch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from bench.speed.nets import LETTERS, NETS, TIMES, weights_of
from bench.speed.workload import OURS, Run, Workload

STEPS, BATCH, RATE = 30, 32, 0.1
EPOCHS = 20  # epochs of compiled `fit`, which traces a user's own model anew in each call; the other ways do one
# networks that predict the next letter at every position
EVERY_TIME = ("rnn", "gru", "lstm", "bag of words", "transformer")


def letters(name: str) -> tuple[Any, Any]:
    """(inputs, what follows), BATCH rows for each step."""
    rows = np.random.default_rng(1).integers(0, LETTERS, size=(STEPS * BATCH, TIMES + 1))
    return rows[:, :TIMES].copy(), (rows[:, 1:] if name in EVERY_TIME else rows[:, TIMES]).copy()


def batches(x: Any, y: Any) -> list[tuple[Any, Any]]:
    return [(x[i : i + BATCH], y[i : i + BATCH]) for i in range(0, STEPS * BATCH, BATCH)]


class Ours:
    """Our words."""

    def __init__(self) -> None:
        from tinygrad_edu import nn, ops

        self.tanh, self.sigmoid, self.gelu, self.softmax = ops.tanh, ops.sigmoid, ops.gelu, ops.softmax
        self.cross_entropy = nn.losses.cross_entropy

    def rows(self, table: Any, index: Any) -> Any:
        return table[index]

    def stack(self, xs: Any) -> Any:
        return np.stack(xs, axis=1)

    def given(self, x: Any) -> Any:
        return x


class Torch:
    """PyTorch's."""

    def __init__(self) -> None:
        import torch

        self.torch = torch
        self.tanh, self.sigmoid, self.gelu = torch.tanh, torch.sigmoid, torch.nn.functional.gelu
        self.softmax, self.stack = partial(torch.softmax, dim=-1), partial(torch.stack, dim=1)
        self.kept: dict[int, Any] = {}

    def rows(self, table: Any, index: Any) -> Any:
        return table[index]

    def given(self, x: Any) -> Any:
        return self.kept.setdefault(id(x), self.torch.tensor(x))

    def cross_entropy(self, z: Any, y: Any) -> Any:
        return self.torch.nn.functional.cross_entropy(z.reshape((-1, LETTERS)), y.reshape((-1,)))


def descend(w: Any, net: Callable[..., Any], p: dict[str, Any], data: list[tuple[Any, Any]]) -> list[float]:
    """The mean loss of plain gradient descent, operation by operation."""
    total = 0.0
    for x, y in data:
        loss = w.cross_entropy(net(w, p, x), y)
        loss.backward()
        total += loss.item()
        for weight in p.values():
            weight.data -= RATE * weight.grad
            weight.grad = None
    return [total / len(data)]


def eager(name: str) -> Run:
    from tinygrad_edu import Tensor

    w, data = Ours(), batches(*letters(name))

    def run() -> list[float]:
        p = {key: Tensor(x, requires_grad=True) for key, x in weights_of(name).items()}
        return descend(w, NETS[name][0], p, data)

    return run


def torch(name: str) -> Run:
    import torch

    w, data = Torch(), batches(*map(torch.tensor, letters(name)))

    def run() -> list[float]:
        p = {key: torch.tensor(x, requires_grad=True) for key, x in weights_of(name).items()}
        return descend(w, NETS[name][0], p, data)

    return run


def jit(name: str) -> Run:
    import tinygrad_edu

    w, net, data = Ours(), NETS[name][0], batches(*letters(name))
    loss = tinygrad_edu.jit(lambda p, x, y: w.cross_entropy(net(w, p, x), y))

    def run() -> list[float]:
        p, total = weights_of(name), 0.0
        for x, y in data:
            value, (gradient,) = loss.value_and_grad(p, x, y, argnum=(0,))
            total += value
            p = {key: weight - RATE * gradient[key] for key, weight in p.items()}
        return [total / STEPS]

    return run


def fit(name: str) -> Run:
    import tinygrad_edu

    w, (x, y) = Ours(), letters(name)

    class Net(tinygrad_edu.nn.Module):
        def __init__(self) -> None:
            self.weights = {k: tinygrad_edu.Tensor(v, requires_grad=True) for k, v in weights_of(name).items()}

        def forward(self, x: Any) -> Any:
            return NETS[name][0](w, self.weights, x)

    def run() -> list[float]:
        model = Net()
        optimizer = tinygrad_edu.optim.SGD(model.parameters(), lr=RATE)
        settings = {"epochs": EPOCHS, "batch_size": BATCH, "shuffle": False, "compiled": True}
        return tinygrad_edu.fit(model, x, y, loss="cross_entropy", optimizer=optimizer, **settings).loss_curve[:1]

    return run


# way → (function, its name in words, how many times torch does the work)
WAYS: dict[str, tuple[Callable[[str], Run], str, int]] = {
    "eager": (eager, "operation by operation", 1),
    "jit": (jit, "under `tg.jit`", 1),
    "fit": (fit, "by compiled `fit`", EPOCHS),
}
LETTER_NETS = [
    Workload(
        name=f"letters, {name}, {way}",
        what=f"{name}: {STEPS * repeats} steps of plain gradient descent, batch {BATCH}, {words}",
        peers={OURS: partial(prepare, name), "torch": partial(torch, name)},
        at_least={"torch": 1.0},
        repeats={"torch": repeats},
        rounds=5,
        rtol=1e-9,
    )
    for name in NETS
    for way, (prepare, words, repeats) in WAYS.items()
]
