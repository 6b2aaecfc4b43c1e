"""The file that a program of its own keeps between training and predicting."""

import ctypes

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop.compilers import Library
from tests.interop.node import literal, numbers, run
from tests.interop.test_c import X, Y, adam, call, csv, program
from tinygrad_edu import nn
from tinygrad_edu.interop.c99_training import CTrainingFile
from tinygrad_edu.interop.javascript import training_program
from tinygrad_edu.interop.programs import network_program


@pytest.mark.slow
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


def normed():
    return nn.Sequential(
        nn.Linear(2, 3, False, rng=1), nn.BatchNorm(3), nn.Tanh(), nn.Dropout(0.2, rng=3), nn.Linear(3, 1)
    )


def test_weights_and_statistics_are_all_that_another_process_needs_in_c(tmp_path):
    settings = {"loss": "mse", "optimizer": adam, "batch_size": 5}
    program = network_program(normed(), X, Y[:, :1], hidden=False, **settings)
    text = CTrainingFile(program, "net", None).text()
    nets = [Library(program, text, folder(tmp_path / name)) for name in ("first", "second")]
    for net in nets:
        net.lib.net_weights.restype = net.lib.net_statistics.restype = ctypes.c_void_p
        net.lib.net_reset()
    trained, fresh = nets
    trained.train(X, Y[:, :1], 5, 30)
    shape = (len(X), 1)
    expected = trained.predict(X, shape)
    total = 8 * sum(p["array"].size for p in program.parameters)
    ctypes.memmove(fresh.lib.net_weights(), trained.lib.net_weights(), total)
    assert np.abs(fresh.predict(X, shape) - expected).max() > 0.01  # the weights alone are not enough
    bytes_ = ctypes.c_size_t()
    parts = 0
    while at := trained.lib.net_statistics(parts, ctypes.byref(bytes_)):
        ctypes.memmove(fresh.lib.net_statistics(parts, ctypes.byref(bytes_)), at, bytes_.value)
        parts += 1
    assert parts == 2
    assert (fresh.predict(X, shape) == expected).all()


def test_weights_and_statistics_are_all_that_another_process_needs_in_javascript(tmp_path):
    """And `reset` is a start: it left the running statistics and the masks of a dropout as they were."""
    text = training_program(normed(), X, Y[:, :1], loss="mse", optimizer=adam, batch_size=5)
    script = f"""{text} const X = {literal(X)}, y = {literal(Y[:, :1])};
    const net = network.create(), losses = Array.from(net.train(X, y, 30)), outputs = Array.from(net.predict(X));
    const other = network.create(net.weights);
    const alone = Array.from(other.predict(X));
    other.statistics.forEach((own, i) => own.set(net.statistics[i]));
    found.push(outputs, alone, Array.from(other.predict(X)), losses);
    net.reset();
    found.push(Array.from(net.train(X, y, 30)));"""
    outputs, alone, carried, losses, again = map(numbers, run(script, tmp_path))
    assert np.abs(alone - outputs).max() > 0.01
    assert (carried == outputs).all()
    assert (again == losses).all()


def folder(path):
    path.mkdir()
    return path
