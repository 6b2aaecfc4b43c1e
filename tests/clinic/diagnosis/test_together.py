"""Changes that only repair a run together: the scales of the data before the rate, and all of them in the remedy."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.card import bar_of, card
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE, CAUSES
from tinygrad_edu.clinic.diagnosis.combined import SCALES, scales_before_work, sets, with_more_work
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.luck import bad_luck
from tinygrad_edu.clinic.diagnosis.proof.retrain import train_seeds
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.single import complete, is_turned, rank, try_usual_changes
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom
from tinygrad_edu.clinic.diagnosis.together import (
    changes_together,
    codes_together,
    halves,
    prove_together,
    tell_tried,
    values_here,
    with_fault,
    with_words,
)
from tinygrad_edu.clinic.diagnosis.walk import goes_with_scales
from tinygrad_edu.errors import SettingError

BOTH = {"inputs": "standardized", "targets": "standardized"}
SETUP = Setup(sizes=(2, 4, 1))


def trial_of(change, worth=0.0, reached=0, setup=SETUP):
    hits = tuple(i < reached for i in range(5))
    return Trial(change, setup, "only what is changed", (), (worth,) * 5, hits)


def trials_of(setup=SETUP, measure="r2", as_is=-1e98):
    goal = SimpleNamespace(measure=measure)
    return SimpleNamespace(
        record=SimpleNamespace(setup=setup), bench=SimpleNamespace(goal=goal), as_is=trial_of({}, as_is)
    )


@pytest.mark.slow
def test_where_inputs_and_targets_are_unscaled_both_are_named_and_not_the_rate():
    """A rate of 5e-9 does as well, with the inputs scaled: the numbers of the targets are why."""
    Z = np.random.default_rng(0).uniform(0.1, 1.1, (100, 2))
    y = 3e3 * (2.0 + Z[:, :1] * (1.0 + 3.0 * Z[:, 1:]))
    model = nn.MLP([2, 16, 16, 1], activation="relu", seed=0)
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    run = tg.fit(model, 100.0 * Z, y, loss="mse", optimizer=optimizer, epochs=40, batch_size=10, compiled=False)
    found = diagnose(run, seeds=3)
    assert {cause.code for cause in found.causes} == {"inputs_not_scaled", "targets_out_of_range"}
    assert found.causes[0].change == BOTH
    told = found.causes[0].remedy
    assert "Here it takes both changes" in told
    assert all(f"{name} standardized" in told for name in BOTH)
    assert " and " in found.summary


def test_the_two_scales_are_tried_before_any_other_pair():
    codes = ("lr_too_high", "inputs_not_scaled", "dead_relu", "targets_out_of_range")
    chosen = [SimpleNamespace(code=code) for code in codes]
    first, second, *_ = [[trial.code for trial in some] for some in sets(chosen)]
    assert first == ["inputs_not_scaled", "targets_out_of_range"]
    assert second == ["lr_too_high", "inputs_not_scaled"]
    assert next(sets(chosen[:3])) == chosen[:2]


@pytest.mark.parametrize("as_is", [-1e98, -np.inf, -3.0, 0.0])
@pytest.mark.parametrize(("without", "expected"), [(-1e60, 0), (0.4, 0), (0.6, 1), (0.95, 1), (1.0, 2)])
def test_how_far_below_the_mean_a_run_is_does_not_matter_for_the_order(as_is, without, expected):
    assert halves(trials_of(as_is=as_is), trial_of({}, without), trial_of(BOTH, 1.0)) == expected


def test_losses_are_not_cut_off_at_zero():
    assert halves(trials_of(measure="mse", as_is=-8.0), trial_of({}, -3.0), trial_of(BOTH, -1.0)) == 1


@pytest.mark.parametrize(
    ("change", "this", "proof", "remedy"),
    [
        (BOTH, {"inputs": "standardized"}, "2 changes together (inputs standardized, targets standardized): 5 of 5; "
         "the same without inputs standardized: 1 of 5.",
         "Here it takes both changes: inputs standardized, targets standardized."),
        ({**BOTH, "lr": 0.1}, {"lr": 0.1}, "the same without lr 0.01 → 0.1: 1 of 5.",
         "Here it takes all 3 changes: inputs standardized, targets standardized, lr 0.01 → 0.1."),
        ({"lr": 0.1}, {"lr": 0.1}, "only what is changed: 5 of 5.", "Here: lr 0.01 → 0.1."),
        ({"inputs": "standardized"}, {"inputs": "standardized"}, "only what is changed: 5 of 5.", ""),
    ],
)  # fmt: skip
def test_a_proof_and_a_remedy_name_all_that_it_takes(change, this, proof, remedy):
    t, whole = trials_of(Setup(sizes=(2, 4, 1), lr=0.01)), trial_of(change, 1.0, 5)
    assert prove_together(t, this, trial_of({}, 0.0, 1), whole).endswith(proof)
    assert changes_together(t, whole) == remedy
    assert changes_together(t, whole, first=False) in (remedy, "It takes all the changes named above.")


def test_other_tools_are_told_in_their_own_words_once():
    setup = Setup(sizes=(2, 4, 1), lr=0.01, dialect="torch")
    whole = trial_of(BOTH, 1.0, 5, setup)
    assert values_here(trials_of(setup), whole) == ""
    assert changes_together(trials_of(setup), whole) == "Here it takes both changes."
    causes = [FoundCause(code, "", "", "", "Do it.", BOTH, whole) for code in ("a", "b", "c")]
    first, *rest = [cause.remedy for cause in with_words(causes, setup)]
    assert first.startswith("Do it. In PyTorch: X = ")
    assert rest == ["Do it.", "Do it."]
    assert codes_together(causes) == "a, b and c"
    assert codes_together([*causes[:1], FoundCause("d", "", "", "", "")]) == "a"


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [("steps", ["inputs", "steps"], True), ("steps", ["steps"], False), ("epochs", ["targets"], True),
     ("layers", ["inputs"], False)],
)  # fmt: skip
def test_a_rate_that_changes_with_the_scale_of_the_data_is_no_fault_of_its_own(name, names, expected):
    assert goes_with_scales(name, names) == expected


@pytest.fixture
def run_with_a_last_relu():
    """Its outputs are 0 for every sample, which passes for a probability; from other seeds they are 13, or 119."""
    x = np.random.default_rng(1).uniform(0.0, 100.0, (20, 1))
    models = (nn.MLP([1, 3, 1], activation="relu", out_activation="relu", seed=seed) for seed in range(20))
    model = next(model for model in models if not model(x).numpy().any())
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return tg.fit(model, x, (x > 50.0) * 1.0, loss="bce", optimizer=optimizer, epochs=2, compiled=False)


def test_a_seed_that_the_loss_refuses_has_failed_and_is_no_error(run_with_a_last_relu):
    subject = subject_of(run_with_a_last_relu, None, None)
    runs = train_seeds(subject.setup, subject.task, range(6))
    assert {run.diverged for run in runs} == {True, False}
    assert all(np.isnan(run.estimate).all() and not len(run.losses) for run in runs if run.diverged)
    refused = [run.seed for run in runs if run.diverged]
    with pytest.raises(SettingError, match="takes probabilities"):
        train_seeds(subject.setup, subject.task, refused)


def test_values_of_one_setting_that_were_tried_in_vain_share_a_line():
    def tried(words, reached=0):
        return Trial({}, SETUP, words, (), (0.0,) * 5, tuple(i < reached for i in range(5)))

    words = ["only lr 1 → 0.1", "only inputs standardized", "only lr 1 → 0.01", "only lr 1 → 0.1", "only lr 1 → 0.5",
             "lr 1 → 0.1, epochs 2 → 3 together"]  # fmt: skip
    assert tell_tried([*map(tried, words), tried("only lr 1 → 9", 3)]) == [
        "only lr 1 → 0.1, 0.01 or 0.5: 0 of 5",
        "only inputs standardized: 0 of 5",
        "lr 1 → 0.1, epochs 2 → 3 together: 0 of 5",
        "only lr 1 → 9: 3 of 5 (90% interval 27% to 86%)",
    ]
    assert all(bar_of(line) for line in tell_tried([tried("only lr 1 → 9", 3), tried("only inputs standardized")]))


class TrialsInWords:
    """Trials whose outcome is written down: by field changed, how many of five seeds learn."""

    def __init__(self, reached, suspicion, setup=SETUP, reach=0.5):
        self.reached, self.levels, self.tried = reached, suspicion, []
        self.record = SimpleNamespace(setup=setup, reach=reach)
        self.bench = SimpleNamespace(goal=SimpleNamespace(measure="accuracy"), trial=lambda change, code: None)
        self.as_is, self.symptoms, self.done = trial_of({}), [], {}

    def suspicion(self, code):
        return self.levels.get(code, 0.0)

    def trial(self, change, code=""):
        self.tried.append("+".join(sorted(change)))
        reached = self.reached.get(self.tried[-1], 0)
        hits = tuple(i < reached for i in range(5))
        setup = self.record.setup.but(change)
        return Trial(change, setup, "only what is changed", (), (reached / 5.0,) * 5, hits, code)

    def try_cause(self, cause):
        fields = {"inputs_not_scaled": "inputs", "targets_out_of_range": "targets", "too_few_epochs": "epochs"}
        field = fields.get(cause.code, "lr")
        return self.trial({field: {"lr": 0.5, "epochs": 500}.get(field, "standardized")}, cause.code)

    def suspects(self):
        return [(self.suspicion(cause.code), cause) for cause in CAUSES]

    def beats(self, trial):
        return trial.share >= 0.8 and trial.beats(self.as_is)

    def confirm(self, trial):
        return trial

    def extend(self, trial, count=20):
        return trial

    def best(self):
        return self.done

    def affordable(self, change, code=""):
        return False


@pytest.mark.parametrize(
    ("code", "levels", "reached", "expected"),
    [
        ("too_few_epochs", (1.5, 1.5), 5, ["inputs_not_scaled", "targets_out_of_range", "too_few_epochs"]),
        ("lr_too_low", (1.5, 1.5), 5, ["inputs_not_scaled", "targets_out_of_range", "lr_too_low"]),
        ("too_few_epochs", (1.5, 1.5), 3, ["too_few_epochs"]),  # scaling is not enough
        ("too_few_epochs", (1.5, 0.4), 5, ["too_few_epochs"]),  # the targets are on the scale of the output
        ("dead_relu", (1.5, 1.5), 5, ["dead_relu"]),  # more than work is missing
    ],
)
def test_scales_that_are_seen_come_before_more_work(code, levels, reached, expected):
    t = TrialsInWords({"inputs+targets": reached}, {**dict(zip(SCALES, levels, strict=True)), code: 0.8})
    found = [FoundCause(code, "", "", "", "", {"epochs": 9}, trial_of({"epochs": 9}, 1.0, 5))]
    assert [cause.code for cause in scales_before_work(t, found)] == expected


@pytest.mark.parametrize(
    ("reached", "levels", "looked_at", "expected", "tried"),
    [
        ({"lr": 5}, {}, set(), ["lr_too_low"], ["inputs", "lr"]),
        ({"inputs": 5, "lr": 5}, {}, set(), ["inputs_not_scaled", "lr_too_low"], ["inputs", "lr"]),
        ({"inputs": 5}, {}, set(), ["inputs_not_scaled"], ["inputs", "lr"]),
        ({"lr": 5}, {"lr_too_low": -0.6, "lr_too_high": -1.0}, set(), [], ["inputs"]),  # the symptoms speak against it
        ({"lr": 5}, {}, {"inputs_not_scaled", "lr_too_low", "lr_too_high"}, [], []),
        ({"lr": 3}, {}, set(), [], ["inputs", "lr", "lr"]),
    ],
)
def test_one_usual_change_is_tried_before_two_suspected_ones(reached, levels, looked_at, expected, tried):
    t = TrialsInWords(reached, levels)
    found = try_usual_changes(t, looked_at)
    assert ([cause.code for cause in found], t.tried) == (expected, tried)
    assert all(cause.sentence.startswith("Nothing was seen that shows it, but with") for cause in found)


@pytest.mark.parametrize(
    ("reach", "first"), [(0.01, "lr_too_low"), (0.5, "inputs_not_scaled"), (float("nan"), "inputs_not_scaled")]
)
def test_a_rate_far_below_the_stable_one_comes_before_scales_that_nothing_shows(reach, first):
    t = TrialsInWords({"inputs": 5, "lr": 5}, {}, reach=reach)
    assert try_usual_changes(t, set())[0].code == first


@pytest.mark.parametrize(
    ("alone", "expected"), [(5, ["inputs_not_scaled"]), (4, ["inputs_not_scaled", "vanishing_gradient"])]
)
def test_a_companion_that_is_enough_alone_needs_no_other_change(alone, expected):
    t = TrialsInWords({"activation+inputs": 5, "inputs": alone, "activation": 4}, {})
    t.done = {"vanishing_gradient": t.trial({"activation": "relu"}, "vanishing_gradient")}
    t.done["inputs_not_scaled"] = t.trial({"inputs": "standardized"}, "inputs_not_scaled")
    proved = [(0.5, BY_CODE["inputs_not_scaled"], t.done["inputs_not_scaled"])]
    partly = [(0.9, BY_CODE["vanishing_gradient"], t.done["vanishing_gradient"])]
    found = [*proved, *complete(t, partly, proved)]
    assert [cause.code for _, cause, _ in found] == expected


@pytest.mark.parametrize(("epochs", "first"), [(30, "too_few_epochs"), (100, "lr_too_low")])
def test_a_higher_rate_comes_before_a_hundred_times_the_epochs(epochs, first):
    t = TrialsInWords({"lr": 5, "epochs": 5}, {}, Setup(sizes=(2, 4, 1), epochs=1))
    rows = [(0.9, "too_few_epochs", {"epochs": epochs}), (0.8, "lr_too_low", {"lr": 0.5})]
    found = rank(t, [(level, BY_CODE[code], t.trial(change, code)) for level, code, change in rows])
    assert found[0].code == first


@pytest.mark.parametrize(
    ("reached", "tried_before", "expected"),
    [
        ({"epochs": 5}, (), ["too_few_epochs"]),
        ({"epochs": 1, "epochs+lr": 5}, ("lr_too_low",), ["lr_too_low", "too_few_epochs"]),
        ({"epochs": 2, "epochs+lr": 5}, ("lr_too_low", "too_few_epochs"), []),  # the epochs are in what was tried
        ({"epochs": 2, "epochs+lr": 3}, ("lr_too_low",), []),
        ({}, (), []),
    ],
)
def test_more_epochs_are_tried_at_last_even_where_no_symptom_speaks_for_them(reached, tried_before, expected):
    t = TrialsInWords({"lr": 1, **reached}, {})
    t.done = {code: t.try_cause(BY_CODE[code]) for code in tried_before}
    found = with_more_work(t)
    assert [cause.code for cause in found] == expected
    assert all(cause.sentence.startswith("Nothing was seen that shows it, but") for cause in found)


@pytest.mark.parametrize(("narrow", "wide", "told"), [(True, 5, True), (True, 3, False), (False, 5, False)])
def test_bad_luck_of_a_narrow_network_is_told_with_what_a_wider_one_does(narrow, wide, told):
    t = TrialsInWords({"sizes": wide}, {}, Setup(sizes=(2, 2, 1)))
    t.as_is = replace(trial_of({}, 0.5, 3), runs=tuple(SimpleNamespace(seed=seed) for seed in range(5)))
    t.record.subject = SimpleNamespace(plain={})
    t.symptoms = [SimpleNamespace(code="small_net", sentence="")] * narrow
    found = bad_luck(t, "r2 0.1, goal 0.9")
    assert found.code == "unlucky_init"
    assert ("layers 2-2-1 → 2-16-1, 5 of 5 seeds reach the goal, as against 3 of 5." in found.remedy) == told


def test_a_run_whose_loss_does_not_match_is_not_called_healthy():
    double = Symptom("mismatched", float("inf"), 1.0, "cross_entropy has its own softmax.")
    mild = Symptom("for_numbers", float("inf"), 1.0, "The targets are classes.")
    verdict = "Healthy as far as training goes: this run reaches the goal (accuracy 1), and so do 5 of 5."
    assert with_fault(verdict, [mild]) == verdict
    told = "This run reaches the goal (accuracy 1), and so do 5 of 5. But the setup has a fault: " + double.sentence
    assert with_fault(verdict, [mild, double]) == told
    facts = {"causes": (), "goal": None, "tried_without_effect": [], "not_checked": [], "as_is": ""}
    for symptoms, word in (([double], "fault in the setup"), ([mild], "healthy")):
        shown = card(SimpleNamespace(healthy=True, symptoms=symptoms, summary=with_fault(verdict, symptoms), **facts))
        assert f">{word}</b>" in shown


def test_a_control_is_called_turned_only_where_it_is():
    """It is made once, for the first cause: beside that of another kind it is a rate a little up or down."""

    def with_rate(rate):
        return SimpleNamespace(setup=SimpleNamespace(rate=rate))

    assert is_turned(0.01, with_rate(0.1), with_rate(0.001))
    assert not is_turned(0.042, with_rate(0.42), with_rate(0.0462))
    assert not is_turned(0.01, with_rate(0.01), with_rate(0.01))
