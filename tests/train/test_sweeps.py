"""Sweeps over processes and clusters: wherever a run goes, whatever happens there, its numbers are the serial ones."""

import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from distributed import Client, LocalCluster
from joblib.externals.loky import get_reusable_executor
from sklearn.model_selection import GridSearchCV

from tinygrad_edu import fit, fit_many, nn, optim
from tinygrad_edu.clinic.diagnosis.proof.retrain import Jobs
from tinygrad_edu.compile.backend import cache
from tinygrad_edu.data import iris, moons
from tinygrad_edu.errors import NameNotFoundError, SettingError, TinygradError
from tinygrad_edu.estimators import MLPClassifier
from tinygrad_edu.optim import schedules
from tinygrad_edu.train.sweep import workers
from tinygrad_edu.train.sweep.many import ManyJobs

ROOT = Path(__file__).parents[2]
X, Y = moons(90)  # more than the 1 kB from which joblib leaves an argument with one worker
RESULTS = ("seeds", "learning_rates", "losses", "loss_curves", "n_epochs", "predictions")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # of distributed about itself


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


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache of this test's own, which the workers that it starts take over."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    get_reusable_executor().shutdown(wait=True)
    yield tmp_path / "cache"
    get_reusable_executor().shutdown(wait=True)


@pytest.fixture
def client():
    with cluster() as started, Client(started) as connected:
        yield connected


def cluster(**given):
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"}
    return LocalCluster(**settings | given)


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
        # Equal bit for bit until runs went side by side, where the losses of a batch are added in another order.
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
    # two threads of BLAS would give other last bits than one
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


def test_a_cluster_gives_the_serial_numbers(client):
    for name in CASES:
        assert_identical(many(**CASES[name]), many(parallel="dask", **CASES[name]))
    with joblib.parallel_config("dask"):
        assert_identical(many(), many(parallel=None))


def test_a_worker_of_two_threads(home):
    """Two traces and two compilations at once, in both of which CPython 3.11 may parse one at a time only."""
    alone = many(epochs=3)
    with cluster(n_workers=1, threads_per_worker=2) as started, Client(started):
        assert_identical(alone, many(epochs=3, parallel="dask"))


# Where it goes


