"""Diagnoses of real trainings: the cause named is the fault that was built in, with a proof; healthy runs stay so."""

import math
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose, diagnose_curve
from tinygrad_edu.data import and_gate, body_metrics, glyphs, iris, moons, or_gate, standardize, xor_gate
from tinygrad_edu.errors import NameNotFoundError, OperandError, SettingError


def trained(X, y, sizes=(2, 12, 1), *, optimizer=lambda p: optim.Adam(p, lr=0.03), loss="mse", model=None, **options):
    model = nn.MLP(sizes, **options.pop("net", {})) if model is None else model
    options = {"epochs": 60, "batch_size": 20, "compiled": False} | options
    return tg.fit(model, X, y, loss=loss, optimizer=optimizer(model.parameters()), **options)


def codes(diagnosis):
    return [cause.code for cause in diagnosis.causes]


MOONS = moons(120, seed=3)


# healthy runs


@pytest.mark.slow
@pytest.mark.parametrize(
    "run",
    [
        pytest.param(lambda: trained(*MOONS), id="moons"),
        pytest.param(lambda: trained(*xor_gate(), (2, 8, 1), epochs=200, batch_size=None), id="xor"),
        pytest.param(
            lambda: trained(standardize(iris()[0])[0], iris()[1], (4, 8, 3), loss="cross_entropy", epochs=30), id="iris"
        ),
    ],
)
def test_a_healthy_run_is_left_alone(run):
    found = diagnose(run())
    assert found.healthy
    assert found.causes == []
    assert str(found).startswith("Healthy")
    settings, model = found.apply()
    assert settings["optimizer"] == "Adam"
    assert isinstance(model, nn.Module)


# Faults: each is the healthy training on moons with one thing changed

FAULTS = {
    "lr_too_high": {"optimizer": lambda p: optim.SGD(p, lr=20.0)},
    "lr_too_low": {"optimizer": lambda p: optim.Adam(p, lr=1e-6)},
    "symmetric_init": {"net": {"init": "zeros"}},
    "schedule_freezes_early": {"optimizer": lambda p: optim.Adam(p, lr=optim.schedules.exponential(0.03, 0.5))},
    "weight_decay_too_high": {"optimizer": lambda p: optim.Adam(p, lr=0.03, weight_decay=2.0)},
}


@pytest.mark.slow
@pytest.mark.parametrize("code", FAULTS)
def test_the_fault_built_in_is_named_first_and_its_change_repairs(code):
    found = diagnose(trained(*MOONS, **FAULTS[code]), budget_s=60)
    assert found.healthy is False
    assert codes(found)[0] == code
    cause = found.causes[0]
    assert cause.change
    assert "as is: 0 of 5 seeds reach the goal" in cause.proof
    assert cause.trial.reached > 3
    _, model = found.apply()
    assert np.mean(np.sign(model.eval()(MOONS[0]).numpy()) == MOONS[1]) > 0.9


@pytest.mark.slow
def test_inputs_in_units_of_their_own_are_named_and_the_repaired_model_takes_them_as_they_are():
    X = MOONS[0] * [1.0, 2000.0] + [500.0, 0.0]
    found = diagnose(trained(X, MOONS[1]), budget_s=60)
    assert codes(found)[0] == "inputs_not_scaled"
    settings, model = found.apply()
    assert settings["inputs"] == "standardized"
    assert np.mean(np.sign(model(X).numpy()) == MOONS[1]) > 0.9


@pytest.mark.slow
def test_permuted_labels_are_random_and_nothing_repairs_them():
    found = diagnose(trained(MOONS[0], np.random.default_rng(0).permutation(MOONS[1])))
    assert codes(found) == ["labels_random"]
    with pytest.raises(SettingError, match="labels_random"):
        found.apply()


@pytest.mark.slow
def test_a_bad_draw_of_the_weights_is_bad_luck():
    X, y = (2.0 * a - 1.0 for a in xor_gate())
    settings = {"optimizer": lambda p: optim.Adam(p, lr=0.05), "epochs": 200, "batch_size": 4}
    runs = (trained(X, y, model=nn.MLP([2, 2, 1], seed=seed), **settings) for seed in range(50))
    found = diagnose(next(run for run in runs if run.loss_curve[-1] > 0.3))
    assert codes(found)[0] == "unlucky_init"
    assert set(found.causes[0].change) == {"seed"}


