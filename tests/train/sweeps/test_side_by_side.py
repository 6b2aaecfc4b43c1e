"""Runs that go side by side in vectors: the numbers of each are those of `fit`, whatever its neighbours do."""

import copy
import pickle
import threading
from dataclasses import replace

import numpy as np
import pytest

from tinygrad_edu import fit, fit_many, nn, optim
from tinygrad_edu.data import xor_gate
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train.compiled import side_by_side
from tinygrad_edu.train.sweep.many import ManyJobs

pytestmark = pytest.mark.optimized  # vector code is what is tested
X, Y = xor_gate()
RNG = np.random.default_rng(0)
ROWS, ANSWERS = RNG.normal(size=(13, 3)), RNG.normal(size=(13, 2))
OPTIMIZERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda p: optim.Adam(p, lr=0.01),
    "rprop": lambda p: optim.Rprop(p, lr=0.01),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.05),
    "cosine": lambda p: optim.SGD(p, lr=optim.schedules.cosine(0.1, steps=40)),
}
ACTIVATIONS = ("tanh", "relu", "sigmoid", "gelu", "elu", "softplus", "sin", "softsign", "erf")


@pytest.fixture(autouse=True)
def taken(monkeypatch):
    """How many runs went side by side."""
    found, train = [], side_by_side.SideBySide.train

    def counted(self, starts, threads):
        results = train(self, starts, threads)
        found.append(len(starts) - int(results[2].sum()))
        return results

    monkeypatch.setattr(side_by_side.SideBySide, "train", counted)
    return found


def check(make, optimizer, data=(ROWS, ANSWERS), seeds=range(3), rtol=1e-12, compiled=False, **settings):
    """Against `fit`, which needs no compiler: eager and compiled runs are compared by test_fit."""
    settings = {"loss": "mse", "epochs": 15, **settings}
    runs = fit_many(make, *data, optimizer=optimizer, seeds=seeds, threads=2, **settings)
    for i, seed in enumerate(seeds):
        model = make(seed)
        one = fit(model, *data, optimizer=optimizer(model.parameters()), seed=seed, compiled=compiled, **settings)
        np.testing.assert_allclose(runs.loss_curves[0, i, : one.n_epochs], one.loss_curve, rtol=rtol)
        answers = model.eval()(data[0]).array
        np.testing.assert_allclose(runs.predictions[0, i], answers, rtol=rtol * 100, atol=rtol)
    return runs


ORDERS = {"in turn": {"shuffle": False}, "shuffled, uneven": {"batch_size": 5}}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("order", ORDERS)
def test_optimizers_and_orders(name, order, taken):
    check(
        lambda seed: nn.MLP([3, 4, 2], seed=seed), OPTIMIZERS[name], compiled=name in ("adam", "momentum"),
        **ORDERS[order],
    )  # fmt: skip
    assert taken == [3]


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(activation, taken):
    check(lambda seed: nn.MLP([3, 5, 2], activation=activation, seed=seed), OPTIMIZERS["sgd"], epochs=5)
    assert taken == [3]


@pytest.mark.parametrize("loss", ["huber", "mae", lambda p, t: ((p - t) ** 4).mean()])
def test_losses(loss):
    check(lambda seed: nn.MLP([3, 5, 2], seed=seed), OPTIMIZERS["adam"], loss=loss, epochs=5)


def test_float32(taken):
    def make(seed):
        return nn.MLP([3, 4, 2], seed=seed, dtype="float32")

    check(make, OPTIMIZERS["adam"], rtol=1e-4)
    assert taken == [3]


def test_layers_and_many_vectors(taken):
    check(lambda seed: nn.MLP([3, 7, 6, 2], activation="relu", norm="layer", seed=seed), OPTIMIZERS["adam"])
    check(lambda seed: nn.MLP([3, 4, 2], seed=seed), OPTIMIZERS["sgd"], seeds=range(19), epochs=3)
    assert taken[-1] == 19


def test_a_run_that_diverges_leaves_its_neighbours_alone(taken):
    def make(seed):
        model = nn.MLP([2, 4, 1], activation="relu", seed=seed)
        if seed in (2, 9):
            model.layers[0].weight.assign(model.layers[0].weight.array * 1e80)
        return model

    def many(seeds):
        return fit_many(make, X, Y, loss="mse", optimizer=OPTIMIZERS["sgd"], epochs=30, seeds=seeds)

    runs = many(range(12))
    assert taken == [10]
    assert (runs.n_epochs[0] < 30).tolist() == [i in (2, 9) for i in range(12)]
    calm = [i for i in range(12) if i not in (2, 9)]
    np.testing.assert_array_equal(runs.loss_curves[0, calm], many(calm).loss_curves[0])


