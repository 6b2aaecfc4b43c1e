"""Whatever a trace or the compiler cannot do is done eagerly; fit_many and fit_online too."""

import random
import threading

import numpy as np
import pytest

from tests.train.fit.test_fit_state import LossObject, X, Y, assert_as_eager, counting_loss, makes, run_of
from tinygrad_edu import fit, fit_many, nn, ops, optim
from tinygrad_edu.compile.backend import cache
from tinygrad_edu.errors import CompileError, SettingError, TraceError
from tinygrad_edu.train import fit_online
from tinygrad_edu.train.compiled import programs

# Whatever a trace or the compiler cannot do


HARD = {
    "columns by a list": lambda s, x: s.b(s.hidden(x)[:, [0, 2, 1, 3, 4, 5]]),
    "np.take": lambda s, x: s.b(np.take(s.hidden(x), np.arange(6), axis=1)),
    "np.roll": lambda s, x: s.b(s.hidden(np.roll(x, 1, axis=1))),
    "np.round": lambda s, x: s.b(s.hidden(np.round(x))),
    "np.sort": lambda s, x: s.b(s.hidden(np.sort(x, axis=1))),
    "astype": lambda s, x: s.b(s.hidden(x.astype(float))),
    "copy": lambda s, x: s.b(s.hidden(x.copy())),
    "//": lambda s, x: s.b(s.hidden(x // 1)),
    "np.asarray": lambda s, x: s.b(s.hidden(np.asarray(x))),
    "np.eye(...)[x]": lambda s, x: s.b(s.hidden(np.eye(4)[(x > 0).argmax(axis=1)])),
    "decides by a value": lambda s, x: s.b(s.hidden(x)) * (1.0 if x[0, 0] > 0 else 2.0),
    "decides by a size": lambda s, x: s.b(s.hidden(x)) * (1.0 if x.shape[0] > 3 else 2.0),
    "a loop over rows": lambda s, x: s.b(s.hidden(np.stack(list(x)))),
    "its own graph": lambda s, x: s.b(s.hidden(x)) + float(np.sum(x)),
    "an einsum": lambda s, x: s.b(s.hidden(np.einsum("ij->ij", x))),
    "item": lambda s, x: s.b(s.hidden(x)) * x[0, 0].item(),
    "an isinstance": lambda s, x: s.b(s.hidden(x)) * (1.0 if isinstance(x, np.ndarray) else 2.0),
    "a complex number": lambda s, x: s.b(s.hidden(np.real(x + 0j))),
    "float max": lambda s, x: np.max(s.hidden(x), axis=1, keepdims=True) + s.b(s.hidden(x)),
}


@pytest.mark.as_python(
    but=("float64-columns by a list", "float64-np.sort", "float64-a loop over rows", "float32-float max")
)
@pytest.mark.slow
@pytest.mark.parametrize("name", HARD)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_auto_is_never_worse_than_eager(name, dtype):
    def make():
        model = makes(HARD[name])
        for p in model.parameters():
            p.data = p.data.astype(dtype)
        return model

    auto = assert_as_eager(make, how="", rtol=1e-9 if dtype is np.float64 else 1e-3)
    try:
        run = run_of(make(), True, epochs=2)
    except TraceError:
        assert auto.how.startswith("eager: ")
    else:
        np.testing.assert_allclose(run.loss_curve, run_of(make(), False, epochs=2).loss_curve, rtol=1e-4)


class BoomError(Exception):
    pass


@pytest.mark.parametrize("error", [BoomError, KeyError, NotImplementedError, MemoryError, RecursionError, OSError])
@pytest.mark.parametrize("place", ["load", "call_first"])
def test_whatever_the_compiler_raises(error, place, monkeypatch):
    """The eager numbers under "auto", one named error when asked to compile."""

    def fails(*_):
        raise error("no room")

    monkeypatch.setattr(cache, place, fails)
    monkeypatch.setattr(programs, "PROGRAMS", {})
    assert_as_eager(lambda: nn.MLP([4, 6, 1], seed=0))
    model = nn.MLP([4, 6, 1], seed=0)
    before = model.state_dict()
    with pytest.raises(TraceError, match="no room"):
        run_of(model, True)
    assert all(np.array_equal(before[name], x) for name, x in model.state_dict().items())


def test_errors_of_ones_own_are_the_eager_ones():
    def wrong(s, x):
        return ops.tanh(s.a(x)) @ s.a(x)

    for compiled in (False, True, "auto"):
        with pytest.raises(ValueError, match="shapes"):
            run_of(makes(wrong), compiled)


# The other ways of training


class Scaled(nn.Module):
    def __init__(self, seed, beta):
        self.a, self.beta = nn.Linear(4, 1, rng=seed), beta

    def forward(self, x):
        return self.a(x) * self.beta


def test_many_models_that_differ_in_python_are_not_one_program():
    given = {"loss": "mse", "optimizer": "sgd", "epochs": 3, "seeds": range(3), "threads": 1}
    many = fit_many(lambda seed: Scaled(seed, 2.0), X, Y, **given)
    for seed in range(3):
        model = Scaled(seed, 2.0)
        one = fit(model, X, Y, loss="mse", optimizer="sgd", epochs=3, seed=seed, compiled=False)
        np.testing.assert_allclose(many.loss_curves[0, seed], one.loss_curve, rtol=1e-10)
    with pytest.raises(TraceError, match="differ in more than their weights"):
        fit_many(lambda seed: Scaled(seed, 1.0 + seed), X, Y, **given)


UNLIKE = {
    "activation": lambda odd: {"activation": "relu" if odd else "tanh"},
    "norm": lambda odd: {"norm": "batch" if odd else "layer"},
    "dropout": lambda odd: {"dropout": 0.5 if odd else 0.1},
    "out_activation": lambda odd: {"out_activation": "sigmoid" if odd else "tanh"},
}


@pytest.mark.as_python(but=("norm",))
@pytest.mark.slow
@pytest.mark.parametrize("setting", UNLIKE)
def test_many_models_of_unlike_layers_are_not_one_program(setting):
    given = {"loss": "mse", "optimizer": "sgd", "epochs": 3, "seeds": range(3), "threads": 1}

    def model(seed, odd):
        return nn.MLP([4, 6, 1], seed=seed, **UNLIKE[setting](odd))

    many = fit_many(lambda seed: model(seed, True), X, Y, **given)
    for seed in range(3):
        one = fit(model(seed, True), X, Y, loss="mse", optimizer="sgd", epochs=3, seed=seed, compiled=False)
        np.testing.assert_allclose(many.loss_curves[0, seed], one.loss_curve, rtol=1e-10)
    with pytest.raises(TraceError, match="differ in more than their weights"):
        fit_many(lambda seed: model(seed, seed % 2), X, Y, **given)


def test_many_optimizers_that_differ_are_not_one_program():
    def momentum(parameters):
        made.append(optim.SGD(parameters, lr=0.05, momentum=0.9 * (len(made) % 2)))
        return made[-1]

    made = []
    with pytest.raises(TraceError, match="differ in more than their weights"):
        fit_many(
            lambda seed: nn.MLP([4, 6, 1], seed=seed), X, Y, loss="mse", optimizer=momentum, epochs=3, seeds=range(4)
        )


@pytest.fixture
def few_updates_are_worth_compiling(monkeypatch):
    """As 10,000 are otherwise, whose eager runs took 5 s each."""
    monkeypatch.setattr("tinygrad_edu.train.online.COMPILE_FROM", 50)


def online(compiled, loss):
    model = nn.Elman(4, 3, 1, seed=0)
    return fit_online(model, X, Y, loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=3,
                      compiled=compiled)  # fmt: skip


@pytest.mark.usefixtures("few_updates_are_worth_compiling")
@pytest.mark.parametrize("make_loss", [lambda: counting_loss([0]), LossObject])
def test_state_in_a_loss_is_not_frozen_online(make_loss):
    auto, eager = online("auto", make_loss()), online(False, make_loss())
    assert auto.how.startswith(("eager: each step changes", "eager: forward or the loss computes something else"))
    np.testing.assert_array_equal(auto.loss_curve, eager.loss_curve)
    with pytest.raises(TraceError):
        online(True, make_loss())


@pytest.mark.usefixtures("few_updates_are_worth_compiling")
def test_online_is_never_worse_than_eager(monkeypatch):
    auto = online("auto", lambda z, t: np.mean((z - np.frombuffer(t.tobytes()).reshape(z.shape)) ** 2))
    assert auto.how.startswith("eager: AttributeError")

    def fails(*_):
        raise MemoryError("no room")

    monkeypatch.setattr(cache, "load", fails)
    assert online("auto", "mse").how == "eager: the compiler: MemoryError: no room"
    with pytest.raises(CompileError, match="no room"):
        online(True, "mse")


class DrawnElsewhere:
    """A state after which another thread has used the generator of the module random."""

    def first_change(self):
        return "the module random"


@pytest.mark.parametrize("draws", [False, True])
def test_random_numbers_of_another_thread_are_not_taken_for_those_of_the_step(draws):
    def forward(s, x):
        return s.a(x) * (random.random() if draws else 1.0)

    model = type("Own", (nn.Module,), {"forward": forward})()
    model.a = nn.Linear(4, 1, rng=0)
    settings = {"loss": "mse", "optimizer": "sgd", "epochs": 1}
    job = fit(model, np.ones((6, 4)), np.ones((6, 1)), compiled=False, **settings).job
    done = threading.Event()
    other = threading.Thread(target=done.wait)
    other.start()
    try:
        assert programs.what_a_step_changes(job, DrawnElsewhere()) == ("the module random" if draws else "")
    finally:
        done.set()
        other.join()


class MadeInForward(nn.Module):
    def __init__(self):
        self.first, self.inner, self.last = nn.Linear(3, 4, rng=1), None, nn.Linear(4, 1, rng=2)

    def forward(self, x):
        h = np.tanh(self.first(x))
        if self.inner is None:
            self.inner = nn.Linear(4, 4, rng=3)
        return self.last(self.inner(h))


def test_a_layer_that_forward_makes_is_refused():
    """The optimizer does not hold its weights: PyTorch leaves them as they were made, without a word."""
    X = np.random.default_rng(0).normal(size=(8, 3))
    with pytest.raises(SettingError, match=r"got inner\.bias while it trained"):
        fit(MadeInForward(), X, X[:, :1], loss="mse", optimizer="sgd", epochs=2, compiled=False)
