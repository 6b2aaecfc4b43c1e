"""The whole surface of scikit-learn's MLPs: parameters, methods, fitted attributes, what is printed and warned of."""

import inspect
import types
import warnings

import numpy as np
import pandas
import pytest
from scipy import sparse
from sklearn import neural_network as theirs
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_info, threadpool_limits

from tinygrad_edu import estimators as ours
from tinygrad_edu.data import body_metrics, iris
from tinygrad_edu.estimators import messages
from tinygrad_edu.estimators.network import program

X, Y = iris()
LABELS = np.column_stack([Y == 0, Y > 0])
KINDS = ["MLPClassifier", "MLPRegressor"]
SOLVERS = ["adam", "sgd", "lbfgs"]
BEYOND = {
    "init", "dropout", "clip_norm", "class_weight", "validation_curve", "callbacks", "out_activation", "l1", "norm",
    "weight_decay", "stop_loss",
}  # fmt: skip
VALIDATION = ["X_val", "y_val"]  # arguments of fit and partial_fit
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def pair(kind, **settings):
    return [getattr(m, kind)(**{"hidden_layer_sizes": (4,), "random_state": 0, **settings}) for m in (theirs, ours)]


def weights(model):
    return np.concatenate([w.ravel() for w in model.coefs_ + model.intercepts_])


def parameters(kind):
    beyond = BEYOND | ({"loss"} if kind is ours.MLPClassifier else set())
    return {name: p for name, p in inspect.signature(kind).parameters.items() if name not in beyond}


@pytest.mark.parametrize("kind", KINDS)
def test_parameters_defaults_and_their_order(kind):
    a, b = (parameters(getattr(m, kind)) for m in (theirs, ours))
    assert [(n, p.default, p.kind) for n, p in a.items()] == [(n, p.default, p.kind) for n, p in b.items()]


def arguments_of(kind, name):
    """The method; partial_fit may be behind a descriptor that asks for an estimator."""
    found = inspect.getattr_static(kind, name)
    return getattr(found, "fn", found)


@pytest.mark.parametrize("kind", KINDS)
def test_methods_and_their_arguments(kind):
    a, b = (getattr(m, kind) for m in (theirs, ours))
    public = [name for name in dir(a) if not name.startswith("_")]
    assert set(public) <= set(dir(b))
    for name in (
        "fit",
        "partial_fit",
        "predict",
        "score",
        *(["predict_proba", "predict_log_proba"] * (kind == KINDS[0])),
    ):
        given = [list(inspect.signature(arguments_of(k, name)).parameters) for k in (a, b)]
        assert given[0] == [each for each in given[1] if each not in VALIDATION], name


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("kind", KINDS)
def test_fitted_attributes(kind, solver, early):
    a, b = pair(kind, solver=solver, early_stopping=early, max_iter=15)
    a.fit(X, Y), b.fit(X, Y)
    there = {name for name in vars(a) if name.endswith("_") and not name.startswith("_")}
    assert there <= set(vars(b)), there - set(vars(b))
    for name in there:
        x, y = getattr(a, name), getattr(b, name)
        assert type(x) is type(y) or np.isscalar(x), name
        if x is None or isinstance(x, str):
            assert y == x, name
        elif not isinstance(x, list):
            np.testing.assert_allclose(y, x, rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("solver", SOLVERS)
def test_set_params_begins_anew(solver):
    model = ours.MLPClassifier((9,), max_iter=5, random_state=0, solver=solver).fit(X, Y)
    model.set_params(hidden_layer_sizes=(4,), activation="tanh", alpha=0.1).fit(X, Y)
    fresh = ours.MLPClassifier((4,), "tanh", alpha=0.1, max_iter=5, random_state=0, solver=solver).fit(X, Y)
    assert weights(model).tolist() == weights(fresh).tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_max_fun(kind):
    a, b = pair(kind, solver="lbfgs", max_fun=7)
    a.fit(X, Y)
    with pytest.warns(ConvergenceWarning, match="The limit that was hit is max_fun=7; the loss is"):
        b.fit(X, Y)
    assert (a.n_iter_, a.loss_) == (b.n_iter_, b.loss_)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_no_end_but_max_iter(solver):
    a, b = pair("MLPClassifier", solver=solver, n_iter_no_change=np.inf, tol=1.0, max_iter=30)
    assert a.fit(X, Y).n_iter_ == b.fit(X, Y).n_iter_ == 30


@pytest.mark.parametrize("target", [Y, LABELS, np.array(["a", "b", "c"])[Y]], ids=["classes", "labels", "names"])
@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_partial_fit_of_every_kind(target, form):
    a, b = pair("MLPClassifier", learning_rate_init=0.01)
    classes = np.unique(target)
    for rows in (slice(0, 150, 2), slice(1, 150, 2), slice(0, 50)):
        for model in (a, b):
            model.partial_fit(form(X[rows]), target[rows], classes=classes)
    np.testing.assert_allclose(weights(b), weights(a), rtol=1e-9)
    assert (b.predict(form(X)) == a.predict(form(X))).all()
    np.testing.assert_allclose(b.predict_log_proba(form(X)), a.predict_log_proba(form(X)), rtol=1e-8)


@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_poisson_of_sparse_counts(solver):
    counts = np.round(np.exp(X[:, 0] / 3.0))
    a, b = pair("MLPRegressor", loss="poisson", solver=solver, max_iter=40, learning_rate_init=1e-3)
    given = sparse.csr_matrix(X)
    a.fit(given, counts), b.fit(given, counts)
    np.testing.assert_allclose(b.predict(given), a.predict(given), rtol=1e-8)
    assert (b.predict(given) > 0.0).all()


def test_names_of_features():
    frame = pandas.DataFrame(X, columns=["a", "b", "c", "d"])
    a, b = pair("MLPClassifier", max_iter=5)
    a.fit(frame, Y), b.fit(frame, Y)
    assert a.feature_names_in_.tolist() == b.feature_names_in_.tolist()
    assert b.to_sklearn().feature_names_in_.tolist() == ["a", "b", "c", "d"]
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        b.predict(X)


def test_balanced_classes():
    people = X[:110], Y[:110]  # 50, 50 and 10 samples per class
    given = 110 / 3 / np.bincount(people[1])[people[1]]
    a = ours.MLPClassifier((4,), class_weight="balanced", max_iter=5, random_state=0).fit(*people)
    b = ours.MLPClassifier((4,), max_iter=5, random_state=0).fit(*people, given)
    np.testing.assert_allclose(weights(a), weights(b), rtol=1e-12)


# Nothing is compiled twice


def test_another_size_is_no_other_program():
    """Widths, depths, batches, losses, solvers, early stopping, sparse samples: one signature of one program."""
    code = program("float64").run
    ours.MLPClassifier((4,), max_iter=1).fit(X, Y)
    settings = [
        {}, {"hidden_layer_sizes": (7, 3)}, {"batch_size": 11}, {"solver": "sgd"}, {"early_stopping": True},
        {"shuffle": False}, {"activation": "tanh"}, {"alpha": 0.5, "learning_rate": "adaptive"},
    ]  # fmt: skip
    for given in settings:
        for samples, target in ((X, Y), (X[:60, :2].copy(order="F"), Y[:60] > 0), (sparse.csc_matrix(X), LABELS)):
            ours.MLPClassifier(max_iter=2, **given).fit(samples, target)
            ours.MLPRegressor(max_iter=2, **given).fit(samples, np.float64(target))
    assert len(code.signatures) == 1


@pytest.mark.parametrize(("features", "limited"), [(4, False), (300, True), (3000, False)])
def test_blas_keeps_to_one_thread_where_a_second_would_be_waited_for(features, limited):
    """Products of 32 · features · 64 multiplications; afterwards the number of threads is that of before."""

    def count():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    seen, samples = [], np.random.RandomState(0).normal(size=(64, features))
    look = [lambda model: seen.append(count())]
    with threadpool_limits(2, "blas"):  # conftest.py gives the workers of tests one
        before = count()
        ours.MLPClassifier((64,), batch_size=32, max_iter=1, callbacks=look).fit(samples, np.arange(64) % 2)
        assert count() == before == [2] * len(before)
    assert seen == [[1] * len(before) if limited else before]


# printed messages and warnings


def test_lbfgs_says_how_far_it_came(capsys):
    model = ours.MLPClassifier((4,), solver="lbfgs", verbose=True, max_iter=9, random_state=0).fit(X, Y)
    said = capsys.readouterr().out
    assert said.startswith("lbfgs: 9 iterations, ")
    assert f"loss = {model.loss_:.8f}" in said


def test_verbose_of_the_training_loss(capsys):
    said = []
    for model in pair("MLPRegressor", verbose=True, tol=10.0, n_iter_no_change=2):
        model.fit(X, Y)
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]
    assert "Training loss did not improve more than tol=10.000000 for 2 consecutive epochs. Stopping." in said[1]


