"""Training loops written by hand: `p -= rate * p.grad` under no_grad trains p, and is a node where a graph is kept."""

import operator

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ShapeError

WRITTEN = {"+=": operator.iadd, "-=": operator.isub, "*=": operator.imul, "/=": operator.itruediv}
PLAIN = {"+=": operator.add, "-=": operator.sub, "*=": operator.mul, "/=": operator.truediv}


def step(parameters, rate):
    """A function of its own, as in a course: its loop variable is a name, not the caller's."""
    with tg.no_grad():
        for p in parameters:
            p -= rate * p.grad
            p.grad = None


def test_a_loop_over_parameters_trains_them():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 3)), rng.normal(size=20)
    w, b = tg.Tensor(np.zeros(3), requires_grad=True), tg.Tensor(0.0, requires_grad=True)
    by_hand = np.zeros(4)
    for _ in range(5):
        ((X @ w + b - y) ** 2).mean().backward()
        step([w, b], 0.1)
        e = X @ by_hand[:3] + by_hand[3] - y
        by_hand -= 0.1 * np.append(X.T @ e, e.sum()) * 2 / len(y)
    np.testing.assert_allclose(np.append(w.data, b.data), by_hand, rtol=1e-12)
    assert w.requires_grad and b.requires_grad  # noqa: PT018


@pytest.mark.parametrize("symbol", WRITTEN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_each_operator_writes_into_the_leaf(symbol, dtype):
    start, other = np.array([1.0, -2.0, 3.0], dtype), np.array([0.5, 4.0, -1.0], dtype)
    w = tg.Tensor(start, requires_grad=True)
    held = w.data
    with tg.no_grad():
        same = WRITTEN[symbol](w, other)
    assert same is w and w.requires_grad and not w.parents  # noqa: PT018
    np.testing.assert_array_equal(w.data, PLAIN[symbol](start, other))
    assert w.data.dtype == dtype
    assert held.tolist() == start.tolist()  # the update makes a new array, so an earlier reading stays as it was


def test_elsewhere_it_is_a_node():
    f = lambda x: np.sum(twice(x) ** 2)  # noqa: E731

    def twice(x):
        x *= 2.0
        x += 1.0
        return x

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(tg.grad(f)(x), 4.0 * (2.0 * x + 1.0))
    np.testing.assert_allclose(tg.jit(tg.grad(f))(x), 4.0 * (2.0 * x + 1.0))
    np.testing.assert_allclose(tg.vmap(tg.grad(f))(x[None])[0], 4.0 * (2.0 * x + 1.0))
    assert x.tolist() == [1.0, 2.0]
    with tg.no_grad():
        constant = tg.Tensor(x)
        other = constant
        other += 1.0
    assert constant.data.tolist() == [1.0, 2.0]


def test_an_update_after_the_forward_pass_is_noticed():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    loss = np.sum(w * w)
    with tg.no_grad():
        w -= 0.5
    with pytest.raises(tg.errors.SavedArrayChangedError):
        loss.backward()


def test_another_shape_is_refused():
    w = tg.Tensor([1.0, 2.0], requires_grad=True)
    with tg.no_grad(), pytest.raises(ShapeError, match=r"in place needs the shape \(2,\).*not \(3, 2\)"):
        w += np.ones((3, 2))


def test_a_whole_number_is_read_as_a_number_is():
    assert int(tg.Tensor(3.7)) == 3
    assert [5, 6, 7][int(tg.Tensor([1.0]))] == 6
    with pytest.raises(tg.errors.DetachedError, match=r"item\(\) gives the plain number"):
        int(tg.Tensor(3.7, requires_grad=True))
    with pytest.raises(TypeError, match="is for one number, and x holds 2"):
        int(tg.Tensor([1.0, 2.0]))
    with pytest.raises(tg.errors.TraceError):
        tg.jit(lambda x: x * int(x[0]))(np.ones(2))
