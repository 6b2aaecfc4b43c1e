"""np.asarray(x), np.array([a, b]) and their like in a function that runs on nodes: what they are on arrays."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.core.tracing.array_makers import OWN
from tinygrad_edu.errors import DetachedError, TraceError

X = np.array([1.0, -2.0, 0.5])
A = np.arange(3.0)


def asarray(x):
    x = np.asarray(x)
    return x * x


def as_floats(x):
    return np.asarray(x, dtype=float) ** 2 + np.asarray([1.0, 2.0, 3.0])


def a_copy(x):
    y = np.array(x)
    y *= 3.0
    return x * y


def contiguous(x):
    return np.ascontiguousarray(x[::-1]) * np.asanyarray(x) + np.asfortranarray(x)


def no_copy(x):
    return np.array(x, copy=False, ndmin=2) @ np.array(x, float)


def listed(x):
    return np.array([x[0] ** 2, 1, x[1] * x[2]])


def matrix(x):
    return np.array([[np.cos(x[0]), -np.sin(x[0])], [np.sin(x[0]), np.cos(x[0])]]) @ x[1:]


def rows(x):
    return np.asarray((x, A, [x[0], 2.0, 3]))


def plain_ones(x):
    return x * np.asarray(A, dtype=np.float32).astype(float) + np.array([1, 2, 3])


def helper_inside(x):
    return asarray(as_floats(x))


BODIES = [asarray, as_floats, a_copy, contiguous, no_copy, listed, matrix, rows, plain_ones, helper_inside]


def slope(f, x):
    """Central differences of the sum."""
    steps = 1e-6 * np.eye(3)
    return [(np.sum(f(x + h)) - np.sum(f(x - h))) / 2e-6 for h in steps]


@pytest.mark.parametrize("body", BODIES)
def test_as_on_arrays(body):
    total = lambda x: np.sum(body(x))  # noqa: E731
    with without_numba():
        np.testing.assert_allclose(tg.jit(body)(X), body(X), rtol=1e-12)
        np.testing.assert_allclose(tg.vmap(body)(np.stack([X, 2 * X])), [body(X), body(2 * X)], rtol=1e-12)
        for gradient in (tg.grad(total)(X), tg.jit(tg.grad(total))(X), tg.jit(total).value_and_grad(X)[1]):
            np.testing.assert_allclose(gradient, slope(body, X), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_their_dtypes(dtype):
    x = np.array([1, 0, 3]).astype(dtype)

    def f(x):
        return np.asarray(x), np.asarray(x, float), np.array([x[0], x[1]]), np.array([x[0], 1.0]), np.array([x, x])

    with without_numba():
        for found in (tg.jit(f)(x), f(x)):
            assert [y.dtype for y in found] == [y.dtype for y in f(x)]
        for a, b in zip(tg.jit(f)(x), f(x), strict=True):
            np.testing.assert_array_equal(a, b)


def test_a_number_and_the_module_afterwards():
    f = lambda x: np.asarray(x) ** 3 * np.array([1.0, 2.0])  # noqa: E731
    with without_numba():
        np.testing.assert_allclose(tg.jit(f)(2.0), f(2.0))
        np.testing.assert_allclose(tg.grad(lambda x: np.sum(f(x)))(2.0), 36.0)
    assert {name: getattr(np, name) for name in OWN} == OWN


def test_what_a_program_closes_over_does_not_lose_its_gradient():
    W = tg.Tensor(X, requires_grad=True)
    f = lambda x: np.sum(np.asarray(W) * x)  # noqa: E731
    for way in (f, tg.jit(f), lambda x: np.asarray(W)):
        with without_numba(), pytest.raises((DetachedError, TraceError), match="would silently lose its gradient"):
            way(X)


def fill(x):
    out = np.zeros(3)
    for i in range(3):
        out[i] = x[i] ** 2
    return out


def fill_a_row(x):
    out = np.zeros((2, 3))
    out[0] = x
    return out


def fill_a_node(x):
    out = np.zeros_like(x)
    out[:2] = x[1:]
    return out


def change_a_copy(x):
    y = x.copy()
    y[0] = 9.0
    return y


def at_once(x):
    first = np.where(np.arange(len(x)) == 0, 9.0, x)
    return np.array([x[i] ** 2 for i in range(3)]), first, np.concatenate([[9.0], x[1:]])


@pytest.mark.parametrize("body", [fill, fill_a_row, fill_a_node, change_a_copy])
def test_what_is_written_into_a_part_says_what_to_write(body):
    """The advice was about math.tanh, int(x) and range(n), and was cut off in the middle of a word."""
    for way in (tg.jit(body), tg.jit(tg.grad(lambda x: np.sum(body(x))))):
        with pytest.raises(TraceError, match=r"make the whole array at once.*np\.concatenate\(\[value, x\[1:\]\]\)$"):
            way(X)
    with without_numba():
        for found, expected in zip(tg.jit(at_once)(X), at_once(X), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_lists_of_numbers_are_arrays_of_objects_on_the_tape():
    """With a model of Values such a function can run in no other way."""
    w = tg.Value(2.0)
    compiled = tg.jit(lambda rows: (np.array(rows) * w).sum() + np.asarray([rows[0]])[0][1])
    for x in (1.0, 3.0):
        assert compiled([[x, 2.0], [0.5, x]]).data == 2.0 * (2.0 * x + 2.5) + 2.0
