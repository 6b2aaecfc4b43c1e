"""The gradient of a product is ȳ times the product of all others: beside 0, ∞ and NaN too, in programs and eagerly."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba

NUMBERS = [np.inf, -np.inf, 0.0, 2.0, -3.0, np.nan]
WEIGHTS = np.array([1.0, 0.5, -2.0])


def by_definition(x, running):
    """x̄ᵢ = Σⱼ wⱼ Π xₖ over k ≤ j, k ≠ i, j ≥ i; of a product j = n alone."""
    n = len(x)
    rows = [
        [WEIGHTS[j] * np.prod(np.delete(x[: j + 1], i)) for j in range(i if running else n - 1, n)] for i in range(n)
    ]
    return np.array([np.sum(row) for row in rows])


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("running", [False, True])
def test_every_combination(running, count):
    def f(x):
        return np.sum(np.cumprod(x) * WEIGHTS[:count]) if running else np.prod(x) * WEIGHTS[count - 1]

    jitted, of_gradient = tg.jit(f), tg.jit(tg.grad(f))
    with without_numba(), np.errstate(all="ignore"):
        for numbers in itertools.product(NUMBERS, repeat=count):
            x = np.array(numbers)
            expected = by_definition(x, running)
            for found in (tg.grad(f)(x), jitted.value_and_grad(x)[1], of_gradient(x)):
                np.testing.assert_allclose(found, expected, err_msg=str(numbers))


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 3), (3, 0), (2, 1, 4)])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_shapes(shape, axis):
    def f(x):
        return np.sum(np.cumprod(x, axis=axis) ** 2)

    if shape or axis is None:
        x = np.cos(np.arange(float(np.prod(shape)))).reshape(shape)
        with without_numba():
            np.testing.assert_allclose(tg.jit(f).value_and_grad(x)[1], tg.grad(f)(x), rtol=1e-12)
            curved = tg.jit(lambda x: np.sum(tg.hessian(f)(x)))(x) if x.size else 0.0
        assert curved == pytest.approx(np.sum(tg.hessian(f)(x)) if x.size else 0.0)