# cases from the questions


def test_case_1_people_measured_in_cm_and_kg():
    from tinygrad_edu.estimators import MLPClassifier

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((3,), activation="logistic", random_state=0).fit(*body_metrics())
    found = diagnose(model, *body_metrics(), budget_s=60)
    assert found.healthy is False
    assert {"inputs_not_scaled", "too_few_epochs"} <= set(codes(found))


@pytest.mark.slow
def test_case_3_epochs_that_are_steps():
    run = trained(
        *or_gate(), model=nn.MLP([2, 3, 1], "tanh", "tanh", False, nn.init.normal(1.0), 1), epochs=475, batch_size=1,
        shuffle=False, optimizer=lambda p: optim.SGD(p, lr=0.1),
    )  # fmt: skip
    found = diagnose(run, goal={"mae": 0.01}, budget_s=60)
    assert codes(found)[0] == "too_few_epochs"
    assert "as asked for" in found.goal.sentence


@pytest.mark.slow
def test_case_4_images_class_after_class():
    X, y = glyphs(200, "0147", size=10, seed=1)
    order = np.argsort(y, kind="stable")
    run = trained(
        X[order], y[order], (100, 16, 4), loss="cross_entropy", optimizer=lambda p: optim.SGD(p, lr=0.3), batch_size=4,
        epochs=6, shuffle=False,
    )  # fmt: skip
    assert codes(diagnose(run, budget_s=60))[0] == "not_shuffled"


@pytest.mark.slow
def test_case_5_needs_two_changes_at_once():
    X = np.arange(1.0, 10.0)[:, None]
    run = trained(
        X, (1.2 * X + 1.0) / 10.0, model=nn.MLP([1, 1, 1], "sigmoid", "sigmoid", bias=False), epochs=8000,
        batch_size=None, optimizer=lambda p: optim.Adam(p, lr=0.01), compiled="auto",
    )  # fmt: skip
    found = diagnose(run, goal={"mse": 1e-4}, budget_s=60)
    assert set(codes(found)) == {"targets_out_of_range", "missing_bias"}
    assert all("2 changes together" in cause.proof for cause in found.causes)
    assert found.causes[0].change == {"out_activation": "identity", "bias": True}


def test_case_6_a_squared_error_behind_a_sigmoid():
    model = nn.MLP([2, 1], out_activation="sigmoid")
    model.load_state_dict({"layers.0.weight": [[0.0, 0.0]], "layers.0.bias": [-2.0]})
    run = trained(
        *and_gate(), model=model, optimizer=lambda p: optim.SGD(p, lr=0.042), epochs=10_000, batch_size=None,
        compiled="auto",
    )  # fmt: skip
    assert codes(diagnose(run, goal={"mae": 0.05}, budget_s=60))[0] == "wrong_loss"


def test_case_7_a_run_through_time_is_judged_by_its_curve():
    from tinygrad_edu.cases.lynx_elman import train_by_pattern as elman

    found = diagnose(elman(300))
    assert found.healthy is None
    assert [s.code for s in found.symptoms] == ["improving"]
    assert "still falling" in str(found)


# Kinds of subjects


def test_pipelines_of_scikit_learn():
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = MOONS[0], MOONS[1].ravel() > 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        good = make_pipeline(
            StandardScaler(), MLPClassifier((16,), max_iter=300, learning_rate_init=0.02, random_state=0)
        )
        bad = make_pipeline(StandardScaler(), MLPClassifier((16,), max_iter=2, learning_rate_init=0.01, random_state=0))
        assert diagnose(good.fit(X, y), X, y).healthy
        found = diagnose(bad.fit(X, y), X, y, budget_s=60)
    assert "too_few_epochs" in codes(found)


def test_lbfgs_is_trained_again_by_the_estimator():
    from tinygrad_edu.estimators import MLPRegressor

    X = np.linspace(-2.0, 2.0, 50)[:, None]
    options = {"hidden_layer_sizes": (8,), "activation": "tanh", "max_iter": 200}
    model = MLPRegressor(solver="lbfgs", random_state=0, **options).fit(X, np.sin(X).ravel())
    assert diagnose(model, X, np.sin(X).ravel()).healthy


