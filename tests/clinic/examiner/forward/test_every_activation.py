"""The examiner knows every activation and every loss that a model can be built with: the tables are walked."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.clinic.examiner.forward.activations import ACTIVATIONS, PARTS
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.nn.layers import is_activation
from tinygrad_edu.nn.losses import LOSSES

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 2))
P = {"W1": RNG.normal(size=(3, 4)), "W2": RNG.normal(size=(4, 2))}


def test_every_activation_of_the_table_is_known_or_a_part_of_others():
    names = {name for name, row in TABLE.items() if is_activation(row)}
    assert names == (set(ACTIVATIONS) | PARTS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_forgotten_derivative_is_named_for_every_activation(name):
    f = TABLE[name]

    def forward(p):
        return 0.5 * np.sum((f(X @ p["W1"]) @ p["W2"] - T) ** 2)

    a = f(X @ P["W1"])
    d2 = a @ P["W2"] - T
    slope = TABLE[name].array_partials(a, X @ P["W1"], *f.defaults)[0]
    right = {"W1": X.T @ (d2 @ P["W2"].T * slope), "W2": a.T @ d2}
    assert tg.clinic.check_backprop(forward, P, right).ok
    report = tg.clinic.check_backprop(forward, P, {**right, "W1": X.T @ (d2 @ P["W2"].T)})
    assert report.certain
    assert report.slips[0].code == "missing_activation_derivative"
    assert "missing_activation_derivative" in str(report)
    assert "missing_activation_derivative" in report.draw().dot


TARGETS = {"hinge": np.where(T > 0, 1.0, -1.0), "poisson": np.abs(T).round()}
PROBABILITIES = (T > 0) * 1.0


@pytest.mark.parametrize("name", LOSSES)
def test_a_flipped_sign_is_named_for_every_loss(name):
    loss = LOSSES[name]
    t = TARGETS.get(name, T if name in ("mse", "mae", "huber") else PROBABILITIES)
    t = np.eye(2)[[0, 1, 1, 0, 1, 0]] if name == "cross_entropy" else t
    squeeze = (lambda z: 1 / (1 + np.exp(-z))) if name in ("bce", "delta_rule") else (lambda z: z)

    def forward(p):
        return loss(squeeze(np.tanh(X @ p["W1"]) @ p["W2"]), t)

    right = dict(zip(P, tg.grad(lambda a, b: forward({"W1": a, "W2": b}), argnum=(0, 1))(*P.values()), strict=True))
    right = {n: np.asarray(g) for n, g in right.items()}
    assert tg.clinic.check_backprop(forward, P, right).ok
    report = tg.clinic.check_backprop(forward, P, {n: -g for n, g in right.items()})
    assert report.certain
    assert report.slips[0].code == "sign_flipped"
    assert report.draw().dot
