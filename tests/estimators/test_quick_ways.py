"""What estimators do in their own way because scikit-learn's and SciPy's take longer: the same results."""

import pickle

import numpy as np
import pytest
from sklearn import neural_network
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import LabelBinarizer
from sklearn.utils import check_random_state

from tinygrad_edu.estimators import MLPClassifier, MLPRegressor, lbfgs_loop, seeding
from tinygrad_edu.estimators.classifier import classes_of

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(30, 3)), RNG.integers(0, 3, 30)


@pytest.mark.parametrize("limits", [{"max_iter": 3}, {"max_fun": 4}, {"tol": 1e-1}, {"max_iter": 1000, "tol": 1e-9}])
@pytest.mark.parametrize("extra", [{}, {"activation": "gelu"}, {"activation": "logistic", "alpha": 0.1}])
@pytest.mark.filterwarnings("ignore")
def test_the_loop_gives_the_bits_of_minimize(limits, extra, monkeypatch):
    assert lbfgs_loop.is_possible(), "compare the loop with this release of SciPy, then add it to RELEASES"
    own = MLPClassifier((4,), solver="lbfgs", random_state=0, **limits, **extra).fit(X, Y)
    monkeypatch.setattr(lbfgs_loop, "is_possible", lambda: False)
    known = clone(own).fit(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(own.coefs_, known.coefs_, strict=True))
    assert (own.loss_, own.n_iter_) == (known.loss_, known.n_iter_)


def test_a_warning_names_the_limit_that_was_hit(monkeypatch):
    told = []
    for possible in (True, False):
        monkeypatch.setattr(lbfgs_loop, "is_possible", lambda possible=possible: possible)
        with pytest.warns(match="The limit that was hit is max_iter=2") as found:
            MLPRegressor(hidden_layer_sizes=(4,), solver="lbfgs", max_iter=2, random_state=0).fit(X, X[:, 0])
        told.append([str(each.message) for each in found])
    assert told[0] == told[1]


def test_another_scipy_is_left_to_minimize(monkeypatch):
    monkeypatch.setattr(lbfgs_loop.scipy, "__version__", "9.0.0")
    assert not lbfgs_loop.is_possible.__wrapped__()
    monkeypatch.undo()
    monkeypatch.setattr(lbfgs_loop, "run_setulb", lambda *_: 1 / 0)
    assert not lbfgs_loop.is_possible.__wrapped__()


@pytest.mark.parametrize("seed", [0, 1, 42, 2**32 - 1])
def test_random_states(seed):
    own, known = seeding.random_state(seed), check_random_state(seed)
    assert repr(own.get_state()) == repr(known.get_state())
    assert np.array_equal(own.normal(size=999), known.normal(size=999))
    assert pickle.dumps(own).count(b"tinygrad") == 0


@pytest.mark.parametrize("given", [None, np.int64(3), np.random.RandomState(1), -1, "a", 2**32])
def test_other_seeds_are_scikit_learns(given):
    def found(make):
        try:
            return type(make(given)), make(given) is given
        except ValueError as error:
            return str(error)

    assert found(seeding.random_state) == found(check_random_state)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("labels", [np.array([3, 5, 7]), np.array(["a", "b", "c"])])
def test_classes(labels, count):
    made = LabelBinarizer().fit(labels[:count])
    p = RNG.uniform(size=(20, 3) if count == 3 else 20)
    p[0] = 0.5
    assert np.array_equal(classes_of(made, p), made.inverse_transform(p))


def test_clones():
    plain = MLPClassifier((3, 2), random_state=1, alpha=0.5)
    made = clone(plain)
    assert made is not plain
    assert vars(made) == vars(plain)
    listed = MLPClassifier([3, 2], callbacks=[len])
    made = clone(listed)
    assert made.hidden_layer_sizes == [3, 2]
    assert made.hidden_layer_sizes is not listed.hidden_layer_sizes
    assert not hasattr(clone(plain.set_params(solver="lbfgs").fit(X, Y)), "coefs_")


def test_a_clone_that_changes_its_parameters_is_refused():
    class Own(MLPClassifier):
        def __init__(self, alpha=1.0):
            super().__init__(alpha=alpha)
            self.alpha = alpha * 2.0

        @classmethod
        def _get_param_names(cls):
            return ["alpha"]

    with pytest.raises(RuntimeError, match="modifies parameter alpha"):
        clone(Own())


def test_predict_before_fit():
    with pytest.raises(NotFittedError):
        MLPClassifier().predict(X)


@pytest.mark.filterwarnings("ignore")
def test_a_generator_that_was_given_is_left_where_scikit_learn_leaves_it():
    def next_number(make):
        rng = np.random.RandomState(0)
        make(hidden_layer_sizes=(4,), max_iter=5, random_state=rng).fit(X, Y)
        return rng.randint(10**6)

    assert next_number(MLPClassifier) == next_number(neural_network.MLPClassifier)
