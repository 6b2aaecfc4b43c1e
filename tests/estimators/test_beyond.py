"""What scikit-learn's MLPs have not; how ours travel: pickles, processes, threads, and to scikit-learn and back."""

import pickle
import threading
import warnings

import joblib
import numpy as np
import pytest
from sklearn import neural_network as theirs
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tinygrad_edu import grad
from tinygrad_edu.data import iris
from tinygrad_edu.errors import OperandError
from tinygrad_edu.estimators import MLPClassifier, MLPRegressor
from tinygrad_edu.estimators.network import program_text
from tinygrad_edu.estimators.rules import end_of_epoch
from tinygrad_edu.estimators.shuffling import RandomWords
from tinygrad_edu.nn.losses import cross_entropy

X, Y = iris()
quiet = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def small(**settings):
    return MLPClassifier((5,), **{"max_iter": 20, "random_state": 0, **settings})


def weights(model):
    return np.concatenate([w.ravel() for w in model.coefs_ + model.intercepts_])


# pickling and cloning


@quiet
@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
def test_pickle_and_clone(solver):
    model = small(solver=solver).fit(X, Y)
    copy = pickle.loads(pickle.dumps(model))
    assert (copy.predict_proba(X) == model.predict_proba(X)).all()
    assert (weights(clone(model).fit(X, Y)) == weights(model)).all()
    if solver != "lbfgs":
        assert (weights(copy.partial_fit(X, Y)) == weights(model.partial_fit(X, Y))).all()


@pytest.mark.parametrize("solver", ["adam", "sgd"])
@pytest.mark.parametrize("kind", ["MLPClassifier", "MLPRegressor"])
@quiet
def test_to_scikit_learn_and_back(kind, solver):
    """Both go on training with the same numbers."""
    own, foreign = (getattr(m, kind)(solver=solver, max_iter=9, random_state=0) for m in (ESTIMATORS, theirs))
    own.fit(X, Y), foreign.fit(X, Y)
    there, back = own.to_sklearn(), type(own).from_sklearn(foreign)
    assert type(there) is type(foreign)
    assert type(back) is type(own)
    for model in (own, there, back, foreign):
        model.partial_fit(X, Y)
    for model in (there, back, foreign):
        np.testing.assert_allclose(weights(model), weights(own), rtol=1e-9)
        np.testing.assert_allclose(model.predict(X), own.predict(X), rtol=1e-9)


class ESTIMATORS:
    MLPClassifier, MLPRegressor = MLPClassifier, MLPRegressor


def test_another_kind_is_refused():
    with pytest.raises(OperandError, match="takes scikit-learn's MLPClassifier, not MLPRegressor"):
        MLPClassifier.from_sklearn(theirs.MLPRegressor())


@pytest.mark.slow
@quiet
@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_fits_side_by_side_are_those_one_after_another(backend):
    models = [small(random_state=seed, solver=solver) for seed in range(3) for solver in ("adam", "lbfgs")]
    alone = [weights(clone(m).fit(X, Y)) for m in models]
    with warnings.catch_warnings(), joblib.parallel_backend(backend, n_jobs=2):
        warnings.simplefilter("ignore")
        beside = joblib.Parallel()(joblib.delayed(quietly)(m) for m in models)
    for a, b in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(a, weights(b))


def quietly(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, Y)


@quiet
def test_pipeline_and_search():
    steps = make_pipeline(StandardScaler(), small(max_iter=100, learning_rate_init=0.05))
    assert cross_val_score(steps, X, Y).mean() > 0.9
    search = GridSearchCV(steps, {"mlpclassifier__activation": ["tanh", "relu"]}, cv=2).fit(X, Y)
    assert search.best_score_ > 0.8


@quiet
def test_samples_that_are_read_only():
    """As joblib hands them to its processes; the same program, which would take seconds to compile again."""
    locked = X.copy()
    locked.setflags(write=False)
    assert (weights(small().fit(locked, Y)) == weights(small().fit(X, Y))).all()
    program = pytest.importorskip("tinygrad_edu.estimators.network").program("float64").run
    assert len(program.signatures) == 1


# Beyond scikit-learn


@quiet
def test_history_is_a_run():
    model = small().fit(X, Y)
    run = model.history_
    assert run.n_epochs == model.n_iter_ == 20
    assert run.loss_curve.tolist() == model.loss_curve_
    assert len(run.grad_norms) == 20
    assert (run.grad_norms > 0).all()
    logits = np.asarray(run.model(X).array)
    np.testing.assert_allclose(logits - logits[:, :1], np.log(model.predict_proba(X) / model.predict_proba(X)[:, :1]))


@quiet
def test_validation_curve():
    model = small(early_stopping=True, validation_curve=True).fit(X, Y)
    assert len(model.validation_loss_curve_) == len(model.validation_scores_) == model.n_iter_
    assert model.validation_loss_curve_[-1] < model.validation_loss_curve_[0]


