"""When Keras' EarlyStopping ends a training, and how a network of PyTorch began, are repeated as they were."""

from types import SimpleNamespace

import numpy as np
import pytest

from tests.clinic.diagnosis.test_foreign_training import CLASSES, HOW, NET, RNG, SUM, X, callback, torch
from tinygrad_edu.clinic.diagnosis.beginning import with_its_start
from tinygrad_edu.clinic.diagnosis.facts import foreign, foreign_starts
from tinygrad_edu.clinic.diagnosis.proof import retrain
from tinygrad_edu.clinic.diagnosis.proof.retrain import train_setup
from tinygrad_edu.clinic.diagnosis.torch_pass import looked_through

assert torch  # the fixture


def epochs_of_keras(losses, patience, min_delta):
    """EarlyStopping as its documentation has it: an epoch counts that is better than the best by min_delta."""
    best, waited = np.inf, 0
    for epoch, loss in enumerate(losses, 1):
        waited += 1
        if loss < best - min_delta:
            best, waited = loss, 0
        elif waited >= patience and epoch > 1:
            return epoch
    return len(losses)


@pytest.mark.parametrize("seed", range(5))
def test_gains_below_min_delta_add_up_as_in_keras(seed):
    rng = np.random.default_rng(seed)
    for patience, min_delta in ((1, 0.05), (3, 0.02), (5, 0.3)):
        losses = np.exp(-np.arange(80) / 15) + 0.02 * rng.normal(size=80)
        stop = callback("EarlyStopping", monitor="loss", patience=patience, min_delta=min_delta)
        setup = foreign.of_keras(NET, X, CLASSES, {**HOW, "callbacks": [stop]}).setup
        rule = retrain.Patience(setup)
        job = SimpleNamespace(held_out=None, settings=SimpleNamespace(seed=1), losses=[])
        for loss in losses:
            job.losses.append(float(loss))
            if rule(job):
                break
        assert len(job.losses) == epochs_of_keras(losses, patience, min_delta)


def test_min_delta_ends_a_training_and_restores_the_best():
    stop = callback("EarlyStopping", monitor="val_loss", patience=2, min_delta=0.5, restore_best_weights=True)
    how = {**HOW, "callbacks": [stop], "validation": 0.5}
    subject = foreign.of_keras(NET, X, CLASSES, how)
    runs = train_setup(subject.setup, subject.task, [1, 2])
    assert [len(run.losses) for run in runs] == [3, 3]  # the first epoch stays the best by far
    assert not any(run.diverged for run in runs)


def test_units_that_float32_has_rounded_apart_are_alike():
    row = np.array([0.5, -1.5])
    near = np.tile(row, (4, 1)) * (1.0 + 1e-5 * RNG.normal(size=(4, 2)))
    for weight, same in ((near, True), (near.T, True), (RNG.normal(size=(4, 2)), False)):
        assert foreign_starts.began_alike(SimpleNamespace(arrays={"weight": weight})) == same


@pytest.mark.torch
@pytest.mark.parametrize("begin", ["negative", "default"])
def test_a_start_is_read_off_layers_that_are_dead(begin, torch):
    T = torch.nn
    model = T.Sequential(T.Linear(3, 8), T.ReLU(), T.Linear(8, 1))
    if begin == "negative":  # every unit is dead for inputs between 0 and 1
        T.init.uniform_(model[0].weight, -1.0, 0.0)
        T.init.constant_(model[0].bias, -0.3)
    inputs = np.abs(X) / np.abs(X).max()
    how = {"loss": T.MSELoss(), "optimizer": torch.optim.Adam(model.parameters(), lr=0.01), "epochs": 3}
    subject = foreign.of_torch(model, inputs, SUM[:, None], how)
    found = with_its_start(subject, train_setup(subject.setup, subject.task, [1, 2, 3]))
    if begin == "default":
        assert found is None
        return
    again = train_setup(found.setup, found.task, [1, 2, 3])
    assert all(np.ptp(run.estimate) == 0.0 for run in again)  # dead from the start, like that network


@pytest.mark.torch
@pytest.mark.parametrize("raw", [True, False])
def test_raw_outputs_are_no_log_probabilities(raw, torch):
    T = torch.nn
    model = T.Sequential(T.Linear(3, 4), *([] if raw else [T.LogSoftmax(dim=1)]))
    seen = looked_through(model, X.astype(np.float32), CLASSES, T.NLLLoss(), None, "")
    assert [cause.code for cause in seen.causes] == ["wrong_loss"] * raw