CONTEXTS = [
    ({}, 0),
    ({"backend": "loky", "n_jobs": 2}, 2),
    ({"backend": "loky", "n_jobs": 1}, 0),
    ({"backend": "loky"}, 0),  # one process is joblib's own default
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
        done = workers.spread(lambda part: [10 * x for x in part], range(runs), 2, shown)
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


# Compiled programs


def recipe():
    settings = {"loss": "mse", "epochs": 2, "batch_size": 32, "shuffle": True, "tol": None}
    return ManyJobs(lambda seed: nn.MLP([2, 6, 1], seed=seed), lambda p: optim.SGD(p, lr=0.1), X, Y, settings)


def found():
    """(taken from the disk, compiled) in this process."""
    programs = [module for name, module in sys.modules.items() if name.startswith("tinygrad_edu_training_")]
    stats = [program.epochs.stats for program in programs]
    return sum(sum(s.cache_hits.values()) for s in stats), sum(sum(s.cache_misses.values()) for s in stats)


def test_the_second_worker_reads_what_the_first_has_compiled(home, client):
    first, second = client.scheduler_info()["workers"]
    places = [(float("nan"), seed) for seed in range(2)]
    outcomes = [
        client.submit(recipe().train_places, places, 1, workers=[each], pure=False).result(50)
        for each in (first, second)
    ]
    assert client.run(found) == {first: (0, 1), second: (1, 0)}
    assert len(list(home.glob("tinygrad_edu_training_*"))) == 1
    for (losses, answers), (others, theirs) in zip(*outcomes, strict=True):
        assert (losses.tobytes(), answers.tobytes()) == (others.tobytes(), theirs.tobytes())


def test_two_workers_that_start_together_leave_one_sound_program(home, client):
    places = [(float("nan"), seed) for seed in range(2)]
    both = list(client.scheduler_info()["workers"])
    started = [client.submit(recipe().train_places, places, 1, workers=[each], pure=False) for each in both]
    one, other = (future.result(50) for future in started)
    assert [a.tobytes() for pair in one for a in pair] == [a.tobytes() for pair in other for a in pair]
    (program,) = home.glob("tinygrad_edu_training_*")
    assert cache.sound(program)
    assert not list(home.rglob("*.tmp*"))
    client.restart()
    client.submit(recipe().train_places, places, 1, pure=False).result(50)
    assert sorted(client.run(found).values()) == [(0, 0), (1, 0)]


ELSEWHERE = f"""
import sys; from tinygrad_edu import data, fit_many, nn, optim; from tinygrad_edu.optim import schedules
{{change}}
{inspect.getsource(found)}{inspect.getsource(sgd)}
make, settings = lambda seed: nn.MLP([2, 6, 1], seed=seed), dict(loss="mse", epochs=2, seeds=range(2), batch_size=32)
runs = fit_many(make, *data.moons(90), optimizer=sgd, **settings)
print(*found(), float(runs.losses.sum()))
"""
MACHINES = {
    "this": "",
    "another processor": "import llvmlite.binding\nllvmlite.binding.get_host_cpu_name = lambda: 'another'",
    "another Numba": "import numba\nnumba.__version__ = '0.0.1'",
}


def test_another_kind_of_machine_compiles_its_own(home):
    """Two machines may share a folder."""

    def run(change):
        code = ELSEWHERE.format(change=change)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)
        assert done.returncode == 0, done.stderr
        hits, misses, total = done.stdout.split()
        return (int(hits), int(misses)), total

    outcomes = [run(change) for change in (*MACHINES.values(), "")]
    assert [stats for stats, _ in outcomes] == [(0, 1)] * len(MACHINES) + [(1, 0)]
    totals = [float(total) for _, total in outcomes]  # another instruction set may round the last digit otherwise
    assert totals == pytest.approx([totals[0]] * len(totals), rel=1e-14)
    assert len(list(home.glob("tinygrad_edu_training_*"))) == len(MACHINES)


# A worker dies


def test_a_killed_worker_loses_no_result(client, tmp_path):
    """By then it has finished runs, which nobody else had."""
    here, note = os.getpid(), tmp_path / "killed"

    def make(seed):
        if seed == 25 and os.getpid() != here and not note.exists():
            note.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return nn.MLP([2, 6, 1], seed=seed)

    before = set(client.run(os.getpid).values())
    start = time.perf_counter()
    runs = many(make, seeds=range(32), parallel="dask")
    assert time.perf_counter() - start < 60.0
    assert int(note.read_text()) in before
    assert_identical(runs, many(seeds=range(32)))


def test_a_killed_worker_loses_no_cell_of_a_grid(client, tmp_path):
    note = tmp_path / "killed"

    class Fatal(MLPClassifier):
        def fit(self, X, y):
            if self.alpha == 0.1 and not note.exists():
                note.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return super().fit(X, y)

    X, y = iris()
    cells = {"alpha": [0.001, 0.01, 0.1, 1.0], "activation": ["tanh", "relu"]}

    def scores(network):
        search = GridSearchCV(network((5,), max_iter=20, random_state=0), cells, cv=2, refit=False)
        return search.fit(X, y).cv_results_["mean_test_score"].tolist()

    alone = scores(MLPClassifier)
    with joblib.parallel_config("dask", scatter=[X, y]):  # on both workers: what one alone has is lost with it
        beside = scores(Fatal)
    assert note.exists()
    assert beside == alone


# The example


def test_the_example_finds_the_same_on_the_cluster():
    command = [sys.executable, "-W", "ignore", ROOT / "examples" / "sweep_on_a_cluster.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "2 workers: the same 48 runs to the last bit" in done.stdout
    assert "the same scores" in done.stdout
