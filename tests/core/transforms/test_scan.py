"""scan: a loop over time on every back end, its gradients, and what it refuses."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import normal, without_numba
from tinygrad_edu import Tensor, Value, ops
from tinygrad_edu.errors import OperandError, ShapeError


def cell(W, U):
    """An Elman cell whose y is the state twice, in a dict."""

    def step(h, x):
        h = ops.tanh(x["in"] @ W + h @ U)
        return h, {"h": h, "twice": 2.0 * h}

    return step


def loss(W, U, x):
    last, ys = tg.scan(cell(W, U), np.zeros((x.shape[1], 4)), {"in": x})
    return ops.sum(last * last) + ops.sum(ops.sin(ys["h"])) + ops.mean(ys["twice"])


def by_hand(W, U, x):
    h, found = np.zeros((x.shape[1], 4)), []
    for each in x:
        h = np.tanh(each @ W + h @ U)
        found.append(h)
    return (h * h).sum() + np.sin(found).sum() + 2.0 * np.mean(found)


def test_values_and_gradients():
    W, U = normal(3, 4), normal(4, 4)
    compiled = tg.jit(loss)
    for times in (1, 3, 6):
        x = normal(times, 2, 3)
        assert np.isclose(loss(W, U, x), by_hand(W, U, x))
        assert tg.gradcheck(lambda W, U, x=x: loss(W, U, x), W, U)
        expected = tg.grad(loss, (0, 1, 2))(W, U, x)
        with without_numba():
            value, found = compiled.value_and_grad(W, U, x, argnum=(0, 1, 2))
        assert np.isclose(value, by_hand(W, U, x))
        assert all(np.allclose(a, b) for a, b in zip(found, expected, strict=True))


def test_many_rounds_are_a_loop():
    W, U, x = normal(3, 4), normal(4, 4), normal(20, 2, 3)
    compiled = tg.jit(loss)
    value, gradient = compiled.value_and_grad(W, U, x)
    assert np.isclose(value, by_hand(W, U, x))
    assert np.allclose(gradient, tg.grad(loss)(W, U, x))
    assert compiled.source.count("for round_at") == 2


def test_second_order():
    f = lambda a: tg.scan(lambda s, x: (s * a + x, s), 0.5, np.array([1.0, 2.0, 3.0]))[0]  # noqa: E731
    assert np.isclose(tg.grad(tg.grad(f))(2.0), 3.0 * 2.0 * 0.5 * 2.0 + 2.0 * 1.0)


def test_values_of_the_scalar_back_end():
    xs = np.array([Value(1.0), Value(2.0), Value(3.0)], dtype=object)
    total, ys = tg.scan(lambda s, x: (s + x * x, s), Value(0.0), xs)
    (total + ys.sum()).backward()
    assert total.data == 14.0
    assert [x.grad for x in xs] == [6.0, 8.0, 6.0]


def test_without_xs_and_without_ys():
    state, ys = tg.scan(lambda s, _: (s * 2.0, None), Tensor(1.0, requires_grad=True), None, length=4)
    assert (state.item(), ys) == (16.0, None)


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ((lambda s, x: (s, x), 0.0, {"a": np.ones(3), "b": np.ones(4)}), ShapeError, r"\[3, 4\] entries"),
        ((lambda s, x: (s, x), 0.0, None), ShapeError, "length="),
        ((lambda s, x: (s, x), 0.0, np.ones((0, 2))), ShapeError, "no entries"),
        ((lambda s, x: (s, x), 0.0, 3.0), ShapeError, "single number"),
        ((lambda s, x: s + x, 0.0, np.ones(3)), OperandError, r"\(new state, y\)"),
    ],
)
def test_what_does_not_fit_is_named(arguments, error, text):
    with pytest.raises(error, match=text):
        tg.scan(*arguments)


def test_rounds_that_add_in_float32_are_compiled():
    """The sums of a round were added up once more in the next loop of the program, which could not be compiled."""

    def f(w, xs):
        _, ys = tg.scan(lambda s, x: (np.tanh(s * w + np.sum(x * s)), s * 2.0), np.ones(3, w.dtype), xs)
        return np.sum(np.sin(ys) * w)

    w, xs = np.linspace(0.5, 1.0, 3), np.cos(np.arange(18.0)).reshape(6, 3)
    expected = tg.value_and_grad(f)(w, xs)
    found = tg.jit(f).value_and_grad(w.astype(np.float32), xs.astype(np.float32))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4)
    assert found[1].dtype == np.float32


def test_rounds_take_entries_by_position():
    """A Series of pandas finds [t] by its labels, and a DataFrame a column."""
    pandas = pytest.importorskip("pandas")
    numbers = np.array([[1.0, 2.0], [3.0, 4.0]])
    series, frame = pandas.Series(numbers[0], index=[1, 0]), pandas.DataFrame(numbers, columns=[1, 0])

    def step(total, x):
        return total + np.sum(x), total * x + x

    def compiled(step, state, xs):
        return tg.jit(lambda start: tg.scan(step, start, xs))(state)

    for xs, plain in ((series, numbers[0]), (frame, numbers)):
        expected = tg.scan(step, np.float64(0.0), plain)
        for way in (tg.scan, compiled):
            found = way(step, np.float64(0.0), xs)
            assert np.asarray(found[0]) == expected[0]
            np.testing.assert_array_equal(found[1], expected[1])
