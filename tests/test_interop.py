"""Networks of PyTorch and Keras: the same outputs and steps, and what has no counterpart refused by name."""

import json

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import OperandError, SettingError, TinygradError
from tinygrad_edu.interop import from_keras, from_torch
from tinygrad_edu.interop.keras_models import ACTIVATIONS as KERAS_ACTIVATIONS
from tinygrad_edu.interop.torch_modules import ACTIVATIONS as TORCH_ACTIVATIONS
from tinygrad_edu.interop.training import KERAS_LOSSES, TORCH_LOSSES, optimizer_of
from tinygrad_edu.nn.layers import find_activation
from tinygrad_edu.nn.losses import LOSSES

X = np.random.default_rng(0).normal(size=(7, 3))


# Keras, by its JSON


def layer(kind, **config):
    return {"class_name": kind, "config": config}


def keras_json(*layers, features=3):
    head = layer("InputLayer", batch_shape=[None, features])
    return json.dumps({"class_name": "Sequential", "config": {"name": "s", "layers": [head, *layers]}})


def test_the_json_of_keras_gives_an_mlp():
    text = keras_json(
        layer("Dense", units=8, activation="relu"), layer("Dropout", rate=0.25),
        layer("Dense", units=4, activation="relu"), layer("Dropout", rate=0.25),
        layer("Dense", units=1, activation="sigmoid"),
    )  # fmt: skip
    model = from_keras(text)
    assert isinstance(model, nn.MLP)
    assert (model.sizes, model.dropout.p) == ((3, 8, 4, 1), 0.25)
    assert (model.activation.name, model.out_activation.name) == ("relu", "sigmoid")


@pytest.mark.parametrize("name", KERAS_ACTIVATIONS)
def test_every_activation_of_keras_has_one_here(name):
    model = from_keras(keras_json(layer("Dense", units=4, activation=name), layer("Dense", units=1)))
    assert model.eval()(X).shape == (7, 1)


def test_layers_that_are_no_mlp_make_a_sequential():
    text = keras_json(
        layer("Dense", units=4, activation="relu"), layer("Dense", units=4, activation="tanh"),
        layer("LayerNormalization", epsilon=1e-3), layer("Dense", units=2),
    )  # fmt: skip
    assert isinstance(from_keras(text), nn.Sequential)


def test_older_forms_of_the_json_are_read():
    dense = layer("Dense", units=2, activation={"class_name": "relu", "config": "relu"}, batch_input_shape=[None, 5])
    assert from_keras({"class_name": "Sequential", "config": [dense]}).sizes == (5, 2)


@pytest.mark.parametrize(
    ("model", "error", "words"),
    [
        (keras_json(layer("Conv2D", filters=3)), SettingError, "Conv2D has no counterpart"),
        (keras_json(layer("Dense", units=2, activation="mine")), SettingError, "'mine' has no counterpart"),
        (
            json.dumps({"class_name": "Sequential", "config": {"layers": [layer("Dense", units=2)]}}),
            SettingError,
            "features",
        ),
        (json.dumps({"class_name": "Sequential", "config": {"layers": []}}), OperandError, "no layers"),
        (3, OperandError, "takes a Keras model"),
    ],
)
def test_what_keras_has_and_this_has_not_is_named(model, error, words):
    with pytest.raises(error, match=words):
        from_keras(model)


def test_losses_are_those_that_there_are():
    for name in [ours for ours, _ in TORCH_LOSSES.values()] + list(KERAS_LOSSES.values()):
        assert name in LOSSES or name in ("nll", "categorical", "poisson_of_rates")
    assert all(find_activation(name) is not None for name in KERAS_ACTIVATIONS.values() if name != "log_softmax")
    assert optimizer_of("adam") == ("Adam", 0.001, {})
    with pytest.raises(TinygradError, match="nothing"):
        optimizer_of("nothing")


# PyTorch


@pytest.fixture
def torch():
    module = pytest.importorskip("torch")
    module.manual_seed(0)
    return module


def outputs(torch, net):
    return net.double().eval()(torch.tensor(X)).detach().numpy()


