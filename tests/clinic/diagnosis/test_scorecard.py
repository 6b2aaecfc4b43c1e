"""The scorecard of the diagnosis: its problems, its arithmetic, and a small part of it, which has to come out well."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

import tinygrad_edu as tg
from bench import scorecard
from bench.clinic import problems, repairer, scorecard_table
from bench.clinic.problems import PROBLEMS, Check, checked
from bench.clinic.problems_kinds import Net, Problem, balanced_accuracy, output_score, r_squared, score
from bench.scorecard import Result
from tinygrad_edu.clinic.diagnosis.causes import table as causes
from tinygrad_edu.errors import OperandError

pytestmark = pytest.mark.slow

BY_NAME = {p.name: p for p in PROBLEMS}
ISSUE = {
    "lr_too_high", "lr_too_low", "inputs_not_scaled", "targets_out_of_range", "not_shuffled", "saturated_activations",
    "dead_relu", "vanishing_gradient", "exploding_gradient", "symmetric_init", "init_too_large", "wrong_loss",
    "missing_bias", "too_small_network", "too_few_epochs", "stopped_too_early", "unlucky_init", "momentum_too_high",
    "weight_decay_too_high", "labels_random", "class_imbalance", "batch_too_large_for_epochs",
    "constant_or_nonfinite_input", "schedule_freezes_early",
}  # fmt: skip


# The problems


def test_there_are_enough_of_each_kind_in_each_half():
    faulty = [p for p in PROBLEMS if p.faulty]
    assert len(faulty) >= 60
    assert len(PROBLEMS) - len(faulty) >= 40
    assert len(BY_NAME) == len(PROBLEMS)
    for half in problems.HALVES:
        assert {p.code for p in faulty if p.half == half} == ISSUE
        assert sum(p.half == half and not p.faulty for p in PROBLEMS) >= 20


def test_codes_are_those_that_the_diagnosis_knows():
    assert {*ISSUE, "healthy"} <= set(causes.CODES)
    for p in PROBLEMS:
        assert set(p.right) <= set(causes.CODES)
        assert len(p.also_right) <= 1, "another word for the same fault, and no more"


def test_no_training_is_in_both_halves():
    recipes = {half: [repr(p.recipe) for p in PROBLEMS if p.half == half] for half in problems.HALVES}
    assert not set(recipes["tuning"]) & set(recipes["unseen"])
    assert problems.FIRST_SEED["unseen"] - problems.FIRST_SEED["tuning"] > scorecard.SEED + problems.SEEDS


def test_a_fault_is_one_change_of_its_twin():
    for p in PROBLEMS:
        if p.repairable and not p.lottery:
            changed = [name for name, x in vars(p.recipe).items() if repr(x) != repr(vars(p.twin)[name])]
            assert len(changed) == 1, f"{p.name} changes {changed}"


@pytest.mark.parametrize("optimizer", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Rprop"])
def test_healthy_runs_use_every_optimizer(optimizer):
    assert any(getattr(p.recipe, "optimizer", "") == optimizer for p in PROBLEMS if not p.faulty)


def test_a_problem_is_the_same_from_the_same_seed_and_another_from_another():
    problem = BY_NAME["too_few_epochs/checkers-sgd"]
    (a, X, _), (b, _, _), (c, Z, _) = (problem.train(seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(a.loss_curve, b.loss_curve)
    assert a.loss_curve[0] != c.loss_curve[0]
    assert not np.array_equal(X, Z)


@pytest.mark.parametrize("name", ["too_few_epochs/checkers-sgd", "inputs_not_scaled/iris-offset", "healthy/line-sgd"])
def test_the_check_of_problems_passes(name):
    assert checked(BY_NAME[name]).passed


LOST = Check(BY_NAME["healthy/line-sgd"], 4, (0.9,) * 5, None, (), 0.1)
FAULTY = Check(BY_NAME["too_few_epochs/checkers-sgd"], 1, (0.9,) * 5, 5, (1.0,) * 5, 0.1)


@pytest.mark.parametrize("check", [
    LOST, FAULTY, replace(FAULTY, reached=0, twin_reached=4),
    Check(BY_NAME["unlucky_init/xor"], 0, (0.5,) * 5, 20, (1.0,) * 20, 0.1),
    Check(BY_NAME["labels_random/moons"], 1, (0.5,) * 5, None, (), 0.1),
])  # fmt: skip
def test_the_check_finds_what_is_not_as_it_should_be(check):
    assert not check.passed
    assert "NOT AS IT SHOULD BE" in check.row()


def test_a_lottery_draws_weights_until_they_fail():
    problem = BY_NAME["unlucky_init/xor"]
    assert score(*problem.train(1)) < problem.goal


def test_the_list_and_the_check_as_commands(capsys):
    assert problems.main(["--only", "healthy/line"]) == 0
    assert "unseen   healthy/line-sgd" in capsys.readouterr().out
    assert problems.main(["--check", "--only", "healthy/line-sgd"]) == 0
    assert "1 of 1 are as they should be" in capsys.readouterr().out


# Scores


@pytest.mark.parametrize("seed", range(5))
def test_scores_are_those_of_scikit_learn(seed):
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(seed)
    y, found = rng.integers(0, 3, (2, 50))
    assert balanced_accuracy(found, y) == pytest.approx(metrics.balanced_accuracy_score(y, found))
    a, b = rng.normal(size=(2, 50, 1))
    assert r_squared(a, b) == pytest.approx(metrics.r2_score(b, a))


COLUMN = np.array([[0.2], [0.7], [-0.3]])
SCORES = [  # (outputs, targets, loss, score)
    (np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([0, 1]), "cross_entropy", 1.0),
    (np.array([[2.0, 1.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [0.0, 1.0]]), "mse", 0.5),
    (COLUMN, np.array([[1.0], [1.0], [-1.0]]), "hinge", 1.0),
    (COLUMN, np.array([[0.0], [1.0], [0.0]]), "bce", 1.0),
    (COLUMN, np.array([[0.0], [1.0], [0.0]]), "bce_with_logits", 0.75),
    (COLUMN, COLUMN, "mse", 1.0),
    (COLUMN * np.nan, COLUMN, "mse", -math.inf),
    (np.array([[np.inf, 0.0]]), np.array([0]), "cross_entropy", -math.inf),
]


@pytest.mark.parametrize(("outputs", "y", "loss", "expected"), SCORES)
def test_outputs_are_scored_by_what_they_stand_for(outputs, y, loss, expected):
    assert output_score(outputs, y, loss) == expected


# The arithmetic


def problem(name, code, **more):
    recipe = Net(lambda seed: (np.zeros((2, 1)), np.zeros((2, 1))))
    return Problem(name=name, code=code, half="tuning", recipe=recipe, twin=recipe, **more)


SOME = [problem("a", "lr_too_high"), problem("b", "lr_too_low", also_right=("too_few_epochs",)),
        problem("c", "missing_bias"), problem("d", "healthy"), problem("e", "healthy")]  # fmt: skip
RESULTS = {
    "a": Result("a", ("lr_too_high",), 1.0, 2, 0.1, True, "lr_too_low", 2, True),
    "b": Result("b", ("too_few_epochs", "lr_too_low"), 2.0, 2, 0.1, True, "", 2, False),
    "c": Result("c", ("lr_too_high", "wrong_loss", "missing_bias"), 9.0, 2, 0.1, False, "missing_bias", 1, True),
    "d": Result("d", ("healthy",), 1.0, 0, 1.0),
    "e": Result("e", ("lr_too_high",), 1.0, 3, 1.0),
}


def test_numbers():
    n = scorecard_table.numbers([(p, RESULTS[p.name]) for p in SOME])
    assert (n.faulty, n.healthy) == (3, 2)
    assert (n.top1, n.top3, n.false_alarms, n.fixed) == pytest.approx((2 / 3, 1.0, 0.5, 2 / 3))
    assert (n.rival_top1, n.rival_fixed) == pytest.approx((1 / 3, 2 / 3))
    assert (n.median_seconds, n.worst_seconds) == (1.0, 9.0)


def test_the_table_names_what_was_wrong():
    text = scorecard_table.markdown(SOME, RESULTS)
    assert "| lr_too_high | 1 | 1 of 3 | 1 of 1 | 1 of 1 | 1 of 1 |" in text
    assert "| lr_too_low | 1 | 1 of 1 | 1 of 1 |" in text
    assert "- c (tuning): named lr_too_high, wrong_loss, missing_bias." in text
    assert "- e (tuning): named lr_too_high." in text
    assert "margin over random changes, cause | +33 points" in text
    assert "| 1 healthy | 1 | 1 |" in text


def test_an_interrupted_scorecard_goes_on_and_stale_results_are_measured_again(tmp_path, monkeypatch, capsys):
    names = [p.name for p in problems.chosen("unseen", "healthy/line")]
    calls = []

    def judged(problem, budget, rival):
        if len(calls) == 2:
            calls.append("")
            raise KeyboardInterrupt
        calls.append(problem.name)
        return Result(problem.name, ("healthy",), 0.5, 0, 1.0, source=scorecard.fingerprint())

    monkeypatch.setattr(scorecard, "judged", judged)
    arguments = ["--half", "unseen", "--only", "healthy/line", "--out", str(tmp_path)]
    scorecard.main(arguments)
    assert "interrupted" in capsys.readouterr().out
    scorecard.main(arguments)
    assert [name for name in calls if name] == names
    assert "| false alarms on healthy runs | 0.0 % |" in (tmp_path / "scorecard.md").read_text()
    store = tmp_path / "scorecard.json"
    rows = json.loads(store.read_text())
    rows[names[0]]["source"] = "of other sources"
    store.write_text(json.dumps(rows))
    scorecard.main(arguments)
    assert [name for name in calls if name] == [*names, names[0]]


def test_an_unknown_name_is_refused(tmp_path):
    with pytest.raises(SystemExit, match="no problem is called 'dance'"):
        scorecard.main(["--only", "dance", "--out", str(tmp_path)])


def test_no_diagnosis_is_no_right_one(monkeypatch):
    def fails(*_, **__):
        raise OperandError("no")

    monkeypatch.setattr(tg.clinic, "diagnose", fails)
    result = scorecard.judged(BY_NAME["healthy/line-sgd"], rival=False)
    assert result.named == ("unknown",)
    assert result.summary == "OperandError: no"


# a small part of the scorecard, with as many kinds as fit into a minute

QUICK = (
    "too_few_epochs/checkers-sgd", "symmetric_init/moons-zeros",
    "constant_or_nonfinite_input/sine-lost", "lr_too_high/line-sgd", "missing_bias/one-to-nine",
    "targets_out_of_range/line-tanh", "stopped_too_early/cubic-sklearn",
    "healthy/moons-hinge-sgd", "healthy/iris-linear", "healthy/line-sgd", "healthy/line-inverse-time",
    "healthy/letters", "healthy/circles-rmsprop", "healthy/circles-ours", "healthy/blobs-sgd",
)  # fmt: skip
BUDGET = 90.0  # seconds: enough if other tests share the machine


@pytest.fixture(scope="module")
def small_part():
    pytest.importorskip("sklearn")
    return [(BY_NAME[name], scorecard.judged(BY_NAME[name], BUDGET, rival=False)) for name in QUICK]


def test_causes_are_named_and_healthy_runs_left_alone(small_part):
    n = scorecard_table.numbers(small_part)
    wrong = [f"{p.name}: {r.named}, {r.summary}" for p, r in small_part if r.named[0] not in p.right]
    assert n.top1 >= 0.8, wrong
    assert n.false_alarms <= 0.05, wrong
    assert n.fixed >= 0.85, [p.name for p, r in small_part if r.fixed is False]


def test_random_changes_are_drawn_from_the_table_within_the_budget():
    problem = BY_NAME["lr_too_high/line-sgd"]
    subject = problem.train(7)
    found = repairer.random_repair(problem, subject, 2)
    assert 1 <= found.trials <= 2
    assert found == repairer.random_repair(problem, subject, 2)
    assert found.code in ("", *causes.BY_CODE)
