"""Several changes that repair a run together: which of them were shown to be needed, and what is said of the others."""

from dataclasses import replace

import pytest

from tests.clinic.diagnosis.test_together import SETUP, trial_of, trials_of
from tinygrad_edu.clinic.diagnosis.combined import needed_and_spares
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom
from tinygrad_edu.clinic.diagnosis.together import changes_together, prove_together


@pytest.mark.parametrize("first", [True, False])
def test_that_it_takes_all_changes_is_said_only_where_each_was_shown_to_be_needed(first):
    """16 of 20 with both and 11 of 20 with the rate alone may be chance, and the remedy says so."""
    t, whole = trials_of(Setup(sizes=(2, 4, 1), lr=0.01)), counted({"inputs": "standardized", "lr": 0.1}, 16)
    spare, without = counted({"lr": 0.1}, 11), trial_of({"inputs": "standardized"})
    told = changes_together(t, whole, first=first, spares=[spare])
    assert "takes" not in told
    assert "11 of 20" in told or not first
    proof = prove_together(t, {"lr": 0.1}, without, whole, alone=trial_of({"lr": 0.1}, 0.0, 4), spares=[spare])
    assert "11 of 20 (90% interval 37% to 72%)" in proof
    assert "16 of 20 (90% interval 62% to 91%)" in proof
    assert "4 of 5" not in proof  # the same change, from fewer seeds


def counted(change, reached, count=20):
    return Trial(change, SETUP, "only what is changed", (), (0.0,) * count, tuple(i < reached for i in range(count)))


def bench_of(shares):
    """Trials of which each change reaches the goal from so many of 20 seeds."""
    t = trials_of(Setup(sizes=(2, 4, 1), lr=0.01))
    t.trial = lambda change, code="": counted(change, shares[tuple(sorted(change))])
    t.beats = lambda trial: trial.share >= 0.8
    t.extend = t.confirm = lambda trial: trial
    t.symptoms, t.suspicion, t.suspects = [], lambda code: 0.0, list
    return t


@pytest.mark.parametrize(
    ("rate", "inputs", "both", "codes", "spares"),
    [
        (4, 4, 18, ["inputs_not_scaled", "lr_too_low"], 0),  # both are needed
        (13, 0, 18, ["lr_too_low"], 1),  # the rate is needed; of the inputs it is not known
    ],
)
def test_a_change_counts_as_needed_where_fewer_seeds_reach_the_goal_without_it(rate, inputs, both, codes, spares):
    t = bench_of({("lr",): rate, ("inputs",): inputs, ("inputs", "lr"): both})
    chosen = [replace(counted({"inputs": "standardized"}, inputs), code="inputs_not_scaled"),
              replace(counted({"lr": 0.1}, rate), code="lr_too_low")]  # fmt: skip
    found, left = needed_and_spares(t, chosen, counted({"inputs": "standardized", "lr": 0.1}, both))
    assert [cause.code for cause in found] == codes
    assert len(left) == spares
    assert all(("takes both" in cause.remedy) == (not spares) for cause in found[:1])


def test_what_was_seen_is_told_where_a_change_helps_of_which_nothing_was_seen():
    seen = Symptom("gain", 29.0, 5.0, "The initial weights of layer 2 are 29 times as large as Glorot's.")
    for evidence, told in (("", True), ("It was seen.", False)):
        found = Diagnosis(False, [FoundCause("lr_too_low", "", evidence, "", "")], symptoms=[seen])
        assert (seen.sentence in str(found).replace("\n   ", " ")) == told


def test_a_function_of_ones_own_is_told_in_words_and_changes_not_left_out_are_not_called_needed():
    setup = Setup(sizes=(2, 4, 1), lr=0.01, loss=lambda outputs, targets: ((outputs - targets) ** 2).mean())
    assert setup.difference({"loss": "mse"}) == "loss of your own → mse"
    told = changes_together(trials_of(setup), counted({"loss": "mse", "lr": 0.1}, 20), left_out=False)
    assert told == "Here it was mended with both changes: loss of your own → mse, lr 0.01 → 0.1."
