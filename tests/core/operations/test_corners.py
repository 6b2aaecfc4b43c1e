"""Numbers in corners: division by 0, means of nothing, norms of 0, powers at 0 and infinity.

The value is NumPy's, and where that is inf or nan no Python error comes in its place, forward or backward.
"""

import itertools
import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.ops import TABLE

INF, NAN = math.inf, math.nan
VALUES = {
    "x / 0": lambda x: x / 0,
    "x / 0.0": lambda x: x / 0.0,
    "0 / x": lambda x: 0 / x,
    "0.0 / (x - x)": lambda x: 0.0 / (x - x),
    "x / (x - x)": lambda x: x / (x - x),
    "x ** -1.0 of 0": lambda x: (0.0 * x) ** -1.0,
    "x ** 1e5": lambda x: (x + 5.0) ** 1e5,
    "1e308 * x * 1e308": lambda x: 1e308 * x * 1e308,
    "where": lambda x: np.where(x > 0, x, x / 0.0),
    "exp": lambda x: np.exp(x * 1e6),
    "log 0": lambda x: np.log(x * 0.0),
    "log -1": lambda x: np.log(x * 0.0 - 1.0),
}
REDUCTIONS = {
    "mean of nothing": lambda x: np.mean(x[:0]),
    "sum of nothing": lambda x: np.sum(x[:0]),
    "var of nothing": lambda x: np.var(x[:0]),
    "std of nothing": lambda x: np.std(x[:0]),
    "mean over an axis of nothing": lambda x: np.sum(np.mean(np.reshape(x, (-1, 1))[:, :0], axis=1)),
    **{f"var(ddof={d}) of one": lambda x, d=d: np.var(x[:1], ddof=d) for d in (0, 1, 2, 3.5)},
    **{f"std(ddof={d}) of one": lambda x, d=d: np.std(x[:1], ddof=d) for d in (0, 1, 2)},
    **{f"var(ddof={d}) of two": lambda x, d=d: np.var(x[:2], ddof=d) for d in (0, 1, 2, 3)},
    "std of equal numbers": lambda x: np.std(x * 0.0),
    "norm of 0": lambda x: np.linalg.norm(x * 0.0),
    "norm of inf": lambda x: np.linalg.norm(x / 0.0),
}
X = np.array([0.5, 1.25, 3.0])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy warns once for each of these
@pytest.mark.parametrize("name", [*VALUES, *REDUCTIONS])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_tensors_give_what_numpy_gives(name, dtype):
    f = {**VALUES, **REDUCTIONS}[name]
    array, x = X.astype(dtype), tg.Tensor(X.astype(dtype), requires_grad=True)
    y = f(x)
    np.testing.assert_allclose(y.data, f(array), rtol=1e-6)
    np.sum(y).backward()
    assert x.grad.shape == x.shape
    tg.hessian(lambda x: np.sum(f(x)))(array)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", VALUES)
def test_values_give_what_numpy_gives(name):
    f = VALUES[name]
    for number in X:
        y = f(tg.Value(float(number)))
        np.testing.assert_allclose(np.float64(y.item()), f(np.float64(number)), rtol=1e-12)
        y.backward()
        tg.grad(tg.grad(f))(float(number))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("ddof", [0, 1, 2, 3])
@pytest.mark.parametrize("f", [np.var, np.std, np.mean], ids=lambda f: f.__name__)
def test_lists_of_values(f, ddof):
    options = {} if f is np.mean else {"ddof": ddof}
    xs = [tg.Value(x) for x in (0.5, 2.0)]
    y = f(xs, **options)
    np.testing.assert_allclose(y.item(), f([0.5, 2.0], **options))
    y.backward()


@pytest.mark.parametrize(
    "row", [x for x in TABLE.values() if x.partials and len(x.parameters) > 1], ids=lambda x: x.name
)
@pytest.mark.parametrize("number", [0, 0.0, INF, -INF, 1e308, -1.0, 5000], ids=repr)
def test_no_plain_number_beside_a_tensor_raises(row, number):
    """Of a derivative such as 1/b, Python's arithmetic would raise where b is the number 0."""
    for at in range(len(getattr(row, "fixed", ())), len(row.parameters)):
        x = tg.Tensor(X, requires_grad=True)
        arguments = [x if i == at else number for i in range(len(row.parameters))]
        with np.errstate(all="ignore"):
            np.sum(row(*arguments)).backward()
            tg.hessian(lambda x, at=at, arguments=arguments: np.sum(row(*arguments[:at], x, *arguments[at + 1 :])))(X)
        assert x.grad.shape == X.shape


SUBGRADIENTS = [  # torch 2.13 gives the same
    (np.linalg.norm, np.zeros(3), [0, 0, 0]),
    (lambda x: np.sum(np.linalg.norm(x, axis=1)), np.array([[0.0, 0.0], [3.0, 4.0]]), [[0, 0], [0.6, 0.8]]),
    (np.std, np.ones(4), [0, 0, 0, 0]),
    (lambda x: np.std(x, ddof=1), np.ones(1), [NAN]),
    (lambda x: np.sum(x**0.0), np.array([INF, -INF, 0.0, -2.0]), [0, 0, 0, 0]),
    (lambda n: np.sum(0.0**n), np.array([-0.3, 0.3, 2.0]), [-INF, 0, 0]),
    (lambda x: np.sum(tg.ops.silu(x)), np.array([1e16, 1e300, -1e4, 0.0]), [1, 1, 0, 0.5]),
    (lambda x: np.sum(tg.ops.silu(x)), np.array([3e8, 1e30], np.float32), [1, 1]),
    (lambda x: np.sum(tg.ops.logsumexp(x, axis=1)), np.zeros((2, 0)), [[], []]),
    (lambda x: np.sum(tg.ops.softmax(x)), np.zeros((2, 0)), [[], []]),
    (lambda x: np.sum(tg.ops.log_softmax(x)), np.zeros((2, 0)), [[], []]),
]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("f", "x", "gradient"), SUBGRADIENTS)
def test_gradients_in_corners(f, x, gradient):
    np.testing.assert_allclose(tg.grad(f)(x), gradient, rtol=1e-6, atol=0)


def test_the_sum_of_the_exponentials_of_nothing():
    np.testing.assert_array_equal(tg.ops.logsumexp(tg.Tensor(np.zeros((2, 0))), axis=1).data, [-INF, -INF])
    assert tg.ops.softmax(np.zeros((2, 0))).shape == (2, 0)


def test_the_length_of_equal_numbers_can_be_differentiated_twice():
    np.testing.assert_array_equal(tg.hessian(np.linalg.norm)(np.zeros(2)), np.zeros((2, 2)))
    assert tg.gradcheck(tg.grad(np.linalg.norm), np.array([3.0, 4.0]))


def test_interp_beside_infinity_and_nan():
    at, places = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 4.0]), np.array([0.0, 1.0, 2.0])
    for heights in itertools.product([1.0, 2.0, np.nan, np.inf, -np.inf], repeat=3):
        with np.errstate(all="ignore"):
            expected = np.interp(at, places, heights)
            found = np.interp(at, places, tg.Tensor(heights, requires_grad=True)).array
        np.testing.assert_array_equal(found, expected, err_msg=str(heights))
