"""What training changes is never frozen in a compiled run, however the user's code comes to look at it."""

import copy
import functools
import itertools
import os
import sys
import types
from unittest import mock

import numpy as np
import pytest

from tinygrad_edu import fit, fit_many, nn, optim
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train import choose

X = np.random.default_rng(0).normal(size=(24, 4))
Y = np.sin(X[:, :1])
HELD = types.SimpleNamespace()  # what the user's code keeps: the run's optimizer, job and curves
HIDDEN = types.ModuleType("counts_of_a_test")
sys.modules["counts_of_a_test"] = HIDDEN
COUNT = 0


class Net(nn.Module):
    """Its forward is scaled by a number that is read in one of many ways."""

    def __init__(self, read=lambda net: 1.0, seed=0):
        self.a, self.b, self.read = nn.Linear(4, 5, rng=seed), nn.Linear(5, 1, rng=seed + 1), read

    def forward(self, x):
        return self.b(np.tanh(self.a(x))) * self.read(self)


def size(x):
    return 1.0 + float(np.sum(np.abs(x)))


PARAMETERS = {
    "data": lambda net: 1.0 / size(net.a.weight.data),
    "numpy()": lambda net: 1.0 / size(net.a.weight.numpy()),
    "detach()": lambda net: 1.0 / size(net.a.weight.detach().data),
    "array": lambda net: 1.0 / size(net.a.weight.array),
    "item()": lambda net: 1.0 + net.b.bias.item(),
    "state_dict()": lambda net: 1.0 / size(net.state_dict()["a.weight"]),
    "a loop over parameters()": lambda net: 1.0 / size([size(p.data) for p in net.parameters()]),
    "a copy": lambda net: 1.0 / size(copy.deepcopy(net.a).weight.data),
    "a branch": lambda net: 1.0 if np.abs(net.a.weight.data).sum() > 0.9 * net.begin else 0.5,
    "a branch that was never taken": lambda net: 1.0 if net.a.weight.data[0, 0] < 1e6 else 0.5,
    "a text": lambda net: 1.0 + 0.01 * (len(repr(net.b.bias)) % 5),
    "the gradient": lambda net: 1.0 if net.a.weight.grad is None else 0.5,
}
OPTIMIZER = {
    "t": lambda net: 1.0 if HELD.optimizer.t[0] < 4 else 0.5,
    "steps": lambda net: 1.0 / (1.0 + HELD.optimizer.steps),
    "lr": lambda net: 1.0 + HELD.optimizer.lr,
    "memory": lambda net: 1.0 + size(HELD.optimizer.memory[0][0]),
    "state()": lambda net: 1.0 / (1.0 + HELD.optimizer.state()[0][0]),
    "the list of steps": lambda net: 1.0 / (1.0 + HELD.steps[0]),
    "a bound method": lambda net: 1.0 / (1.0 + HELD.state()[0][0]),
}
JOB = {
    "losses": lambda net: 1.0 if len(HELD.job.losses) < 3 else 0.5,
    "left": lambda net: 1.0 / (1.0 + HELD.job.left),
    "progress": lambda net: 1.0 if HELD.job.progress.epochs < 3 else 0.5,
    "a curve": lambda net: 1.0 if len(HELD.curve) < 3 else 0.5,
}


def import_it(net):
    import counts_of_a_test

    counts_of_a_test.n += 1
    return 1.0 if counts_of_a_test.n < 8 else 0.5


def look_it_up(net):
    sys.modules["counts_of_a_test"].n += 1
    return 1.0 if sys.modules["counts_of_a_test"].n < 8 else 0.5


def by_globals(net):
    globals()["COUNT"] += 1
    return 1.0 if globals()["COUNT"] < 8 else 0.5


def by_environment(net):
    os.environ["COUNT_OF_A_TEST"] = str(int(os.environ["COUNT_OF_A_TEST"]) + 1)
    return 1.0 if int(os.getenv("COUNT_OF_A_TEST")) < 8 else 0.5


@functools.lru_cache
def kept(n):
    HIDDEN.n += 1
    return 1.0 / HIDDEN.n


