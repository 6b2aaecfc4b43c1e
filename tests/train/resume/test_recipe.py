"""A run leaves one recipe: records, files, the diagnosis and the report take every setting from it."""

import inspect
import json
from dataclasses import fields, replace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.optim import schedules
from tinygrad_edu.optim.named import optimizer_classes
from tinygrad_edu.train.config import as_json
from tinygrad_edu.train.recipe import CHECKS, Plan, Recipe, Settings
from tinygrad_edu.train.stored import KINDS

UNUSUAL = {
    "epochs": 3, "batch_size": 2, "shuffle": "given", "seed": 5, "tol": 1e-9, "patience": 2, "clip_norm": 3.0,
    "clip_value": 2.0, "accurate": True,
}  # fmt: skip
OURS = sorted(name for name, kind in optimizer_classes().items() if kind.__module__.startswith("tinygrad_edu."))


def run_of(optimizer="Adam", **options):
    model = tg.nn.MLP([2, 3, 1], seed=1)
    made = optimizer_classes()[optimizer](model.parameters(), **options)
    told = {"epochs": 2} if optimizer == "LBFGS" else UNUSUAL
    return tg.fit(model, *tg.data.xor_gate(), loss="mse", optimizer=made, compiled=False, **told)


def test_every_plain_setting_has_a_check_and_an_unusual_value_here():
    names = {field.name for field in fields(Plan)} - {"loss"}
    assert names == CHECKS.keys() == UNUSUAL.keys()
    assert names <= KINDS.keys()


def test_fit_is_told_every_setting_by_its_name():
    assert {field.name for field in fields(Settings)} <= inspect.signature(tg.fit).parameters.keys()


@pytest.mark.parametrize("optimizer", OURS)
def test_a_record_gives_the_recipe_back(optimizer):
    run = run_of(optimizer)
    recipe = run.job.recipe
    config = json.loads(json.dumps(as_json(run.config)))
    assert all(KINDS[name](config[name]) for name in KINDS.keys() & config.keys())
    again = Recipe.of_record(config)
    assert again == replace(recipe, batch_size=run.job.batch_size)
    made = again.make_optimizer(run.model.parameters())
    assert type(made).__name__ == optimizer
    assert made.options == recipe.options


@pytest.mark.parametrize("lr", [0.25, schedules.cosine(0.1, 9), schedules.inverse_time(0.1)])
def test_the_learning_rate_comes_back_from_its_text(lr):
    run = run_of("Adam", lr=lr)
    again = Recipe.of_record(json.loads(json.dumps(as_json(run.config))))
    assert repr(again.lr) == repr(run.job.recipe.lr)
    assert again.make_optimizer(run.model.parameters()).lr == pytest.approx(float(schedules.as_schedule(lr)(0)))


@pytest.mark.parametrize("optimizer", OURS)
def test_the_diagnosis_trains_by_the_same_recipe(optimizer):
    run = run_of(optimizer)
    setup = subject_of(run, None, None).setup
    recipe = run.job.recipe
    assert setup.plan == recipe.plan
    assert (setup.optimizer, setup.options) == (recipe.optimizer, recipe.options)
    assert type(setup.make_optimizer(run.model.parameters())).__name__ == optimizer


def test_a_setting_of_the_diagnosis_is_checked_as_fits_own():
    for name, wrong in (("epochs", 0), ("clip_norm", -1.0), ("shuffle", "wieghted")):
        with pytest.raises(tg.errors.TinygradError, match=name if name != "shuffle" else "order"):
            Setup(sizes=(2, 1), **{name: wrong})


@pytest.mark.parametrize("name", sorted(CHECKS))
@pytest.mark.parametrize("value", [-1, float("nan"), "no", [], 10**400])
def test_a_file_may_hold_no_setting_that_fit_refuses(name, value):
    told = {"loss": "mse", "epochs": 1} | {name: value}
    try:
        Settings(**told)
        allowed = isinstance(value, (int, float)) and np.isfinite(float(value))
    except (tg.errors.TinygradError, OverflowError):
        allowed = False
    assert KINDS[name](value) == allowed
