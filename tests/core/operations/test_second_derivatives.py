"""Second derivatives where a formula of the first one is special: at zeros and ties, in every back end."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import ops

V = np.random.default_rng(1).normal(size=(3, 3))
FUNCTIONS = [
    np.prod,
    lambda x: np.sum(np.sin(np.prod(x, axis=1, keepdims=True))),
    lambda x: np.sum(np.prod(x.reshape(3, 3, 1) * x[0], axis=(0, 2))),
    lambda x: np.sum(np.sin(np.cumprod(x, axis=0))),
    lambda x: np.linalg.norm(x) ** 2,
    lambda x: np.sum(np.max(x, axis=1) ** 3),
    lambda x: np.sum(ops.xlogy(x, 2.0 + x) + ops.xlog1py(x, 1.0 + x)),
]
PLACES = {
    "zeros": np.zeros((3, 3)),
    "two": np.array([[0.0, 0.0, 2.0], [1.0, 0.0, 3.0], [-1.0, 2.0, 0.0]]),
    "one": np.array([[0.0, 1.0, 2.0], [1.0, 4.0, 3.0], [-0.5, 2.0, 5.0]]),
    "ties": np.array([[1.0, 1.0, 0.5], [1.0, 0.5, 0.5], [0.5, 1.0, 1.0]]),
}


def along(f):
    """The derivative, along V, of the gradient of f."""
    return tg.grad(lambda x: np.sum(tg.grad(f)(x) * V))


def all_along(x):
    return tuple([along(f)(x) for f in FUNCTIONS])


COMPILED = tg.jit(all_along)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_compiled_second_derivatives_are_the_eager_ones(place):
    for eager, compiled in zip(all_along(PLACES[place]), COMPILED(PLACES[place]), strict=True):
        np.testing.assert_allclose(compiled, eager, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("place", PLACES)
def test_they_are_the_slopes_of_the_first_ones(place):
    x, h = PLACES[place], 1e-5
    # without 4 and 5: a norm has a kink at 0, a maximum at ties
    for f in [f for i, f in enumerate(FUNCTIONS) if i not in (4, 5)]:
        slopes = (tg.grad(f)(x + h * V) - tg.grad(f)(x - h * V)) / (2.0 * h)
        np.testing.assert_allclose(along(f)(x), slopes, rtol=1e-6, atol=1e-4)


def test_a_product_of_two_zeros_has_a_second_derivative():
    x = np.array([0.0, 799.0, 0.0, 2.0])
    slopes = tg.jit(tg.grad(lambda x: np.sum(tg.grad(np.prod)(x))))
    assert slopes(x).tolist() == [1598.0, 0.0, 1598.0, 0.0]


def test_a_gradient_inside_the_function_is_computed_with_care_too():
    """Where 0 meets infinity; the value of `value_and_grad` is then made of gradients as well."""

    def f(c, x):
        return np.sum(tg.grad(lambda x: c * np.prod(x) + np.sum(np.where(x > 700.0, 0.0, np.exp(x))))(x))

    x = np.array([1.0, 800.0, 2.0])
    with np.errstate(over="ignore"):
        expected = tg.value_and_grad(f)(0.0, x)
        g = tg.jit(f)
        for _ in range(3):  # repeated calls take the fast path
            np.testing.assert_allclose(g.value_and_grad(0.0, x), expected, rtol=1e-14)