@quiet
def test_callbacks_see_each_epoch_and_may_end_the_run():
    seen = []
    model = small(callbacks=[lambda m: seen.append((m.n_iter_, m.loss_)), lambda m: m.n_iter_ == 4]).fit(X, Y)
    assert seen == list(zip([1, 2, 3, 4], model.loss_curve_, strict=True))
    assert weights(model).tolist() == weights(small(max_iter=4).fit(X, Y)).tolist()


@quiet
def test_class_weight_is_a_sample_weight():
    given = {0: 3.0, 1: 1.0, 2: 0.5}
    a = small(class_weight=given).fit(X, Y)
    b = small().fit(X, Y, np.array([given[y] for y in Y]))
    assert weights(a).tolist() == weights(b).tolist()


@quiet
def test_an_activation_for_each_layer():
    mixed = MLPClassifier((5, 4), ["tanh", "relu"], max_iter=5, random_state=0).fit(X, Y)
    hidden = np.tanh(X @ mixed.coefs_[0] + mixed.intercepts_[0])
    logits = np.maximum(hidden @ mixed.coefs_[1] + mixed.intercepts_[1], 0) @ mixed.coefs_[2] + mixed.intercepts_[2]
    assert mixed.predict(X).tolist() == logits.argmax(axis=1).tolist()
    with pytest.raises(OperandError, match="one activation for all"):
        mixed.to_sklearn()
    with pytest.raises(ValueError, match="or a list of 1 of them"):
        MLPClassifier((5,), ["tanh", "relu"]).fit(X, Y)


@quiet
def test_other_initial_weights():
    assert weights(small(init="zeros", max_iter=1, learning_rate_init=1e-300).fit(X, Y)).max() < 1e-290
    assert weights(small(init="he_normal").fit(X, Y)).tolist() != weights(small().fit(X, Y)).tolist()


# Messages: scikit-learn's words, and one more sentence

