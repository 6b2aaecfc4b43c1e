"""bench: every peer gives our answer, the numbers are those that were measured, and what is missing is named."""

import functools
import itertools
import json
import mmap
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numba
import numpy as np
import pytest

from bench.speed import chart, command, estimators, first_call, memory, threads
from bench.speed.child import environment, in_own_process
from bench.speed.peer import Peer, peers_of, threads_of
from bench.speed.timing import Timing, measure, probed, speedups, timed
from bench.speed.workload import OURS, is_installed
from bench.speed.workloads import PROBES, ROWS, WORKLOADS
from tests.bench_rows import WEIGHT

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
PAIRS = [
    pytest.param(w, package, id=f"{w.name}-{package}", marks=[pytest.mark.torch] if package == "torch" else [])
    for w in WORKLOADS
    for package in w.peers
    if package != OURS
]
by_name = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)


# Rows are compared on a part of their steps, samples and cells, since each does the same in all of them; and `python -m
# bench`, which does all, refuses to time a wrong answer. Whole rows took three minutes.
SMALL = {
    "letters.STEPS": 3, "letters.EPOCHS": 2, "seeds.SEED_COUNT": 10, "seeds.EPOCHS": 301,
    "estimators.WIDTHS": (4, 11), "estimators.COMPARED": (4, 11), "estimators.DIGITS": (640, 900),
}  # fmt: skip


@pytest.fixture(autouse=True, scope="module")
def small():
    whole = estimators.shape

    def shape(package, samples, features, hidden, outputs, epochs):
        return whole(package, min(samples, 500), features, hidden, outputs, min(epochs, 5))

    with pytest.MonkeyPatch.context() as patch:
        for name, value in SMALL.items():
            patch.setattr(f"bench.speed.{name}", value)
        patch.setattr(estimators, "shape", shape)
        yield


@pytest.mark.parametrize(("workload", "package"), PAIRS)
def test_every_peer_gives_our_answer(workload, package):
    if not is_installed(package):
        pytest.skip(f"{package} is not installed")
    np.testing.assert_allclose(workload.peers[package]()(), our_answer(workload.name), rtol=workload.rtol, atol=0.0)


@functools.cache
def our_run(name):
    return ROWS[name].peers[OURS]()


@functools.cache
def our_answer(name):
    return list(our_run(name)())


@by_name
def test_every_run_of_ours_gives_the_same_answer(workload):
    first = our_answer(workload.name)
    assert list(our_run(workload.name)()) == first


# The table


@by_name
def test_we_stand_first_and_requirements_name_peers(workload):
    assert next(iter(workload.peers)) == OURS
    assert workload.at_least.keys() | workload.repeats.keys() <= workload.peers.keys() - {OURS}


def test_names_of_rows_are_distinct():
    assert len(ROWS) == len(WORKLOADS) + len(PROBES)


def test_the_subset_names_rows_and_has_no_more_rounds_than_they():
    assert all(rounds <= ROWS[name].rounds for name, rounds in command.SUBSET.items())


# measurements of our library alone


def test_the_first_call_is_timed_in_new_processes_with_one_cache(monkeypatch):
    monkeypatch.setattr(first_call, "in_a_new_process", lambda cache, what: caches.append(cache) or len(caches))
    caches = []
    assert first_call.cold_and_from_disk() == {
        "cold": 1, "from the disk": 2, first_call.NUMBA: 3, first_call.CLASSES: 4, first_call.GPT: 5,
        first_call.BLOCKS: 6, first_call.TIMES: 7,
        first_call.LONGER: -1,
    }  # fmt: skip
    assert len(set(caches)) == 1
    assert not Path(caches[0]).exists()


def test_a_first_call_from_the_disk_is_quicker_than_a_compiler(tmp_path):
    calls = ("first_call", "first_call", "numba_alone")  # the start of Numba alone is part of both others
    cold, warm, numba = (first_call.in_a_new_process(str(tmp_path), what) for what in calls)
    assert 0.0 < warm < cold
    assert warm - numba < (cold - numba) / 2


@pytest.mark.skipif(not memory.STATM.exists(), reason="reads the resident size from Linux")
def test_memory_that_grows_is_seen_and_memory_that_is_reused_is_not():
    kept = []
    assert memory.growth(lambda: kept.append(pages(2_000_000))) >= memory.PARTS * 2000 * 0.9
    assert memory.growth(lambda: pages(2_000_000).close()) < 2500


def pages(size):
    """Memory straight from the system: an array might fit where an earlier one was."""
    taken = mmap.mmap(-1, size)
    taken.write(bytes(size))
    return taken


@pytest.mark.skipif(not memory.STATM.exists(), reason="reads the resident size from Linux")
def test_the_parts_of_the_memory_row_run():
    assert memory.growths(steps=1000).keys() == memory.MEMORY.at_most.keys()


# the driver, on a toy row


def test_a_run_is_repeated_until_its_turn_is_over(monkeypatch):
    clock, calls = itertools.count(0.0, 0.008), []  # 8 ms between two readings
    monkeypatch.setattr("bench.speed.timing.perf_counter", lambda: next(clock))
    monkeypatch.setattr("bench.speed.timing.gc", SimpleNamespace(collect=lambda: 0))

    def run():
        calls.append(1)
        return [len(calls)]

    assert timed(run, 0.02) == (pytest.approx(0.008), [3])
    assert timed(run) == (pytest.approx(0.008), [4])


