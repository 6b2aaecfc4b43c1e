"""What stands behind a condition on the same line is no suspect where the condition was false."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop

X, T = np.random.default_rng(0).normal(size=(2, 6, 3))
START = {"W1": np.random.default_rng(1).normal(size=(3, 4)), "W2": np.random.default_rng(2).normal(size=(4, 3))}


def forward(p):
    return ((np.tanh(X @ p["W1"]) @ p["W2"] - T) ** 2).mean()


def backward_with(mistake):
    # fmt: off
    def backward(p):
        a = np.tanh(X @ p["W1"])
        d2 = 2 * (a @ p["W2"] - T) / T.size
        if mistake == "scaled": d2 = 3 * d2  # noqa: E701
        da = d2 @ p["W2"].T
        d1 = da * (1 - a * a)
        if mistake == "bare": d1 = da  # noqa: E701
        if mistake == "other": d1 = da * (1 - a)  # noqa: E701
        if mistake == "never": d1 = 0 * da; d2 = da  # noqa: E701, E702
        return {"W1": X.T @ d1, "W2": a.T @ d2}
    # fmt: on

    return backward


@pytest.mark.parametrize("mistake", ["scaled", "bare", "other"])
def test_the_line_that_ran_is_shown_and_none_that_did_not(mistake):
    places = check_backprop(forward, START, backward_with(mistake)).places
    assert f'mistake == "{mistake}"' in places[0].source
    assert not any("if mistake" in place.source for place in places[1:])
