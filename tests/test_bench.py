"""bench: every peer gives our answer, the numbers are those that were measured, and what is missing is named."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.report import markdown
from bench.timing import Timing, measure, speedups
from bench.workload import OURS, Workload, is_installed
from bench.workloads import WORKLOADS

PAIRS = [
    pytest.param(w, package, id=f"{w.name}-{package}", marks=[pytest.mark.torch] if package == "torch" else [])
    for w in WORKLOADS
    for package in w.peers
    if package != OURS
]
by_name = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda w: w.name)


@pytest.mark.parametrize(("workload", "package"), PAIRS)
def test_every_peer_gives_our_answer(workload, package):
    if not is_installed(package):
        pytest.skip(f"{package} is not installed")
    ours, theirs = workload.peers[OURS]()(), workload.peers[package]()()
    np.testing.assert_allclose(theirs, ours, rtol=workload.rtol, atol=0.0)


@by_name
def test_every_run_of_ours_gives_the_same_answer(workload):
    run = workload.peers[OURS]()
    assert list(run()) == list(run())


@by_name
def test_we_stand_first_and_requirements_name_peers(workload):
    assert next(iter(workload.peers)) == OURS
    assert workload.at_least.keys() <= workload.peers.keys() - {OURS}


def test_names_of_workloads_are_distinct():
    assert len({w.name for w in WORKLOADS}) == len(WORKLOADS)


# The driver and its table, on a workload of its own


def ticking():
    return lambda: [float(sum(range(100)))]


TOY = Workload("toy", "a sum", {OURS: ticking, "micrograd": ticking, "not_a_package": ticking}, {"micrograd": 3.0})


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr("bench.workload.is_installed", lambda package: package != "not_a_package")
    monkeypatch.setattr("bench.report.version", lambda package: "1.0")
    return TOY


def test_peers_take_turns(toy):
    calls = []

    def counting(package):
        return lambda: lambda: calls.append(package) or [1.0]

    timings = measure(replace(toy, peers={package: counting(package) for package in toy.peers}), rounds=3)
    assert calls == [OURS, "micrograd"] * 4  # a first call, then three rounds
    assert all(t.first > 0.0 and t.median > 0.0 for t in timings.values())


def table(toy, ours, theirs):
    return markdown([toy], {toy.name: {OURS: Timing(1.0, ours), "micrograd": Timing(9.0, theirs)}}, threads=1)


def test_a_ratio_is_their_time_over_ours():
    assert speedups({OURS: Timing(9.0, 2.0), "micrograd": Timing(9.0, 8.0)}) == {"micrograd": 4.0}


@pytest.mark.parametrize(
    ("ours", "theirs", "cells"),
    [
        (1e-3, 4e-3, "| 4 ms | 4.00x | 3x: met |"),
        (2e-3, 4e-3, "| 4 ms | 2.00x | 3x: **MISSED** |"),
        (8e-3, 4e-3, "| 4 ms | 0.50x **LOST** | 3x: **MISSED** |"),
    ],
)
def test_lost_and_missed_cells_are_marked(toy, ours, theirs, cells):
    assert cells in table(toy, ours, theirs)


def test_the_table_names_the_machine_the_versions_and_what_is_missing(toy):
    text = table(toy, 1.0, 4.0)
    assert "toy: not_a_package is not installed, skipped" in text
    assert f"Python {sys.version.split()[0]}" in text
    assert f"{OURS} 1.0, micrograd 1.0" in text
    assert "1 thread each" in text


def test_the_command_writes_the_table(tmp_path):
    out = tmp_path / "made" / "bench.md"
    command = [sys.executable, "-m", "bench", "chain, soft", "--rounds", "3", "--out", str(out)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    text = out.read_text(encoding="utf-8")
    assert f"| eager chain, soft | {OURS} |" in text
    assert text in done.stdout


def test_the_command_names_the_workloads_it_has():
    command = [sys.executable, "-m", "bench", "no such workload"]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert all(w.name in done.stderr for w in WORKLOADS)
