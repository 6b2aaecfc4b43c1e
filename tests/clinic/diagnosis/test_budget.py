"""What is tried hangs on work that is priced, not on how busy the machine is; the clock is the last stop."""

import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier

from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.proof import baseline, retrain
from tinygrad_edu.clinic.diagnosis.proof import budget as module
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget, NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.price import Prices
from tinygrad_edu.data import moons
from tinygrad_edu.train import fit

RNG = np.random.default_rng(0)
SPENT = re.compile(r"[\d.]+ s\b")


def regression(scale=1.0, lr=0.01, epochs=12):
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
    """The clock of a machine on which everything takes so many times as long as this process, which others delay."""
    return SimpleNamespace(perf_counter=lambda: times * time.process_time())


def card_of(trained, monkeypatch, budget_s, times):
    monkeypatch.setattr(module, "time", slower(times))
    return SPENT.sub("", str(diagnose(*trained, budget_s=budget_s, seeds=3)))


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"scale": 200.0}, {"lr": 1e-5}])
def test_the_same_call_gives_the_same_card_on_a_machine_several_times_as_slow(settings, monkeypatch):
    trained = (regression(**settings),)
    assert card_of(trained, monkeypatch, 200.0, 7.0) == card_of(trained, monkeypatch, 200.0, 1.0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_what_is_too_much_work_is_left_out_however_fast_the_machine_is(monkeypatch):
    """3 s of work take this machine 0.4 s, and 1 s if it is busy."""
    trained = classifier()
    whole, usual, fast = (card_of(trained, monkeypatch, *given) for given in ((200.0, 1.0), (3.0, 1.0), (3.0, 0.01)))
    assert fast == usual != whole


def test_the_card_says_what_the_clock_has_cut(monkeypatch):
    run = regression(200.0)
    monkeypatch.setattr(module, "time", slower(2000.0))
    found = diagnose(run, budget_s=30.0)
    assert any("the clock ended this diagnosis" in row for row in found.not_checked) or found.healthy is None


def test_a_run_is_not_called_bad_where_no_time_is_left_to_know_what_is_possible(monkeypatch):
    def late(*_):
        raise NoTimeError("no time left")

    monkeypatch.setattr(baseline, "measure_baseline", late)
    X = RNG.normal(size=(60, 3))
    y = X[:, :1] + 2.0 * RNG.normal(size=(60, 1))  # a right model explains a fifth of this
    model = nn.MLP([3, 4, 1], seed=0)
    run = fit(model, X, y, loss="mse", optimizer=optim.Adam(model.parameters(), lr=0.01), epochs=30)
    found = diagnose(run, budget_s=60.0)
    assert found.healthy is None
    assert found.summary == "There was no time to find out what can be reached; budget_s=60."


def test_a_compiler_that_is_not_done_in_time_is_left():
    done = threading.Event()

    def compiler():
        done.wait(60.0)

    program = SimpleNamespace(ready=lambda: False, session=lambda job: SimpleNamespace(one_step=compiler))
    budget, start = Budget(0.3), time.perf_counter()
    with pytest.raises(NoTimeError, match="compiler"):
        retrain.compile_within(program, None, budget)
    assert time.perf_counter() - start < 30.0
    done.set()
    assert budget.cut == ["compiling"]


@pytest.mark.parametrize("quick", [True, False])
def test_where_steps_without_a_compiler_are_cheap_it_may_take_half_of_the_time(quick, monkeypatch):
    """On a busy machine a compiler may take any time, and as soon as there is another way a result waits for none.

    The clock is one of the test, which only waiting moves on.
    """
    now = [0.0]

    class Endless:
        """A thread with a compiler that is never done."""

        def __init__(self, target):
            self.start = self.is_alive = lambda: True

        def join(self, seconds):
            now[0] += seconds

    class Slow:
        """A program that is never done."""

        def at_hand(self):
            return False

        ready = at_hand

        def compile_seconds(self):
            return 0.01

        def session(self, job):
            raise AssertionError("nothing is compiled here")

    monkeypatch.setattr(retrain, "training_program", lambda job: Slow())
    monkeypatch.setattr(retrain, "threading", SimpleNamespace(Thread=Endless))
    for each in (module, retrain):
        monkeypatch.setattr(each, "time", SimpleNamespace(perf_counter=lambda: now[0], thread_time=lambda: now[0]))
    budget, eager = Budget(0.6), 0.05 if quick else 1000.0
    if quick:
        assert retrain.program_for(None, eager, 1, budget) is None
        assert budget.clock_left == pytest.approx(now[0])  # half of the time is still left
        assert not budget.cut
    else:
        with pytest.raises(NoTimeError, match="compiler"):
            retrain.program_for(None, eager, 1, budget)
        assert budget.clock_left <= 0.0


ENDLESS = {"epochs": 50_000_000, "tol": None, "patience": None}


def by_lbfgs():
    rng = np.random.default_rng(0)  # random labels: hundreds of iterations of 30 ms each do not come near the end
    X, y = rng.normal(size=(6000, 20)), rng.integers(0, 2, size=6000)
    model = MLPClassifier((40, 40), solver="lbfgs", max_iter=2, alpha=0.0, random_state=0).fit(X, y)
    return model.set_params(tol=0.0), X, y


KINDS = {
    "compiled": (lambda: (regression(), None, None), ENDLESS),
    "stochastic estimator": (classifier, ENDLESS),
    "lbfgs estimator": (by_lbfgs, {**ENDLESS, "tol": 1e-300}),
}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_training_ends_at_the_clock_and_leaves_no_thread(kind):
    make, change = KINDS[kind]
    subject = subject_of(*make())
    retrain.train_setup(subject.setup, subject.task, [1, 2], 1, Budget())  # compile before the clock starts
    before, start = set(threading.enumerate()), time.perf_counter()
    with pytest.raises(NoTimeError):
        retrain.train_setup(subject.setup.but(change), subject.task, [1, 2], 1, Budget(0.5))
    assert time.perf_counter() - start < 60.0  # any of them would take hours to finish
    while (left := threads_since(before)) and time.perf_counter() - start < 90.0:
        time.sleep(0.05)
    assert not left


def threads_since(before):
    """Without the one that tqdm begins with the first bar, which a busy machine shows, and keeps."""
    return [x for x in threading.enumerate() if x not in before and type(x).__name__ != "TMonitor"]


@pytest.mark.parametrize("sizes", [(3, 12, 1), (3, 32, 32, 1)])
def test_a_price_grows_with_the_work(sizes):
    subject = subject_of(regression(), None, None)
    prices, setup = Prices(subject.task), subject.setup.but({"sizes": sizes, "init": "glorot_uniform"})
    once = prices.compiled(setup)
    assert prices.compiled(setup.but({"epochs": 10 * setup.epochs})) == pytest.approx(10.0 * once)
    assert prices.compiled(setup.but({"sizes": (3, 400, 1)})) > once
    assert prices.eager(setup) > once
    assert Prices(subject.task).compiled(setup) == once  # the same number each time


def test_a_new_program_is_compiled_within_the_budget(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGRAD_EDU_CACHE", str(tmp_path))
    subject = subject_of(regression(epochs=3), None, None)
    setup = subject.setup.but({"sizes": (3, 11, 1), "init": "glorot_uniform"})  # a size that no other test uses
    job = retrain.Jobs(setup, subject.task).job((float("nan"), 1))
    program = retrain.training_program(job)
    if not program.ready():
        before = [p.array.copy() for p in job.model.parameters()]
        retrain.compile_within(program, job, Budget(60.0))
        assert program.ready()
        assert all(np.array_equal(p.array, w) for p, w in zip(job.model.parameters(), before, strict=True))
