"""Settings that make steps tiny are told by their name, and not as a learning rate that is too low."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.causes.changes import no_clipping, no_dampening, small_epsilon
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.symptoms.network import large_epsilon
from tinygrad_edu.clinic.diagnosis.symptoms.settings import damped
from tinygrad_edu.clinic.diagnosis.words import change_lines

X = np.random.default_rng(5).normal(size=(120, 4))
y = np.sin(1.5 * X[:, :1]) + X[:, 1:2] * X[:, 2:3]


def run_of(kind, lr=0.01, epochs=2, clip=None, **options):
    model = nn.MLP([4, 16, 1], seed=1)
    optimizer = getattr(optim, kind)(model.parameters(), lr=lr, **options)
    return tg.fit(
        model, X, y, loss="mse", optimizer=optimizer, epochs=epochs, batch_size=24, compiled=False, **(clip or {})
    )  # fmt: skip


@pytest.mark.parametrize("kind", ["Adam", "AdamW", "NAdam", "RAdam", "RMSprop"])
@pytest.mark.parametrize(("epsilon", "seen"), [(1e-8, False), (1e-4, False), (10.0, True)])
def test_an_epsilon_above_the_gradients_is_seen(kind, epsilon, seen):
    record = Record(subject_of(run_of(kind, eps=epsilon), None, None))
    found = large_epsilon(record)
    assert (found is not None) == seen
    assert not seen or f"The epsilon of {kind} is 10" in found.sentence
    assert list(small_epsilon(record)) == [{"options": {"eps": 1e-8}}] * (epsilon > 1e-8)


def test_optimizers_without_such_an_epsilon_are_left_alone():
    for kind, options in (("SGD", {}), ("Adadelta", {"eps": 10.0})):
        assert large_epsilon(Record(subject_of(run_of(kind, **options), None, None))) is None


@pytest.mark.parametrize(
    ("dialect", "words"), [("torch", "eps=1e-08"), ("keras", "epsilon=1e-08"), ("sklearn", "epsilon=1e-08")]
)
def test_epsilon_is_told_in_the_words_of_each_tool(dialect, words):
    setup = Setup(sizes=(4, 8, 1), optimizer="Adam", dialect=dialect, options={"eps": 10.0})
    assert words in change_lines(setup, {"options": {"eps": 1e-8}})


@pytest.mark.parametrize("clip", [{}, {"clip_norm": 1e-3}, {"clip_value": 1e-4}])
def test_clipping_is_left_out_or_brought_to_its_usual_length(clip):
    changes = [*no_clipping(Record(subject_of(run_of("SGD", clip=clip), None, None)))]
    assert [change["clip_norm"] for change in changes] == [None, 1.0] * bool(clip)
    assert all(change["clip_value"] is None for change in changes)


@pytest.mark.parametrize(
    ("momentum", "dampening", "times"), [(0.9, 0.99, 10.0), (0.9, 0.9, 1.0), (0.0, 0.99, 1.0), (0.5, 0.0, 0.5)]
)
def test_dampening_is_seen_where_momentum_does_not_make_up_for_it(momentum, dampening, times):
    record = Record(subject_of(run_of("SGD", momentum=momentum, dampening=dampening), None, None))
    found = damped(record)
    assert (found is not None) == (times > 3.0)
    assert not found or "makes the steps 10 times shorter" in found.sentence
    wanted = [{"options": {"dampening": x}} for x in (momentum, 0.0) if dampening > x]
    assert list(no_dampening(record)) == wanted


SLOW = {
    "dampening": ({"kind": "SGD", "lr": 0.05, "momentum": 0.9, "dampening": 0.999}, "dampening_too_high"),
    "epsilon": ({"kind": "Adam", "eps": 10.0}, "epsilon_too_large"),
    "clipped, at a rate for clipped steps": ({"kind": "SGD", "lr": 0.2, "clip": {"clip_norm": 1e-3}}, "clip_too_tight"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SLOW)
def test_what_makes_steps_tiny_comes_before_the_rate(name):
    how, code = SLOW[name]
    found = diagnose(run_of(epochs=80, **how), budget_s=120.0)
    assert found.causes[0].code == code
