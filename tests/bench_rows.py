"""A row and a probe of our own for the tests of bench, and the fixture that puts the row to work."""

from types import SimpleNamespace

import pytest

from bench.speed.workload import OURS, Probe, Workload


def ticking():
    return lambda: [float(sum(range(100)))]


TOY = Workload("toy", "a sum", {OURS: ticking, "micrograd": ticking, "not_a_package": ticking}, {"micrograd": 3.0})
WEIGHT = Probe("weight", "how heavy", lambda: {"big": 3.0, "small": 0.5}, {"big": 2.0, "small": 1.0}, "kg")


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setattr("bench.speed.workload.is_installed", lambda package: package != "not_a_package")
    monkeypatch.setattr("bench.speed.machine.version", lambda package: "1.0")
    # gc.collect() before each run goes through everything that thousands of tests have loaded: 4 s.
    monkeypatch.setattr("bench.speed.timing.gc", SimpleNamespace(collect=lambda: 0))
    return TOY
