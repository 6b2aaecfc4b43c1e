"""The programs of bench.eager: each twice, with NumPy's names for ours and with PyTorch's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

from tinygrad_edu import nn, ops

Draw = Callable[[np.random.Generator], Any]


@dataclass(frozen=True)
class Program:
    """`arrays` draws the inputs; `ours(*x)` gives a number; `torch(t, *x)` the same one, with torch as t."""

    name: str
    arrays: Sequence[Draw]
    ours: Callable[..., Any]
    torch: Callable[..., Any]


@dataclass(frozen=True)
class Layer:
    """Each library's layer, with weights of its own; the mean square of its output is differentiated."""

    name: str
    shape: tuple[int, ...]
    ours: Callable[[str], Any]  # by dtype
    torch: Callable[[Any], Any]  # by the module torch.nn


def normal(*shape: int) -> Draw:
    return lambda rng: rng.normal(size=shape)


def positive(*shape: int) -> Draw:
    return lambda rng: 0.1 + np.abs(rng.normal(size=shape))


def whole(most: int, *shape: int) -> Draw:
    return lambda rng: rng.integers(0, most, shape)


def standardized(x: Any) -> Any:
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)


def standardized_by_torch(t: Any, x: Any) -> Any:
    return (x - x.mean(-1, keepdim=True)) / t.sqrt(x.var(-1, keepdim=True, unbiased=False) + 1e-5)


def attention(q: Any, k: Any, v: Any) -> Any:
    return ops.softmax(q @ k.swapaxes(-1, -2) / 5.0, axis=-1) @ v


def attention_by_torch(t: Any, q: Any, k: Any, v: Any) -> Any:
    return t.softmax(q @ k.transpose(-1, -2) / 5.0, -1) @ v


def power(n: float, size: int = 300_000) -> Program:
    return Program(
        f"x**{n:g}, {size:,}",
        [normal(size) if n == int(n) else positive(size)],
        lambda x: (x**n).sum(),
        lambda _, x: (x**n).sum(),
    )


def net(x: Any, *weights: Any) -> Any:
    *inner, last = weights
    for w in inner:
        x = (x @ w).tanh()
    return ((x @ last) ** 2).mean()


def chain(x: Any, w: Any) -> Any:
    return reduce(lambda a, _: (a * w).tanh() + w, range(40), x).sum()


def pairs(rows: Any) -> Any:
    return sum((rows[i] * rows[i + 1]).sum() for i in range(100))


def recurrent(name: str, batch: int, times: int, inputs: int, hidden: int) -> Layer:
    return Layer(
        f"{name} {inputs}-{hidden}, {batch} series of {times}",
        (batch, times, inputs),
        lambda dtype: getattr(nn, name)(inputs, hidden, dtype=dtype),
        lambda module: getattr(module, name)(inputs, hidden, batch_first=True),
    )


