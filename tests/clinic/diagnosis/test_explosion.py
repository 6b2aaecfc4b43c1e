"""Clipping mends an exploding gradient and a rate that is too high: named is the one that was measured and proved."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.clinic.diagnosis.test_fewer_changes import counted
from tests.clinic.diagnosis.test_together import trials_of
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.explosion import shrinks, tell_from_high_rate
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom

CLIPPED, ORDER, BLOWN = {"clip_norm": 1.0}, {"shuffle": True}, "exploding_gradient"
SHARP = Symptom("sharp", 3.0, 1.0, "lr is 3 times the largest stable one.")


def bench(ratio, reach, mends):
    """Trials of a run with lr 0.5, of which `mends(change)` says whether all seeds reach the goal."""
    setup = Setup(sizes=(2, 4, 4, 1), lr=0.5, epochs=20)
    t = trials_of(setup)
    t.record = SimpleNamespace(
        setup=setup, start=SimpleNamespace(ratio=ratio), reach=reach, steps=200,
        end=SimpleNamespace(hidden=()), task=SimpleNamespace(samples=320), subject=SimpleNamespace(diverged=True),
    )  # fmt: skip
    t.trial = lambda change, code="": replace(counted(change, 20 * mends(change)), code=code)
    t.best = lambda: {"not_shuffled": t.trial(ORDER, "not_shuffled")}
    t.beats = lambda trial: trial.share >= 0.8
    t.extend = t.confirm = lambda trial: trial
    t.symptoms, t.suspicion, t.suspects, t.affordable = [SHARP], lambda code: 0.0, list, lambda change: False
    return t


def found(t, change):
    """The causes of a repair with these changes: the explosion, and the order where that is changed too."""
    whole = counted(change, 20)
    codes = [BLOWN] + ["not_shuffled"] * ("shuffle" in change)
    rows = [BY_CODE[code] for code in codes]
    return [FoundCause(c.code, c.sentence, "seen", "proof", f"{c.remedy} Here.", change, whole) for c in rows]


def longer(change):
    return change.get("epochs", 0) >= 200


@pytest.mark.parametrize(
    ("ratio", "reach", "change", "mends", "codes"),
    [
        (5.0, 3.0, CLIPPED, lambda c: "lr" in c, [BLOWN]),  # it grows on its way back
        (np.nan, 3.0, CLIPPED, lambda c: "lr" in c, [BLOWN]),  # not measured
        (0.3, 3.0, CLIPPED, lambda c: "lr" in c, ["lr_too_high"]),
        (0.3, 3.0, CLIPPED, lambda c: "lr" in c and longer(c), ["lr_too_high"]),
        (0.3, 3.0, CLIPPED | ORDER, lambda c: {"lr", "shuffle"} <= c.keys(), ["lr_too_high", "not_shuffled"]),
        (0.3, 3.0, CLIPPED | ORDER, lambda c: "lr" in c and longer(c), ["lr_too_high"]),  # the order was not needed
        (0.3, 3.0, CLIPPED | ORDER, lambda c: c == CLIPPED | ORDER, ["lr_too_high", "not_shuffled"]),
        (0.3, 0.2, CLIPPED, lambda c: c == CLIPPED, [BLOWN]),  # below the largest stable rate
        (0.3, 3.0, {"init": "he_uniform"}, lambda c: "init" in c, [BLOWN]),
    ],
)
def test_an_explosion_is_claimed_only_where_the_gradient_grows_on_its_way_back(ratio, reach, change, mends, codes):
    t = bench(ratio, reach, mends)
    causes = tell_from_high_rate(t, found(t, change))
    assert sorted(cause.code for cause in causes) == sorted(codes)
    for cause in causes:
        assert "grows from layer to layer" not in cause.sentence or not ratio <= 1.0
        if cause.code == "lr_too_high":
            assert cause.evidence == SHARP.sentence
            assert "lr" in cause.change or "clip" in cause.remedy
            assert BY_CODE[BLOWN].remedy not in cause.remedy


def test_where_the_lower_rate_alone_is_named_the_clipping_is_not():
    t = bench(0.3, 3.0, lambda change: True)
    rate = replace(found(t, {"lr": 0.05})[0], code="lr_too_high")
    assert tell_from_high_rate(t, [rate, *found(t, CLIPPED)]) == [rate]


@pytest.mark.parametrize(("size", "small"), [(1.0, True), (6.0, False)])
def test_the_growth_is_measured_before_training(size, small):
    X, y = tg.data.moons(60, noise=0.1, seed=0)
    model = nn.MLP([2, 16, 16, 16, 1], activation="relu", seed=0)
    for weight in model.parameters():
        weight.data *= size
    optimizer = optim.SGD(model.parameters(), lr=1e-9)
    run = tg.fit(model, X, y, loss="mse", optimizer=optimizer, epochs=1, compiled=False)
    assert shrinks(Record(subject_of(run, None, None))) is small