def test_models_of_another_structure_are_refused(taken):
    for change in ({"activation": "relu"}, {"bias": False}, {"out_activation": "tanh"}, {"norm": "layer"}):

        def make(seed, change=change):
            return nn.MLP([3, 4, 2], seed=seed, **(change if seed == 1 else {}))

        with pytest.raises(TraceError, match="differ in more than their weights"):
            check(make, OPTIMIZERS["sgd"])
    assert taken == [2, 2, 2, 2]


@pytest.mark.parametrize(
    "settings", [{"tol": 1e-3}, {"X": np.arange(13), "make": lambda s: nn.Sequential(nn.Embedding(13, 2))}]
)
def test_what_asks_something_of_a_run_goes_one_by_one(settings, taken):
    make = settings.pop("make", lambda seed: nn.MLP([3, 4, 2], seed=seed))
    X = settings.pop("X", ROWS)
    runs = fit_many(make, X, ANSWERS, loss="mse", optimizer=OPTIMIZERS["sgd"], epochs=4, seeds=range(2), **settings)
    assert np.isfinite(runs.losses).all()
    assert not taken


def test_predictions_are_those_of_the_end_whatever_becomes_of_the_model():
    kept = []

    def make(seed):
        kept.append(nn.MLP([3, 4, 2], seed=seed))
        return kept[-1]

    rows = ROWS.copy()
    runs = fit_many(make, rows, ANSWERS, loss="mse", optimizer=OPTIMIZERS["sgd"], epochs=5, seeds=range(1))
    model = kept[-1]
    trained = model(ROWS).array
    assert not model.training  # as after a run by itself
    for each in kept:
        each.train().layers[0].weight.array[...] = 7.0
        del each.layers[1]
    rows[...] = 0.0
    for again in (pickle.loads(pickle.dumps(runs)), copy.deepcopy(runs), replace(runs), runs):
        np.testing.assert_array_equal(again.predictions[0, 0], trained)
    assert model.training
    assert (model.layers[0].weight.array == 7.0).all()


def test_an_interrupt_ends_the_runs_of_the_other_threads_at_their_next_step(monkeypatch):
    """Three calls: the first is left out, the second is interrupted, the third would take some seconds."""
    run, done, started = side_by_side.SideBySide.run, [], threading.Event()

    def interrupted(self, groups):
        first = groups[0].places[0]
        if first == 8:
            started.wait(10)
            raise KeyboardInterrupt
        if first == 16:
            started.set()
            run(self, groups)
            done.append(int(groups[0].control[1]))

    monkeypatch.setattr(side_by_side.SideBySide, "run", interrupted)
    rows = RNG.normal(size=(30, 3))
    settings = {"loss": "mse", "optimizer": OPTIMIZERS["sgd"], "epochs": 30_000, "seeds": range(24), "threads": 2}
    with pytest.raises(KeyboardInterrupt):
        fit_many(lambda seed: nn.MLP([3, 40, 2], seed=seed), rows, rows[:, :2], **settings)
    assert len(done) == 1
    assert done[0] < 30_000


def test_the_outcomes_of_workers_are_arrays():
    settings = {"loss": "mse", "epochs": 2, "batch_size": None, "shuffle": True, "tol": None}
    jobs = ManyJobs(lambda seed: nn.MLP([3, 4, 2], seed=seed), OPTIMIZERS["sgd"], ROWS, ANSWERS, settings)
    for losses, answers in jobs.train_places([(float("nan"), 0)], 1):
        assert isinstance(losses, np.ndarray)
        assert isinstance(answers, np.ndarray)


def test_optimizers_are_left_as_by_runs_one_by_one():
    made = []

    def adam(params):
        made.append(optim.Adam(params, lr=0.01))
        return made[-1]

    fit_many(
        lambda seed: nn.MLP([3, 4, 2], seed=seed), ROWS, ANSWERS, loss="mse", optimizer=adam, epochs=5, seeds=[3, 4]
    )
    kept = [optimizer for optimizer in made if optimizer.steps]
    assert len(kept) == 2
    for seed, optimizer in zip([3, 4], kept, strict=True):
        model = nn.MLP([3, 4, 2], seed=seed)
        alone = optim.Adam(model.parameters(), lr=0.01)
        fit(model, ROWS, ANSWERS, loss="mse", optimizer=alone, epochs=5, seed=seed, compiled=True)
        assert optimizer.t == alone.t
        for found, wanted in zip(optimizer.memory, alone.memory, strict=True):
            for a, b in zip(found, wanted, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)