def by_cache(net):
    net.calls = vars(net).get("calls", 0) + 1
    return kept(net.calls // 4)


ELSEWHERE = {f.__name__: f for f in (import_it, look_it_up, by_globals, by_environment, by_cache)}


def run(read, compiled, place="forward", make=optim.Adam, callbacks=(), epochs=6, **settings):
    """A run by code that reads something; the record, or the error that refuses it."""
    global COUNT
    COUNT, HIDDEN.n, os.environ["COUNT_OF_A_TEST"] = 0, 0, "0"
    kept.cache_clear()
    model = Net(read) if place == "forward" else Net()
    model.begin = float(np.abs(model.a.weight.data).sum())
    optimizer = make(model.parameters(), lr=0.05)
    other = fit(Net(), X, Y, loss="mse", optimizer="sgd", epochs=1, compiled=False).job
    vars(HELD).update(optimizer=optimizer, steps=optimizer.t, state=optimizer.state, job=other, curve=other.losses)

    def hold(job):
        HELD.job, HELD.curve = job, job.losses

    def loss(z, t):
        return np.mean((z - t) ** 2) * (read(model) if place == "loss" else 1.0)

    with mock.patch.object(choose, "LOAD_SECONDS", 0.0), mock.patch.object(choose, "clock", slow().__next__):
        try:
            return model, fit(
                model, X, Y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=8, compiled=compiled,
                callbacks=[hold, *callbacks], **settings,
            )  # fmt: skip
        except TraceError as error:
            return model, error


def slow():
    """A clock by which each eager step takes 10 s: "auto" compiles whatever it can."""
    return itertools.count(0.0, 10.0)


def assert_same(found, eager):
    model, auto = found
    if isinstance(auto, TraceError):
        return
    rtol = 0 if auto.how.startswith("eager:") else 1e-9
    np.testing.assert_allclose(auto.loss_curve, eager[1].loss_curve, rtol=rtol)
    for name, x in eager[0].state_dict().items():
        np.testing.assert_allclose(model.state_dict()[name], x, rtol=rtol, atol=rtol * 1e-3, err_msg=name)


READERS = {**PARAMETERS, **OPTIMIZER, **JOB, **ELSEWHERE}


@pytest.mark.as_python
@pytest.mark.parametrize("place", ["forward", "loss"])
@pytest.mark.parametrize("name", READERS)
def test_nothing_that_a_step_changes_is_frozen(name, place):
    eager = run(READERS[name], False, place)
    auto = run(READERS[name], "auto", place)
    assert auto[1].how.startswith("eager"), auto[1].how
    assert_same(auto, eager)
    asked = run(READERS[name], True, place)
    assert_same(asked, eager)  # or both are refused
    # callbacks have changed it, so each needs another program
    assert isinstance(asked[1], TraceError) or name == "a curve"


def test_the_error_says_what_was_read():
    assert "numbers of a.weight, which training changes" in str(run(PARAMETERS["data"], True)[1])
    assert "numbers of optimizer.t," in str(run(OPTIMIZER["t"], True)[1])


HARMLESS = {
    "shapes": lambda net: 1.0 / net.a.weight.shape[0],
    "dtype": lambda net: 1.0 if net.a.weight.dtype == np.float64 else 2.0,
    "the Tensor": lambda net: np.sum(net.a.weight * net.a.weight),
    "all parameters": lambda net: sum(np.sum(p * p) for p in HELD.optimizer.params),
    "its labels": lambda net: 1.0 + len(net.a.weight.label),
    "settings": lambda net: 1.0 / HELD.job.settings.epochs,
}


@pytest.mark.as_python(but=("all parameters",))
@pytest.mark.parametrize("name", HARMLESS)
def test_what_does_not_move_is_compiled(name):
    found = run(HARMLESS[name], True)
    assert found[1].how.startswith("compiled")
    assert_same(found, run(HARMLESS[name], False))


# what no trace can see


def out_of_sight(net):
    """A module by a computed name."""
    return sys.modules["_".join(["counts", "of", "a", "test"])].scale


@pytest.mark.as_python(but=("2",))
@pytest.mark.parametrize("epoch", [1, 2, 3, 5])
def test_a_run_that_went_wrong_is_taken_back_to_its_start(epoch):
    seen = []

    def write(job):
        seen.append(len(job.losses))
        HIDDEN.scale = 0.5 if len(job.losses) >= epoch else 1.0

    runs = []
    for compiled in (False, "auto", True):
        HIDDEN.scale = 1.0
        seen.clear()
        runs.append(run(out_of_sight, compiled, callbacks=[write]))
        assert compiled is True or seen == [1, 2, 3, 4, 5, 6]  # a list of the callback's own is restored too
    assert_same(runs[1], runs[0])
    assert "something else when it is traced: after" in runs[1][1].how
    assert isinstance(runs[2][1], TraceError)
    assert all(np.array_equal(x, Net().state_dict()[name]) for name, x in runs[2][0].state_dict().items())


class Drifting(optim.SGD):
    """A step of the user's own, beside the rule."""

    def step(self):
        super().step()
        for p in self.params:
            p.data = p.data * 0.9


@pytest.mark.parametrize("make_model", [lambda: nn.MLP([4, 5, 1], seed=0), Net])
def test_a_step_of_an_optimizer_of_ones_own(make_model):
    models = [make_model() for _ in range(3)]
    settings = {"loss": "mse", "epochs": 4}
    eager = fit(models[0], X, Y, optimizer=Drifting(models[0].parameters(), lr=0.1), compiled=False, **settings)
    with mock.patch.object(choose, "clock", slow().__next__):
        auto = fit(models[1], X, Y, optimizer=Drifting(models[1].parameters(), lr=0.1), **settings)
    np.testing.assert_array_equal(auto.loss_curve, eager.loss_curve)
    with pytest.raises(TraceError, match=r"a step of its own \(Drifting\)"):
        fit(models[2], X, Y, optimizer=Drifting(models[2].parameters(), lr=0.1), compiled=True, **settings)


class Kind(Net):
    def forward(self, x):
        return super().forward(x) * (2.0 if "Traced" in object.__repr__(x) else 1.0)


def test_other_ways_of_compiling_compare_too():
    model = Kind()
    with pytest.raises(TraceError, match="something else when it is traced"):
        fit(model, X, Y, loss="mse", optimizer=optim.LBFGS(model.parameters()), epochs=3, compiled=True)
    with pytest.raises(TraceError, match=r'something else when it is traced.*With compiled="auto", .* eagerly'):
        fit(Kind(), X, Y, loss="mse", optimizer="sgd", epochs=3, compiled=True)
    with pytest.raises(TraceError, match=r"something else when it is traced.*`fit` trains such models eagerly"):
        fit_many(lambda seed: Kind(seed=seed), X, Y, loss="mse", optimizer="sgd", epochs=3, seeds=range(2), threads=1)


# a comparison changes nothing


class Noisy(Net):
    def __init__(self):
        super().__init__()
        self.drop, self.norm = nn.Dropout(0.3, rng=5), nn.BatchNorm(5)

    def forward(self, x):
        return self.b(self.drop(np.tanh(self.norm(self.a(x)))))


@pytest.mark.as_python(but=("8-callbacks0-float64", "10-callbacks1-float32"))
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("callbacks", [[], [lambda job: None]])
@pytest.mark.parametrize("batch_size", [8, 10, 24])
def test_dropout_and_statistics_are_those_of_the_steps_alone(dtype, callbacks, batch_size):
    runs = []
    for compiled in (False, True):
        model = Noisy().astype(dtype)
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        found = fit(
            model, X, Y, loss=lambda z, t: np.mean((z - t) ** 2), optimizer=optimizer, epochs=9, compiled=compiled,
            batch_size=batch_size, callbacks=callbacks, clip_norm=0.5,
        )  # fmt: skip
        runs.append((found.loss_curve, model.state_dict(), model.drop.rng.bit_generator.state, optimizer.t))
    rtol = 1e-9 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(runs[1][0], runs[0][0], rtol=rtol)
    for name, x in runs[0][1].items():
        np.testing.assert_allclose(runs[1][1][name], x, rtol=rtol, atol=rtol)
    assert runs[0][2:] == runs[1][2:]


@pytest.mark.as_python(but=("auto",))
@pytest.mark.parametrize("compiled", ["auto", True])
def test_a_batch_size_that_a_callback_sets(compiled):
    def halve(job):
        job.batch_size = 6 if len(job.losses) >= 2 else 24

    runs = []
    for way in (False, compiled):
        model = Net()
        with mock.patch.object(choose, "clock", slow().__next__):
            runs.append(fit(model, X, Y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=5,
                            compiled=way, callbacks=[halve]))  # fmt: skip
    np.testing.assert_allclose(runs[1].loss_curve, runs[0].loss_curve, rtol=1e-9)


class Scaled(nn.Module):
    """It scales its inputs down itself, and does something else when it is traced."""

    def __init__(self):
        self.a = nn.Linear(1, 1, rng=0)

    def forward(self, x):
        return self.a(x * 1e-9) * (2.0 if "Traced" in object.__repr__(x) else 1.0)


def test_large_inputs_hide_no_difference():
    """Such as times in seconds, whose squares are 3e18."""
    model, times = Scaled(), 1.7e9 + 1e8 * X[:, :1]
    with pytest.raises(TraceError, match="the compiled loss is"):
        fit(model, times, times * 1e-9, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.01), epochs=5,
            compiled=True)  # fmt: skip
