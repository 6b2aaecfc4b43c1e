"""A run of Values is diagnosed and reported like one of Tensors: every back end, every door."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.sketches import sketched
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic.diagnosis.causes.table import CAUSES
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.facts.twin import of_tensors
from tinygrad_edu.clinic.diagnosis.proof.trial import words_of
from tinygrad_edu.nn.parameters import BACK_ENDS

X = np.random.default_rng(0).uniform(-1.0, 1.0, (12, 2))


def linear(width, units, back_end):
    return nn.Linear(width, units, backend=back_end, rng=units)


NETWORKS = {
    "MLP": lambda back_end: nn.MLP([2, 4, 1], seed=0, backend=back_end),
    "normalized": lambda back_end: nn.MLP([2, 4, 1], seed=0, norm="layer", backend=back_end),
    "layers": lambda back_end: nn.Sequential(linear(2, 4, back_end), nn.Tanh(), linear(4, 1, back_end)),
}
DOORS = {
    "diagnose": lambda run, folder: str(tg.clinic.diagnose(run, seeds=3, budget_s=60.0).summary),
    "report": lambda run, folder: tg.report(run, path=folder / "report.html").read_text(encoding="utf-8")[:15],
}


def trained(network, back_end):
    model = NETWORKS[network](back_end)
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    return tg.fit(model, X, X.sum(axis=1, keepdims=True), loss="mse", optimizer=optimizer, epochs=30)


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("network", NETWORKS)
def test_every_back_end_goes_through_every_door_alike(network, door, tmp_path):
    with sketched():
        said = [DOORS[door](trained(network, back_end), tmp_path) for back_end in BACK_ENDS]
    assert len(said[0]) > 3
    assert said[1:] == said[:1] * (len(BACK_ENDS) - 1)


def layer_twice():
    layer = nn.Linear(2, 2, backend="scalar", rng=0)
    return nn.Sequential(layer, nn.Tanh(), layer)


@pytest.mark.parametrize(
    "make",
    [
        *(lambda make=make: make("scalar") for make in NETWORKS.values()),
        lambda: nn.MLP([2, 3, 1], seed=1, norm="batch", backend="scalar"),
        layer_twice,
    ],
)
def test_the_twin_of_a_network_of_values_gives_its_numbers_and_has_as_many_parameters(make):
    model = make()
    model(X) if model.training else None
    model.eval()
    twin, numbers = of_tensors(model), np.vectorize(lambda value: value.data)
    assert np.allclose(twin(X).numpy(), numbers(model(X)), rtol=1e-14, atol=0.0)
    assert sum(p.array.size for p in twin.parameters()) == len(model.parameters())
    assert {name: a.shape for name, a in twin.state_dict().items()} == {
        n: a.shape for n, a in model.state_dict().items()
    }
    assert of_tensors(twin) is twin


RECORDS = {
    "numbers": lambda: (nn.MLP([2, 4, 1], seed=0), X.sum(axis=1, keepdims=True), "mse"),
    "classes": lambda: (nn.MLP([2, 4, 1], out_activation="sigmoid", seed=0), (X[:, :1] > 0) * 1.0, "mse"),
}


@pytest.mark.parametrize("kind", RECORDS)
def test_a_proof_says_only_of_one_setting_and_together_of_several(kind):
    model, y, loss = RECORDS[kind]()
    inputs = np.hstack([X[:, :1], np.ones((12, 1))])  # with a constant column, so that dropping it changes the layers
    run = tg.fit(model, inputs, y, loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=5)
    record = Record(subject_of(run, None, None))
    setup, counts = record.setup, set()
    for cause in CAUSES:
        for change in cause.changes(record):
            changed, words = len(setup.changes_to(setup.but(change))), words_of(setup, change)
            assert words.startswith("only ") == (changed == 1), words
            assert words.endswith(" together") == (changed > 1), words
            counts.add(changed)
    assert {1, 2} <= counts
