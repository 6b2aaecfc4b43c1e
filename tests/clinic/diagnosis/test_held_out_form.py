"""Another form of the inputs is a cause where samples held out speak for it, and bad luck where most seeds learn."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic.diagnosis.causes.changes import other_form
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.facts.task import task_of
from tinygrad_edu.clinic.diagnosis.proof.baseline import of_permuted, weak_relation
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.represented import proof_by_others
from tinygrad_edu.clinic.diagnosis.session import DiagnosisSession

NUMBERS = np.arange(128.0)[:, None]


def shuffled_iris(seed):
    """Rows of X in another order than those of y."""
    X, y = tg.data.iris()
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    np.random.default_rng(seed).shuffle(X)
    return X, y


def run_of(X, y, sizes, loss, epochs):
    model = nn.MLP(sizes, activation="relu", seed=0)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    return tg.fit(model, X, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=16)


def noisy(targets, wrong):
    flipped = np.random.default_rng(0).random(targets.shape) < wrong
    return np.where(flipped, 1.0 - targets, targets)


FORMS = {  # inputs, targets, sizes, loss, epochs: do the bits of the inputs tell the targets of samples held out?
    "low digit": (NUMBERS, NUMBERS % 2, [1, 12, 1], "bce_with_logits", 100, True),
    "middle digit": (NUMBERS / 128, (NUMBERS % 8 < 4) * 1.0, [1, 12, 1], "bce_with_logits", 100, True),
    "middle digit of 24": (NUMBERS[:24], (NUMBERS[:24] % 4 < 2) * 1.0, [1, 8, 1], "bce_with_logits", 200, True),
    "coins": (NUMBERS, noisy(NUMBERS * 0.0, 0.5), [1, 16, 1], "bce_with_logits", 200, False),
    "upper half, a fifth wrong": (
        NUMBERS / 128, noisy((NUMBERS > 63) * 1.0, 0.2), [1, 12, 1], "bce_with_logits", 60, False,
    ),
    "iris in another order": (*shuffled_iris(0), [4, 16, 3], "cross_entropy", 60, False),
}  # fmt: skip


@pytest.mark.parametrize("name", FORMS)
def test_bits_are_proved_by_samples_held_out_not_by_samples_learned_by_heart(name):
    *how, proved = FORMS[name]
    trials = Trials(Record(subject_of(run_of(*how), None, None)), range(1, 4), 60.0)
    (change,) = other_form(trials.record)
    assert bool(proof_by_others(trials, change)) == proved


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_inputs_shuffled_without_their_targets_are_named(seed):
    found = tg.clinic.diagnose(run_of(*shuffled_iris(seed), [4, 16, 3], "cross_entropy", 100), budget_s=60.0)
    assert [cause.code for cause in found.causes] == ["labels_random"]


@pytest.mark.slow
def test_the_proof_of_another_form_says_what_it_tells_of_samples_held_out():
    found = tg.clinic.diagnose(run_of(*FORMS["middle digit"][:5]), budget_s=60.0)
    assert found.causes[0].code == "representation"
    assert "Of samples held out it explains 100.0% then, and" in found.causes[0].proof


def test_a_line_that_beats_random_orders_by_luck_is_no_relation():
    X, y = shuffled_iris(3)  # 13% explained, more than by each of 60 random orders, and 2.7 deviations from their mean
    assert weak_relation(task_of(X, y, Setup(sizes=(4, 16, 3), loss="cross_entropy"))) == 0.0


def test_random_orders_of_the_targets_do_not_undo_the_users_own():
    X, y = shuffled_iris(1)
    shares = of_permuted(task_of(X, y, Setup(sizes=(4, 16, 3), loss="cross_entropy")), Budget(60.0))
    assert max(shares) < 0.3


@pytest.mark.parametrize(("reached", "unlucky"), [(0, False), (6, False), (10, False), (11, True), (16, True)])
def test_a_run_is_unlucky_where_most_other_seeds_reach_the_goal(reached, unlucky):
    as_is = SimpleNamespace(share=reached / 20, count=20, reached=reached, interval=(0.1, 0.9), worths=(0.0, 1.0),
                            runs=(SimpleNamespace(seed=1), SimpleNamespace(seed=2)))  # fmt: skip
    trials = SimpleNamespace(as_is=as_is, symptoms=[], not_checked=[])
    session = SimpleNamespace(hit=False, trials=trials, measured=lambda: "r2 0.5", card=lambda *rest: rest[-1])
    assert [cause.code for cause in DiagnosisSession.unlucky(session)] == ["unlucky_init"] * unlucky
    verdict = DiagnosisSession.nothing(session)
    assert verdict.endswith("fixes it." if not reached else f"{reached} of 20 other seeds reach it.")