DIVERGING = MLPRegressor(solver="sgd", learning_rate_init=10.0, activation="identity", random_state=0, max_iter=30)
PARTIAL = MLPRegressor(early_stopping=True)
WORDS = [
    (lambda: DIVERGING.fit(X, Y), r"non-finite parameter weights\. .* The loss was not finite from epoch"),
    (lambda: PARTIAL.partial_fit(X, Y), "partial_fit does not support early_stopping=True. One call"),
    (lambda: MLPRegressor(early_stopping=True).fit(X[:3], Y[:3]), "is too small. .* Of 3 samples 1 would be held out"),
    (lambda: MLPClassifier((0,)).fit(X, Y), r"hidden_layer_sizes must be > 0, got \[0\]\. Each number"),
    (lambda: small(warm_start=True).fit(X, Y).fit(X, Y // 2), "Previously got .* Set warm_start=False"),
    (lambda: small().partial_fit(X, Y, classes=[0, 1]), r"`y` has classes not in .* Name all classes"),
    (lambda: MLPClassifier(alpha=-1.0).fit(X, Y), "The 'alpha' parameter of MLPClassifier must be a float"),
    (lambda: small().fit(np.where(X > 7, np.nan, X), Y), "Input X contains NaN"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("call", "words"), WORDS)
def test_errors(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_lbfgs_has_no_partial_fit():
    with pytest.raises(AttributeError, match="no attribute 'partial_fit'") as caught:
        MLPClassifier(solver="lbfgs").partial_fit(X, Y, classes=[0, 1, 2])
    assert "lbfgs is not stochastic. Choose" in str(caught.value.__cause__)


WARNED = [
    ({}, "hasn't converged yet. The loss still falls, by .* per epoch over the last 10"),
    ({"max_iter": 1}, "One epoch shows no trend"),
    ({"solver": "lbfgs", "max_iter": 3}, r"(?s)failed to converge after 3 iteration.*limit that was hit is max_iter=3"),
]


@pytest.mark.parametrize(("settings", "words"), WARNED)
def test_convergence_warnings_point_at_the_caller(settings, words):
    with pytest.warns(ConvergenceWarning, match=words) as caught:
        small(**settings).fit(X, Y)
    assert caught[0].filename == __file__


@quiet
def test_a_batch_that_is_too_large():
    with pytest.warns(UserWarning, match="sample size. It is going to be clipped: batch_size=1000") as caught:
        small(batch_size=1000).fit(X, Y)
    assert {warning.filename for warning in caught} == {__file__}


@quiet
def test_ctrl_c_keeps_what_is_done(monkeypatch):
    def press(model):
        if model.n_iter_ == 3:
            raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="Training interrupted by user. 3 complete epochs of 20"):
        model = small(callbacks=[press]).fit(X, Y)
    assert weights(model).tolist() == weights(small(max_iter=3).fit(X, Y)).tolist()


# The pieces


@pytest.mark.parametrize("n", [1, 2, 3, 5, 64, 65, 1000])
def test_words_are_those_of_numpy(n):
    """The shuffle that the program contains, in Python."""
    ours, numpy = np.random.RandomState(n), np.random.RandomState(n)
    order = np.arange(n)
    with RandomWords(ours, n, 3) as drawn:
        for _ in range(3):
            for i in range(n - 1, 0, -1):
                mask, j = (1 << i.bit_length()) - 1, i + 1
                while j > i:
                    j, drawn.used = int(drawn.words[drawn.used]) & mask, drawn.used + 1
                order[[i, j]] = order[[j, i]]
    expected = np.arange(n)
    for _ in range(3):
        numpy.shuffle(expected)
    assert order.tolist() == expected.tolist()
    assert ours.randint(1 << 30) == numpy.randint(1 << 30)


def test_end_of_epoch_counts():
    keep = {"samples": 10, "tol": 0.1, "patience": 1, "lr_init": 1.0, "power_t": 0.5}
    assert end_of_epoch(0.05, 0.0, 1.0, 0.5, schedule=0, **keep) == (0.05, 2.0, 0.5, 1.0)
    assert end_of_epoch(0.2, 0.0, 1.0, 0.5, schedule=0, **keep) == (0.2, 0.0, 0.5, 0.0)
    assert end_of_epoch(0.0, 0.0, 1.0, 0.5, schedule=2, **keep) == (0.0, 0.0, 0.1, 3.0)
    assert end_of_epoch(0.0, 0.0, 1.0, 1e-6, schedule=2, **keep) == (0.0, 2.0, 1e-6, 2.0)
    assert end_of_epoch(np.nan, 0.0, 1.0, 0.5, schedule=0, **keep)[1] == 0.0


def test_the_program_names_its_parts():
    text = program_text("float64")
    assert "sigmoid(" in text
    assert "end_of_epoch(" in text
    assert program_text("float32") != text


@quiet
def test_threads_compile_once():
    found = []
    threads = [
        threading.Thread(target=lambda s=s: found.append(weights(small(random_state=s).fit(X, Y)))) for s in (1, 1)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0].tolist() == found[1].tolist()


# Dropout and clipping, compared with this package's autograd and with the generator written once more


def one_step(**settings):
    """Weights before, and the gradient that one step of plain sgd has followed."""
    common = {
        "hidden_layer_sizes": (6, 5), "activation": "tanh", "solver": "sgd", "momentum": 0.0, "batch_size": len(X),
        "nesterovs_momentum": False, "shuffle": False, "max_iter": 1, "random_state": 3, "alpha": 0.5,
    }  # fmt: skip
    before = MLPClassifier(**{**common, "learning_rate_init": 1e-300}).fit(X, Y)
    after = MLPClassifier(**{**common, "learning_rate_init": 0.1}, **settings).fit(X, Y)
    return before, (weights(before) - weights(after)) / 0.1


def mask(seed, shape, share):
    """What of a layer stays, and the generator's state afterwards."""
    kept = []
    for _ in range(int(np.prod(shape))):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        kept.append(((seed >> 32) & 0x7FFFFFFF) >= 2**31 * share)
    return np.reshape(kept, shape) / (1.0 - share), seed


@pytest.mark.slow
@quiet
@pytest.mark.parametrize("share", [0.25, 0.5])
def test_dropout(share):
    before, gradient = one_step(dropout=share)
    rng = np.random.RandomState(3)
    for a, b in [(4, 6), (6, 5), (5, 3)]:
        rng.uniform(size=a * b + b)  # the draws for weights and biases
    first, seed = mask(int(rng.randint(2**31)), (150, 6), share)
    second, _ = mask(seed, (150, 5), share)

    def loss(*w):
        h = np.tanh(X @ w[0] + w[3]) * first
        h = np.tanh(h @ w[1] + w[4]) * second
        penalty = sum((v * v).sum() for v in w[:3])
        return cross_entropy(h @ w[2] + w[5], Y) + 0.25 * penalty / 150

    expected = grad(loss, argnum=tuple(range(6)))(*before.coefs_, *before.intercepts_)
    np.testing.assert_allclose(gradient, np.concatenate([np.ravel(g) for g in expected]), rtol=1e-9, atol=1e-12)


@pytest.mark.slow
@quiet
def test_clip_norm():
    _, free = one_step()
    _, short = one_step(clip_norm=0.01)
    _, long = one_step(clip_norm=1e6)
    assert np.linalg.norm(free) > 0.01
    np.testing.assert_allclose(short, 0.01 * free / np.linalg.norm(free), rtol=1e-9, atol=1e-13)
    np.testing.assert_allclose(long, free, rtol=1e-12)


OF_BATCHES = [
    {"dropout": 0.5}, {"clip_norm": 1.0}, {"norm": "batch"}, {"learning_rate": lambda t: 0.1}, {"stop_loss": 0.1},
    {"weight_decay": 0.1},
]  # fmt: skip


@pytest.mark.parametrize("settings", OF_BATCHES)
def test_lbfgs_takes_none_of_them(settings):
    with pytest.raises(ValueError, match=rf"{next(iter(settings))}: this needs batches"):
        small(solver="lbfgs", **settings).fit(X, Y)