PROGRAMS = [
    Program(
        "|x|**2.5 + x**3, 300,000",
        [normal(300_000)],
        lambda x: (abs(x) ** 2.5 + x**3).sum(),
        lambda _, x: (abs(x) ** 2.5 + x**3).sum(),
    ),
    *(power(n) for n in (-2, -1, -0.5, 0.5, 1.5, 2, 3, 4, 5)),
    power(3, 30),
    Program(
        "layer norm by hand, **3, 512 x 512",
        [normal(512, 512)],
        lambda x: (standardized(x) ** 3).sum(),
        lambda t, x: (standardized_by_torch(t, x) ** 3).sum(),
    ),
    Program(
        "distances (300, 200, 16)",
        [normal(300, 16), normal(200, 16)],
        lambda x, y: ((x[:, None] - y[None]) ** 2).sum(-1).mean(),
        lambda _, x, y: ((x[:, None] - y[None]) ** 2).sum(-1).mean(),
    ),
    Program("MLP 64-128-128-10, batch 64", [normal(64, 64), normal(64, 128), normal(128, 128), normal(128, 10)], net,
            lambda _, *x: net(*x)),
    Program("MLP 2-16-16-1, batch 32", [normal(32, 2), normal(2, 16), normal(16, 16), normal(16, 1)], net,
            lambda _, *x: net(*x)),
    Program("attention (8, 4, 64, 32)", [normal(8, 4, 64, 32)] * 3, lambda *x: (attention(*x) ** 2).sum(),
            lambda t, *x: (attention_by_torch(t, *x) ** 2).sum()),
    Program("embedding + cross entropy", [normal(1000, 32), normal(32, 50), whole(1000, 256), whole(50, 256)],
            lambda e, w, i, y: ops.cross_entropy(e[i] @ w, y),
            lambda t, e, w, i, y: t.nn.functional.cross_entropy(e[i] @ w, y)),
    Program("softmax 512 x 1000", [normal(512, 1000)], lambda x: (ops.softmax(x, axis=-1) ** 2).sum(),
            lambda t, x: (t.softmax(x, -1) ** 2).sum()),
    Program("logsumexp 1000 x 1000", [normal(1000, 1000)], lambda x: ops.logsumexp(x, axis=1).sum(),
            lambda t, x: t.logsumexp(x, 1).sum()),
    Program("cumsum 1,000,000", [normal(1_000_000)], lambda x: (np.cumsum(x) ** 2).mean(),
            lambda t, x: (t.cumsum(x, 0) ** 2).mean()),
    Program("cumsum 1000 x 100, axis 0", [normal(1000, 100)], lambda x: (np.cumsum(x, axis=0) ** 2).mean(),
            lambda t, x: (t.cumsum(x, 0) ** 2).mean()),
    Program("cumprod 1000 x 20", [positive(1000, 20)], lambda x: np.cumprod(x, axis=1).mean(),
            lambda t, x: t.cumprod(x, 1).mean()),
    Program("sort 100,000", [normal(100_000)], lambda x: (np.sort(x) ** 2)[::2].sum(),
            lambda t, x: (t.sort(x)[0] ** 2)[::2].sum()),
    Program("gather along rows 1000 x 100", [normal(1000, 100), whole(100, 1000, 20)],
            lambda x, i: (np.take_along_axis(x, i, 1) ** 2).sum(), lambda t, x, i: (t.gather(x, 1, i) ** 2).sum()),
    Program("rows by index 20,000 of 5000 x 32", [normal(5000, 32), whole(5000, 20_000)],
            lambda x, i: (x[i] ** 2).sum(), lambda _, x, i: (x[i] ** 2).sum()),
    Program("matmul chain, ten of 100 x 100", [normal(100, 100)],
            lambda x: reduce(lambda a, _: a @ x * 0.1, range(10), x).sum(),
            lambda _, x: reduce(lambda a, _: a @ x * 0.1, range(10), x).sum()),
    Program("einsum bhid,bhjd->bhij", [normal(4, 8, 64, 32)] * 2,
            lambda x, y: (np.einsum("bhid,bhjd->bhij", x, y) ** 2).sum(),
            lambda t, x, y: (t.einsum("bhid,bhjd->bhij", x, y) ** 2).sum()),
    Program("max of 64 x 1000", [normal(64, 1000)], lambda x: x.max(axis=1).sum(), lambda _, x: x.amax(1).sum()),
    Program("median of 1000 x 101", [normal(1000, 101)], lambda x: np.median(x, axis=1).sum(),
            lambda t, x: t.median(x, 1)[0].sum()),
    Program("std of 10,000 x 64, axis 0", [normal(10_000, 64)], lambda x: x.std(0).sum(),
            lambda _, x: x.std(0, unbiased=False).sum()),
    Program("concatenate, roll, stack", [normal(500, 200)],
            lambda x: (np.concatenate([x, np.roll(x, 1, 0)], 1) ** 2).sum(),
            lambda t, x: (t.cat([x, t.roll(x, 1, 0)], 1) ** 2).sum()),
    Program("where, clip, maximum 1,000,000", [normal(1_000_000)],
            lambda x: (np.where(x > 0, x, 0.1 * x).clip(-1.0, 1.0)).sum(),
            lambda t, x: t.where(x > 0, x, 0.1 * x).clamp(-1.0, 1.0).sum()),
    Program("log, exp, sigmoid 300,000", [positive(300_000)], lambda x: (np.log(x) * ops.sigmoid(x) + np.exp(-x)).sum(),
            lambda t, x: (t.log(x) * t.sigmoid(x) + t.exp(-x)).sum()),
    Program("sin, cos, arctan 300,000", [normal(300_000)], lambda x: (np.sin(x) * np.cos(x) + np.arctan(x)).sum(),
            lambda t, x: (t.sin(x) * t.cos(x) + t.arctan(x)).sum()),
    Program("inverse of 20 x 50 x 50", [lambda rng: rng.normal(size=(20, 50, 50)) + 60.0 * np.eye(50)],
            lambda x: np.linalg.inv(x).sum(), lambda t, x: t.linalg.inv(x).sum()),
    Program("outer product 1000 x 1000", [normal(1000), normal(1000)], lambda x, y: (np.outer(x, y) ** 2).mean(),
            lambda t, x, y: (t.outer(x, y) ** 2).mean()),
    *(Program(f"40 steps of tanh(a·w) + w, {n} numbers", [normal(n), normal(n)], chain, lambda _, *x: chain(*x))
      for n in (1, 10, 100)),
    Program("100 products of rows of 64", [normal(101, 64)], pairs, lambda _, x: pairs(x)),
]  # fmt: skip

