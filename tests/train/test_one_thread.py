"""Two fits of one model at once are refused by name, whichever parts they share."""

import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import GraphError
from tinygrad_edu.train.one_thread import TRAINERS

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X.sum(1, keepdims=True)


def fit(model, **options):
    return tg.fit(model, X, Y, loss="mse", optimizer="sgd", epochs=3, compiled=False, **options)


def in_thread(work):
    """The error that it ends with in a thread of its own, or None."""
    found = []

    def run():
        try:
            work()
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0] if found else None


def sharing(model):
    return nn.Sequential(model.layers[0], nn.Linear(4, 1, rng=0))


@pytest.mark.parametrize(
    ("other", "backend"),
    [(lambda model: model, "tensor"), (lambda model: model, "scalar"), (sharing, "tensor")],
    ids=["itself", "of Values", "a part"],
)
def test_another_thread_is_refused(other, backend):
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


def test_series_too():
    model = nn.Elman(1, 4, 1, seed=1)
    series = np.sin(np.arange(30.0))[:, None]
    TRAINERS.update(dict.fromkeys(map(id, model.parameters()), -1))
    try:
        with pytest.raises(GraphError, match="another thread"):
            tg.train.fit_online(model, series, series, loss="mse", optimizer="sgd", epochs=1)
    finally:
        TRAINERS.clear()
    tg.train.fit_online(model, series, series, loss="mse", optimizer="sgd", epochs=1)
    assert not TRAINERS