@pytest.mark.torch
@pytest.mark.parametrize("name", TORCH_ACTIVATIONS)
def test_every_activation_of_torch_gives_the_same(name, torch):
    made = getattr(torch.nn, name)
    last = made(dim=1) if "Soft" in name and "max" in name else made()
    net = torch.nn.Sequential(torch.nn.Linear(3, 5), last)
    np.testing.assert_allclose(
        np.asarray(from_torch(net.double()).eval()(X).data), outputs(torch, net), rtol=1e-9, atol=1e-12
    )


def module_of(torch, kind):
    """A few forms in which people write the same network."""
    T = torch.nn

    class Own(T.Module):
        def __init__(self):
            super().__init__()
            self.first, self.norm, self.second = T.Linear(3, 6), T.BatchNorm1d(6), T.Linear(6, 2)

        def forward(self, x):
            return self.second(torch.relu(self.norm(self.first(x))))

    class Nested(T.Module):
        def __init__(self):
            super().__init__()
            self.body, self.head = T.Sequential(T.Linear(3, 6), T.Tanh(), T.Dropout(0.3)), T.Linear(6, 1)

        def forward(self, x):
            x = x.view(-1, 3)
            return self.head(self.body(x)).sigmoid()

    return {
        "plain": lambda: T.Sequential(T.Linear(3, 6), T.ReLU(), T.Linear(6, 6), T.ReLU(), T.Linear(6, 1)),
        "no bias": lambda: T.Sequential(T.Linear(3, 6, bias=False), T.ReLU(), T.Linear(6, 1, bias=False)),
        "layer norm": lambda: T.Sequential(T.Linear(3, 6), T.LayerNorm(6), T.GELU(), T.Linear(6, 1)),
        "mixed": lambda: T.Sequential(T.Linear(3, 6), T.ReLU(), T.Linear(6, 6), T.Tanh(), T.Linear(6, 1)),
        "one layer": lambda: T.Linear(3, 2), "own": Own, "nested": Nested,
    }[kind]()  # fmt: skip


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["plain", "no bias", "layer norm", "mixed", "one layer", "own", "nested"])
def test_outputs_are_the_same(kind, torch):
    net = module_of(torch, kind).double()
    net.train()(torch.tensor(X))  # changes the statistics of a BatchNorm
    found = from_torch(net)
    assert isinstance(found, nn.Sequential if kind == "mixed" else nn.MLP)
    np.testing.assert_allclose(found.eval()(X).data, outputs(torch, net), rtol=1e-9, atol=1e-12)


@pytest.mark.torch
def test_steps_of_training_are_the_same(torch):
    net = module_of(torch, "plain").double()
    model, y = from_torch(net), X[:, :1] * X[:, 1:2]
    theirs = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    kind, lr, options = optimizer_of(theirs)
    ours = getattr(tg.optim, kind)(model.parameters(), lr=lr, **options)
    run = tg.fit(model, X, y, loss="mse", optimizer=ours, epochs=20, compiled=False)
    losses = []
    for _ in range(20):
        theirs.zero_grad()
        loss = torch.nn.functional.mse_loss(net(torch.tensor(X)), torch.tensor(y))
        losses.append(loss.item())
        loss.backward()
        theirs.step()
    np.testing.assert_allclose(run.loss_curve, losses, rtol=1e-9)


@pytest.mark.torch
def test_what_torch_has_and_this_has_not_is_named(torch):
    T = torch.nn

    class Residual(T.Module):
        def __init__(self):
            super().__init__()
            self.layer = T.Linear(3, 3)

        def forward(self, x):
            return x + self.layer(x)

    with pytest.raises(OperandError, match="Residual"):
        from_torch(Residual())
    with pytest.raises(SettingError, match="Bilinear"):
        from_torch(T.Sequential(T.Bilinear(2, 2, 2)))
    with pytest.raises(SettingError, match="negative_slope"):
        from_torch(T.Sequential(T.Linear(3, 3), T.LeakyReLU(0.3)))
    with pytest.raises(OperandError, match="takes a torch"):
        from_torch(3)
