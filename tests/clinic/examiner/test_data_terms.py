"""A factor in the data's part of a gradient alone, beside weight decay: one mistake, and named so."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop

DECAY, COUNT = 0.1, 7
DRAWN = np.random.default_rng(0)
X, T = DRAWN.normal(size=(COUNT, 4)), DRAWN.normal(size=(COUNT, 2))
START = {"W1": DRAWN.normal(size=(4, 5)), "b1": np.zeros(5), "W2": DRAWN.normal(size=(5, 2)), "b2": np.zeros(2)}


def forward(p):
    error = np.tanh(X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"] - T
    return (error**2).sum() / COUNT + DECAY / 2 * ((p["W1"] ** 2).sum() + (p["W2"] ** 2).sum())


def pass_with(lower, upper):
    """The factors of the data terms of W1 and W2."""

    def backward(p):
        a = np.tanh(X @ p["W1"] + p["b1"])
        d2 = 2.0 * (a @ p["W2"] + p["b2"] - T) / COUNT
        d1 = d2 @ p["W2"].T * (1.0 - a * a)
        dW1 = lower * X.T @ d1 + DECAY * p["W1"]
        dW2 = upper * a.T @ d2 + DECAY * p["W2"]
        return {"W1": dW1, "b1": d1.sum(axis=0), "W2": dW2, "b2": d2.sum(axis=0)}

    return backward


FACTORS = {"n": COUNT, "1/n": 1 / COUNT, "2": 2.0, "1/2": 0.5, "-1": -1.0, "outputs": 1 / 2}


@pytest.mark.parametrize("where", ["W1", "W2", "both"])
@pytest.mark.parametrize("factor", FACTORS)
def test_a_factor_beside_weight_decay_is_one_mistake(factor, where):
    c = FACTORS[factor]
    report = check_backprop(forward, START, pass_with(c if where != "W2" else 1.0, c if where != "W1" else 1.0))
    assert [slip.code for slip in report.explanations[0]] == ["data_term_scaled"]
    assert report.slips[0].explains == (("W1", "W2") if where == "both" else (where,))
    names = [f"d{n} = " for n in report.wrong]
    assert all(any(name in place.source for place in report.places) for name in names), report
