"""Sweeps over processes: wherever a run goes, whatever happens there, its numbers are the serial ones."""

import os
import sys

import joblib
import numpy as np
import pytest
from joblib.externals.loky import get_reusable_executor

from tinygrad_edu import fit, fit_many, nn, optim
from tinygrad_edu.clinic.diagnosis.proof.retrain import Jobs
from tinygrad_edu.data import moons
from tinygrad_edu.errors import NameNotFoundError, SettingError, TinygradError
from tinygrad_edu.optim import schedules
from tinygrad_edu.train.sweep import workers
from tinygrad_edu.train.sweep.many import ManyJobs, ManyRuns

X, Y = moons(90)  # more than 1 kB: joblib leaves a smaller argument with one worker
RESULTS = ("seeds", "learning_rates", "losses", "loss_curves", "n_epochs", "predictions")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.optimized,
    pytest.mark.filterwarnings("ignore"),
]  # distributed's warnings about itself


def sgd(p):
    return optim.SGD(p, lr=schedules.cosine(0.3, steps=60), momentum=0.5)


def plateau():
    return schedules.reduce_on_plateau(0.3, patience=0, threshold=0.1)


def many(make=lambda seed: nn.MLP([2, 6, 1], seed=seed), **given):
    settings = {"loss": "mse", "optimizer": sgd, "epochs": 20, "seeds": range(10), "batch_size": 32}
    return fit_many(make, X, Y, **settings | given)


def assert_identical(a, b):
    for name in RESULTS:
        x, y = getattr(a, name), getattr(b, name)
        assert (x.dtype, x.shape, x.tobytes()) == (y.dtype, y.shape, y.tobytes()), name


@pytest.fixture(scope="module", autouse=True)
def ended():
    """Processes of joblib are shared by all tests that ask for some."""
    yield
    get_reusable_executor().shutdown(wait=True)


# Schedules


@pytest.mark.parametrize(
    "schedule",
    [schedules.cosine(0.3, steps=60), plateau(), lambda t: 0.3 * 0.9**t],
    ids=["cosine", "plateau", "function"],
)
def test_every_run_has_the_whole_schedule_to_itself(schedule):
    """One that follows the loss is changed by it, and the factory gives all runs the same."""
    runs = many(optimizer=lambda p: optim.SGD(p, lr=schedule), seeds=range(3))
    for seed in range(3):
        model = nn.MLP([2, 6, 1], seed=seed)
        lr = plateau() if getattr(schedule, "follows_loss", False) else schedule
        settings = {"loss": "mse", "epochs": 20, "batch_size": 32, "seed": seed, "compiled": True}
        run = fit(model, X, Y, optimizer=optim.SGD(model.parameters(), lr=lr), **settings)
        # They were equal bit for bit until runs went side by side, where a batch's losses are summed in another order.
        np.testing.assert_allclose(runs.loss_curves[0, seed], run.loss_curve, rtol=1e-14)


def test_given_rates_replace_the_schedule():
    rates = many(learning_rates=[0.05, 0.2], seeds=range(2))
    plain = many(optimizer=lambda p: optim.SGD(p, lr=0.05, momentum=0.5), seeds=range(2))
    assert rates.loss_curves[0].tolist() == plain.loss_curves[0].tolist()
    assert rates.learning_rates.tolist() == [0.05, 0.2]


def test_the_clinic_trains_by_the_same_jobs():
    assert Jobs.job is ManyJobs.job


# Elsewhere