@pytest.mark.slow
def test_a_model_of_other_layers_is_trained_again_as_it_is():
    model = nn.Sequential(nn.Linear(2, 12, rng=0), tg.ops.tanh, nn.Linear(12, 1, rng=1))
    run = trained(*MOONS, model=model, optimizer=lambda p: optim.Adam(p, lr=1e-6))
    found = diagnose(run, budget_s=60)
    assert codes(found)[0] == "lr_too_low"
    assert any("not an nn.MLP" in row for row in found.not_checked)


# data that cannot be learned from, and questions that cannot be answered


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_inputs_that_are_no_numbers_need_no_trial(bad):
    X = MOONS[0].copy()
    X[3, 1] = bad
    found = diagnose(trained(*MOONS, epochs=1), X, MOONS[1])
    assert codes(found) == ["constant_or_nonfinite_input"]
    assert "(3, 1)" in found.causes[0].evidence


def test_constant_inputs_need_no_trial():
    found = diagnose(trained(np.ones((40, 2)), MOONS[1][:40], epochs=2))
    assert codes(found) == ["constant_or_nonfinite_input"]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"seeds": 2}, SettingError, "seeds=2"),
        ({"budget_s": 0}, SettingError, "budget_s"),
        ({"goal": {"acuracy": 0.9}}, NameNotFoundError, "Did you mean 'accuracy'"),
        ({"goal": math.nan}, SettingError, "loss=nan"),
        ({"goal": {"mse": 1.0, "mae": 1.0}}, SettingError, "one measure"),
    ],
)
def test_settings_that_cannot_be(options, error, text):
    with pytest.raises(error, match=text):
        diagnose(trained(*MOONS, epochs=1), **options)


@pytest.mark.parametrize("thing", [3, "run", nn.Linear(2, 1)])
def test_only_trainings_are_diagnosed(thing):
    with pytest.raises(OperandError, match="diagnose takes"):
        diagnose(thing, *MOONS)


def test_an_estimator_needs_its_data():
    from tinygrad_edu.estimators import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=(2,), solver="lbfgs", random_state=0).fit([[0.0], [1.0]], [0.0, 1.0])
    with pytest.raises(SettingError, match="X=None"):
        diagnose(model)


# the card


def test_the_card_as_text_and_html():
    found = diagnose(trained(*MOONS, **FAULTS["symmetric_init"]))
    assert "1. symmetric_init" in str(found)
    assert max(map(len, str(found).splitlines())) <= 100
    assert "<pre>" in found._repr_html_()


# curves without a run


@pytest.mark.parametrize(
    ("losses", "suspects"),
    [
        ([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0], "lr_too_high"),
        ([1.0, 0.5, math.nan], "lr_too_high"),
        (np.arange(1.0, 101.0) ** -0.5, "too_few_epochs"),
        (np.full(50, 0.7), "lr_too_low"),
        (1.0 + 0.5 * (-1.0) ** np.arange(60), "lr_too_high"),
    ],
)
def test_what_a_curve_suggests(losses, suspects):
    found = diagnose_curve(losses)
    assert found.healthy is None
    assert found.causes == []
    assert suspects in found.summary
    with pytest.raises(SettingError, match="curve"):
        found.apply()


@pytest.mark.parametrize("losses", [[], [[1.0, 2.0]], 3.0])
def test_no_curve(losses):
    with pytest.raises(SettingError, match="losses has shape"):
        diagnose_curve(losses)


@pytest.mark.slow
def test_of_an_estimator_apply_gives_an_estimator():
    from sklearn.neural_network import MLPClassifier, MLPRegressor

    names = np.array(["no", "yes"])[(MOONS[1].ravel() > 0).astype(int)]
    X = MOONS[0] * [1.0, 3000.0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier((12,), max_iter=400, learning_rate_init=0.02, random_state=0).fit(X, names)
    found = diagnose(model, X, names)
    _, repaired = found.apply()
    assert repaired.score(X, names) > 0.9
    assert set(repaired.predict(X)) == {"no", "yes"}
    assert repaired.estimator.steps[-1][1].__class__ is MLPClassifier
    assert repaired.eval()(X).shape == (len(X), 1)
    assert "StandardScaler" in found.causes[0].remedy

    y = MOONS[0][:, 0] * 1e-3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = MLPRegressor(hidden_layer_sizes=(12,), max_iter=400, random_state=0).fit(MOONS[0], y)
    found = diagnose(small, MOONS[0], y)
    assert found.apply()[1].score(MOONS[0], y) > 0.9
