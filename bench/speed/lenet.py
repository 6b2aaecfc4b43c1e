"""A LeNet on images of 28 by 28, batch 32: one forward and one backward pass, and the same as a program of `jit`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from bench.speed.workload import OURS, Run, Workload

BATCH, SIZE, CLASSES = 32, 28, 10
SHAPES = [(6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,), (CLASSES, 84), (CLASSES,)]


def data(dtype: str) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(BATCH, 1, SIZE, SIZE)).astype(dtype)
    return images, rng.integers(0, CLASSES, size=BATCH)


def weights(dtype: str) -> list[Any]:
    rng = np.random.default_rng(1)
    return [rng.normal(scale=np.prod(s[1:]) ** -0.5 if len(s) > 1 else 0.1, size=s).astype(dtype) for s in SHAPES]


def layers(nn: Any) -> list[Any]:
    """The names and arguments of layers are the same in both libraries."""
    return [
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, CLASSES),
    ]  # fmt: skip


def model_of_ours(dtype: str) -> Any:
    from tinygrad_edu import nn

    model = nn.Sequential(*layers(nn)).astype(dtype)
    for p, w in zip(model.parameters(), weights(dtype), strict=True):
        p.data = w
    return model


def answer(loss: float, gradients: list[Any]) -> list[float]:
    """The loss, and the length of each gradient."""
    return [float(loss), *(float(np.sqrt((np.asarray(g, float) ** 2).sum())) for g in gradients)]


def eager(dtype: str) -> Run:
    from tinygrad_edu import nn

    model, (x, y) = model_of_ours(dtype), data(dtype)
    parameters = list(model.parameters())

    def run() -> list[float]:
        for p in parameters:
            p.grad = None
        loss = nn.losses.cross_entropy(model(x), y)
        loss.backward()
        return answer(loss.item(), [p.grad for p in parameters])

    return run


def jit(dtype: str) -> Run:
    import tinygrad_edu

    model, (x, y) = model_of_ours(dtype), data(dtype)
    parameters = list(model.parameters())
    loss = tinygrad_edu.jit(lambda x, y: tinygrad_edu.nn.losses.cross_entropy(model(x), y))

    def run() -> list[float]:
        for p in parameters:
            p.grad = None
        value = loss.backward(x, y)
        return answer(value, [p.grad for p in parameters])

    return run


def torch(dtype: str) -> Run:
    import torch

    model = torch.nn.Sequential(*layers(torch.nn)).to(getattr(torch, dtype))
    parameters, (x, y) = list(model.parameters()), map(torch.tensor, data(dtype))
    with torch.no_grad():
        for p, w in zip(parameters, weights(dtype), strict=True):
            p.copy_(torch.tensor(w))

    def run() -> list[float]:
        for p in parameters:
            p.grad = None
        loss = torch.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        return answer(loss.item(), [p.grad for p in parameters])

    return run


LENET = [
    Workload(
        name=f"lenet, {way}, {dtype}",
        what=f"LeNet, batch {BATCH}, forward + backward, {words}, {dtype}; torch operation by operation",
        peers={OURS: partial(prepare, dtype), "torch": partial(torch, dtype)},
        at_least={"torch": required},
        rounds=11,
        rtol=1e-3 if dtype == "float32" else 1e-9,
    )
    for way, prepare, words, required in (
        ("eager", eager, "operation by operation", 0.77),
        ("jit", jit, "under `tg.jit`", 1.0),
    )
    for dtype in ("float32", "float64")
]
