"""Gradients that a loop of PyTorch never sets back to 0 are found in what it left, and others are not."""

import numpy as np
import pytest

from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.left_gradients import (
    before_last_step,
    gradients_not_reset,
    holds_all,
    not_of_last_step,
)

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
X = np.random.default_rng(0).normal(size=(80, 4)).astype(np.float32)
NUMBERS = (np.sin(X[:, :1]) + X[:, 1:2]).astype(np.float32)
CLASSES = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
LOOPS = {  # optimizer, its rate, batch, loss, reduction
    "Adam": ("Adam", 0.05, 20, "MSELoss", "mean"),
    "Adam, whole": ("Adam", 0.05, 80, "MSELoss", "mean"),
    "Adam, a sum": ("Adam", 0.05, 20, "MSELoss", "sum"),
    "SGD, classes": ("SGD", 0.05, 80, "CrossEntropyLoss", "mean"),
}


def left_by(name, resets, epochs=100, last=()):
    """A module as such a loop leaves it, with its loss and its targets."""
    kind, lr, batch, loss, reduction = LOOPS[name]
    torch.manual_seed(0)
    y = torch.as_tensor(NUMBERS if loss == "MSELoss" else CLASSES)
    model = torch.nn.Sequential(
        torch.nn.Linear(4, 12), *last, torch.nn.Tanh(), torch.nn.Linear(12, y.shape[1] if y.ndim > 1 else 2)
    )
    optimizer, function = getattr(torch.optim, kind)(model.parameters(), lr=lr), getattr(torch.nn, loss)
    function = function(reduction=reduction)
    for _ in range(epochs):
        for i in range(0, len(X), batch):
            if resets:
                optimizer.zero_grad()
            function(model(torch.as_tensor(X[i : i + batch])), y[i : i + batch]).backward()
            optimizer.step()
    return model, y.numpy(), function, batch, optimizer


@pytest.mark.parametrize("name", LOOPS)
def test_gradients_that_add_up_are_found_and_others_are_not(name):
    model, y, loss, batch, _ = left_by(name, resets=False)
    before = [p.grad.clone() for p in model.parameters()]
    found = gradients_not_reset(model, X, y, loss, batch)
    assert found is not None
    assert "zero_grad" in found.remedy
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), before, strict=True))
    model, y, loss, batch, _ = left_by(name, resets=True)
    for told in (batch, len(X), 1):  # whatever batch is told
        assert gradients_not_reset(model, X, y, loss, told) is None


def test_what_shows_nothing_is_left_alone():
    model, y, loss, batch, _ = left_by("Adam", resets=False)
    model[0].weight.grad = None
    assert gradients_not_reset(model, X, y, loss, batch) is None
    model, y, loss, batch, _ = left_by("Adam", resets=True, last=[torch.nn.BatchNorm1d(12), torch.nn.Dropout(0.5)])
    mean = model[1].running_mean.clone()
    assert gradients_not_reset(model, X, y, loss, batch) is None
    assert torch.equal(model[1].running_mean, mean)


def test_gradients_of_what_the_optimizer_does_not_hold_are_another_fault():
    model, _, _, _, optimizer = left_by("Adam", resets=True)
    assert holds_all(optimizer, model)
    assert holds_all("adam", model)
    assert not holds_all(torch.optim.SGD(model[0].parameters(), lr=0.1), model)
    model[2].requires_grad_(False)
    assert holds_all(torch.optim.SGD(model[0].parameters(), lr=0.1), model)


@pytest.mark.slow
def test_a_loop_without_zero_grad_is_told_so():
    y = X @ np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 2))
    optimizer, loss = torch.optim.SGD(model.parameters(), lr=0.1), torch.nn.MSELoss()
    for _ in range(100):
        loss(model(torch.as_tensor(X)), torch.as_tensor(y)).backward()
        optimizer.step()
    found = diagnose(model, X, y, loss=loss, optimizer=optimizer, epochs=100, batch_size=80)
    assert found.healthy is not True
    assert "0 of 5 with gradients that add up" in found.summary
    with torch.no_grad():  # weights that are not numbers are no dead units
        model[0].weight.fill_(torch.nan)
    found = diagnose(model, X, y, loss=loss, optimizer=optimizer, epochs=100, batch_size=80)
    assert "zero_grad" in found.summary


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("last", [[], [torch.nn.BatchNorm1d(12)], [torch.nn.Dropout(0.5)]], ids=["", "norm", "dropout"])
def test_of_one_batch_with_all_samples_the_gradient_is_known_exactly(momentum, last):
    """With momentum the weights are far from where `.grad` was made: random batches at the end tell little."""
    for resets in (True, False):
        torch.manual_seed(0)
        model = torch.nn.Sequential(torch.nn.Linear(4, 12), *last, torch.nn.Tanh(), torch.nn.Linear(12, 1))
        optimizer, loss = torch.optim.SGD(model.parameters(), lr=0.02, momentum=momentum), torch.nn.MSELoss()
        for _ in range(60):
            if resets:
                optimizer.zero_grad()
            loss(model(torch.as_tensor(X)), torch.as_tensor(NUMBERS)).backward()
            optimizer.step()
        weights = [p.detach().clone() for p in model.parameters()]
        found = not_of_last_step(model, X, NUMBERS, loss, optimizer)
        random = bool(last) and isinstance(last[0], torch.nn.Dropout)
        assert (found is None) == (resets or random)
        assert all(torch.equal(p, w) for p, w in zip(model.parameters(), weights, strict=True))


def test_the_steps_of_other_optimizers_are_not_undone():
    model, _, _, _, adam = left_by("Adam, whole", resets=False, epochs=3)
    assert before_last_step(model, adam) is None
    assert before_last_step(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)) is None
    assert before_last_step(model, "SGD") is None
