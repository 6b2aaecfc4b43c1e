"""The file that a program of its own keeps between training and predicting."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop.test_c import X, Y, adam, call, csv, program
from tinygrad_edu import nn


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_file_of_weights_holds_what_a_batch_norm_has_seen(dtype, tmp_path):
    """It held the weights alone: `predict` took the mean 0 and the variance 1 of the network before training."""

    def make():
        layers = nn.Linear(2, 3, False, rng=1), nn.BatchNorm(3), nn.Tanh(), nn.Linear(3, Y.shape[1], rng=2)
        return nn.Sequential(*layers).astype(dtype)

    x, y = X.astype(dtype), Y.astype(dtype)
    settings = {"loss": "mse", "optimizer": adam, "batch_size": 5}
    file, model = program(make(), tmp_path, x, y, **settings), make()
    weights = tmp_path / "weights"
    assert call(file, "train", "40", "3", str(weights), given=csv(x, y)).stderr == ""
    tg.fit(model, x, y, epochs=40, seed=3, compiled=False, **settings)
    found = call(file, "predict", str(weights), given=csv(x, heading=""))
    outputs = [[float(number) for number in line.split(",")] for line in found.stdout.splitlines()]
    assert np.abs(model.layers[1].running_mean).max() > 0.01
    np.testing.assert_allclose(outputs, model.eval()(x).data, rtol=1e-9 if dtype == "float64" else 1e-4, atol=1e-6)
    weights.write_bytes(weights.read_bytes() + b"more")
    assert "cannot be read" in call(file, "predict", str(weights), given=csv(x, heading="")).stderr
