"""jit with arguments that stay Python's: a program for each value, under JAX's names."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import SettingError, TraceError


def power(x, n, shift=0.0):
    y = x
    for _ in range(n - 1):
        y = y * x
    return np.sum(y) + shift


X = np.array([1.0, 2.0, 3.0])
WAYS = {
    "number": ({"static_argnums": 1}, lambda f: f(X, 3)),
    "numbers": ({"static_argnums": (1, 2)}, lambda f: f(X, 3, 0.0)),
    "from the end": ({"static_argnums": -2}, lambda f: f(X, 3)),
    "name": ({"static_argnames": "n"}, lambda f: f(X, n=3)),
    "names": ({"static_argnames": ["n", "shift"]}, lambda f: f(X, n=3, shift=0.0)),
    "name, by place": ({"static_argnames": "n"}, lambda f: f(X, 3)),
    "number, by name": ({"static_argnums": 1}, lambda f: f(X, n=3)),
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_to_name_them(way):
    options, call = WAYS[way]
    assert call(tg.jit(power, **options)) == 36.0
    assert call(tg.jit(**options)(power)) == 36.0


def test_each_value_has_a_program_and_the_other_arguments_a_gradient():
    f = tg.jit(power, static_argnums=1)
    assert [f(X, n) for n in (1, 2, 1)] == [6.0, 14.0, 6.0]
    assert len(f.programs) == 2
    y, gradient = f.value_and_grad(X, 2)
    assert y == 14.0
    np.testing.assert_allclose(gradient, 2 * X)
    np.testing.assert_allclose(tg.grad(lambda x: f(x, 3))(X), 3 * X**2)


def test_a_method():
    class Net:
        @tg.jit(static_argnames="n")
        def call(self, x, n):
            return power(x, n)

    assert Net().call(X, n=2) == 14.0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"static_argnums": 3}, "static_argnums=3: the function has the parameters x, n, shift"),
        ({"static_argnums": "n"}, "the function has the parameters x, n, shift"),
        ({"static_argnames": "rounds"}, "the function has no 'rounds'; its parameters are x, n, shift"),
    ],
)
def test_arguments_that_are_not_there(options, says):
    with pytest.raises(SettingError, match=says):
        tg.jit(power, **options)


def test_a_value_that_cannot_be_a_key():
    with pytest.raises(SettingError, match=r"static argument n=\[3\] cannot be a key: give a tuple, not a list"):
        tg.jit(power, static_argnums=1)(X, [3])


ROWS, COIN = np.arange(12.0).reshape(6, 2), np.random.RandomState(0)


@pytest.mark.parametrize(
    ("f", "says"),
    [
        (lambda p, i: (ROWS[i * 2 : i * 2 + 2] * p + COIN.randn(2)).sum(), "it changes COIN"),
        (lambda p, i: (ROWS[i] * p).sum() * (1.0 if p[0] > 0 else 2.0), "branch on a traced value"),
        (lambda p, i: np.linalg.inv(ROWS[i : i + 2] * p + np.eye(2)).sum(), "no LAPACK"),
    ],
)
def test_the_reason_is_that_of_the_trace_that_got_further(f, says):
    """Whole numbers are traced first, and `slice indices must be integers` is not what is wrong with these."""
    for compiled in (tg.jit(f), tg.jit(tg.grad(f))):
        with pytest.raises(TraceError, match=says):
            compiled(np.ones(2), 1)


def test_a_write_of_what_is_traced_says_what_to_do():
    def f(x):
        out = tg.Tensor(np.zeros(3))
        for i in range(3):
            out[i] = x[i] * 2.0
        return out.sum()

    assert f(tg.Tensor(np.ones(3))).item() == 6.0
    with pytest.raises(TraceError, match=r"make the whole array at once"):
        tg.jit(f)(np.ones(3))
