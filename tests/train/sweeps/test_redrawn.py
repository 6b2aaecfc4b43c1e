"""`fit_many` of an MLP: each seed's numbers are those of a function that makes the model of the seed, bit for bit."""

import copy
import pickle

import numpy as np
import pytest

from tinygrad_edu import fit_many, nn, ops, optim
from tinygrad_edu.data import xor_gate
from tinygrad_edu.errors import SettingError
from tinygrad_edu.train.sweep.redrawn import Redrawn, as_function

X, Y = xor_gate()
SEEDS = range(5, 14)  # one group of lanes, and one run of the next group
KINDS = {
    "plain": {},
    "another beginning, no bias": {"bias": False, "init": "orthogonal", "activation": "relu"},
    "drawn biases, two layers": {"sizes": [2, 3, 3, 1], "init": nn.init.scikit_learn("relu"), "out_activation": "tanh"},
    "float32": {"dtype": "float32"},
    "a norm": {"norm": "layer"},
    "dropout": {"dropout": 0.5},
    "scalars": {"backend": "scalar"},
}


def model(kind, seed):
    return nn.MLP(**{"sizes": [2, 4, 1], **KINDS[kind], "seed": seed})


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", [0, 7, 2**40])
def test_weights_are_those_of_the_model_of_the_seed(kind, seed):
    found, expected = Redrawn(model(kind, 3)), model(kind, seed)
    assert repr(found(seed)) == repr(expected)
    for name, array in expected.state_dict().items():
        np.testing.assert_array_equal(found(seed).state_dict()[name], array, strict=True)
    if found.is_plain:
        for p, drawn in zip(expected.parameters(), found.weights(seed), strict=True):
            np.testing.assert_array_equal(p.array, drawn.astype(p.dtype), strict=True)


def run(make, **settings):
    settings = {"loss": "mse", "optimizer": "adam", "epochs": 12, "seeds": SEEDS, "threads": 2, **settings}
    return fit_many(make, X, Y, **settings)


def check(kind, **settings):
    given = model(kind, 3)
    before = copy.deepcopy(given.state_dict())
    found, expected = run(given, **settings), run(lambda seed: model(kind, seed), **settings)
    for name in ("seeds", "losses", "loss_curves", "n_epochs", "predictions", "learning_rates"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)
    for name, array in given.state_dict().items():  # the model itself is unchanged
        np.testing.assert_array_equal(array, before[name])
    return found


@pytest.mark.parametrize("kind", ["plain", "float32", "drawn biases, two layers"])
def test_runs_are_those_of_a_function_of_the_seed(kind):
    found = check(kind)
    assert len(np.unique(found.losses)) == len(SEEDS)


def test_also_with_orders_rates_and_an_optimizer_of_ones_own():
    check("plain", batch_size=3, learning_rates=[0.1, 0.01], optimizer=lambda p: optim.SGD(p, lr=1.0, momentum=0.9))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_also_where_runs_meet_nan():
    check("plain", learning_rates=[0.1, 1e200], optimizer=lambda p: optim.SGD(p))


def test_an_optimizer_is_made_for_each_run():
    made = []

    def optimizer(parameters):
        made.append(optim.SGD(parameters, lr=0.1 * (1 + len(made) % 2)))
        return made[-1]

    run(model("plain", 0), optimizer=optimizer)
    assert len(set(map(id, made))) >= len(SEEDS)


def changed(change):
    made = model("plain", 0)
    change(made)
    return made


OTHERS = {
    "of another class": (nn.Sequential(nn.Linear(2, 1)), r"fit_many\(Sequential\(...\)\).*lambda seed: Sequential"),
    "with another layer": (changed(lambda m: m.layers.append(nn.Linear(1, 1))), "have been changed since"),
    "with a frozen layer": (
        changed(lambda m: setattr(m.layers[0].weight, "requires_grad", False)),
        "have been changed",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_models_that_cannot_be_made_from_a_seed_are_refused(name):
    given, words = OTHERS[name]
    with pytest.raises(SettingError, match=words):
        run(given)


def test_settings_that_were_changed_in_the_model_count():
    given = changed(lambda m: setattr(m, "activation", ops.relu))
    np.testing.assert_array_equal(run(given).losses, run(lambda seed: nn.MLP([2, 4, 1], "relu", seed=seed)).losses)
    assert as_function(len) is len
    assert repr(pickle.loads(pickle.dumps(as_function(given)))(1)) == repr(given)  # as it is sent to workers elsewhere