TRENDS = [
    ([3.0, 2.5, 2.0], "The loss still falls, by 0.5 per epoch over the last 3, to 2 "),
    ([2.0, 2.5, 3.0], "The loss no longer falls: over the last 3 epochs it rose by 0.5 per epoch, to 3: lower"),
    ([1.0], "One epoch shows no trend: raise max_iter (it is 9)"),
    ([1.0, np.nan], "The loss is nan: lower learning_rate_init (it is 0.5) or scale the data"),
]


@pytest.mark.parametrize(("curve", "words"), TRENDS)
def test_the_trend_of_the_loss(curve, words):
    assert words in messages.trend(
        types.SimpleNamespace(loss_curve_=curve, max_iter=9, tol=0.1, learning_rate_init=0.5)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_warnings_begin_with_scikit_learn_s_words(kind):
    for settings in ({"max_iter": 3}, {"solver": "lbfgs", "max_iter": 3}, {"batch_size": 999, "max_iter": 900}):
        texts = []
        for model in pair(kind, **settings):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                model.fit(X, Y)
            texts.append([(w.category, str(w.message)) for w in caught])
        assert [c for c, _ in texts[0]] == [c for c, _ in texts[1]]
        for (_, there), (_, here) in zip(*texts, strict=True):
            assert here.split(".")[0][:60] == there.split(".")[0][:60]
            assert len(here) > len(there)


# the one cell of case 2 that differs


def test_where_the_last_bit_decides():
    """tanh, sgd, 14 units on unscaled people: 1 - y² of saturated units loses all digits of y.

    Ours agrees to 1e-13 for 50 epochs. Later even scikit-learn's own number of epochs follows the last bit of X.
    """
    people, y = body_metrics()
    chaotic = {"hidden_layer_sizes": (14,), "activation": "tanh", "solver": "sgd"}
    a, b = pair("MLPClassifier", **chaotic, max_iter=50)
    np.testing.assert_allclose(weights(b.fit(people, y)), weights(a.fit(people, y)), rtol=0.0, atol=1e-13)
    rng, epochs = np.random.default_rng(0), set()
    for _ in range(8):
        moved = np.where(rng.random(people.shape) < 0.5, people, np.nextafter(people, np.inf))
        epochs.add(pair("MLPClassifier", **chaotic)[0].fit(moved, y).n_iter_)
    assert len(epochs) > 2
