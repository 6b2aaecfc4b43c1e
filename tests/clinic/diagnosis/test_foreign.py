"""Networks of PyTorch and Keras under diagnosis: the fault that was built in, in the words of their users."""

import json
from functools import partial
from itertools import pairwise

import numpy as np
import pytest

from tinygrad_edu import clinic
from tinygrad_edu.errors import SettingError, TinygradError

diagnose = partial(clinic.diagnose, budget_s=300.0)  # ample even on a machine kept busy by parallel tests
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


@pytest.mark.slow
@pytest.mark.torch
def test_a_healthy_network_of_torch(torch):
    model = net(torch, 3, 12, 2)
    how = trained(torch, model, X, CLASSES, torch.nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=0.02))
    found = diagnose(model, X, CLASSES, **how)
    assert found.healthy
    assert found.causes == []


FAULTS = {  # (the cause's code, what its remedy says)
    "low rate": ("lr_too_low", r"torch\.optim\.SGD\(model\.parameters\(\), lr="),
    "unscaled": ("inputs_not_scaled", r"X\.mean\(0\)"),
    "broadcast": ("broadcast_in_loss", r"reshape\(-1, 1\)"),
    "two softmaxes": ("wrong_loss", "In PyTorch: no nn.Softmax"),
    "not held": ("unregistered_parameters", r"model\.parameters\(\)"),
}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Using a target size")  # torch's warning about shapes that broadcast
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
            outputs = self.body(x)[0]
            return self.head(outputs[:, -1] + outputs[:, 0])  # two paths: not a plain chain of layers

    model, series, y = Recurrent(), RNG.normal(size=(30, 5, 3)), RNG.normal(size=(30, 1))
    found = diagnose(model, series, y, loss=T.MSELoss(), optimizer=torch.optim.Adam(model.parameters()), epochs=1)
    assert found.causes[0].code == "unregistered_parameters"
    assert "idle.weight" in found.causes[0].evidence
    assert any("training again" in row for row in found.not_checked)
    assert model.head.weight.grad is None
    model.idle = T.Identity()
    found = diagnose(model, series, y[:, 0], loss=T.MSELoss(), optimizer=torch.optim.Adam(model.parameters()), epochs=1)
    assert found.causes[0].code == "broadcast_in_loss"


class Reader:
    """A recurrent module, in the forms in which people write its forward."""

    FORMS = ("last", "state", "zeros", "times first", "single numbers")

    @staticmethod
    def of(torch, form, cell="LSTM", width=2):
        T = torch.nn

        class Module(T.Module):
            def __init__(self):
                super().__init__()
                self.body = getattr(T, cell)(
                    1 if form == "single numbers" else width, 6, batch_first=form != "times first"
                )
                self.head = T.Linear(6, 1)

            def forward(self, x):
                if form == "single numbers":
                    x = x.unsqueeze(-1)
                if form == "times first":
                    return self.head(self.body(x.transpose(0, 1))[0][-1])
                start = torch.zeros(1, len(x), 6)
                given = (x, (start, start) if cell == "LSTM" else start) if form == "zeros" else (x,)
                outputs, state = self.body(*given)
                h = state[0] if cell == "LSTM" else state
                return torch.sigmoid(self.head(torch.relu(h[-1]))) if form == "state" else self.head(outputs[:, -1])

        return Module()


