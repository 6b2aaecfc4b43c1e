"""Two threads fit one model one after the other; a callback that waits for another fit of it is refused by name."""

import functools
import itertools
import sys
import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.threads import at_once
from tinygrad_edu import nn
from tinygrad_edu.errors import GraphError
from tinygrad_edu.train import one_thread
from tinygrad_edu.train.one_thread import TRAINERS

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X.sum(1, keepdims=True)


def fit(model, **options):
    return tg.fit(model, X, Y, loss="mse", optimizer="sgd", epochs=3, compiled=False, **options)


def in_thread(work):
    """The error that it ends with in a thread of its own, or None."""
    return next(iter(at_once(work)), None)


def sharing(model):
    return nn.Sequential(model.layers[0], nn.Linear(4, 1, rng=0))


@pytest.mark.parametrize(
    ("other", "backend"),
    [(lambda model: model, "tensor"), (lambda model: model, "scalar"), (sharing, "tensor")],
    ids=["itself", "of Values", "a part"],
)
def test_a_thread_that_a_callback_waits_for_is_refused(other, backend):
    model, errors = nn.MLP([3, 4, 1], seed=0, backend=backend), []

    def call_back(job):
        errors.append(in_thread(lambda: fit(other(model))))

    fit(model, callbacks=[call_back])
    assert [type(error) for error in errors] == [GraphError] * 3
    assert "copy.deepcopy(model)" in str(errors[0])
    assert not TRAINERS
    assert in_thread(lambda: fit(other(model))) is None


def test_other_models_and_a_fit_inside_a_callback_train():
    model, others = nn.MLP([3, 4, 1], seed=0), nn.MLP([3, 4, 1], seed=1)
    fit(model, callbacks=[lambda job: fit(others) and None, lambda job: in_thread(lambda: fit(others))])
    fit(model, callbacks=[lambda job: tg.fit(model, X, Y, loss="mse", optimizer="sgd", epochs=1) and None])
    assert not TRAINERS


def train_series(model):
    series = np.sin(np.arange(30.0))[:, None]
    tg.train.fit_online(model, series, series, loss="mse", optimizer="sgd", epochs=2)


@pytest.mark.parametrize(
    ("make", "train"),
    [(lambda: nn.MLP([3, 4, 1], seed=0), fit), (lambda: nn.Elman(1, 4, 1, seed=1), train_series)],
    ids=["fit", "fit_online"],
)
def test_two_threads_train_one_after_the_other(make, train):
    """The weights are those of as many fits in one thread."""
    model, expected = make(), make()
    assert not at_once(*[functools.partial(train, model)] * 4)
    for _ in range(4):
        train(expected)
    for found, wanted in zip(model.parameters(), expected.parameters(), strict=True):
        np.testing.assert_array_equal(found.data, wanted.data)
    assert not TRAINERS


def test_a_thread_that_has_died_trains_nothing():
    model = nn.MLP([3, 4, 1], seed=0)
    TRAINERS.update(dict.fromkeys(map(id, model.parameters()), -1))
    fit(model)
    assert not TRAINERS


def interrupted_at(moment, work):
    """Ctrl-C at the n-th line of one_thread.py, or return of a method of threading.py; was there one?"""
    count, before = itertools.count(1), sys.gettrace()

    def trace(frame, event, _):
        watched = {one_thread.__file__: "line", threading.__file__: "return"}.get(frame.f_code.co_filename)
        if event == watched and next(count) == moment:
            raise KeyboardInterrupt
        return watched and trace

    sys.settrace(trace)
    try:
        work()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return next(count) > moment


def test_ctrl_c_at_any_moment_lets_other_threads_train():
    """A Condition was left locked where it came between its lock and the `with` that gives it back."""
    model = nn.MLP([3, 4, 1], seed=0)
    for moment in itertools.count(1):
        reached = interrupted_at(moment, lambda: fit(model))
        other = threading.Thread(target=fit, args=(model,), daemon=True)
        other.start()
        other.join(60.0)
        assert not other.is_alive(), moment
        assert not TRAINERS
        if not reached:
            break
    assert moment > 20
