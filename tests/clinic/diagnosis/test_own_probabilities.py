"""A class of one's own that ends in a softmax or a sigmoid, with a loss that has its own: seen in the outputs."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, ops, optim
from tinygrad_edu.clinic.diagnosis.causes.changes import fitting_loss
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.symptoms.settings import mismatched

X = np.random.default_rng(0).normal(size=(40, 2))
LABELS = (X[:, 0] > 0.0).astype(int)


class Own(nn.Module):
    """Its last function is known to its forward alone."""

    def __init__(self, last, width, hidden, shift=0.0):
        rng = np.random.default_rng(1)
        self.a, self.b = nn.Linear(2, 8, rng=rng), nn.Linear(8, width, rng=rng)
        self.last, self.hidden = last, hidden
        self.b.bias.data += shift
        self.b.weight.data *= 0.01 if shift else 1.0

    def forward(self, x):
        return self.last(self.b(self.hidden(self.a(x))))


def softmax(z):
    return ops.softmax(z, axis=1)


def log_softmax(z):
    return ops.log_softmax(z, axis=1)


def raw(z):
    return z


def shares_without_ends(z):
    """Rows that sum to 1, with numbers below 0 and above 1."""
    return z - (z.sum(axis=1, keepdims=True) - 1.0) / 3.0


CASES = [  # (last function, loss, is there a fault?)
    (softmax, "cross_entropy", True),
    (log_softmax, "cross_entropy", False),
    (raw, "cross_entropy", False),
    (shares_without_ends, "cross_entropy", False),
    (ops.sigmoid, "bce_with_logits", True),
    (raw, "bce_with_logits", False),
    (ops.tanh, "bce_with_logits", False),
    (ops.relu, "bce_with_logits", False),
    (ops.sigmoid, "bce", False),
    (softmax, "mse", False),
]


def record_of(model, loss, rate=0.01):
    classes = loss == "cross_entropy" or model.b.bias.shape[-1] == 3
    y = LABELS if loss == "cross_entropy" else np.eye(3)[LABELS] if classes else LABELS[:, None].astype(float)
    optimizer = optim.SGD(model.parameters(), lr=rate)
    run = tg.fit(model, X, y, loss=loss, optimizer=optimizer, epochs=2, compiled=False)
    return Record(subject_of(run, None, None))


@pytest.mark.parametrize("hidden", [ops.relu, ops.tanh], ids=["relu", "tanh"])
@pytest.mark.parametrize(("last", "loss", "fault"), CASES)
def test_probabilities_for_a_loss_that_takes_logits_are_seen(last, loss, fault, hidden):
    record = record_of(Own(last, 3 if loss in ("cross_entropy", "mse") else 1, hidden), loss)
    fault = fault and (last is softmax or hidden is ops.relu)  # behind tanh no sigmoid is near 0 or 1: no claim
    found = mismatched(record)
    assert (found is not None and "takes logits and has its own" in found.sentence) is fault
    assert not fault or "Return the numbers before the" in found.sentence
    wanted = [{"loss": "bce"}] if fault and last is ops.sigmoid else []
    assert loss == "mse" or [*fitting_loss(record)] == wanted


@pytest.mark.parametrize("hidden", [ops.relu, ops.tanh], ids=["relu", "tanh"])
def test_logits_that_happen_to_lie_between_0_and_1_are_no_fault(hidden):
    record = record_of(Own(raw, 1, hidden, shift=0.5), "bce_with_logits", 1e-6)
    assert 0.0 < record.end.output().numpy().min() < record.end.output().numpy().max() < 1.0
    assert mismatched(record) is None
