"""The gradient checkers check: no form of argument makes a wrong gradient pass."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import ops
from tinygrad_edu.errors import GradcheckError


def wrong(x):
    """x², whose second factor hands on no gradient."""
    return ops.sum(x * x.detach()) if hasattr(x, "detach") else np.sum(x * x)


POINTS = [
    3, 3.0, True, np.float32(3.0), np.int64(3), np.array(3.0), np.array([1, 2]), np.array([1.0, 2.0], object),
    np.array([1.0, 2.0], np.float16), np.array([1.0, 2.0], ">f8"), np.empty(0), np.array([1e-3, 2.0])[::-1],
    tg.Tensor([1.0, 2.0]), tg.Value(2.0),
]  # fmt: skip


@pytest.mark.parametrize("point", POINTS, ids=lambda x: f"{type(x).__name__} {x!r:.25}")
def test_a_wrong_gradient_passes_at_no_point(point):
    with pytest.raises(GradcheckError):
        tg.gradcheck(wrong, point)


def test_without_an_argument_there_is_nothing_to_check():
    with pytest.raises(GradcheckError, match=r"write 3.0 for 3"):
        tg.gradcheck(lambda: 1.0)


def test_whole_numbers_beside_real_ones_are_passed_on():
    assert tg.gradcheck(lambda x, place: x[place] ** 2, np.array([1.0, 2.0]), 1)


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6, 1e12, 1e100])
def test_the_slope_tells_right_from_wrong_at_any_size(size):
    assert tg.taylor_slope(lambda x: x * x / size, size) == pytest.approx(2.0, abs=0.1)
    assert tg.taylor_slope(lambda x: wrong(x) / size, size) == pytest.approx(1.0, abs=0.1)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("f", "x"), [(ops.log, -1.0), (ops.exp, 800.0)])
def test_the_slope_of_what_is_not_finite_is_nan(f, x):
    assert math.isnan(tg.taylor_slope(f, x))


def scaled(scale, factor):
    """A function of this size, whose gradient is so many times too large."""

    def f(x):
        y = np.sum(np.exp(x) + np.sin(x) * x) * scale
        return (y - y.detach()) * factor + y.detach()

    return f


@pytest.mark.parametrize("scale", [1e-290, 1e-60, 1e-20, 1e-12, 1e-6, 1.0, 1e9, 1e90])
def test_a_slope_is_that_of_the_gradient_at_any_size_of_the_function(scale):
    x = tg.Tensor(np.array([0.3, -1.1, 0.7]), requires_grad=True)
    assert 1.8 < tg.taylor_slope(scaled(scale, 1.0), x) < 2.2
    for wrong in (1.5, -1.0, 0.9):
        assert tg.taylor_slope(scaled(scale, wrong), x) < 1.3


CANCELS = {
    "cos² + sin²": lambda x: np.sum(np.cos(x) ** 2 + np.sin(x) ** 2 - 1.0),
    "a square": lambda x: np.sum((1.0 + x) ** 2 - 1.0 - 2.0 * x - x * x),
    "a softmax": lambda x: np.sum(tg.ops.softmax(x)) - 1.0,
    "small and linear": lambda x: np.sum(3e-20 * x),
    "nothing": lambda x: np.sum(0.0 * x),
}


@pytest.mark.parametrize("name", CANCELS)
def test_what_is_left_of_numbers_about_1_is_rounding(name):
    x = tg.Tensor(np.random.default_rng(0).normal(size=4), requires_grad=True)
    assert all(tg.taylor_slope(CANCELS[name], x, seed=seed) == np.inf for seed in range(6))
