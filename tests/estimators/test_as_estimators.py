"""What goes beyond scikit-learn behaves as any estimator: validation sets, copies, records, warm starts, Ctrl-C."""

import pickle

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from tests.estimators.test_tables import CLASSES, NUMBERS, RNG, X, falls, small
from tinygrad_edu import optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.estimators import MLPClassifier, MLPRegressor, choices, general
from tinygrad_edu.estimators.choices import LOSSES

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


# a validation set of the user's


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_validation_set_of_ones_own_is_scored(activation):
    model = small(activation=activation, validation_curve=True).fit(
        X[:40], NUMBERS[:40], X_val=X[40:], y_val=NUMBERS[40:]
    )
    assert len(model.validation_scores_) == len(model.validation_loss_curve_) == model.n_iter_ == 30
    assert model.validation_scores_[-1] == pytest.approx(model.score(X[40:], NUMBERS[40:]))
    without = small(activation=activation).fit(X[:40], NUMBERS[:40])
    np.testing.assert_array_equal(model.coefs_[0], without.coefs_[0])


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_a_validation_set_decides_when_to_stop(activation):
    y_val = RNG.permutation(CLASSES)[:20]
    model = small(MLPClassifier, activation=activation, early_stopping=True, n_iter_no_change=4, max_iter=300)
    model.fit(X[:40], CLASSES[:40], X_val=X[40:], y_val=y_val)
    assert model.n_iter_ < 300
    assert model.score(X[40:], y_val) == model.best_validation_score_ == max(model.validation_scores_)


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_partial_fit_with_early_stopping(activation):
    y_val = RNG.permutation(CLASSES)[:20]
    model = small(MLPClassifier, activation=activation, early_stopping=True, n_iter_no_change=3)
    calls = 0
    while calls < 300 and not getattr(model, "stopped_", False):
        model.partial_fit(X[:40], CLASSES[:40], classes=[0, 1, 2], X_val=X[40:], y_val=y_val)
        calls += 1
    assert 3 < calls < 300
    assert len(model.validation_scores_) == calls
    assert model.score(X[40:], y_val) == model.best_validation_score_


WRONG = [
    ({"X_val": X}, "X_val alone"),
    ({"y_val": CLASSES}, "y_val alone"),
    ({"X_val": X[:, :2], "y_val": CLASSES}, "features"),
    ({"X_val": X, "y_val": CLASSES[:9]}, "one target for each"),
    ({"X_val": X, "y_val": CLASSES + 9}, r"classes \[ 9 10 11\]"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "words"), WRONG)
def test_wrong_validation_sets_are_refused(given, words):
    with pytest.raises(ValueError, match=words):
        small(MLPClassifier).fit(X, CLASSES, **given)


# like any estimator of scikit-learn

BEYOND = {
    "gelu, adamw, layer": {"activation": "gelu", "solver": "adamw", "norm": "layer"},
    "batch, dropout, l1": {"norm": "batch", "dropout": 0.2, "l1": 1e-3, "batch_size": 20},
    "silu, elu": {"activation": ["silu", "elu"], "hidden_layer_sizes": (5, 4), "solver": "rmsprop"},
    "a schedule": {"learning_rate": optim.schedules.inverse_time(0.05, decay=0.1), "solver": "rprop"},
}


@pytest.mark.parametrize("name", BEYOND)
@pytest.mark.parametrize("kind", [MLPClassifier, MLPRegressor])
def test_clones_pickles_and_searches(kind, name):
    y = CLASSES if kind is MLPClassifier else NUMBERS
    model = falls(small(kind, **BEYOND[name]).fit(X, y))
    again = clone(model).fit(X, y)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    loaded = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))
    loaded.partial_fit(X, y), model.partial_fit(X, y)
    np.testing.assert_array_equal(loaded.coefs_[0], model.coefs_[0])
    sparse_ = sparse.csr_matrix(X)
    np.testing.assert_allclose(
        np.asarray(clone(model).fit(sparse_, y).predict(sparse_), float),
        np.asarray(again.predict(X), float),
        rtol=1e-6,
        atol=1e-6,
    )
    search = GridSearchCV(small(kind, **BEYOND[name]), {"alpha": [1e-4, 1.0]}, cv=2)
    assert search.fit(X, y).best_params_["alpha"] in (1e-4, 1.0)
    assert np.isfinite(cross_val_score(make_pipeline(StandardScaler(), clone(model)), X, y, cv=2)).all()


@pytest.mark.parametrize("name", BEYOND)
def test_the_record_and_the_model_that_it_holds(name):
    model = small(**BEYOND[name]).fit(X, NUMBERS)
    module = model.history_.model.eval()
    np.testing.assert_allclose(module(X).numpy().ravel(), model.predict(X), rtol=1e-9)
    with pytest.raises(OperandError, match="scikit-learn does not have"):
        model.to_sklearn()


def test_warm_start_goes_on_with_its_normalization():
    model = small(norm="batch", warm_start=True, max_iter=5).fit(X, NUMBERS)
    first, norms = model.loss_, model.norms_
    assert model.fit(X, NUMBERS).loss_ < first
    assert model.norms_ is norms


def test_ctrl_c_keeps_what_is_done():
    def stop(model):
        if model.n_iter_ == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted by user. 3 complete epochs"):
        model = small(activation="gelu", callbacks=[stop]).fit(X, NUMBERS)
    assert model.n_iter_ == 3
    assert np.isfinite(model.predict(X)).all()


def test_a_warning_points_at_the_caller():
    with pytest.warns(ConvergenceWarning) as caught:
        small(activation="gelu", max_iter=2).fit(X, NUMBERS)
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(
    [
        MLPClassifier((8,), activation="gelu", solver="adamw", learning_rate_init=0.05, max_iter=40, random_state=0),
        MLPRegressor(hidden_layer_sizes=(8,), norm="layer", solver="rmsprop", learning_rate_init=0.02, max_iter=60),
        MLPClassifier((8,), loss="hinge", activation="tanh", learning_rate_init=0.05, max_iter=40, random_state=0),
    ]
)
def test_scikit_learns_common_checks(estimator, check):
    check(estimator)


def test_what_the_general_way_is_made_of_has_the_table_behind_it():
    assert set(general.NORMS) == set(choices.NORMS)
    assert set(LOSSES) <= set(MLPClassifier._parameter_constraints["loss"][0].options)
    assert set(LOSSES) <= set(MLPRegressor._parameter_constraints["loss"][0].options)


LOST = {
    "solver": "adamw", "loss": "huber", "norm": "layer", "l1": 0.1, "out_activation": "tanh",
    "learning_rate": lambda t: 0.01,
}  # fmt: skip


@pytest.mark.parametrize("name", LOST)
def test_a_diagnosis_refuses_what_it_would_lose(name):
    with pytest.raises(
        SettingError,
        match=f"{name}=.*: a diagnosis trains an estimator again by scikit-learn, which does not have this",
    ):
        diagnose(small(**{name: LOST[name]}).fit(X, NUMBERS), X, NUMBERS)
