"""A plain number as the argument of a function of arrays: the same derivatives as of an array of one entry."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import NonScalarBackwardError

X, ROWS = np.arange(6.0).reshape(2, 3), np.array([0, 1])
FUNCTIONS = {
    "tril": lambda t: np.sin(np.tril(t * X)).sum(),
    "cumsum": lambda t: ((t * X).cumsum(0) ** 2).sum(),
    "norm": lambda t: np.linalg.norm(t * X),
    "where": lambda t: np.where(t < X, X * t**2, 0.0).sum(),
    "select": lambda t: np.select([X > 1.0], [t * t * X], X).sum(),
    "ravel": lambda t: t.ravel().sum() * t,
    "an axis more": lambda t: np.sum(t[..., None] ** 3),
    "rows": lambda t: (t * t * X)[ROWS].max(),
    "slogdet": lambda t: np.linalg.slogdet(t * np.eye(2))[1],
    "softmax": lambda t: tg.ops.softmax(t * X).max(),
    "heaviside": lambda t: np.heaviside(t, 0.5) * t * t,
    "numbers alone": lambda t: t**3 / (1.0 + t),
    "a mean": lambda t: np.tanh(t * X).mean(),
}
# The first and the second derivative with respect to a number.
TRANSFORMS = {
    "grad": lambda f, t: (tg.grad(f)(t), tg.grad(tg.grad(f))(t)),
    "jacobian, hessian": lambda f, t: (tg.jacobian(f)(t), tg.hessian(f)(t)),
    "jvp, hvp": lambda f, t: (tg.jvp(f, (t,), (1.0,))[1], tg.hvp(f, t, 1.0)),
    "beside an array": lambda f, t: (
        tg.grad(lambda t, a: f(t) + 0.0 * a.sum())(t, X),
        tg.grad(lambda t, a: tg.grad(lambda t, a: f(t) + 0.0 * a.sum())(t, a))(t, X),
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_derivatives(name):
    f = FUNCTIONS[name]
    of_array = tg.grad(lambda v: f(tg.ops.sum(v)))
    second = tg.hessian(lambda v: f(tg.ops.sum(v)))(np.array([0.7]))[0, 0]
    assert tg.gradcheck(f, 0.7)
    for transform, both in TRANSFORMS.items():
        found = both(f, 0.7)
        assert all(isinstance(x, float) or np.shape(x) == () for x in found)
        np.testing.assert_allclose(found, [of_array(np.array([0.7]))[0], second], atol=1e-12, err_msg=transform)


def test_what_it_becomes_beside_arrays():
    narrow = X.astype(np.float32)
    number, array = tg.grad(lambda a, b: (a * b).sum(), argnum=(0, 1))(2.0, narrow)
    assert (number, type(number), array.dtype) == (15.0, float, np.float32)
    assert tg.grad(lambda a, b: (a * b).sum())(2.0, ROWS) == 1.0  # integers beside it do not make it an integer


def test_errors_of_the_function_itself_stay():
    calls = []

    def f(t):
        calls.append(t)
        raise ValueError("no such key")

    with pytest.raises(ValueError, match="no such key"):
        tg.grad(f)(1.0)
    assert len(calls) == 1


@pytest.mark.parametrize("kind", [ValueError, TypeError, AttributeError])
@pytest.mark.parametrize("call", [tg.grad, tg.value_and_grad, tg.hessian, lambda f: lambda t: tg.vjp(f, t)])
def test_a_function_that_raises_is_called_once(kind, call):
    calls = []

    def f(t):
        calls.append(t)
        raise kind("of the user's own")

    with pytest.raises(kind, match="own"):
        call(f)(1.0)
    assert len(calls) == 1


@pytest.mark.parametrize("wrong", [lambda: int("a"), lambda: [1].index(2), lambda: [].remove(1), lambda: float("x")])
def test_a_wrong_value_in_it_too(wrong):
    calls = []
    with pytest.raises(ValueError, match=r"literal|convert|not in"):
        tg.grad(lambda t: (calls.append(t), wrong(), t)[2])(1.0)
    assert len(calls) == 1


@pytest.mark.parametrize("result", [lambda x: (x.sum(), np.ones(3)), lambda x: [x.sum(), 1.0], lambda x: {"y": x}])
def test_several_results_are_refused(result):
    with pytest.raises(NonScalarBackwardError, match=r"this function returned a (tuple|list|dict) of"):
        tg.value_and_grad(result)(X)
