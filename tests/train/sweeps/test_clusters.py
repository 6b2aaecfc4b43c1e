"""Sweeps over a Dask cluster: workers that share compiled programs, and workers that die."""

import inspect
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import dask
import joblib
import pytest
from distributed import Client, LocalCluster
from distributed.utils import get_mp_context
from sklearn.model_selection import GridSearchCV

from tests.train.sweeps.test_sweeps import CASES, X, Y, assert_identical, many, sgd
from tinygrad_edu import nn, optim
from tinygrad_edu.compile.backend import cache
from tinygrad_edu.data import iris
from tinygrad_edu.estimators import MLPClassifier
from tinygrad_edu.train.compiled import programs
from tinygrad_edu.train.sweep.many import ManyJobs

ROOT = Path(__file__).parents[3]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.optimized,
    pytest.mark.filterwarnings("ignore"),
]  # distributed's warnings about itself
LOADED = ["distributed", "joblib", "numba", "sklearn.model_selection", "tinygrad_edu.estimators", "tinygrad_edu.train"]


@pytest.fixture(scope="module", autouse=True)
def quick_processes():
    """Workers are forked from a process that has loaded what they need, and nothing else; the example starts anew."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        get_mp_context().set_forkserver_preload(LOADED)
        yield


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A cache of this test's own, which the workers that it starts take over."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def client():
    """Workers that are new: what they inherit, load and compile is this test's own."""
    with cluster() as started, Client(started) as connected:
        yield connected


@pytest.fixture(scope="module")
def two_workers():
    with cluster() as started:
        yield started


@pytest.fixture
def shared_client(two_workers):
    """Two workers that other tests have used, too: they have imported what it takes. One that dies is started again."""
    with Client(two_workers) as connected:
        connected.wait_for_workers(2, timeout=60)
        assert len(connected.run(os.getpid)) == 2  # the one that was started again answers, too
        yield connected


def cluster(**given):
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": ":0"} | given
    if settings["processes"]:  # as it is now: they are forked from a process begun before
        settings["env"] = {cache.VARIABLE: os.environ[cache.VARIABLE]}
    return LocalCluster(**settings)


def test_a_cluster_gives_the_serial_numbers(shared_client):
    for name in CASES:
        assert_identical(many(**CASES[name]), many(parallel="dask", **CASES[name]))
    with joblib.parallel_config("dask"):
        assert_identical(many(), many(parallel=None))


def test_a_search_over_two_processes_finds_what_one_finds(shared_client):
    X, y = iris()
    cells = {"solver": ["adam", "sgd", "lbfgs"], "activation": ["tanh", "relu"]}
    search = GridSearchCV(MLPClassifier((5,), max_iter=20, random_state=0), cells, cv=2)
    alone = search.fit(X, y).cv_results_
    with joblib.parallel_config("dask"):
        beside = search.fit(X, y).cv_results_
    for name in ("split0_test_score", "split1_test_score", "rank_test_score"):
        assert alone[name].tolist() == beside[name].tolist()


@pytest.mark.usefixtures("home")
def test_a_worker_of_two_threads(monkeypatch):
    """Two traces and two compilations at once, in both of which CPython 3.11 may parse one at a time only.

    The worker is in this process, whose programs are forgotten for it.
    """
    monkeypatch.setattr(programs, "PROGRAMS", {})
    with cluster(n_workers=1, threads_per_worker=2, processes=False) as started, Client(started):
        beside = many(epochs=3, parallel="dask")
    assert_identical(many(epochs=3), beside)


# Compiled programs


def recipe():
    settings = {"loss": "mse", "epochs": 2, "batch_size": 32, "shuffle": True, "tol": None}
    return ManyJobs(lambda seed: nn.MLP([2, 6, 1], seed=seed), lambda p: optim.SGD(p, lr=0.1), X, Y, settings)


def found():
    """(taken from the disk, compiled) in this process."""
    programs = [module for name, module in sys.modules.items() if name.startswith("tinygrad_edu_training_")]
    stats = [program.epochs.stats for program in programs]
    return sum(sum(s.cache_hits.values()) for s in stats), sum(sum(s.cache_misses.values()) for s in stats)


def test_two_workers_that_start_together_leave_one_sound_program_that_others_read(home, client):
    """Whoever comes later, each in a new process, takes it from the disk, and finds the same numbers."""
    places = [(float("nan"), seed) for seed in range(2)]
    both = list(client.scheduler_info()["workers"])
    started = [client.submit(recipe().train_places, places, 1, workers=[each], pure=False) for each in both]
    outcomes = [future.result(50) for future in started]
    assert sum(map(sum, client.run(found).values())) == 2
    (program,) = home.glob("tinygrad_edu_training_*")
    assert cache.sound(program)
    assert not list(home.rglob("*.tmp*"))
    client.restart()
    for each in client.scheduler_info()["workers"]:
        later = client.submit(recipe().train_places, places, 1, workers=[each], pure=False)
        outcomes.append(later.result(50))
    assert set(client.run(found).values()) == {(1, 0)}
    assert list(home.glob("tinygrad_edu_training_*")) == [program]
    first, *others = [[a.tobytes() for pair in each for a in pair] for each in outcomes]
    assert others == [first] * 3


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
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=900)
        assert done.returncode == 0, done.stderr
        hits, misses, total = done.stdout.split()
        return (int(hits), int(misses)), total

    outcomes = [run(change) for change in (*MACHINES.values(), "")]
    assert [stats for stats, _ in outcomes] == [(0, 1)] * len(MACHINES) + [(1, 0)]
    totals = [float(total) for _, total in outcomes]  # another instruction set may round the last digit differently
    assert totals == pytest.approx([totals[0]] * len(totals), rel=1e-14)
    assert len(list(home.glob("tinygrad_edu_training_*"))) == len(MACHINES)


# A worker dies


def test_a_killed_worker_loses_no_result(shared_client, tmp_path):
    """By then it has finished runs, which nobody else had."""
    here, note = os.getpid(), tmp_path / "killed"

    def make(seed):
        if seed == 25 and os.getpid() != here and not note.exists():
            note.write_text(str(os.getpid()))
            os.kill(os.getpid(), signal.SIGKILL)
        return nn.MLP([2, 6, 1], seed=seed)

    before = set(shared_client.run(os.getpid).values())
    start = time.perf_counter()
    runs = many(make, seeds=range(32), parallel="dask")
    assert time.perf_counter() - start < 60.0
    assert int(note.read_text()) in before
    assert_identical(runs, many(seeds=range(32)))


def test_a_killed_worker_loses_no_cell_of_a_grid(shared_client, tmp_path):
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
    with joblib.parallel_config("dask", scatter=[X, y]):  # data on both workers: what only one holds is lost with it
        beside = scores(Fatal)
    assert note.exists()
    assert beside == alone


# The example


def test_the_example_finds_the_same_on_the_cluster():
    command = [sys.executable, "-W", "ignore", ROOT / "examples" / "sweep_on_a_cluster.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900)  # 8 s on an idle machine
    assert done.returncode == 0, done.stderr
    assert "2 workers: the same 48 runs to the last bit" in done.stdout
    assert "the same scores" in done.stdout
