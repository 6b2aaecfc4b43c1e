"""What one pass shows of networks that are not trained again: a row for each fault, and networks without one."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.one_pass import Pass, look_through
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.interop import from_keras

RNG = np.random.default_rng(0)
X = RNG.normal(size=(80, 4))
W, V = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5))
SUM, LABELS = 20.0 + X.sum(axis=1, keepdims=True), (X[:, 0] > 0).astype(int)


def softmax(z, axis=1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def sigmoid(z):
    return 1.0 / (1.0 + np.exp(-z))


def two_ways(X):
    """Two branches of the same inputs, side by side: no chain of layers."""
    return np.hstack([np.maximum(X @ W, 0.0), np.tanh(X @ V)])


def head(width, seed=1):
    return np.random.default_rng(seed).normal(size=(10, width)) / 3.0


class OfFunction(Pass):
    """A pass of a function of NumPy."""

    def __init__(self, forward, loss, y, kind="", logits=False, ends=""):
        self.function, self.loss, self.X, self.y = forward, loss, X, y
        self.loss_kind, self.takes_logits, self.ends_in = kind, logits, ends
        self.output = forward(X)
        self.value = loss(self.output, y)

    def forward(self, X):
        return self.function(X)

    def loss_of(self, output, y):
        return self.loss(output, y)


def squared(p, t):
    return float(np.mean((p - t) ** 2))


def logistic(z, t):
    return float(np.mean(np.logaddexp(0.0, z) - t * z))


def crossed(p, t):
    return float(-np.mean(np.log(p[np.arange(len(t)), t] + 1e-9)))


FAULTS = {  # name: (forward, loss, targets, kind of loss, takes logits, last activation), cause
    "sigmoid for numbers": (lambda X: sigmoid(two_ways(X) @ head(1)), squared, SUM, "mse", False, "sigmoid"),
    "tanh, a loss of one's own": (lambda X: np.tanh(two_ways(X) @ head(1)), squared, SUM, "", False, "tanh"),
    "softmax of one": (lambda X: softmax(two_ways(X) @ head(1)), squared, LABELS[:, None], "bce", False, "softmax"),
    "two softmaxes": (lambda X: softmax(two_ways(X) @ head(2)), crossed, LABELS, "cross_entropy", True, "softmax"),
    "two sigmoids": (lambda X: sigmoid(two_ways(X) @ head(1)), squared, LABELS[:, None], "bce", True, "sigmoid"),
    "raw outputs": (lambda X: two_ways(X) @ head(1), squared, LABELS[:, None], "bce", False, ""),
    "broadcast": (lambda X: two_ways(X) @ head(1), squared, SUM[:, 0], "mse", False, ""),
    "over the batch": (lambda X: softmax(two_ways(X) @ head(2), axis=0), crossed, LABELS, "cross_entropy", False, ""),
    "turned": (lambda X: np.cumsum(two_ways(X) @ head(1), axis=0), squared, SUM, "mse", False, ""),
}
CAUSES = {
    "sigmoid for numbers": "targets_out_of_range", "tanh, a loss of one's own": "targets_out_of_range",
    "softmax of one": "wrong_output_activation", "two softmaxes": "wrong_loss", "two sigmoids": "wrong_loss",
    "raw outputs": "wrong_output_activation", "broadcast": "broadcast_in_loss", "over the batch": "mixed_samples",
    "turned": "mixed_samples",
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_seen_in_one_pass(name):
    found = look_through(lambda: OfFunction(*FAULTS[name]), "training again: no chain")
    assert found.healthy is False
    assert found.causes[0].code == CAUSES[name]
    assert found.not_checked == ["training again: no chain"]


FINE = {
    "numbers": (lambda X: two_ways(X) @ head(1), squared, SUM, "mse", False, ""),
    "in its range": (lambda X: sigmoid(two_ways(X) @ head(1)), squared, sigmoid(SUM - 20.0), "mse", False, "sigmoid"),
    "classes": (lambda X: softmax(two_ways(X) @ head(2)), crossed, LABELS, "cross_entropy", False, "softmax"),
    "relu, two values": (lambda X: np.maximum(two_ways(X) @ head(1), 0), squared, -LABELS[:, None], "", False, "relu"),
    "one class said": (lambda X: 0.0 * X[:, :1] + 1.0, squared, LABELS[:, None], "bce", False, "sigmoid"),
}  # fmt: skip


@pytest.mark.parametrize("name", FINE)
def test_nothing_is_named_where_nothing_is_certain(name):
    found = look_through(lambda: OfFunction(*FINE[name]), "")
    assert (found.healthy, found.causes) == (None, [])


def test_a_network_that_does_well_has_no_fault_that_matters():
    row = (lambda X: 4.0 * sigmoid(9.0 * X[:, :1]), squared, LABELS[:, None], "bce", True, "sigmoid")
    found = look_through(lambda: OfFunction(*row), "")
    assert found.healthy is False  # every sample is predicted to be of class 1
    right = (lambda X: softmax(np.c_[-9.0 * X[:, 0], 9.0 * X[:, 0]]), crossed, LABELS, "cross_entropy", True, "softmax")
    found = look_through(lambda: OfFunction(*right), "")
    assert (found.healthy, found.causes) == (None, [])
    assert found.symptoms[0].code == "wrong_loss"
    assert "explains 100.0%" in found.summary


@pytest.mark.parametrize(("mean", "scale", "named"), [(0.5, 30.0, True), (0.0, 1.0, False), (0.5, 0.0, False)])
def test_batch_statistics_are_the_cause_where_those_of_the_data_do_well(mean, scale, named):
    """Whether a network does badly by its running statistics alone, or also by those of the samples."""

    class Normed(OfFunction):
        def by_own_statistics(self):
            return 4.0 * scale * X[:, :1]

    row = (lambda X: 4.0 * (mean - X[:, :1]) if mean else 4.0 * X[:, :1], logistic, LABELS[:, None], "bce", True, "")
    found = look_through(lambda: Normed(*row), "")
    assert [cause.code for cause in found.causes] == ["batch_norm_statistics"] * named


# Keras is not installed here: a stand-in replaces it


class Layer:
    """A layer as the conversion and the pass look at it."""

    trainable = True

    def __init__(self, kind, config, *weights):
        self.kind, self.config, self.arrays, self.weights = kind, config, weights, weights
        self.name = kind.lower()
        self.activation = SimpleNamespace(__name__=config["activation"]) if "activation" in config else None

    def get_config(self):
        return self.config

    def get_weights(self):
        return list(self.arrays)


def layer(kind, config, *weights):
    return type(kind, (Layer,), {})(kind, config, *weights)


def dense(width, activation, weights):
    return layer("Dense", {"units": width, "activation": activation}, weights, np.zeros(width))


class Model:
    """A model with layers and a call of its own."""

    built, input_shape = True, (None, 4)

    def __init__(self, layers, call, loss="mse", optimizer="adam"):
        self.layers, self.call, self.loss, self.optimizer = layers, call, loss, optimizer
        self.outputs = [SimpleNamespace(_keras_history=SimpleNamespace(operation=layers[-1]))]

    def __call__(self, X, training=False):
        return self.call(X)

    def get_config(self):
        return {}

    def get_weights(self):
        return []


@pytest.fixture
def keras(monkeypatch):
    """The functions of Keras that one pass calls."""
    functions = {"mse": lambda t, p: (p - t) ** 2}
    stand_in = SimpleNamespace(
        losses=SimpleNamespace(get=lambda loss: functions.get(loss, loss) if isinstance(loss, str) else loss),
        ops=SimpleNamespace(convert_to_tensor=np.asarray, convert_to_numpy=np.asarray),
    )
    monkeypatch.setitem(sys.modules, "keras", stand_in)


BRANCHES = [dense(5, "relu", W), dense(5, "tanh", V), layer("Concatenate", {}), dense(1, "sigmoid", head(1))]


@pytest.mark.parametrize("inputs", [X, [X, X[:, :2]]])
def test_a_keras_model_that_is_no_chain_is_looked_through(inputs, keras):
    def call(X):
        return sigmoid(two_ways(X[0] if isinstance(X, list) else X) @ head(1))

    found = diagnose(Model(BRANCHES, call), inputs, SUM[:, 0], epochs=3)
    assert [cause.code for cause in found.causes] == ["targets_out_of_range"]
    assert "In Keras" in found.causes[0].remedy
    assert any("training again" in row for row in found.not_checked)


def test_a_loss_of_ones_own_is_looked_through_in_keras(keras):
    rows = [dense(5, "tanh", W), dense(1, "sigmoid", W[:1].T.copy())]
    model = Model(rows, lambda X: sigmoid(np.tanh(X @ W) @ W[:1].T), lambda t, p: (p - t) ** 4)
    assert [cause.code for cause in diagnose(model, X, SUM, epochs=3).causes] == ["targets_out_of_range"]


def test_what_only_its_owner_knows_is_asked_for(keras):
    model = Model(BRANCHES, lambda X: X[:, :1], loss=None)
    with pytest.raises(SettingError, match="loss= missing"):
        diagnose(model, X, SUM, epochs=3)


def residual(X):
    return np.maximum(X @ W[:, :4], 0.0) + X


@pytest.mark.parametrize("right", [True, False])
def test_layers_are_a_chain_only_if_the_model_gives_what_they_give(right):
    model = Model([dense(4, "relu", W[:, :4])], (lambda X: np.maximum(X @ W[:, :4], 0.0)) if right else residual)
    if right:
        np.testing.assert_allclose(from_keras(model)(X).numpy(), model(X))
    else:
        with pytest.raises(OperandError, match="other outputs"):
            from_keras(model)


@pytest.mark.parametrize("kind", ["batch_size=32", "half precision", "diverged"])
def test_a_chain_of_any_kind_is_one(kind):
    weights = W[:, :4] * np.where(np.arange(4) == 1, np.nan, 1.0) if kind == "diverged" else W[:, :4]

    def call(X):
        if kind == "batch_size=32" and len(X) != 32:
            raise ValueError("expected shape=(32, 4)")
        return np.maximum(X @ weights, 0.0).astype(np.float16 if kind == "half precision" else float)

    model = Model([dense(4, "relu", weights)], call)
    model.input_shape = (32 if kind == "batch_size=32" else None, 4)
    assert from_keras(model)


def test_without_keras_its_models_say_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "keras", None)
    found = diagnose(Model(BRANCHES, lambda X: X[:, :1]), X, SUM, epochs=3)
    assert "needs keras: `pip install keras`" in found.summary


# PyTorch


@pytest.mark.torch
def test_layers_that_were_told_not_to_learn_are_the_cause_where_the_run_does_well_without():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    T, given = torch.nn, X[:, :2].astype(np.float32)
    y = (np.sin(2.0 * given[:, :1]) * given[:, 1:]).astype(np.float32)
    net = T.Sequential(T.Linear(2, 6), T.Tanh(), T.Linear(6, 1))
    for p in net[0].parameters():
        p.requires_grad = False
    how = {"loss": T.MSELoss(), "optimizer": torch.optim.Adam(net[2].parameters(), lr=0.02), "epochs": 400}
    found = diagnose(net, given, y, batch_size=20, goal={"r2": 0.8}, **how)
    assert found.causes[0].code == "unregistered_parameters"
    assert "all weights learning, 20 of 20" in found.causes[0].proof
    assert "requires_grad_(True)" in found.causes[0].remedy
