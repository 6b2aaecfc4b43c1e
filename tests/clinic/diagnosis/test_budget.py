"""What is tried hangs on work that is priced, not on how busy the machine is; the clock is the last stop."""

import re
import time
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.proof import budget as module
from tinygrad_edu.clinic.diagnosis.proof import retrain
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget, NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.price import Prices
from tinygrad_edu.data import moons
from tinygrad_edu.train import fit

RNG = np.random.default_rng(0)
SPENT = re.compile(r"[\d.]+ s\b")


def regression(scale=1.0, lr=0.01, epochs=40):
    X = RNG.normal(size=(120, 3)) * [1.0, scale, scale * 10.0]
    y = (X[:, :1] + X[:, 1:2] / scale) ** 2
    model = nn.MLP([3, 12, 1], seed=0)
    optimizer = optim.SGD(model.parameters(), lr=lr)
    return fit(model, X, y, loss="mse", optimizer=optimizer, epochs=epochs, batch_size=20)


def classifier():
    X, y = moons(150, seed=0)
    X = X * [1.0, 500.0]
    return MLPClassifier((8,), max_iter=30, random_state=0).fit(X, y.ravel().astype(int)), X, y.ravel().astype(int)


def slower(times):
    """The clock of a machine on which everything takes so many times as long."""
    began = time.perf_counter()
    return SimpleNamespace(perf_counter=lambda: began + times * (time.perf_counter() - began))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("make", [lambda: (regression(200.0),), lambda: (regression(lr=1e-5),), classifier])
def test_the_same_call_gives_the_same_card_on_a_machine_several_times_as_slow(make, monkeypatch):
    trained = make()
    quick = diagnose(*trained, budget_s=200.0)
    monkeypatch.setattr(module, "time", slower(7.0))
    slow = diagnose(*trained, budget_s=200.0)
    assert SPENT.sub("", str(slow)) == SPENT.sub("", str(quick))


def test_the_card_says_what_the_clock_has_cut(monkeypatch):
    run = regression(200.0)
    monkeypatch.setattr(module, "time", slower(2000.0))
    found = diagnose(run, budget_s=30.0)
    assert any("the clock ended this diagnosis" in row for row in found.not_checked) or found.healthy is None


def test_a_compiler_that_is_not_done_in_time_is_left():
    def compiler():
        time.sleep(1.5)

    program = SimpleNamespace(ready=lambda: False, course=lambda job: SimpleNamespace(first_batch=compiler))
    budget, start = Budget(0.3), time.perf_counter()
    with pytest.raises(NoTimeError, match="compiler"):
        retrain.compile_within(program, None, budget)
    assert time.perf_counter() - start < 1.2
    assert budget.cut == ["compiling"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("epochs", [50_000_000])
def test_compiled_runs_and_estimators_end_at_the_clock(epochs):
    subject = subject_of(regression(), None, None)
    start = time.perf_counter()
    with pytest.raises(NoTimeError):
        retrain.train_setup(subject.setup.but({"epochs": epochs}), subject.task, [1, 2], 1, Budget(4.0))
    subject, change = subject_of(*classifier()), {"epochs": epochs, "tol": None, "patience": None}
    with pytest.raises(NoTimeError):
        retrain.train_setup(subject.setup.but(change), subject.task, [1, 2], 1, Budget(4.0))
    assert time.perf_counter() - start < 15.0


@pytest.mark.parametrize("sizes", [(3, 12, 1), (3, 32, 32, 1)])
def test_a_price_grows_with_the_work(sizes):
    subject = subject_of(regression(), None, None)
    prices, setup = Prices(subject.task), subject.setup.but({"sizes": sizes, "init": "glorot_uniform"})
    once = prices.compiled(setup)
    assert prices.compiled(setup.but({"epochs": 10 * setup.epochs})) == pytest.approx(10.0 * once)
    assert prices.compiled(setup.but({"sizes": (3, 400, 1)})) > once
    assert prices.eager(setup) > once
    assert Prices(subject.task).compiled(setup) == once  # the same number each time
