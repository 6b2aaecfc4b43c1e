"""`run.config` has all that is needed to do a run again, in Python and in a file."""

import json
from tempfile import TemporaryDirectory

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.nn import losses
from tinygrad_edu.optim import schedules
from tinygrad_edu.train import Run, fit_online

X, Y = moons(30)
WEIGHTS = np.random.default_rng(0).uniform(0.1, 2.0, 30)
OPTIMIZERS = {
    "SGD": lambda p: optim.SGD(p, lr=0.05, momentum=0.8, weight_decay=1e-3, nesterov=True),
    "Adam": lambda p: optim.Adam(p, lr=0.02, betas=(0.8, 0.95), eps=1e-6, weight_decay=1e-3),
    "AdamW": lambda p: optim.AdamW(p, lr=schedules.cosine(0.02, steps=9), weight_decay=0.2),
    "RMSprop": lambda p: optim.RMSprop(p, alpha=0.8, momentum=0.3, centered=True, eps=1e-6),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.3, weight_decay=0.1),
    "Rprop": lambda p: optim.Rprop(p, lr=0.01, etas=(0.4, 1.3), step_sizes=(1e-5, 0.1)),
    "LBFGS": lambda p: optim.LBFGS(p, tol=1e-3, history=4, max_iter=30, max_fun=99),
}
MODELS = [
    {"sizes": [2, 4, 1]},
    {"sizes": (2, 3, 3, 1), "activation": "relu", "out_activation": "sigmoid", "bias": False, "init": "he_normal"},
    {"sizes": [2, 4, 1], "seed": 3, "norm": "layer", "dropout": 0.2},
    {"sizes": [2, 4, 1], "backend": "scalar", "norm": "batch"},
]
SETTINGS = [
    {},
    {"batch_size": 7, "seed": 4, "shuffle": "stratified", "clip_norm": 0.5, "clip_value": 0.1},
    {"validation": 0.3, "patience": 3, "tol": 1e-3, "loss": "huber", "shuffle": False, "accurate": True},
    {"sample_weight": WEIGHTS, "shuffle": "weighted", "batch_size": 8},
]


def again(run, make=None, **given):
    """The run once more, from its config alone (and the data, which a config does not hold)."""
    c = dict(run.config)
    form = c.pop("model")
    model = nn.MLP(**form) if make is None else make()
    rate = {} if c["lr"] is None else {"lr": c["lr"]}
    optimizer = getattr(optim, c.pop("optimizer"))(model.parameters(), **rate, **c.pop("optimizer_settings"))
    told = {name: c.pop(name) for name in ("samples", "dtype", "sample_weight", "lr")}
    assert told["sample_weight"] == ("sample_weight" in given)
    return fit(model, X, Y, optimizer=optimizer, compiled=False, **c, **given)


def assert_same(a, b):
    for name in ("loss_curve", "grad_norms", "update_norms", "validation_curve"):
        assert getattr(a, name).tolist() == getattr(b, name).tolist()
    assert a.stop_reason == b.stop_reason
    assert a.config == b.config


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_is_made_again(name):
    model = nn.MLP([2, 4, 1], seed=1)
    run = fit(model, X, Y, loss="mse", optimizer=OPTIMIZERS[name](model.parameters()), epochs=5, compiled=False)
    assert run.config["optimizer"] == name
    assert_same(again(run), run)


@pytest.mark.parametrize("model", MODELS)
def test_every_mlp_is_made_again(model):
    made = nn.MLP(**model)
    run = fit(made, X, Y, loss="mse", optimizer=optim.SGD(made.parameters(), lr=0.1), epochs=2, compiled=False)
    assert_same(again(run), run)


@pytest.mark.parametrize("settings", SETTINGS)
def test_every_setting_is_told_again(settings):
    model = nn.MLP([2, 4, 1], seed=1)
    given = {"loss": "mse", "epochs": 8} | settings
    run = fit(model, X, Y, optimizer=optim.Adam(model.parameters(), lr=0.05), compiled=False, **given)
    assert {name: run.config[name] for name in given if name != "sample_weight"} == {
        name: x for name, x in given.items() if name != "sample_weight"
    }
    assert_same(again(run, **{k: x for k, x in settings.items() if k == "sample_weight"}), run)


def test_a_loss_of_nn_has_its_name_and_ones_own_is_itself():
    def own(output, target):
        return losses.mse(output, target) * 2.0

    for loss, expected, in_file in (
        (losses.huber, "huber", "huber"),
        (own, own, f"{__name__}.{own.__qualname__}"),
    ):
        model = nn.Sequential(nn.Linear(2, 1, rng=0))
        run = fit(model, X, Y, loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=1, compiled=False)
        assert run.config["loss"] == expected
        assert run.config["model"] == repr(model)
        assert_same(again(run, lambda: nn.Sequential(nn.Linear(2, 1, rng=0))), run)
        assert json.loads(json.dumps(record(run)["loss"])) == in_file


def record(run, path="run.json"):
    with TemporaryDirectory() as folder:
        return Run.load(run.save(f"{folder}/{path}")).config


def test_a_config_is_plain_in_a_file():
    model = nn.MLP([2, 4, 1], seed=1)
    lr = schedules.warmup(schedules.step(0.1, every=3), steps=2)
    for p in model.parameters():
        p.data = p.data.astype(np.float32)
    run = fit(
        model, X, Y, loss="mse", optimizer=optim.Adam(model.parameters(), lr=lr), epochs=3,
        validation=(X[:4], Y[:4]), seed=np.int64(3), compiled=False,
    )  # fmt: skip
    found = record(run)
    assert found["lr"] == repr(lr)
    assert eval(found["lr"], vars(schedules))(7) == lr(7)
    assert found["optimizer_settings"] == {"betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.0}
    assert (found["dtype"], found["samples"], found["validation"], found["seed"]) == ("float32", 30, "4 samples", 3)
    assert record(run, "run.safetensors") == found


def test_training_in_the_order_of_time_tells_its_settings_too():
    model = nn.Elman(2, 3, 1)
    run = fit_online(model, X, Y, loss="mse", optimizer=OPTIMIZERS["Adagrad"](model.parameters()), epochs=2, steps=3)
    optimizer = OPTIMIZERS["Adagrad"](model.parameters())
    found = record(run)
    assert found == json.loads(json.dumps({**run.config}))
    assert (found["loss"], found["lr"], found["epochs"], found["steps"]) == ("mse", 0.1, 2, 3)
    assert found["optimizer_settings"] == optimizer.options
