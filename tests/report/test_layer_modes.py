"""A layer that was frozen by its own eval() stays so, whatever looks at its model or trains it."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, train

X, Y = np.random.default_rng(0).normal(size=(8, 2)), np.ones((8, 1))
SETTINGS = {"loss": "mse", "optimizer": "sgd"}


def fit(model, **more):
    return tg.fit(model, X, Y, epochs=1, compiled=False, **SETTINGS, **more)


LOOKS = {
    "C": lambda model, folder: tg.export(model, folder / "net.c", X),
    "C that trains": lambda model, folder: tg.export(model, folder / "net.c", X, Y, **SETTINGS),
    "ONNX": lambda model, folder: tg.export(model, folder / "net.onnx", X),
    "accuracy": lambda model, folder: train.accuracy(model, X, Y, threshold=0.5),
    "fit": lambda model, folder: fit(model, validation=(X, Y)),
    "range test": lambda model, folder: tg.lr_range_test(model, X, Y, steps=3, **SETTINGS),
    "histograms": lambda model, folder: fit(model, callbacks=[train.Histograms()]),
    "draw": lambda model, folder: tg.draw(model, inputs=X).save(folder / "net.html"),
}


def frozen():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm(3), nn.Tanh(), nn.Linear(3, 1, rng=1))
    model[1].eval()
    return model


def modes(model):
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("name", LOOKS)
def test_modes_are_as_before(name, tmp_path):
    if name == "ONNX":
        pytest.importorskip("onnx", reason="needs onnx: the extra onnx")
    model = frozen()
    before = modes(model)
    LOOKS[name](model, tmp_path)
    assert modes(model) == before == [True, True, False, True, True]


@pytest.mark.slow
def test_modes_are_as_before_a_report_and_an_animation(tmp_path):
    run = fit(frozen())
    before = modes(run.model)
    tg.report(run, path=tmp_path / "run.html", diagnosis=None)
    tg.animate(run, path=tmp_path / "film.html")
    assert modes(run.model) == before == [True, True, False, True, True]
