"""Reports of runs of fit_online: their answers, their program; and of what is frozen."""

import html
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.reporting.settings import program_lines
from tinygrad_edu.train import fit_online

TIMES = np.sin(np.arange(41.0) * 0.3)[:, None]
X, Y = TIMES[:-1], TIMES[1:]


def trained(make, steps=1):
    model = make()
    return fit_online(model, X, Y, loss="mse", optimizer=lambda p: tg.optim.SGD(p, lr=0.05), epochs=2, steps=steps)


def reported(run, folder, *data):
    return tg.report(run, *data, path=folder / "report.html", diagnosis=None).read_text(encoding="utf-8")


@pytest.mark.parametrize("make", [lambda: nn.Elman(1, 4, 1, seed=1), lambda: nn.LSTM(1, 1, rng=1)])
def test_the_answers_are_those_of_the_whole_series(make, tmp_path):
    run = trained(make)
    text = reported(run, tmp_path, X, Y)
    off = np.sqrt(np.mean((run.model(X)[0].numpy() - Y) ** 2))
    assert f"The answers are off by {off:.4g} " in text
    assert "Predictions of the network over the targets" in text


@pytest.mark.parametrize("steps", [1, 8])
def test_the_program_trains_it_again(steps):
    run = trained(lambda: nn.Elman(1, 4, 1, seed=1), steps)
    program = "\n".join(program_lines(run))
    assert ("steps=8" in program) == (steps == 8)
    names = {"X": X, "Y": Y}
    exec(re.sub(r"model = \.\.\.[^\n]*", "model = tg.nn.Elman(1, 4, 1, seed=1)", program).replace(" y,", " Y,"), names)
    np.testing.assert_array_equal(names["run"].loss_curve, run.loss_curve)


def test_a_frozen_layer_is_in_the_picture_of_the_network(tmp_path):
    model = nn.MLP([2, 3, 4, 1], seed=0)
    for p in (model.layers[0].weight, model.layers[0].bias):
        p.requires_grad = False
    run = tg.fit(model, *tg.data.moons(12), loss="mse", optimizer="adam", epochs=1)
    text = reported(run, tmp_path)
    network = text[text.index('id="network"') :]
    picture = html.unescape(network[network.index("<svg") : network.index("</svg>")])
    assert all(f"layers.{i}" in picture for i in range(3))
    assert not model.layers[0].weight.requires_grad
