"""Classes that a logit of -∞ takes out, and rows that are ignored: they cost nothing and leave no NaN."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core.operation import COMPOSED
from tinygrad_edu.nn import losses

OF_CLASSES = [loss for loss in COMPOSED.values() if getattr(loss, "takes_class_numbers", False)]
RNG = np.random.default_rng(0)
Z, LABELS = RNG.normal(size=(5, 4)), np.array([0, 2, 3, 0, 3])
WEIGHT = np.array([0.5, 1.0, 2.0, 0.3])


def scores(loss, z):
    return tg.ops.log_softmax(z) if loss is losses.nll else z


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["", "weighted"])
@pytest.mark.parametrize("loss", OF_CLASSES, ids=lambda loss: loss.name)
def test_a_class_that_is_masked_out(loss, weight, reduction):
    """As a logit so low that its class has no share."""
    out, low = Z.copy(), Z.copy()
    out[:, 1], low[:, 1] = -math.inf, -1e6

    def total(z):
        return np.sum(np.cos(loss(scores(loss, z), LABELS, weight=weight, reduction=reduction)))

    y, g = tg.value_and_grad(total)(out)
    expected, gradient = tg.value_and_grad(total)(low)
    np.testing.assert_allclose(y, expected, rtol=1e-12)
    np.testing.assert_allclose(g, gradient, atol=1e-14)
    compiled = tg.jit(total).value_and_grad(out)
    np.testing.assert_allclose(compiled[0], y, rtol=1e-12)
    np.testing.assert_allclose(compiled[1], g, atol=1e-14)


@pytest.mark.parametrize("loss", [x for x in OF_CLASSES if "ignore_index" in x.options], ids=lambda loss: loss.name)
def test_rows_that_are_ignored(loss):
    labels = np.array([0, -1, 3, -1, -1])
    z = Z.copy()
    z[[1, 3, 4]] = -math.inf, 0.0, 0.0, 0.0  # ignored rows may hold anything

    def total(z, labels):
        return loss(scores(loss, z), labels, ignore_index=-1)

    y, g = tg.value_and_grad(total)(z, labels)
    expected, kept = tg.value_and_grad(total)(z[[0, 2]], labels[[0, 2]])
    np.testing.assert_allclose(y, expected)
    np.testing.assert_allclose(g[[0, 2]], kept)
    assert not g[[1, 3, 4]].any()
    y, g = tg.value_and_grad(total)(Z, np.full(5, -1))
    assert math.isnan(y)  # the mean of nothing
    assert not g.any()  # as in PyTorch, so the weights stay unchanged


def test_a_model_trains_on_classes_that_are_masked_out():
    class Masked(nn.Module):
        def __init__(self):
            self.linear = nn.Linear(2, 4, rng=0)

        def forward(self, x):
            return self.linear(x) + np.array([0.0, -np.inf, 0.0, 0.0])

    X = RNG.normal(size=(5, 2))
    runs = [
        tg.fit(Masked(), X, LABELS, loss="cross_entropy", optimizer="sgd", epochs=3, compiled=compiled)
        for compiled in (False, True)
    ]
    assert np.isfinite(runs[0].loss_curve).all()
    np.testing.assert_allclose(runs[1].loss_curve, runs[0].loss_curve, rtol=1e-12)
