"""float32 beside float64: each result of a compiled function has the dtype that it has without jit."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba

X, Y = np.array([0.1, 1.7, -3.0], np.float32), np.array([0.5, 1.0, 2.0])
W = np.array([[1.0, 0.3, 0.0], [0.1, 1.0, -0.2], [0.0, 0.7, 1.0]], np.float32)


def loss(x, y):
    return np.sum(np.tanh(x) * y) + np.sum(x * x)


FUNCTIONS = {
    "gradients": tg.grad(loss, (0, 1)),
    "value and gradients": tg.value_and_grad(loss, (1, 0)),
    "a step": lambda x, y: x - 0.1 * tg.grad(loss)(x, y),
    "jacobian": lambda x, y: tg.jacobian(lambda x: np.tanh(x) * y)(x),
    "hessian": lambda x, y: tg.hessian(lambda x: np.sum(np.tanh(x) * y))(x),
    "jvp": lambda x, y: tg.jvp(lambda x: np.tanh(x) * y, (x,), (x,)),
    "vjp": lambda x, y: tg.vjp(lambda x: np.tanh(x) * y, x)[1](y),
    "vmap": lambda x, y: tg.vmap(lambda a, b: (a * 2, b * 2, a * b))(x, y),
    "elementwise": lambda x, y: (
        x * 2,
        y * 2,
        x * y,
        np.maximum(x, 0),
        np.clip(x, 0, 1),
        np.exp(x) / np.sum(np.exp(x)),
    ),
    "choices": lambda x, y: (np.where(x > 1, x, 0.0), np.where(y > 1, x, y), np.where(y > 1, x, -x)),
    "views": lambda x, y: (x[::-1], np.stack([x, x]), np.concatenate([x, y]), y[None] * 1.0),
    "sums": lambda x, y: (
        np.sum(x, keepdims=True),
        np.cumsum(x),
        np.mean(y, keepdims=True),
        x * np.sum(y),
        x * np.sum(x),
    ),
    "products": lambda x, y: (x @ W, y @ W, np.einsum("i,ij->j", x, W)),
    "numbers of NumPy": lambda x, y: (x * np.float64(1.1), x * np.float32(2.0), x * 1.1, x * np.ones(3)),
    "casts": lambda x, y: (y.astype(np.float32), x.astype(np.float64) * 1.1, y + x.astype(np.float64)),
    "whole numbers": lambda x, y: (x * np.arange(3), x * np.arange(3, dtype=np.int8), x[np.arange(2)], x * (y > 1)),
    "a loop": lambda x, y: tg.scan(lambda s, r: (s * 0.5 + r, s), x, np.stack([x, x, x, x, x])),
    "a loop that widens": lambda x, y: tg.scan(lambda s, r: (s * 0.5 + r, s[0] * y), x, np.stack([y, y, y, y, y])),
    "a dict": lambda x, y: {"a": x + 1, "b": [y, x * y]},
    "fills": lambda x, y: (np.zeros_like(x), np.ones_like(y), np.full_like(x * 2, 2.0) + x, np.zeros_like(x * y)),
    "fills of a dtype": lambda x, y: (np.zeros_like(x, dtype=np.float64) + x, np.ones_like(y, dtype=np.float32) * x),
    "gradients of samples": lambda x, y: tg.vmap(tg.value_and_grad(lambda a, b: a * a * b, (0, 1)))(x, y),
    "curvature of samples": lambda x, y: tg.vmap(tg.grad(tg.grad(lambda a, b: a**3 * b)))(x, y),
    "fills of samples": lambda x, y: tg.vmap(lambda a, b: (np.zeros_like(a) + a, np.ones_like(b) * a))(x, y),
    "closed over": lambda x, y: (W * 2, W * y, y),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_without_jit(name):
    f = FUNCTIONS[name]
    expected = f(X, Y)
    with without_numba():
        found = tg.jit(f)(X, Y)
    assert len(leaves(found)) == len(leaves(expected))
    for a, b in zip(leaves(found), leaves(expected), strict=True):
        assert not np.ndim(b) or a.dtype == b.dtype, (a, b)
        np.testing.assert_allclose(a, b, rtol=1e-5)


def leaves(x):
    if isinstance(x, dict):
        return leaves(list(x.values()))
    return [leaf for each in x for leaf in leaves(each)] if isinstance(x, (list, tuple)) else [x]
