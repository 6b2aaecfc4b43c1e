"""A Ctrl-C that comes within a finalizer, where Python only prints it, ends the training all the same."""

import signal
import sys
import threading
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import interrupts, nn, optim
from tinygrad_edu.estimators import MLPClassifier

X = np.random.default_rng(0).normal(size=(20, 2))
Y = np.sin(X.sum(axis=1, keepdims=True))
EPOCHS = 10**6


class Freed:
    """A thing in whose finalizer Ctrl-C comes, as in those of Numba's and LLVM's things."""

    def __del__(self):
        signal.raise_signal(signal.SIGINT)


class Lose:
    """Called as a callback, as a loss, or as a function that makes a model: at the third call a Ctrl-C is lost."""

    def __init__(self, result=None):
        self.calls, self.result = 0, result

    def __call__(self, *given):
        self.calls += 1
        if self.calls == 3:
            Freed()
        return self.result(*given) if self.result else None


def train(compiled, **settings):
    model = nn.MLP([2, 4, 1], seed=1)
    callbacks = [Lose()]
    run = tg.fit(model, X, Y, loss="mse", optimizer="adam", epochs=EPOCHS, compiled=compiled, callbacks=callbacks)
    return run.stop_reason


def train_online():
    model = nn.Elman(2, 4, 1, seed=1)
    loss, sgd = Lose(nn.losses.mse), optim.SGD(model.parameters(), lr=0.01)
    run = tg.train.fit_online(model, X, Y, loss=loss, optimizer=sgd, epochs=EPOCHS, compiled=False)
    return run.stop_reason


def train_many():
    make = Lose(lambda seed: nn.MLP([2, 3, 1], seed=seed))
    tg.fit_many(make, X, Y, loss="mse", optimizer="adam", epochs=1, seeds=range(EPOCHS), threads=1)


def train_estimator():
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        MLPClassifier((4,), max_iter=EPOCHS, callbacks=[Lose()], tol=0, n_iter_no_change=EPOCHS).fit(X, Y[:, 0] > 0)
    return str(told[0].message).lower()


WAYS = {
    "eager": lambda: train(compiled=False),
    "compiled": lambda: train(compiled=True),
    "online": train_online,
    "many": train_many,
    "estimator": train_estimator,
}


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupt_lost_in_a_finalizer_ends_the_training(way):
    """The hook is as before afterwards, also after a run within a run."""
    before = sys.unraisablehook
    try:
        with interrupts.Passed():
            assert "interrupt" in (WAYS[way]() or "")
    except KeyboardInterrupt:
        assert way == "many"
    assert sys.unraisablehook is before


def test_what_else_is_lost_is_told_as_before():
    told, before = [], sys.unraisablehook

    class Broken:
        def __del__(self):
            raise ValueError("of its own")

    sys.unraisablehook = lambda lost: told.append(str(lost.exc_value))
    try:
        with interrupts.Passed():
            Broken()
    finally:
        sys.unraisablehook = before
    assert told == ["of its own"]


def test_a_run_in_another_thread_leaves_the_hook_alone():
    seen, before = [], sys.unraisablehook
    settings = {
        "loss": "mse",
        "optimizer": "adam",
        "epochs": 2,
        "callbacks": [lambda job: seen.append(sys.unraisablehook)],
    }
    thread = threading.Thread(target=lambda: tg.fit(nn.MLP([2, 4, 1], seed=1), X, Y, **settings))
    thread.start()
    thread.join()
    assert seen == [before] * 2


@pytest.mark.parametrize(("package", "name"), [("tinygrad_edu", "interrupts"), ("tinygrad_edu.train", "samples")])
def test_a_module_that_was_loaded_but_not_bound_is_found(package, name, monkeypatch):
    """Ctrl-C between the two left every later `fit(compiled=True)` with an ImportError."""
    monkeypatch.delattr(sys.modules[package], name)
    space = {}
    exec(f"from {package} import {name}", space)
    assert space[name] is sys.modules[f"{package}.{name}"]
