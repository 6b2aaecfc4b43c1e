"""The GPT of scalar_gpt.py on arrays: one document at a time, forward + backward; Tensors, `jit`, and torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from bench.speed.scalar_gpt import DOCUMENT, HEADS, LETTERS, SHAPES, WIDTH
from bench.speed.workload import OURS, Run, Workload

TIMES = len(DOCUMENT) - 1
BEFORE, AFTER = np.eye(LETTERS)[list(DOCUMENT[:-1])], np.eye(LETTERS)[list(DOCUMENT[1:])]  # one-hot rows
HIDE = np.triu(np.full((TIMES, TIMES), -1e9), 1)


def normed(x: Any) -> Any:
    return x * ((x * x).mean(axis=-1, keepdims=True) + 1e-5) ** -0.5


def loss_of(w: Any, p: dict[str, Any]) -> Any:
    """The mean of -log p(next letter); `w`: softmax, log_softmax, relu, joined, and the constants."""
    x = normed(w.before @ p["token"] + p["place"][:TIMES])
    inner, heads, size = normed(x), [], WIDTH // HEADS
    q, k, v = (inner @ p[name].T for name in ("query", "key", "value"))
    for at in range(0, WIDTH, size):
        own = slice(at, at + size)
        heads.append(w.softmax(q[:, own] @ k[:, own].T / size**0.5 + w.hide) @ v[:, own])
    x = x + w.joined(heads) @ p["out"].T
    x = x + w.relu(normed(x) @ p["up"].T) ** 2 @ p["down"].T
    return -(w.log_softmax(x @ p["head"].T) * w.after).sum() / TIMES


def weights_of() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {name: rng.normal(scale=0.08, size=shape) for name, shape in SHAPES.items()}


class Ours:
    def __init__(self) -> None:
        from tinygrad_edu import ops

        self.softmax, self.log_softmax, self.relu = ops.softmax, ops.log_softmax, ops.relu
        self.before, self.after, self.hide = BEFORE, AFTER, HIDE

    def joined(self, xs: Any) -> Any:
        return np.concatenate(xs, axis=1)


class Torch:
    def __init__(self) -> None:
        import torch

        self.softmax, self.log_softmax = partial(torch.softmax, dim=-1), partial(torch.log_softmax, dim=-1)
        self.relu, self.joined = torch.relu, partial(torch.cat, dim=1)
        self.before, self.after, self.hide = map(torch.tensor, (BEFORE, AFTER, HIDE))


def answer(loss: float, gradients: Any) -> list[float]:
    return [float(loss), *(float((np.asarray(g) ** 2).sum()) for g in gradients)]


def steps(w: Any, p: Mapping[str, Any]) -> Run:
    """Forward and backward on leaves that keep their gradient, ours or torch's."""

    def run() -> list[float]:
        for x in p.values():
            x.grad = None
        loss = loss_of(w, p)
        loss.backward()
        return answer(loss.item(), [x.grad for x in p.values()])

    return run


def eager() -> Run:
    from tinygrad_edu import Tensor

    return steps(Ours(), {name: Tensor(x, requires_grad=True) for name, x in weights_of().items()})


def jit() -> Run:
    import tinygrad_edu

    loss, p = tinygrad_edu.jit(partial(loss_of, Ours())), weights_of()

    def run() -> list[float]:
        value, gradient = loss.value_and_grad(p)
        return answer(value, gradient.values())

    return run


def torch() -> Run:
    import torch

    return steps(Torch(), {name: torch.tensor(x, requires_grad=True) for name, x in weights_of().items()})


ARRAY_GPT = [
    Workload(
        name=f"gpt step, arrays, {way}",
        what=f"the GPT of the row of scalars on arrays, forward + backward, {words}",
        peers={OURS: prepare, "torch": torch},
        at_least={"torch": 1.0},
        rounds=11,
        rtol=1e-9,
    )
    for way, prepare, words in (("eager", eager, "operation by operation"), ("jit", jit, "under `tg.jit`"))
]
