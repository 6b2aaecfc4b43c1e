"""Chains whose links are read twice: the ways through them are 2ⁿ, and none of them may be walked one by one."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba

X = np.array([0.5, -1.0, 2.0, 0.1])
LINKS = {
    "turned round": lambda x, k: x * 0.5 + x[::-1] * 0.3,
    "moved": lambda x, k: np.concatenate([x[1:], x[:1]]) * 0.4 + x * (0.4 + 0.001 * k),
    "chosen": lambda x, k: np.where(x > x[::-1], x, x * 0.5) + 0.1 * k * k,
    "stacked": lambda x, k: np.stack([x, x[::-1] * 0.5]).sum(axis=0) * (0.5 + 0.01 * k),
}


@pytest.mark.parametrize("name", LINKS)
def test_it_is_traced_at_all(name):
    def f(x):
        for k in range(24):  # 4²⁴ calls of one pass, before
            x = LINKS[name](x, k)
        return np.sum(x**2)

    with without_numba():
        y, gradient = tg.jit(f).value_and_grad(X)
    expected = tg.value_and_grad(f)(X)
    np.testing.assert_allclose(y, expected[0])
    np.testing.assert_allclose(gradient, expected[1])
