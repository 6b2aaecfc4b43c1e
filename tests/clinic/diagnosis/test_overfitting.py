"""A validation loss that turns up is overfitting only where the samples held out are enough to tell."""

import numpy as np
import pytest

from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.train import fit


def noisy(rng, rows):
    X = rng.normal(size=(rows, 6))
    return X, (X[:, :1] + X[:, 1:2] + rng.normal(0.0, 0.6, (rows, 1)) > 0).astype(float)


CASES = {  # (seed, samples, units, epochs, held out): what is named
    "few, by chance": ((31, 400, 16, 30, 24), []),
    "many": ((100, 80, 64, 100, 200), ["overfitting"]),
    "few, but memorized": ((100, 80, 64, 100, 24), ["overfitting"]),
}


@pytest.mark.parametrize("name", CASES)
def test_few_held_out_samples_show_no_overfitting_by_chance(name):
    (seed, samples, units, epochs, held_out), expected = CASES[name]
    rng = np.random.default_rng(seed)
    (X, y), aside = noisy(rng, samples), noisy(rng, held_out)
    model = nn.MLP([6, units, 1], activation="relu", seed=0)
    optimizer = optim.Adam(model.parameters(), lr=0.005)
    run = fit(
        model, X, y, loss="bce_with_logits", optimizer=optimizer, epochs=epochs, batch_size=16, validation=aside
    )  # fmt: skip
    found = diagnose(run, budget_s=120.0)
    assert [cause.code for cause in found.causes] == expected
    chance = [symptom.sentence for symptom in found.symptoms if symptom.code == "overfitting"]
    assert found.healthy or expected
    assert expected or "24 held-out samples are few" in chance[0]
