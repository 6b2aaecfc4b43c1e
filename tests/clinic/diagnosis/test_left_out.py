"""An optimizer that holds only some of the model's parameters: told, and named where the others are what is missing."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of

RNG = np.random.default_rng(0)
X = RNG.uniform(-1.0, 1.0, size=(60, 2))
Y = X[:, :1] * X[:, 1:]


def run_of(part, frozen=()):
    """A run whose optimizer holds this part of the parameters."""
    model = nn.MLP([2, 8, 1], seed=0)
    for name, p in model.named_parameters():
        p.requires_grad = name not in frozen
    held = list(model.parameters())[part]
    return tg.fit(model, X, Y, loss="mse", optimizer=optim.Adam(held, lr=0.1), epochs=80, compiled=False)


@pytest.mark.parametrize(
    ("part", "frozen", "left"),
    [
        (slice(None), (), ()),
        (slice(0, 2), (), ("layers.1.weight", "layers.1.bias")),
        (slice(3, 4), (), ("layers.0.weight", "layers.0.bias", "layers.1.weight")),
        (slice(2, 4), ("layers.0.weight", "layers.0.bias"), ()),  # frozen on purpose
    ],
)
def test_the_parameters_that_the_optimizer_does_not_hold_are_known(part, frozen, left):
    subject = subject_of(run_of(part, frozen), None, None)
    assert subject.fixed == left
    assert [note.startswith("the optimizer did not hold") for note in subject.notes] == [True] * bool(left)


def test_they_are_the_cause_where_all_repetitions_that_train_them_learn():
    found = diagnose(run_of(slice(3, 4)), seeds=3)
    (cause,) = found.causes
    assert cause.code == "unregistered_parameters"
    assert cause.evidence == "Not given to the optimizer: layers.0.weight, layers.0.bias, layers.1.weight."
    assert "model.parameters()" in cause.remedy
    assert any("the optimizer did not hold" in row for row in found.not_checked)
