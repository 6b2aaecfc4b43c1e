"""A gradient of 0 stays 0 beside an infinite derivative, and can yet be differentiated by: jvp, and second derivatives.

jvp differentiates a pull-back by its seed; a second derivative by a factor c, at c = 0, does so where the gradient is
0. The convention must leave out the infinite entries alone, in every back end.
"""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba

X = np.array([0.0, 1.0, 4.0])
C = np.array([[1.0, np.inf], [2.0, 3.0]])
ONES = np.ones(3)

# (f, its slope at X)
ROWS = {
    "sqrt": (np.sqrt, [np.inf, 0.5, 0.25]),
    "log": (np.log, [np.inf, 1.0, 0.25]),
    "power": (lambda x: x**0.5, [np.inf, 0.5, 0.25]),
    "quotient": (lambda x: 1.0 / x, [-np.inf, -1.0, -0.0625]),
    "cube": (lambda x: x**3, [0.0, 3.0, 48.0]),
    "sum": (lambda x: np.sqrt(x) * 2.0 + x, [np.inf, 2.0, 1.5]),
    "chain": (lambda x: np.exp(np.sqrt(x)), [np.inf, np.e / 2.0, np.exp(2.0) / 4.0]),
}
JVPS = {
    "eager": lambda f: tg.jvp(f, (X,), (ONES,))[1],
    "compiled": lambda f: tg.jit(lambda x: tg.jvp(f, (x,), (ONES,))[1])(X),
    "for each sample": lambda f: tg.vmap(lambda x: tg.jvp(f, (x,), (ONES,))[1])(X[None])[0],
    "number by number": lambda f: [tg.jvp(f, (x,), (1.0,))[1] for x in X],
    "samples of tangents": lambda f: tg.vmap(lambda t: tg.jvp(f, (X,), (t,))[1])(np.eye(3)).sum(axis=0),
}


@pytest.fixture(autouse=True)
def quiet():
    with np.errstate(all="ignore"), without_numba():
        yield


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("way", JVPS)
def test_jvp(way, name):
    f, slope = ROWS[name]
    if way == "number by number" and name in ("sqrt", "log", "quotient", "sum", "chain"):
        f, slope = ROWS["power"]
    np.testing.assert_allclose(JVPS[way](f), slope, rtol=1e-12)


def slope_by_c(f, weights):
    """d/dc of Σ of the gradient of c·w·f: Σ w·f'."""
    return lambda c: tg.grad(lambda c: tg.grad(lambda x: (f(x) * c * weights).sum())(X).sum())(c)


@pytest.mark.parametrize("name", ROWS)
def test_a_second_derivative_where_the_gradient_is_zero(name):
    f, slope = ROWS[name]
    by_c = slope_by_c(f, np.array([0.0, 1.0, 1.0]))
    for found in (by_c(0.0), tg.jit(by_c)(0.0), tg.vmap(by_c)(np.zeros(2))[1]):
        assert found == pytest.approx(slope[1] + slope[2])


def test_products_beside_infinity():
    for tangent, wanted in (([1.0, 0.0], [1.0, 2.0]), ([1.0, 1.0], [np.inf, 5.0])):
        np.testing.assert_array_equal(tg.jvp(lambda b: C @ b, (np.ones(2),), (np.array(tangent),))[1], wanted)


def test_zero_still_stays_zero():
    def f(x):
        return np.where(x > 0.5, np.sqrt(x), 0.0).sum()

    wanted = [0.0, 0.5, 0.25]
    for found in (tg.grad(f)(X), tg.jit(tg.grad(f))(X), tg.vmap(tg.grad(f))(X[None])[0]):
        np.testing.assert_allclose(found, wanted)
    for found in (tg.jvp(f, (X,), (ONES,))[1], tg.jit(lambda x: tg.jvp(f, (x,), (ONES,))[1])(X)):
        assert found == pytest.approx(0.75)