CASES = {
    "schedule": {},
    "rates": {"learning_rates": [0.01, 0.1, 1e9], "seeds": range(3)},  # the last one ends in NaN
    "adam, tol": {"optimizer": lambda p: optim.Adam(p, lr=0.05), "tol": 1e-3, "seeds": [7, 3, 11]},
    "one run": {"seeds": [4]},
    "dropout": {"make": lambda seed: nn.MLP([2, 5, 1], seed=seed, dropout=0.2, norm="batch"), "batch_size": 30},
    # two BLAS threads would round the last bits differently from one
    "wide": {
        "make": lambda seed: nn.MLP([2, 300, 300, 1], seed=seed), "epochs": 3, "seeds": range(3), "batch_size": None,
        "learning_rates": [1e-3], "threads": 2,
    },
    "own loss": {"loss": lambda output, target: ((output - target) ** 4).mean()},
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_processes_give_the_serial_numbers(name):
    assert_identical(many(**CASES[name]), many(parallel="loky", **CASES[name]))


def test_large_data_that_processes_share_read_only():
    """joblib maps arrays from 1 MB on into the memory of its processes; cross-entropy takes them as they are."""
    rng = np.random.default_rng(0)
    data = np.ascontiguousarray(rng.normal(size=(50_000, 4))), rng.integers(0, 3, 50_000)
    settings = {"loss": "cross_entropy", "optimizer": sgd, "epochs": 1, "seeds": range(3), "batch_size": 500}
    alone, beside = (
        fit_many(lambda seed: nn.MLP([4, 3], seed=seed), *data, parallel=where, **settings) for where in (None, "loky")
    )
    assert_identical(alone, beside)


# where the work goes


CONTEXTS = [
    ({}, 0),
    ({"backend": "loky", "n_jobs": 2}, 2),
    ({"backend": "loky", "n_jobs": 1}, 0),
    ({"backend": "loky"}, 0),  # joblib's own default is one process
    ({"n_jobs": 2}, 2),
    ({"backend": "threading", "n_jobs": 2}, 0),
    ({"backend": "sequential"}, 0),
]


@pytest.mark.parametrize(("context", "count"), CONTEXTS)
def test_the_context_says_where(context, count):
    with joblib.parallel_config(**context), workers.backend(None) as found:
        assert found == count


def test_the_default_stays_in_this_process():
    pids = []
    many(lambda seed: pids.append(os.getpid()) or nn.MLP([2, 6, 1], seed=seed), seeds=range(2))
    assert set(pids) == {os.getpid()}


@pytest.mark.parametrize("runs", [1, 2, 7, 40, 41])
def test_every_run_is_done_once_in_order(runs):
    class Shown:
        total = 0

        def update(self, count):
            self.total += count

    shown = Shown()
    with joblib.parallel_config("threading", n_jobs=2):
        done = workers.spread_tasks(lambda part: [10 * x for x in part], range(runs), 2, shown)
    assert done == [10 * x for x in range(runs)]
    assert shown.total == runs


BAD = [
    ({"parallel": "lokky"}, NameNotFoundError, "backend of joblib 'lokky'. Did you mean 'loky'"),
    ({"parallel": "dask"}, SettingError, "create a Dask Client"),
    ({"parallel": "loky", "seeds": []}, SettingError, "at least one seed and one learning rate"),
    ({"parallel": "loky", "loss": "msse"}, NameNotFoundError, "Did you mean 'mse'"),
]


@pytest.mark.parametrize(("change", "error", "words"), BAD)
def test_bad_input_is_one_clear_error(change, error, words):
    with pytest.raises(error, match=words):
        many(**change)


def test_without_joblib_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    with pytest.raises(SettingError, match=r'pip install "tinygrad_edu\[cluster\]"'):
        many(parallel="loky")
    assert many(epochs=2).losses.shape == (1, 10)


def test_an_error_in_a_worker_is_the_error_here():
    def make(seed):
        if seed == 7:
            raise TinygradError("no network for seed 7")
        return nn.MLP([2, 6, 1], seed=seed)

    with pytest.raises(TinygradError, match="no network for seed 7"):
        many(make, parallel="loky")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ([0.1, 0.2, 0.3], "median loss 0.2>"), ([0.1, np.nan, 0.3], "median loss 0.3, 1 ended in NaN>"),
        ([np.nan, np.nan, 0.3], "median loss inf, 2 ended in NaN>"),
    ],
)  # fmt: skip
def test_a_run_that_ended_in_nan_has_the_largest_loss(last, said):
    losses = np.array([last])
    runs = ManyRuns(np.arange(3), np.array([0.1]), losses, losses[:, :, None], np.ones((1, 3)), np.zeros((1, 3, 4, 1)))
    assert repr(runs).endswith(said)
