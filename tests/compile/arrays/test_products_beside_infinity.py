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


@pytest.mark.slow
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


@pytest.mark.slow
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


def over_and_under(x):
    return np.prod(x) * np.prod(x[:1]) + np.sum(np.cumprod(x) * WEIGHTS.astype(x.dtype))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_product_that_leaves_the_range_of_floats(dtype):
    """(1e200)² is ∞ and (1e-200)² is 0, and 0·(1e200)² was NaN in programs alone; the others of each are none of it."""
    large, small = (1e200, 1e-200) if dtype is np.float64 else (1e25, 1e-25)
    gradient = tg.grad(over_and_under)
    curved = tg.grad(lambda x: np.sum(tg.grad(np.prod)(x) * WEIGHTS.astype(dtype)))
    jitted, of_gradient, of_curved = tg.jit(over_and_under), tg.jit(gradient), tg.jit(curved)
    ways = {
        "value_and_grad": lambda x: jitted.value_and_grad(x)[1],
        "jit(grad)": of_gradient,
        "grad(jit)": tg.grad(jitted),
        "vmap(grad)": lambda x: np.asarray(tg.vmap(gradient)(np.stack([x, x]))[1]),
    }
    rows = [np.array(row, dtype) for row in itertools.product([0.0, 2.0, large, small], repeat=3)][::5]
    with without_numba(), np.errstate(all="ignore"):
        for x in rows:
            expected = gradient(x)
            for way, f in ways.items():
                np.testing.assert_allclose(f(x), expected, rtol=1e-4, atol=1e-37, err_msg=f"{way} {x}")
            np.testing.assert_allclose(of_curved(x), curved(x), rtol=1e-4, atol=1e-37, err_msg=f"curved {x}")
        np.testing.assert_allclose(tg.grad(np.prod)(np.array([large, large], dtype)), [large, large], rtol=1e-6)
        np.testing.assert_allclose(tg.grad(np.prod)(np.array([0.0, large, large], dtype)), [np.inf, 0.0, 0.0])


def test_the_curvature_of_a_product_of_unlike_numbers():
    """The quotient y/x has cancelled: 0 in place of 1."""
    x = np.array([2.0, 1e200])
    np.testing.assert_allclose(tg.hessian(np.prod)(x), [[0.0, 1.0], [1.0, 0.0]])
    np.testing.assert_allclose(tg.hessian(lambda x: np.sum(np.cumprod(x)))(x), [[0.0, 1.0], [1.0, 0.0]])


class Product(tg.nn.Module):
    def __init__(self):
        self.w = tg.Tensor([1e-200, 1e-200, 1.0], requires_grad=True)

    def forward(self, x):
        return x * np.prod(self.w)


def test_fit_of_a_product_that_underflows():
    rows = np.ones((2, 1))
    for compiled in (False, True):
        model = Product()
        tg.fit(
            model,
            rows,
            rows,
            loss=lambda p, _y: np.sum(p),
            optimizer=tg.optim.SGD(model.parameters(), lr=1.0),
            epochs=1,
            compiled=compiled,
        )
        np.testing.assert_allclose(model.w.data, [-1e-200, -1e-200, 1.0])
