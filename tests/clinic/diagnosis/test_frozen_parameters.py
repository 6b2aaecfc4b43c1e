"""A diagnosis of a run in which some parameters ask for no gradient, or are not the optimizer's."""

from itertools import combinations

import numpy as np
import pytest

from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.data import moons
from tinygrad_edu.train import fit

X, Y = moons(16, seed=0)
NAMES = ("a.weight", "a.bias", "b.weight", "b.bias", "c.weight", "c.bias")


class Own(nn.Module):
    """Three layers."""

    def __init__(self):
        self.a, self.b, self.c = nn.Linear(2, 3, rng=0), nn.Linear(3, 3, rng=1), nn.Linear(3, 1, rng=2)

    def forward(self, x):
        return self.c(np.tanh(self.b(np.tanh(self.a(x)))))


def chain():
    layers = Own()
    return nn.Sequential(layers.a, nn.Tanh(), layers.b, nn.Tanh(), layers.c)


def run_of(make, frozen, of_optimizer):
    model = make()
    parameters = dict(zip(NAMES, model.parameters(), strict=True))
    for name in frozen:
        parameters[name].requires_grad = of_optimizer
    held = [p for name, p in parameters.items() if not of_optimizer or name not in frozen]
    return fit(model, X, Y, loss="mse", optimizer=optim.SGD(held, lr=1e-2), epochs=2)


LAYERS = [("a.weight", "a.bias"), ("b.weight", "b.bias"), ("c.weight", "c.bias")]
SETS = [*((name,) for name in NAMES), *LAYERS, *(x + y for x, y in combinations(LAYERS, 2))]


@pytest.mark.parametrize("of_optimizer", [False, True], ids=["frozen", "left out"])
@pytest.mark.parametrize("frozen", SETS, ids=" ".join)
def test_any_of_them_may_be_frozen(frozen, of_optimizer):
    for make in (Own, chain):
        run = run_of(make, frozen, of_optimizer)
        assert diagnose(run, seeds=3, goal=1e9).healthy
        assert "c.weight" not in frozen or of_optimizer or np.isnan(ratio_of(run))


def ratio_of(run):
    """How much of the gradient comes down to the first layer: not known where the last one has none."""
    return Record(subject_of(run, None, None)).end.ratio
