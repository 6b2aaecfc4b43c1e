"""An operation of one's own reads the globals that it names as they are, not as they were at its first call."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import OperandError

RATE = 2.0
X = np.array([1.0, 3.0])


def twice(x):
    return x * RATE


def slopes(y, x):
    return (2.0 * RATE * x,)


@tg.operation(partials=lambda y, x: (2.0 * RATE * x,))
def rate_times_square(x):
    """RATE x²"""
    return RATE * x * x


@tg.operation(partials=slopes)
def by_a_helper(x):
    """RATE x², by another function"""
    return twice(x) * x


@tg.operation(partials=slopes)
def by_a_branch(x):
    """RATE x², entry by entry"""
    return RATE * x * x if x > 2.0 else x * x * RATE


@tg.operation(vjp=lambda g, y, x: (g * 2.0 * RATE * x,), made_of=lambda x: RATE * x * x)
def of_arrays(x):
    """RATE x², whole arrays"""
    return RATE * x * x


@tg.operation
def of_others(x):
    """RATE x², made of others"""
    return RATE * x * x


def backward(f):
    x = tg.Tensor(X, requires_grad=True)
    y = f(x)
    y.sum().backward()
    return y.data, x.grad


WAYS = {
    "Tensors": backward,
    "arrays": lambda f: (f(X), tg.grad(lambda x: f(x).sum())(X)),
    "second derivative": lambda f: (f(X), np.diag(tg.hessian(lambda x: f(x).sum())(X)) * X),
}
OF_NUMBERS = {
    "numbers": lambda f: (np.array([f(1.0), f(3.0)]), np.array([tg.grad(f)(1.0), tg.grad(f)(3.0)])),
}
ELEMENTWISE = [rate_times_square, by_a_helper, by_a_branch]
CASES = [(f, way) for f in [*ELEMENTWISE, of_arrays, of_others] for way in WAYS.values()]
CASES += [(f, way) for f in [*ELEMENTWISE, of_others] for way in OF_NUMBERS.values()]


@pytest.mark.parametrize(("f", "way"), CASES)
def test_a_number_that_is_set_anew_is_seen(f, way, monkeypatch):
    for rate in (2.0, 5.0, 3):
        monkeypatch.setitem(globals(), "RATE", rate)
        y, slope = way(f)
        np.testing.assert_allclose(y, rate * X * X)
        np.testing.assert_allclose(slope, 2.0 * rate * X)


@pytest.mark.parametrize("f", [rate_times_square, by_a_helper, of_arrays, of_others])
def test_and_by_a_compiled_function(f, monkeypatch):
    compiled = tg.jit(lambda x: f(x).sum())
    for rate in (2.0, 5.0, 3):
        monkeypatch.setitem(globals(), "RATE", rate)
        y, slope = compiled.value_and_grad(X)
        np.testing.assert_allclose(y, rate * 10.0)
        np.testing.assert_allclose(slope, 2.0 * rate * X)


def test_a_helper_that_is_written_anew_is_seen(monkeypatch):
    monkeypatch.setitem(globals(), "twice", lambda x: 7.0 * x)
    np.testing.assert_allclose(by_a_helper(X), 7.0 * X * X)


@tg.operation(partials=lambda y, x: (1.0 if x > 0 else 0.2,))
def leak(x):
    return x if x > 0 else 0.2 * x


def test_partials_that_decide_by_if():
    assert tg.grad(leak)(-1.0) == 0.2
    with pytest.raises(OperandError, match=r"partials of leak decide by `if`.*np\.where"):
        tg.grad(lambda x: leak(x).sum())(X)
