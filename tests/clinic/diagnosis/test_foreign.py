"""Networks of PyTorch and Keras under diagnosis: the fault that was built in, in the words of their users."""

import json
from itertools import pairwise

import numpy as np
import pytest

from tinygrad_edu.clinic import diagnose
from tinygrad_edu.errors import SettingError, TinygradError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(160, 3))
CLASSES = (X[:, 0] + X[:, 1] > 0).astype(int)
SUM = X.sum(axis=1)


@pytest.fixture
def torch():
    module = pytest.importorskip("torch")
    module.manual_seed(0)
    return module


def net(torch, *sizes, last=()):
    T = torch.nn
    layers = [m for a, b in pairwise(sizes) for m in (T.Linear(a, b), T.Tanh())][:-1]
    return T.Sequential(*layers, *last)


def trained(torch, model, X, y, loss, optimizer, epochs=40, batch=20):
    X, y = torch.tensor(X, dtype=torch.float32), torch.tensor(y)
    y = y.float() if y.is_floating_point() else y
    for _ in range(epochs):
        for rows in torch.randperm(len(X)).split(batch):
            optimizer.zero_grad()
            loss(model(X[rows]), y[rows]).backward()
            optimizer.step()
    return {"loss": loss, "optimizer": optimizer, "epochs": epochs, "batch_size": batch}


def sgd(torch, model, lr):
    return torch.optim.SGD(model.parameters(), lr=lr)


@pytest.mark.torch
def test_a_healthy_network_of_torch(torch):
    model = net(torch, 3, 12, 2)
    how = trained(torch, model, X, CLASSES, torch.nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=0.02))
    found = diagnose(model, X, CLASSES, **how)
    assert found.healthy
    assert found.causes == []


FAULTS = {  # the code, and what its remedy says
    "low rate": ("lr_too_low", r"torch\.optim\.SGD\(model\.parameters\(\), lr="),
    "unscaled": ("inputs_not_scaled", r"X\.mean\(0\)"),
    "broadcast": ("broadcast_in_loss", r"reshape\(-1, 1\)"),
    "two softmaxes": ("wrong_loss", "In PyTorch: no nn.Softmax"),
    "not held": ("unregistered_parameters", r"model\.parameters\(\)"),
}


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Using a target size")  # what torch says of shapes that broadcast
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_torch_is_named_in_its_words(name, torch):
    T, given, y, lr, loss = torch.nn, X, SUM[:, None], 0.05, torch.nn.MSELoss()
    model = net(torch, 3, 12, 1)
    optimizer = sgd(torch, model, 1e-5 if name == "low rate" else lr)
    if name == "unscaled":
        given = X * [1.0, 400.0, 3000.0]
    if name == "broadcast":
        y = SUM
    if name == "two softmaxes":
        model, y, loss = net(torch, 3, 12, 2, last=[T.Softmax(dim=1)]), CLASSES, T.CrossEntropyLoss()
        optimizer = sgd(torch, model, 0.001)
    if name == "not held":
        optimizer = torch.optim.SGD(model[0].parameters(), lr=1e-3)
    found = diagnose(model, given, y, **trained(torch, model, given, y, loss, optimizer))
    code, words = FAULTS[name]
    assert found.healthy is False
    assert found.causes[0].code == code
    import re

    assert re.search(words, found.causes[0].remedy + found.causes[0].proof)


@pytest.mark.torch
def test_a_module_that_cannot_be_taken_over_is_looked_through(torch):
    T = torch.nn

    class Recurrent(T.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head, self.idle = T.LSTM(3, 4, batch_first=True), T.Linear(4, 1), T.Linear(4, 4)

        def forward(self, x):
            return self.head(self.body(x)[0][:, -1])

    model, series, y = Recurrent(), RNG.normal(size=(30, 5, 3)), RNG.normal(size=(30, 1))
    found = diagnose(model, series, y, loss=T.MSELoss(), optimizer=torch.optim.Adam(model.parameters()), epochs=1)
    assert found.causes[0].code == "unregistered_parameters"
    assert "idle.weight" in found.causes[0].evidence
    assert any("training again" in row for row in found.not_checked)
    assert model.head.weight.grad is None
    model.idle = T.Identity()
    found = diagnose(model, series, y[:, 0], loss=T.MSELoss(), optimizer=torch.optim.Adam(model.parameters()), epochs=1)
    assert found.causes[0].code == "broadcast_in_loss"


def keras_json(*layers):
    head = {"class_name": "InputLayer", "config": {"batch_shape": [None, 3]}}
    made = [{"class_name": "Dense", "config": {"units": units, "activation": name}} for units, name in layers]
    return json.dumps({"class_name": "Sequential", "config": {"layers": [head, *made]}})


def test_keras_by_its_json():
    how = {"loss": "binary_crossentropy", "optimizer": "adam", "lr": 0.02, "epochs": 40}
    found = diagnose(keras_json((12, "relu"), (1, "sigmoid")), X, CLASSES, **how)
    assert found.goal is not None
    one = diagnose(keras_json((12, "relu"), (1, "softmax")), X, CLASSES, **how)
    assert one.causes[0].code == "wrong_output_activation"
    assert "Dense" in one.causes[0].remedy or "keras" in one.causes[0].remedy


def test_keras_in_its_words():
    text = keras_json((12, "relu"), (1, "linear"))
    found = diagnose(text, X * [1.0, 400.0, 3000.0], SUM, loss="mse", optimizer="sgd", lr=1e-3, epochs=30)
    assert found.causes[0].code == "inputs_not_scaled"
    assert "keras.layers.Normalization" in found.causes[0].remedy


def test_what_is_missing_is_asked_for():
    with pytest.raises(SettingError, match="loss=, optimizer=, epochs="):
        diagnose(keras_json((1, "linear")), X, SUM)
    with pytest.raises(TinygradError, match="mine"):
        diagnose(keras_json((1, "linear")), X, SUM, loss="mine", optimizer="sgd", epochs=3)