LAYERS = [
    Layer("Conv2d 8-16, 3x3", (16, 8, 28, 28), lambda d: nn.Conv2d(8, 16, 3, dtype=d), lambda n: n.Conv2d(8, 16, 3)),
    Layer("Conv2d depthwise 16, 3x3", (16, 16, 28, 28), lambda d: nn.Conv2d(16, 16, 3, groups=16, dtype=d),
          lambda n: n.Conv2d(16, 16, 3, groups=16)),
    Layer("Conv2d depthwise, stride 2", (16, 16, 28, 28), lambda d: nn.Conv2d(16, 32, 3, 2, groups=16, dtype=d),
          lambda n: n.Conv2d(16, 32, 3, 2, groups=16)),
    Layer("Conv2d 16-32, 4 groups", (16, 16, 28, 28), lambda d: nn.Conv2d(16, 32, 3, groups=4, dtype=d),
          lambda n: n.Conv2d(16, 32, 3, groups=4)),
    Layer("Conv1d depthwise 16, 5", (32, 16, 200), lambda d: nn.Conv1d(16, 16, 5, groups=16, dtype=d),
          lambda n: n.Conv1d(16, 16, 5, groups=16)),
    Layer("Conv1d 8-16, 5", (32, 8, 200), lambda d: nn.Conv1d(8, 16, 5, dtype=d), lambda n: n.Conv1d(8, 16, 5)),
    Layer("ConvTranspose2d 8-16, 4x4", (16, 8, 14, 14), lambda d: nn.ConvTranspose2d(8, 16, 4, 2, 1, dtype=d),
          lambda n: n.ConvTranspose2d(8, 16, 4, 2, 1)),
    *(recurrent(name, 32, 50, 16, 32) for name in ("RNN", "GRU", "LSTM")),
    *(recurrent(name, 1, 100, 1, 16) for name in ("RNN", "GRU", "LSTM")),
    recurrent("LSTM", 64, 30, 64, 128),
    Layer("TransformerEncoderLayer 32", (16, 50, 32), lambda d: nn.TransformerEncoderLayer(32, 4, 64, 0.0, dtype=d),
          lambda n: n.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True)),
    Layer("LayerNorm 512 x 512", (512, 512), lambda d: nn.LayerNorm(512, dtype=d), lambda n: n.LayerNorm(512)),
    Layer("GroupNorm 4 of 16", (16, 16, 28, 28), lambda d: nn.GroupNorm(4, 16, dtype=d), lambda n: n.GroupNorm(4, 16)),
    Layer("BatchNorm2d 16", (16, 16, 28, 28), lambda d: nn.BatchNorm2d(16, dtype=d), lambda n: n.BatchNorm2d(16)),
    Layer("MaxPool2d 3, stride 2", (16, 16, 28, 28), lambda _: nn.MaxPool2d(3, 2), lambda n: n.MaxPool2d(3, 2)),
    Layer("AvgPool2d 2", (16, 16, 28, 28), lambda _: nn.AvgPool2d(2), lambda n: n.AvgPool2d(2)),
    Layer("Dropout 0.5, 300,000", (1000, 300), lambda _: nn.Dropout(0.5, rng=0), lambda n: n.Dropout(0.5)),
    Layer("GELU 512 x 512", (512, 512), lambda _: nn.GELU(), lambda n: n.GELU()),
]  # fmt: skip
