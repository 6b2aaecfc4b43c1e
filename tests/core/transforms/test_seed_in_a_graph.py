"""A pull-back of a Tensor that requires a gradient: what it gives is differentiated by the seed."""

import numpy as np
import pytest

import tinygrad_edu as tg

X = np.array([1.0, 2.0])


@pytest.mark.parametrize("x", [X, tg.Tensor(X)], ids=["array", "Tensor"])
def test_the_gradient_by_the_seed(x):
    seed = tg.Tensor([1.0, 2.0], requires_grad=True)
    _, pull = tg.vjp(lambda x: x**3, x)
    (pull(seed)[0] ** 2).sum().backward()
    np.testing.assert_allclose(seed.grad, 2 * seed.data * (3 * X**2) ** 2)


def test_beside_another_path():
    """Without its graph this part was left out of the gradient without a word."""
    seed = tg.Tensor([1.0, 2.0], requires_grad=True)
    _, pull = tg.vjp(lambda x: x**3, X)
    (pull(seed)[0].sum() + (seed * seed).sum()).backward()
    np.testing.assert_allclose(seed.grad, 3 * X**2 + 2 * seed.data)