def test_peers_take_turns(toy, monkeypatch):
    monkeypatch.setattr("bench.speed.timing.TURN", 0.0)
    calls, ticks = [], []

    def counting(package):
        return lambda: lambda: calls.append(package) or [1.0]

    counted = replace(toy, peers={package: counting(package) for package in toy.peers})
    timings = measure(counted, 3, lambda: ticks.append(len(calls)))
    assert calls == [OURS, "micrograd"] * 4  # a first call, then three rounds
    assert ticks == [4, 6, 8]
    assert all(t.first > 0.0 and t.median > 0.0 and len(t.runs) == 3 for t in timings.values())


def test_the_time_of_a_part_is_multiplied(toy, monkeypatch):
    monkeypatch.setattr("bench.speed.timing.timed", lambda run, turn: (2.0, run()))
    timings = measure(replace(toy, repeats={"micrograd": 100.0}), rounds=2)
    assert (timings[OURS].first, timings[OURS].runs) == (2.0, [2.0, 2.0])
    assert (timings["micrograd"].first, timings["micrograd"].runs) == (200.0, [200.0, 200.0])


@pytest.mark.parametrize("wrong", [[1.001], [float("nan")], [1.0, 1.0]])
def test_a_wrong_answer_has_no_time(toy, wrong):
    wrongly = replace(toy, peers={OURS: lambda: lambda: [1.0], "micrograd": lambda: lambda: wrong})
    with pytest.raises(ArithmeticError, match=r"toy: micrograd answers .*, tinygrad_edu \[1.0\] .*1e-12"):
        measure(wrongly, rounds=1)


def test_a_ratio_is_their_time_over_ours():
    assert speedups({OURS: Timing(9.0, [2.0]), "micrograd": Timing(9.0, [7.0, 8.0, 90.0])}) == {"micrograd": 4.0}


def test_quartiles_against_numpy():
    runs = np.random.default_rng(0).exponential(size=11).tolist()
    assert Timing(0.0, runs).quartiles == pytest.approx(tuple(np.percentile(runs, [25, 75])))
    assert Timing(0.0, [3.0]).quartiles == (3.0, 3.0)


def test_a_quantity_is_the_median_of_the_rounds():
    numbers = iter([5.0, 1.0, 2.0])
    assert probed(replace(WEIGHT, measure=lambda: {"big": next(numbers), "small": 0.0}), 3) == {
        "big": 2.0,
        "small": 0.0,
    }


# A process of its own


@pytest.mark.parametrize("number", [1, 2])
def test_the_threads_of_a_row_are_in_force(number, tmp_path):
    pytest.importorskip("threadpoolctl")
    lines = ["import numpy, scipy.linalg, numba"]
    if is_installed("jax"):
        lines += ["import jax", "jax.numpy.ones(4).block_until_ready()"]
    lines += ["import torch"] * is_installed("torch")
    lines += [
        "import json",
        "from bench.speed.threads import threads_in_force",
        "print(json.dumps(threads_in_force()))",
    ]
    variables = environment(number, str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(lines)], env=variables, cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    assert found.keys() >= {"numba", *(name for name in ("torch",) if is_installed(name))}
    assert set(found.values()) == {number}


def test_a_row_is_measured_in_a_process_of_its_own():
    ticks = []
    result = in_own_process(ROWS["eager chain, soft"], 2, lambda: ticks.append(1))
    assert (len(ticks), result.failure) == (2, "")
    assert len(result.timings[OURS].runs) == 2
    assert result.timings[OURS].median > 0.0


@pytest.mark.optimized
def test_each_peer_works_in_a_process_of_its_own_and_they_end_together():
    row = ROWS["moons step, tape"]
    with peers_of(replace(row, peers={OURS: row.peers[OURS], "micrograd": row.peers[OURS]})) as peers:
        processes = [each.process for each in peers.values()]
        seconds, answer = peers[OURS].work()
        assert len({os.getpid(), *(each.pid for each in processes)}) == len(peers) + 1
        assert threads_of(peers)["numba"] == numba.get_num_threads()
    assert seconds > 0.0
    assert answer == list(row.peers[OURS]()())  # made here, as optimized as there
    assert all(each.returncode is not None for each in processes)


def test_a_peer_whose_process_ends_is_named():
    with (
        closing(Peer("no such row", OURS)) as gone,
        pytest.raises(RuntimeError, match="no such row: tinygrad_edu ended"),
    ):
        gone.work()


def test_what_interrupts_us_ends_the_process_too(monkeypatch):
    ended = []
    monkeypatch.setattr(subprocess.Popen, "kill", lambda self: ended.append(self.pid) or self.terminate())

    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_own_process(ROWS["eager chain, soft"], 10**6, interrupted)
    assert len(ended) == 1


def test_the_variables_hold_one_number_and_the_rest_of_the_environment_stays(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    found = environment(3, str(tmp_path))
    assert {found[name] for name in threads.VARIABLES} == {"3"}
    assert found["PYTHONPATH"].split(os.pathsep) == [str(ROOT), "elsewhere"]
    assert found["PATH"] == os.environ["PATH"]
    assert not found.keys() & set(threads.SLOWING)


def test_a_row_that_fails_says_why_and_the_others_are_reported(toy, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(ROWS, toy.name, toy)  # the other process does not have this row in its table
    monkeypatch.setattr(chart, "available", lambda: False)
    with pytest.raises(command.MeasurementError, match=f"could not be measured: {toy.name}; "):
        command.run(["toy", "chain, soft"], False, 1, tmp_path)
    text = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert "toy: **could not be measured**: KeyError: 'toy' (`python -m bench.speed.child 'toy' 1" in text
    assert f"| eager chain, soft | 1 | {OURS} |" in text
    assert chart.ADVICE in capsys.readouterr().out
