"""NaN that a run meets: in the weights after its last step, and only in a compiled gradient."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, fit, fit_many, nn, optim
from tinygrad_edu.errors import CompileError, SettingError
from tinygrad_edu.train.stepper import TakenBackError

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(32, 3)), RNG.normal(size=(32, 1))
WAYS = [False, True]


class Pole(nn.Module):
    """The loss is finite; its gradient is not, because the second root is one of 0."""

    def __init__(self):
        self.w = Tensor([[1.0], [2.0], [3.0]], requires_grad=True)

    def forward(self, x):
        return x @ self.w + np.sqrt(np.sum(self.w * self.w) - 14.0)


@pytest.mark.parametrize("batch_size", [None, 32, 16])
@pytest.mark.parametrize("compiled", WAYS)
def test_weights_that_the_last_step_made_nan_are_told(compiled, batch_size):
    model = Pole()
    sgd = optim.SGD(model.parameters(), lr=0.1)
    run = fit(model, X, Y, loss="mse", optimizer=sgd, epochs=1, batch_size=batch_size, compiled=compiled)
    what = "loss" if batch_size == 16 else "weights"
    assert run.stop_reason.startswith(f"stopped in epoch 1: the {what} became NaN or infinite in batch 1")
    assert run.n_epochs == 0
    assert model.w.data.ravel().tolist() == [1.0, 2.0, 3.0]


class Masked(nn.Module):
    """A gradient of 0 meets an infinite derivative where x is large, which is in the third batch."""

    def __init__(self, seed=0):
        self.a, self.b = nn.Linear(3, 4, rng=seed), nn.Linear(4, 1, rng=seed + 1)

    def forward(self, x):
        z = self.a(x)
        return self.b(np.where(z > 30.0, 0.0, np.exp(z)))


FAR = np.where(np.arange(32)[:, None] == 20, 5000.0, 1.0) * X
SETTINGS = {"loss": "mse", "batch_size": 8, "shuffle": False}


def train(compiled, epochs=3):
    model = Masked()
    sgd = optim.SGD(model.parameters(), lr=1e-3)
    return fit(model, FAR, Y, optimizer=sgd, epochs=epochs, compiled=compiled, **SETTINGS)


def test_nan_of_the_compiled_gradient_alone_is_no_end_of_the_run(monkeypatch):
    monkeypatch.setattr("tinygrad_edu.train.choose.LOAD_SECONDS", 0.0)
    monkeypatch.setattr("tinygrad_edu.train.compiled.programs.CompiledJob.compile_seconds", lambda _: 0.0)
    run, eager = train("auto"), train(False)
    assert run.how.startswith("eager: epoch 1: the compiled gradient is 0 times infinity")
    assert run.loss_curve.tolist() == eager.loss_curve.tolist()


def test_where_compiling_was_asked_for_it_is_an_error():
    with pytest.raises(CompileError, match="0 times infinity"):
        train(True)
    with pytest.raises(TakenBackError, match=r"0 times infinity.*`fit` trains such models eagerly"):
        fit_many(Masked, FAR, Y, optimizer=lambda p: optim.SGD(p, lr=1e-3), epochs=2, seeds=[0], **SETTINGS)


def test_the_search_of_lbfgs_goes_on_too(monkeypatch):
    monkeypatch.setattr("tinygrad_edu.train.choose.eager_seconds", lambda _: 1e9)
    runs = []
    for compiled in (False, "auto"):
        model = Masked()
        lbfgs = optim.LBFGS(model.parameters())
        runs.append(fit(model, FAR, Y, loss="mse", optimizer=lbfgs, epochs=3, compiled=compiled))
    eager, auto = runs
    assert auto.how.startswith("eager: the compiled gradient is 0 times infinity")
    assert auto.loss_curve.tolist() == eager.loss_curve.tolist()
    model = Masked()
    with pytest.raises(CompileError, match="0 times infinity"):
        fit(model, FAR, Y, loss="mse", optimizer=optim.LBFGS(model.parameters()), epochs=3, compiled=True)


@pytest.mark.parametrize("compiled", WAYS)
def test_a_weight_that_was_infinite_before_is_not_called_too_large_a_step(compiled):
    model = nn.MLP([3, 1], seed=0)
    model.layers[0].bias.data = np.array([-np.inf])
    sgd = optim.SGD(model.parameters(), lr=0.1)
    run = fit(model, X, Y, loss="mse", optimizer=sgd, epochs=2, compiled=compiled)
    assert run.stop_reason.startswith("stopped in epoch 1: layers.0.bias held NaN or infinity before it")


@pytest.mark.parametrize("names", [["a", "b"], np.array(["a", None], dtype=object)], ids=["text", "objects"])
def test_classes_that_are_no_numbers_are_named(names):
    model, y = nn.MLP([3, 2], seed=0), np.resize(names, 32)
    with pytest.raises(SettingError, match=r"y of .* holds classes from \w+ to \w+ .* from 0 to 1 are needed"):
        fit(model, X, y, loss="cross_entropy", optimizer="sgd", epochs=1)
