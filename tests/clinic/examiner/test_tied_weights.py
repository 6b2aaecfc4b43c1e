"""A use of tied weights that is left out is named as that, not as the 0 that another mistake gives too."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop

RNG = np.random.default_rng(3)
IDS, LABELS, X = np.array([[0, 1, 1], [2, 0, 2]]), np.array([3, 1]), RNG.normal(size=(10, 5))


def softmax(z):
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def looked_up(ids):
    def words(p):
        return p["E"][ids].mean(1)

    def forward(p):
        return -np.log(softmax(words(p) @ p["E"].T)[np.arange(2), LABELS]).mean()

    def uses(p):
        d, first = (softmax(words(p) @ p["E"].T) - np.eye(4)[LABELS]) / 2, np.zeros((4, 3))
        np.add.at(first, ids, np.broadcast_to((d @ p["E"])[:, None] / ids.shape[1], (*ids.shape, 3)))
        return first, d.T @ words(p)

    return forward, {"E": RNG.normal(size=(4, 3))}, uses


def autoencoder(activation, slope):
    def forward(p):
        return ((activation(X @ p["W"]) @ p["W"].T - X) ** 2).mean()

    def uses(p):
        h = activation(X @ p["W"])
        d = 2 * (h @ p["W"].T - X) / X.size
        return X.T @ ((d @ p["W"]) * slope(h)), d.T @ h

    return forward, {"W": RNG.normal(size=(5, 2))}, uses


KINDS = {
    "mean of three words": looked_up(IDS),
    "mean of two words": looked_up(IDS[:, 1:]),
    "tanh": autoencoder(np.tanh, lambda h: 1 - h**2),
    "relu": autoencoder(lambda z: np.maximum(z, 0.0), lambda h: h > 0),
}


@pytest.mark.parametrize("left_out", [0, 1, None])
@pytest.mark.parametrize("kind", KINDS)
def test_the_use_that_is_left_out_is_named(kind, left_out):
    forward, params, uses = KINDS[kind]
    (name,) = params
    gradient = sum(g for k, g in enumerate(uses(params)) if k != left_out)
    report = check_backprop(forward, params, {name: gradient})
    assert report.ok == (left_out is None)
    assert [s.code for s in report.slips][:1] == ([] if report.ok else ["shared_weight_counted_once"])
