"""Kinds of what people ask: repeated as it was, looked at first, certain by one pass, and verdicts that add up."""

import re
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris, make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier, MLPRegressor

import tinygrad_edu as tg
from bench.clinic import question_cases, questions
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts.encoding import FORMS, encoding, is_multiple_of_steps
from tinygrad_edu.clinic.diagnosis.facts.look import look_at, principal, reconstructs, unique_rows
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.facts.task import task_of
from tinygrad_edu.clinic.diagnosis.overfitting import turn
from tinygrad_edu.clinic.diagnosis.proof.retrain import train_setup
from tinygrad_edu.clinic.diagnosis.proof.trials import chance
from tinygrad_edu.clinic.diagnosis.words import DIALECTS, change_lines
from tinygrad_edu.errors import SettingError, ShapeError

MOONS = make_moons(120, noise=0.2, random_state=0)
RNG = np.random.default_rng(0)
PLANE = RNG.uniform(-1.0, 1.0, (150, 2))
WAVE = np.sin(3.0 * PLANE[:, 0]) + PLANE[:, 1]
C, R = MLPClassifier, MLPRegressor
PANEL = {
    "adam": (C, {}, *MOONS), "sgd": (C, {"solver": "sgd", "learning_rate_init": 0.1}, *MOONS),
    "invscaling": (C, {"solver": "sgd", "learning_rate": "invscaling", "learning_rate_init": 0.1}, *MOONS),
    "adaptive": (C, {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.2}, *MOONS),
    "lbfgs": (C, {"solver": "lbfgs"}, *MOONS), "tol": (C, {"tol": 0.01}, *MOONS),
    "early stopping": (C, {"early_stopping": True}, *MOONS),
    "fraction": (C, {"early_stopping": True, "validation_fraction": 0.3, "n_iter_no_change": 3}, *MOONS),
    "given order": (C, {"shuffle": False, "batch_size": 10, "solver": "sgd"}, *load_iris(return_X_y=True)),
    "no nesterov": (C, {"solver": "sgd", "momentum": 0.5, "nesterovs_momentum": False}, *MOONS),
    "betas": (C, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-4, "alpha": 0.1}, *MOONS),
    "regression": (R, {}, PLANE, WAVE), "tiny targets": (R, {}, PLANE, WAVE * 0.004),
    "logistic": (C, {"activation": "logistic"}, *MOONS), "poisson": (R, {"loss": "poisson"}, PLANE, np.abs(WAVE) + 0.1),
}  # fmt: skip


