"""What targets are, and what a repair gives back: numbered classes, several labels, a Pipeline, changes that hold."""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts.nearest_neighbours import neighbour_share
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import task_of
from tinygrad_edu.clinic.diagnosis.proof.baseline import reference_of, reference_share
from tinygrad_edu.clinic.diagnosis.proof.goal import derive_goal
from tinygrad_edu.clinic.diagnosis.session import DiagnosisSession
from tinygrad_edu.errors import SettingError
from tinygrad_edu.train import fit

RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(200, 3))


def quietly(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def test_an_answer_between_two_classes_is_not_the_one_whose_number_lies_between():
    task = task_of(np.zeros((30, 1)), np.repeat(np.arange(3.0), 10), Setup(sizes=(1, 1)))
    assert task.counted
    undecided = np.tile([0.5, 0.0, 0.49], (30, 1))  # 0 or 2, but certainly not 1
    assert task.decide(undecided).tolist() == [[0.0]] * 30
    assert task.poll(np.tile([0, 1, 2, 25, 26], (30, 1))).tolist() == [[0.0]] * 30


@pytest.mark.slow
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [0, 3, 1, 2], [2, 0, 3, 1]])
def test_the_yardstick_does_not_hang_on_how_classes_are_numbered(order):
    places = np.array([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])
    k = RNG.integers(0, 4, 240)
    X, setup = places[k] + RNG.normal(0.0, 0.3, (240, 2)), Setup(sizes=(2, 4, 1))
    found = task_of(X, np.array(order, dtype=float)[k], setup)
    assert found.counted
    assert neighbour_share(found)[0] > 0.75
    assert reference_share(found) > 0.75


def test_several_labels_are_judged_as_labels():
    Y = np.c_[ROWS[:, 0] > 0.0, ROWS[:, 1] > 0.7].astype(float)
    task = task_of(ROWS, Y, Setup(sizes=(3, 4, 2), loss="bce_with_logits"))
    assert task.several
    assert task.chance == 0.5
    assert reference_of(task).loss == "bce_with_logits"
    assert task.share(Y) == 1.0
    assert task.share(np.zeros_like(Y)) == 0.0
    model = quietly(MLPClassifier((20,), max_iter=400, learning_rate_init=0.01, random_state=0), ROWS, Y.astype(int))
    found = diagnose(model, ROWS, Y.astype(int))
    assert found.healthy
    assert found.goal.measure == "accuracy"
    assert diagnose(model, ROWS, Y.astype(int), goal={"accuracy": 0.9}).healthy
    net = nn.MLP([3, 4, 1])
    run = fit(net, ROWS, ROWS[:, :1], loss="mse", optimizer=optim.SGD(net.parameters(), lr=0.01), epochs=2)
    with pytest.raises(SettingError, match="numbers, not classes"):
        diagnose(run, goal={"accuracy": 0.9})


@pytest.mark.slow
def test_what_a_repair_gives_takes_what_the_pipeline_took():
    X = np.c_[ROWS[:, :2], RNG.uniform(1000.0, 2000.0, 200)]
    y = (ROWS[:, 0] * ROWS[:, 1] > 0.0).astype(int)
    steps = PolynomialFeatures(2, include_bias=False), MLPClassifier((20,), max_iter=200, random_state=0)
    found = diagnose(quietly(make_pipeline(*steps), X, y), X, y)
    assert found.causes[0].code == "inputs_not_scaled"
    model = found.apply()[1]
    assert model.score(X, y) > 0.9
    assert model(X).shape == (200, 1)
    assert model.estimator.predict(X[:3]).shape == (3,)


@pytest.mark.slow
def test_a_change_that_helps_from_most_seeds_gets_what_makes_it_all():
    rng = np.random.default_rng(2)
    X = np.c_[rng.uniform(40, 250, 200), rng.integers(1, 7, 200), rng.uniform(0, 60, 200)]
    y = 1500 * X[:, 0] + 9000 * X[:, 1] - 700 * X[:, 2]
    from sklearn.neural_network import MLPRegressor

    found = diagnose(quietly(MLPRegressor(random_state=0, max_iter=300), X, y), X, y)
    assert found.causes
    assert found.causes[0].trial.share >= 0.8
    assert found.causes[0].trial.count >= 5


def test_a_loss_that_no_prediction_changes():
    def share(p, t):
        return -((t * (p / p.sum(axis=1, keepdims=True)).log()).mean())

    t = (ROWS[:, :1] > 0.0).astype(float)
    model = nn.MLP([3, 8, 1], out_activation="sigmoid", seed=0)
    run = fit(model, ROWS, t, loss=share, optimizer=optim.Adam(model.parameters(), lr=0.01), epochs=5, batch_size=50)
    found = diagnose(run, budget_s=5.0)
    assert found.causes[0].code == "wrong_loss"
    assert "the same whatever" in found.causes[0].proof


@pytest.mark.slow
def test_keras_divides_one_output_by_itself():
    layers = [{"class_name": "InputLayer", "config": {"batch_shape": [None, 3]}},
              {"class_name": "Dense", "config": {"units": 8, "activation": "relu"}},
              {"class_name": "Dense", "config": {"units": 1, "activation": "sigmoid"}}]  # fmt: skip
    model = {"class_name": "Sequential", "config": {"layers": layers}}
    t = (ROWS[:, 0] > 0.0).astype(float)
    found = diagnose(model, ROWS, t, loss="categorical_crossentropy", optimizer="adam", epochs=5, budget_s=5.0)
    assert found.causes[0].code == "wrong_loss"


@pytest.mark.slow
def test_an_activation_before_a_loss_of_logits_is_the_cause():
    labels = (ROWS[:, 0] > 0.0).astype(int)
    model = nn.MLP([3, 12, 2], activation="tanh", out_activation="relu", seed=1)
    model.layers[-1].bias.data = np.array([-6.0, -6.0])
    optimizer = optim.SGD(model.parameters(), lr=0.2)
    run = fit(model, ROWS, labels, loss="cross_entropy", optimizer=optimizer, epochs=20, batch_size=20)
    assert "wrong_output_activation" in [cause.code for cause in diagnose(run, budget_s=60.0).causes]


@pytest.mark.parametrize(("found", "of", "close"), [(56, 70, True), (40, 70, False), (30, 40, True)])
def test_a_derived_goal_that_is_missed_by_less_than_the_standard_error_is_no_failure(found, of, close):
    """The error of an accuracy over two classes, of which the rare one makes nearly all of it."""
    labels = np.r_[np.zeros(600), np.ones(of)]
    task = task_of(np.zeros((len(labels), 1)), labels[:, None], Setup(sizes=(1, 1), loss="bce_with_logits"))
    estimate = np.r_[np.zeros(600), np.ones(found), np.zeros(of - found)][:, None]
    goal = derive_goal(0.9 if of == 70 else 0.85, "a reference reaches", task)
    p = found / of
    assert goal.error(estimate, task) == pytest.approx(np.sqrt(p * (1.0 - p) / of) / 2.0)
    assert not goal.is_reached(estimate, task)
    as_is = SimpleNamespace(reached=2, worths=(goal.number - 0.01, goal.number))
    session = SimpleNamespace(trials=SimpleNamespace(bench=SimpleNamespace(goal=goal), as_is=as_is), task=task)
    session.estimate, session.near = estimate, lambda: True
    assert DiagnosisSession.misses_by_chance(session) == close
    as_is.reached = 0
    assert not DiagnosisSession.misses_by_chance(session)
