"""The formulas on a card are those of the learner's own layout: x W, x Wᵀ, W x, Wᵀ x."""

import itertools

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop
from tinygrad_edu.clinic.examiner.forward.layout import Layout, in_layout

LAYOUTS = list(itertools.product([False, True], [False, True]))  # is W on the left, is it transposed?
rng = np.random.default_rng(2)
X, T = rng.normal(size=(3, 3)), rng.normal(size=(3, 3))  # all square: every product is possible
P = {"W1": rng.normal(size=(3, 3)), "W2": rng.normal(size=(3, 3))}


def product(x, w, left, turned):
    w = w.T if turned else w
    return w @ x if left else x @ w


def gradients(x, w, d, left, turned):
    """(∂L/∂x, ∂L/∂w) of a product from the delta of its result."""
    w = w.T if turned else w
    back, own = (w.T @ d, d @ x.T) if left else (d @ w.T, x.T @ d)
    return back, own.T if turned else own


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_fix_of_a_missing_transpose_is_the_derivative(layout):
    def loss(p):
        return 0.5 * np.sum((product(np.tanh(product(X, p["W1"], *layout)), p["W2"], *layout) - T) ** 2)

    def backward(p):
        h = np.tanh(product(X, p["W1"], *layout))
        d2 = product(h, p["W2"], *layout) - T
        wrong, _ = gradients(h, p["W2"].T, d2, *layout)
        return {"W1": gradients(X, p["W1"], wrong * (1 - h**2), *layout)[1],
                "W2": gradients(h, p["W2"], d2, *layout)[1]}  # fmt: skip

    h = np.tanh(product(X, P["W1"], *layout))
    d2 = product(h, P["W2"], *layout) - T
    slip = next(x for x in check_backprop(loss, P, backward).slips if x.code == "not_transposed")
    code = slip.fix.rpartition(": ")[2].rstrip(".").replace("δ2", "d2")
    np.testing.assert_allclose(eval(code, {"W2": P["W2"], "d2": d2}), gradients(h, P["W2"], d2, *layout)[0])
    assert slip.right.replace("ᵀ", ".T").partition(" = ")[2].replace(" ", " @ ") == code.replace("d2", "δ2")
    assert slip.sentence.startswith("W2 is transposed" if layout[1] else "W2 is not transposed")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_product_for_a_weight_is_the_derivative(layout):
    code = in_layout("{x}.T @ {d}", Layout(*layout)).format(x="X", d="T")
    np.testing.assert_allclose(eval(code, {"X": X, "T": T}), gradients(X, P["W1"], T, *layout)[1])
