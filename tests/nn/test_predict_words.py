"""What `predict` says on a model that acts differently in training: it must be switched before it is asked."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn


class Noise(nn.Module):
    def forward(self, x):
        return x + 1.0 if self.training else x


MODELS = {
    "plain": (lambda: nn.MLP([2, 3, 1], seed=0), ""),
    "dropout": (lambda: nn.MLP([2, 3, 1], dropout=0.3, seed=0), "Dropout"),
    "batch": (lambda: nn.MLP([2, 3, 1], norm="batch", dropout=0.3, seed=0), "BatchNorm and Dropout"),
    "layer": (lambda: nn.MLP([2, 3, 1], norm="layer", seed=0), ""),
    "own": (lambda: nn.Sequential(nn.Linear(2, 1), Noise()), "Noise"),
    "recurrent": (lambda: nn.GRU(2, 3, num_layers=2, dropout=0.2), "Dropout"),
}


def advice(x, name):
    with pytest.raises(AttributeError) as raised:
        getattr(x, name)
    return str(raised.value)


@pytest.mark.parametrize("name", MODELS)
def test_predict_tells_of_eval_where_the_mode_matters(name):
    make, layers = MODELS[name]
    model = make()
    for word in ("predict", "predict_proba"):
        said = advice(model, word)
        assert ("after model.eval()" in said) == bool(layers), said
        assert layers in said
    model.eval()
    assert "eval()" not in advice(model, "predict")


def test_a_run_says_so_too():
    X = np.random.default_rng(0).normal(size=(8, 2))
    model = nn.MLP([2, 3, 1], dropout=0.3, seed=0)
    run = tg.fit(model, X, X[:, :1], loss="mse", optimizer="sgd", epochs=1, compiled=False)
    assert "Write run.model(X), after run.model.eval(): " in advice(run, "predict")
