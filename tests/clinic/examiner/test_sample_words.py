"""What the copies of a layer are called: samples only where each takes one, and a sum over them has no number."""

import numpy as np
import pytest

import tinygrad_edu as tg

RNG = np.random.default_rng(3)
X, T = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 2))
WEIGHTS = {"V": RNG.normal(size=(3, 2)), "d": RNG.normal(size=2)}


def by_samples(p):
    return sum((((x @ p["V"] + p["d"]) - t) ** 2).sum() for x, t in zip(X, T, strict=True))


def overwritten(p, name, first):
    """Only one sample's gradient of one parameter."""
    found = {key: np.zeros_like(value) for key, value in p.items()}
    for i, (x, t) in enumerate(zip(X, T, strict=True)):
        delta = 2 * (x @ p["V"] + p["d"] - t)
        for key, part in (("V", np.outer(x, delta)), ("d", delta)):
            found[key] = found[key] + part if key != name else part if not (first and i) else found[key]
    return found


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("name", ["V", "d"])
def test_a_sum_over_samples_is_in_the_layer_and_not_in_a_sample(name, first):
    text = str(tg.clinic.check_backprop(by_samples, WEIGHTS, lambda p: overwritten(p, name, first)))
    assert f"only_last_sample in the output layer ({name})" in text
    assert f"the {'first' if first else 'last'} sample's alone\n" in text
    assert "times 1" not in text


def test_patches_of_several_images_are_uses_and_not_samples():
    images, targets = RNG.normal(size=(3, 4)), RNG.normal(size=(3, 3))
    W = {"k": RNG.normal(size=2), "W": RNG.normal(size=(3, 3))}

    def forward(p):
        z = np.stack([images[:, i : i + 2] @ p["k"] for i in range(3)], axis=1)
        return ((np.tanh(z) @ p["W"] - targets) ** 2).sum()

    def backward(p):
        patches = [images[:, i : i + 2] for i in range(3)]
        h = np.tanh(np.stack([patch @ p["k"] for patch in patches], axis=1))
        d = 2 * (h @ p["W"] - targets)
        dz = d @ p["W"].T * (1 - h * h)
        return {"k": sum(patch.T @ dz[:, i] for i, patch in enumerate(patches))[::-1], "W": h.T @ d}

    text = str(tg.clinic.check_backprop(forward, W, backward))
    assert "gradient_reversed in the hidden layer 1, use 3 (k)" in text