def fitted(kind, settings, X, y, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return kind(**{"hidden_layer_sizes": (8,), "max_iter": 60, "random_state": 3, **settings}).fit(X, y, **more)


@pytest.mark.parametrize("name", PANEL)
def test_an_estimator_is_repeated_to_the_last_weight(name):
    kind, settings, X, y = PANEL[name]
    model = fitted(kind, settings, X, y)
    subject = subject_of(model, X, y)
    (run,) = train_setup(subject.setup, subject.task, [3])
    if settings.get("solver") != "lbfgs":
        np.testing.assert_allclose(run.losses, model.loss_curve_, rtol=1e-9)
    for layer, W in zip(run.model.layers, model.coefs_, strict=True):
        np.testing.assert_allclose(layer.weight.data, W.T, rtol=1e-6, atol=1e-9)


def test_a_run_with_a_validation_set_and_patience_is_repeated():
    X, y = tg.data.moons(120, seed=3)
    epochs = []
    for seed in range(4):
        model = nn.MLP([2, 12, 1], seed=seed)
        run = tg.fit(model, X, y, loss="mse", optimizer=optim.Adam(model.parameters(), lr=0.03), epochs=400, seed=seed,
                     batch_size=20, validation=0.3, patience=5)  # fmt: skip
        epochs.append(run.n_epochs)
    subject = subject_of(run, None, None)
    again = [len(r.losses) for r in train_setup(subject.setup, subject.task, range(4))]
    assert max(again) < 400
    assert 0.4 < np.median(again) / np.median(epochs) < 2.5


def test_what_cannot_be_repeated_is_said_and_nothing_is_proved():
    X, y = MOONS
    found = diagnose(fitted(C, {}, X[:30], y[:30]), X, y)  # it was trained on other data
    assert found.healthy is None
    assert found.causes == []
    assert found.summary.startswith("My repetition does not repeat your run")


# data


def test_outliers_are_targets_that_neither_others_nor_neighbours_share():
    X = RNG.normal(0.0, 1.0, (300, 3))
    clean = X[:, :1] * 2.0 + X[:, 1:2]
    odd = np.zeros(300, bool)
    odd[::30] = True
    setup = Setup(sizes=(3, 4, 1))
    spoilt = look_at(task_of(X, np.where(odd[:, None], -999.0, clean), setup))
    np.testing.assert_array_equal(spoilt.outliers, odd)
    for usual in (clean, np.exp(2.0 * clean), clean + RNG.standard_t(5, clean.shape), np.round(clean)):
        assert look_at(task_of(X, usual, setup)).outliers is None


def test_copies_count_once_and_an_autoencoder_is_compared_with_components():
    X = RNG.normal(0.0, 1.0, (40, 4)) @ RNG.normal(0.0, 1.0, (4, 4))
    task = task_of(np.repeat(X, 3, axis=0), np.repeat(X, 3, axis=0), Setup(sizes=(4, 2, 4)))
    assert len(unique_rows(task)) == 40
    assert reconstructs(task)
    shares = [principal(task, k) for k in (1, 2, 4)]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("name", FORMS)
def test_other_forms_of_inputs_are_finite_and_the_same_for_new_data(name):
    X = np.abs(RNG.normal(0.0, 1.0, (30, 5, 2))) if name == "padding first" else np.arange(60.0).reshape(30, 2) / 7.0
    made = encoding(name, X)
    assert np.isfinite(made(X)).all()
    np.testing.assert_allclose(made(X)[:3], made(X[:3]))
    assert is_multiple_of_steps(np.arange(9.0)[:, None] / 4.0)
    assert not is_multiple_of_steps(RNG.normal(size=(20, 1)))


def test_labels_and_widths_are_those_of_the_classifier():
    X, y = MOONS
    model = fitted(C, {}, X, np.array(["no", "yes"])[y])
    with pytest.raises(SettingError, match=r"y holds 0, 1, and this classifier was trained on 'no', 'yes'"):
        diagnose(model, X, y)
    with pytest.raises(ShapeError, match="trained on 2 features"):
        diagnose(model, X[:, :1], y)
    with pytest.raises(SettingError, match="NaN"):
        diagnose(fitted(R, {}, X, y * 1.0), X, np.where(np.arange(120) == 5, np.nan, y))


def test_a_search_is_opened():
    X, y = MOONS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = MLPClassifier((12,), max_iter=300, learning_rate_init=0.02, random_state=0)
        search = GridSearchCV(net, {"alpha": [1e-4, 1e-2]}, cv=2).fit(X, y)
    assert diagnose(search, X, y).healthy


# certain after one pass


def run_of(model, X, y, loss, lr=0.02, epochs=150):
    return tg.fit(model, X, y, loss=loss, optimizer=optim.Adam(model.parameters(), lr=lr), epochs=epochs, batch_size=30)


@pytest.mark.slow
def test_a_softmax_over_one_unit():
    X, y = MOONS
    found = diagnose(run_of(nn.MLP([2, 8, 1], "relu", "softmax"), X, y[:, None] * 1.0, "bce"))
    assert found.causes[0].code == "wrong_output_activation"
    assert "whatever" in found.causes[0].proof or "all weights" in found.causes[0].proof
    assert found.causes[0].trial.share >= 0.8


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::tinygrad_edu.core.stretched_targets.StretchedTargetWarning")  # which says it too
@pytest.mark.parametrize("measure", [lambda e: e**2, np.abs], ids=["squares", "sizes"])
def test_a_loss_that_broadcasts_does_not_pair(measure):
    X, y = PLANE, PLANE.sum(axis=1)
    model = nn.MLP([2, 8, 1], seed=0)

    def own(p, t):
        return np.mean(measure(p - t.reshape(-1)))

    found = diagnose(run_of(model, X, y, own))
    assert found.causes[0].code == "broadcast_in_loss"
    assert "permuted" in found.causes[0].proof


def test_parameters_that_nobody_trains():
    class Hidden(nn.Module):
        def __init__(self):
            self.body = nn.Linear(2, 8, rng=0)
            self.__dict__["aside"] = {"head": (lambda layer: layer)(nn.Linear(8, 1, rng=1))}

        def forward(self, x):
            return self.box()(np.tanh(self.body(x)))

        def box(self):
            return HEAD

    HEAD = nn.Linear(8, 1, rng=1)
    model = Hidden()
    y = np.where(PLANE[:, :1] * PLANE[:, 1:] > 0.0, 30.0, -30.0)
    found = diagnose(run_of(model, PLANE, y, "mse", lr=1e-3, epochs=5))
    assert "unregistered_parameters" in [cause.code for cause in found.causes]


# verdicts


def test_chances_are_fishers():
    from scipy.stats import fisher_exact

    for row in ((5, 5, 0, 5), (20, 20, 16, 20), (3, 5, 2, 20)):
        table = [[row[0], row[1] - row[0]], [row[2], row[3] - row[2]]]
        assert chance(*row) == pytest.approx(fisher_exact(table, alternative="greater").pvalue)


def test_a_turn_needs_more_than_noise():
    falling = np.exp(-np.arange(60) / 10.0)
    assert turn(falling + 0.3, falling) is None
    assert turn(0.3 + falling + 0.4 * np.arange(60) / 60, falling).code == "overfitting"
    assert turn(np.r_[falling, falling[-1] + 0.001], np.r_[falling, 0.0]) is None


@pytest.mark.slow
@pytest.mark.parametrize("name", ["k_overfit_reg", "ok_heavy_targets", "k_dropout_reg", "sk_sgd_low"])
def test_kinds_of_cases(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outcome = questions.asked(question_cases.CASES[name])
    assert outcome.verdict == "right", str(outcome)
    assert outcome.fix is None or outcome.fix >= 0.8


@pytest.mark.slow
def test_no_card_speaks_against_its_numbers():
    X, y = MOONS
    found = diagnose(fitted(C, {"max_iter": 5}, X, y), X, y)
    assert len(set(found.tried_without_effect)) == len(found.tried_without_effect)
    said = re.search(r"accuracy ([\d.]+) on the training samples, goal ([\d.]+)", found.summary)
    assert float(said[1]) < float(said[2])
    assert "max_iter=" in found.causes[0].remedy


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_field_that_a_cause_changes_has_words(dialect):
    setup = Setup(
        sizes=(2, 4, 1), dialect=dialect, options={"momentum": 0.99}, dropout=0.5, norm="batch", clip_norm=1.0
    )
    changes = [
        {"lr": 0.1}, {"epochs": 500}, {"batch_size": 8}, {"inputs": "standardized"}, {"activation": "relu"},
        {"out_activation": "tanh"}, {"options": {"momentum": 0.9}}, {"shuffle": False}, {"sizes": (2, 16, 1)},
        {"loss": "mae"}, {"bias": False}, {"dropout": 0.0}, {"norm": None}, {"seed": 3},
    ]  # fmt: skip
    told = [change_lines(setup, change) for change in changes]
    if dialect in ("torch", "keras"):
        assert all(told)
    assert all(text.endswith(".") for text in told if text)


@pytest.mark.slow
@pytest.mark.parametrize("last", ["softmax", "identity"])
def test_a_loss_that_does_not_fit_is_named_in_a_good_run_where_the_fitting_one_outdoes_it(last):
    rng = np.random.default_rng(22)
    labels = np.arange(300) % 8
    X = rng.normal(0, 2.2, (8, 4))[labels] + rng.normal(0, 1.0, (300, 4))
    model = nn.MLP([4, 24, 8], activation="relu", out_activation=last, seed=1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    run = tg.fit(model, X, labels, loss="cross_entropy", optimizer=optimizer, epochs=40, batch_size=32, seed=1)
    found = diagnose(run, budget_s=300.0)  # a busy machine needs more than 30 s of wall time
    assert found.healthy == (last == "identity")
    assert [cause.code for cause in found.causes] == ["wrong_loss"] * (last == "softmax")