@pytest.mark.torch
@pytest.mark.parametrize("cell", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("form", Reader.FORMS)
def test_recurrent_modules_are_taken_over(torch, form, cell):
    from tinygrad_edu.interop import from_torch

    model, series = Reader.of(torch, form, cell), RNG.normal(size=(9, 4, 2))
    series = series[:, :, 0] if form == "single numbers" else series
    theirs = model(torch.tensor(series, dtype=torch.float32)).detach().numpy()
    fed = series[:, :, None] if form == "single numbers" else series
    np.testing.assert_allclose(from_torch(model, series).eval()(fed).numpy(), theirs, atol=1e-6)


@pytest.mark.torch
def test_what_is_no_row_of_layers_is_refused(torch):
    from tinygrad_edu.interop import from_torch

    T = torch.nn

    class Module(T.Module):
        def __init__(self, how):
            super().__init__()
            self.how, self.body, self.head = how, T.LSTM(2, 6, batch_first=how != "samples as times"), T.Linear(6, 1)
            self.first, self.last = T.Linear(2, 2), T.Linear(2, 1)

        def forward(self, x):
            if self.how == "twice":
                return self.last(self.first(self.first(x[:, 0])))
            if self.how == "hidden dropout":
                return self.last(T.functional.dropout(self.first(x[:, 0]), 0.5, self.training))
            start = torch.randn(1, len(x), 6)
            return self.head(self.body(x, (start, start) if self.how == "random state" else None)[0][:, -1])

    for how, words in (
        ("twice", "more than once|reshape"), ("hidden dropout", "differ|reshape"), ("random state", "differ"),
        ("samples as times", "samples for times"),
    ):  # fmt: skip
        with pytest.raises(TinygradError, match=words):
            from_torch(Module(how), RNG.normal(size=(9, 4, 2)))


@pytest.mark.slow
@pytest.mark.torch
def test_a_recurrent_module_is_trained_again(torch):
    T, series = torch.nn, RNG.normal(size=(60, 3, 1))
    y = (series[:, 2] > 0).astype(float)
    model = Reader.of(torch, "last", width=1)
    how = trained(torch, model, series, y, T.BCEWithLogitsLoss(), sgd(torch, model, 1e-4), epochs=8)
    found = diagnose(model, series, y, **how)
    assert found.causes[0].code in ("lr_too_low", "too_few_epochs")
    assert "torch.optim." in found.causes[0].remedy or "epochs" in found.causes[0].remedy


@pytest.mark.torch
def test_samples_that_are_taken_for_times(torch):
    T = torch.nn

    class Module(T.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = T.LSTM(2, 6), T.Linear(6, 1)

        def forward(self, x):
            return self.head(self.body(x)[0][:, -1])

    model, series = Module(), RNG.normal(size=(40, 5, 2))
    optimizer = torch.optim.Adam(model.parameters())
    found = diagnose(model, series, series[:, 0, :1], loss=T.MSELoss(), optimizer=optimizer, epochs=3)
    assert found.causes[0].code == "mixed_samples"
    assert "batch_first" in found.causes[0].remedy


@pytest.mark.slow
@pytest.mark.torch
def test_outputs_that_are_squeezed_do_not_broadcast(torch):
    class Squeezed(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net(torch, 3, 12, 1)

        def forward(self, x):
            return self.net(x).squeeze(-1)

    model = Squeezed()
    how = trained(torch, model, X, SUM, torch.nn.MSELoss(), torch.optim.Adam(model.parameters(), lr=0.02))
    assert diagnose(model, X, SUM, **how).healthy


@pytest.mark.torch
def test_a_summed_loss_has_the_rate_of_its_sum(torch):
    how = {"epochs": 30, "batch_size": 20}
    means = [("mean", 0.04), ("sum", 0.002)]  # 20 samples: both take the same steps
    found = []
    for reduction, lr in means:
        model = net(torch, 3, 12, 1)
        loss, optimizer = torch.nn.MSELoss(reduction=reduction), sgd(torch, model, lr)
        found.append(diagnose(model, X, SUM[:, None], loss=loss, optimizer=optimizer, **how).setup)
    assert found[0].lr == pytest.approx(found[1].lr)
    assert "lr 0.002 → 0.02" in found[1].difference({"lr": 10 * found[1].lr})


def keras_json(*layers):
    head = {"class_name": "InputLayer", "config": {"batch_shape": [None, 3]}}
    made = [{"class_name": "Dense", "config": {"units": units, "activation": name}} for units, name in layers]
    return json.dumps({"class_name": "Sequential", "config": {"layers": [head, *made]}})


@pytest.mark.slow
def test_keras_by_its_json():
    how = {"loss": "binary_crossentropy", "optimizer": "adam", "lr": 0.02, "epochs": 40}
    found = diagnose(keras_json((12, "relu"), (1, "sigmoid")), X, CLASSES, **how)
    assert found.goal is not None
    one = diagnose(keras_json((12, "relu"), (1, "softmax")), X, CLASSES, **how)
    assert one.causes[0].code == "wrong_output_activation"
    assert "Dense" in one.causes[0].remedy or "keras" in one.causes[0].remedy


@pytest.mark.slow
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


@pytest.mark.torch
def test_layers_in_a_plain_list_are_not_trained(torch):
    T = torch.nn

    class Listed(T.Module):
        def __init__(self):
            super().__init__()
            self.hidden, self.head = [T.Linear(3, 8), T.Linear(8, 8)], T.Linear(8, 1)

        def forward(self, x):
            for layer in self.hidden:
                x = torch.tanh(layer(x))
            return self.head(x)

    model = Listed()
    found = diagnose(model, X, SUM[:, None], loss=T.MSELoss(), optimizer=sgd(torch, model, 0.1), epochs=3)
    assert found.causes[0].code == "unregistered_parameters"
    assert "ModuleList" in found.causes[0].remedy


@pytest.mark.slow
@pytest.mark.torch
def test_running_statistics_that_are_not_those_of_the_data(torch):
    T, far = torch.nn, 3.0 + 4.0 * X
    for momentum, wrong in ((0.001, True), (0.1, False)):
        model = T.Sequential(T.Linear(3, 16), T.BatchNorm1d(16, momentum=momentum), T.ReLU(), T.Linear(16, 1))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        how = trained(torch, model, far, SUM[:, None], T.MSELoss(), optimizer)
        found = diagnose(model, far, SUM[:, None], **how, budget_s=5.0)
        assert ("batch_norm_statistics" in [cause.code for cause in found.causes]) is wrong
        assert found.setup is None or found.setup.pattern is None or wrong
