"""A repetition in its time, and with the weights that samples had."""

import io
import sys
import time
import warnings

import numpy as np
import pytest
from sklearn import neural_network

from tests.pace import slowness
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts import lbfgs
from tinygrad_edu.clinic.diagnosis.facts.look import outliers
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of, with_weights
from tinygrad_edu.clinic.diagnosis.facts.task import task_of
from tinygrad_edu.clinic.diagnosis.proof import retrain
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget, NoTimeError
from tinygrad_edu.data import xor_gate
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.train import fit

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
def test_sample_weight_is_repeated_as_it_was(kind, solver):
    X, weight = RNG.normal(size=(90, 2)), RNG.uniform(0.1, 2.0, 90)
    y = (X[:, 0] * X[:, 1] > 0).astype(int) if kind == "MLPClassifier" else X[:, 0] * X[:, 1]
    made = getattr(neural_network, kind)(hidden_layer_sizes=(8,), solver=solver, max_iter=30, random_state=3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.fit(X, y, sample_weight=weight)
    subject = with_weights(subject_of(made, X, y), weight)
    network, losses = lbfgs.fit_network(subject.setup, subject.task, 3)
    np.testing.assert_allclose(losses[-1], made.loss_, rtol=1e-9)
    np.testing.assert_allclose(network.layers[0].weight.data, made.coefs_[0].T, rtol=1e-6)
    if solver == "sgd":
        assert "sample_weight" in diagnose(made, X, y, seeds=3).summary  # the diagnosis was not given it
        assert "repeat" not in diagnose(made, X, y, sample_weight=weight, seeds=3, budget_s=1.0).summary


def test_weights_of_another_length_or_thing_are_refused():
    X, y = xor_gate()
    model = nn.MLP([2, 3, 1])
    run = fit(model, X, y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=2)
    with pytest.raises(SettingError, match="sample_weight"):
        diagnose(run, sample_weight=np.ones(4))
    made = neural_network.MLPClassifier((3,), solver="lbfgs", max_iter=500, random_state=0).fit(X, y.ravel() > 0)
    with pytest.raises(ShapeError, match="sample_weight has 3"):
        diagnose(made, X, y.ravel() > 0, sample_weight=np.ones(3))


def recurrent_run(steps=6, epochs=4):
    X = RNG.normal(0, 1, (60, steps, 1))
    model = nn.Sequential(nn.LSTM(1, 6, rng=0), nn.last_output, nn.Linear(6, 1, rng=0))
    optimizer = optim.Adam(model.parameters(), lr=1e-4)
    return fit(model, X, X[:, 0], loss="mse", optimizer=optimizer, epochs=epochs, batch_size=20, compiled=False)


@pytest.mark.slow
@pytest.mark.parametrize("compiling", [0.1, 1e3])
def test_the_budget_holds_whatever_a_compiler_takes(compiling, monkeypatch, tmp_path):
    from tinygrad_edu.train.compiled.programs import CompiledJob

    monkeypatch.setattr(CompiledJob, "compile_seconds", lambda self: compiling)
    monkeypatch.setattr(CompiledJob, "at_hand", lambda self: False)
    run = recurrent_run()
    start = time.process_time()
    found = diagnose(run, budget_s=1.0)
    # Two threads for 1 s, and about a second of compilation, in CPU time.
    assert time.process_time() - start < 4.0 * slowness(time.process_time)
    assert found.summary


def test_no_time_for_anything_is_said(monkeypatch):
    from tinygrad_edu.clinic.diagnosis.proof import trials as module
    from tinygrad_edu.train.compiled.programs import CompiledJob

    monkeypatch.setattr(module, "FLOOR", 0.0)
    monkeypatch.setattr(CompiledJob, "at_hand", lambda self: False)  # so that no program of another test is used
    monkeypatch.setattr(CompiledJob, "compile_seconds", lambda self: 1e3)
    found = diagnose(recurrent_run(10, 3), budget_s=0.002)
    assert found.healthy is None
    assert found.causes == []
    assert "budget_s=0.002" in found.summary
    assert any("no time left" in row for row in found.not_checked)


def test_a_run_that_is_out_of_time_is_no_trial():
    subject = subject_of(recurrent_run(6, 1), None, None)
    setup = subject.setup.but({"epochs": 100_000})
    start = time.perf_counter()
    with pytest.raises(NoTimeError):
        retrain.eagerly(retrain.Jobs(setup, subject.task), [(float("nan"), 1)], Budget(0.2))
    assert time.perf_counter() - start < 60.0  # all its 100,000 epochs would take an hour


def test_a_line_of_progress_after_a_second_of_one_step(monkeypatch):
    from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
    from tinygrad_edu.clinic.diagnosis.proof import trials as module

    record, shown = Record(subject_of(recurrent_run(2, 1), None, None)), io.StringIO()
    shown.isatty = lambda: True
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setattr(module, "QUIET", 0.05)
    made = module.Trials(record, range(1, 4), 30.0)
    made.show("training it again as it is")
    assert not shown.getvalue()
    time.sleep(0.2)  # one long step
    made.end()
    assert "training it again as it is" in shown.getvalue()
    assert shown.getvalue().endswith("\r\033[K")


@pytest.mark.parametrize("power", [2, 3, 4])
def test_a_steep_curve_has_no_outliers(power):
    X = RNG.uniform(-100.0, 100.0, (500, 1))
    setup = Setup(sizes=(1, 4, 1))
    y = X**power
    assert outliers(task_of(X, y, setup)) is None
    y[[5, 50, 300]] = -50.0 * np.abs(y).max()
    assert outliers(task_of(X, y, setup)).sum() == 3
