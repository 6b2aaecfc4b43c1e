"""What is said of a derivative that is right but for a factor: not that another one belongs there, where it does."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop

RNG = np.random.default_rng(1)
X, T = RNG.normal(size=(20, 4)), RNG.normal(size=(20, 2))
W = {"W1": 0.5 * RNG.normal(size=(4, 5)), "b1": 0.1 * RNG.normal(size=5),
     "W2": 0.5 * RNG.normal(size=(5, 5)), "W3": RNG.normal(size=(5, 2))}  # fmt: skip
ACTIVATIONS = {
    "tanh": (np.tanh, lambda h: 1.0 - h**2),
    "relu": (lambda z: np.maximum(0.0, z), lambda h: 1.0 * (h > 0.0)),
    "sigmoid": (lambda z: 1.0 / (1.0 + np.exp(-z)), lambda h: h * (1.0 - h)),
}


def program(activation, k2=1.0, k1=1.0, slope1=True):
    """Two hidden layers; k2 and k1 are factors too many in ∂L/∂a of each, `slope1`: is act'(z1) there?"""
    act, slope = ACTIVATIONS[activation]

    def forward(p):
        return ((act(act(X @ p["W1"] + p["b1"]) @ p["W2"]) @ p["W3"] - T) ** 2).mean()

    def backward(p):
        a1 = act(X @ p["W1"] + p["b1"])
        a2 = act(a1 @ p["W2"])
        d3 = 2.0 * (a2 @ p["W3"] - T) / T.size
        da2 = k2 * d3 @ p["W3"].T
        d2 = da2 * slope(a2)
        da1 = k1 * d2 @ p["W2"].T
        d1 = da1 * (slope(a1) if slope1 else 1.0)
        return {"W1": X.T @ d1, "b1": d1.sum(0), "W2": a1.T @ d2, "W3": a2.T @ d3}

    return forward, W, backward


@pytest.mark.parametrize("factor", [3.0, 20.0, -1.0, 1.0 / 20.0])
@pytest.mark.parametrize("name", ["da1", "da2"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_factor_too_many_in_the_derivative_by_an_activation_is_all_that_is_said(activation, name, factor):
    report = check_backprop(*program(activation, **{f"k{name[-1]}": factor}))
    place = report.places[0]
    assert f"{name} = " in place.source
    assert f"`{name}` is {factor:.4g} times ∂L/∂a{name[-1]}: a factor is missing" in place.sentence
    assert "needed here" not in str(report)
    assert "belongs here" not in str(report)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_where_it_is_taken_for_another_that_is_still_said(activation):
    """act'(z1) is missing, so that ∂L/∂a1 stands for ∂L/∂z1, three times too large besides."""
    report = check_backprop(*program(activation, k1=3.0, slope1=False))
    assert "`d1` is 3 times ∂L/∂a1, and not a multiple of the one that is needed here." in str(report)


def by_item(p, g):
    p["W3"] -= 0.5 * g


def by_item_anew(p, g):
    p["W3"] += -0.25 * g


def by_name(p, g):
    W3 = p["W3"]
    W3 -= 0.5 * g


@pytest.mark.parametrize("update", [by_item, by_item_anew, by_name], ids=lambda f: f.__name__)
def test_a_parameter_that_is_updated_too_early_is_said_to_change(update):
    act, slope = ACTIVATIONS["tanh"]
    forward, _, _ = program("tanh")

    def backward(p):
        a1 = act(X @ p["W1"] + p["b1"])
        a2 = act(a1 @ p["W2"])
        d3 = 2.0 * (a2 @ p["W3"] - T) / T.size
        gradient = a2.T @ d3
        update(p, gradient)
        d2 = (d3 @ p["W3"].T) * slope(a2)
        d1 = (d2 @ p["W2"].T) * slope(a1)
        return {"W1": X.T @ d1, "b1": d1.sum(0), "W2": a1.T @ d2, "W3": gradient}

    report = check_backprop(forward, W, backward)
    (place,) = [x for x in report.places if "= " in x.source and "W3" in x.source]
    factor = -0.25 if update is by_item_anew else -0.5
    assert f"by {factor} times ∂L/∂W3: the lines after it read the new weights" in place.sentence
    assert "whatever is done" not in str(report)
