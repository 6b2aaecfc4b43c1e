"""Inputs with far values: scaling by mean and deviation is tried first, and the remedy tells what has repaired."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.clinic.diagnosis.test_fewer_changes import counted
from tests.clinic.diagnosis.test_together import trials_of
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic.diagnosis.causes.changes import scale_inputs
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.single import make_cause

SETUP = Setup(sizes=(3, 4, 1), lr=0.01)
Z = np.random.default_rng(0).normal(size=(120, 3))
FAR = Z * [1.0, 100.0, 1000.0]
FAR[3, 1] = 9e4
MISSING = Z * [1.0, 100.0, 1000.0]
MISSING[::13, 1] = -99999.0
DATA = {
    "plain": (Z * [1.0, 100.0, 1000.0], ["standardized"]),
    "one far": (FAR, ["standardized", "logarithms", "without extremes"]),
    "long tails": (np.exp(2.0 * Z), ["standardized", "logarithms", "without extremes"]),
    "-99999": (MISSING, ["without extremes", "standardized", "logarithms"]),
}


@pytest.mark.parametrize("name", DATA)
def test_plain_scaling_comes_before_logarithms(name):
    X, wanted = DATA[name]
    model = nn.MLP([3, 4, 1], seed=0)
    optimizer = optim.SGD(model.parameters(), lr=1e-9)
    run = tg.fit(model, X, Z[:, :1], loss="mse", optimizer=optimizer, epochs=1, compiled=False)
    tried = [change["inputs"] for change in scale_inputs(Record(subject_of(run, None, None)))]
    assert [*dict.fromkeys(tried)] == wanted


@pytest.mark.parametrize("inputs", ["standardized", "logarithms", "without extremes"])
def test_the_remedy_is_what_has_repaired_and_plain_scaling_is_named_where_it_was_not_enough(inputs):
    t, cause = trials_of(SETUP), BY_CODE["inputs_not_scaled"]
    plain, best = counted({"inputs": "standardized"}, 7), counted({"inputs": inputs}, 20)
    t.symptoms, t.done = [], [plain, best]
    t.record.setup = SimpleNamespace(difference=lambda change: "", dialect="sklearn", rate=0.01)
    found = make_cause(t, cause, best, None)
    assert ("7 of 20" in found.proof) is (inputs != "standardized")
    assert ("log(1 + |x|)" in found.remedy) is (inputs == "logarithms")
    assert ("Cut off" in found.remedy) is (inputs == "without extremes")
    assert "mean 0 and standard deviation 1" in found.remedy
