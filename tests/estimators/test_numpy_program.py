"""The network program in NumPy gives the numbers of the compiled one."""

import numpy as np
import pytest
from scipy import sparse

from tinygrad_edu.compile.backend import compiler
from tinygrad_edu.estimators import MLPClassifier, MLPRegressor, network

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
NUMBERS, TWO, COUNTS = RNG.normal(size=40), RNG.normal(size=(40, 2)), RNG.poisson(2.0, 40).astype(float)
CLASSES, BINARY = RNG.integers(0, 3, 40), RNG.integers(0, 2, 40)
WEIGHT = RNG.uniform(0.1, 2.0, 40)
CASES = {
    "adam": (MLPClassifier, CLASSES, {}),
    "tanh": (MLPClassifier, BINARY, {"activation": "tanh", "batch_size": 7}),
    "logistic, nesterov": (
        MLPRegressor, NUMBERS, {"activation": "logistic", "solver": "sgd", "learning_rate_init": 0.01},
    ),
    "plain momentum": (MLPRegressor, TWO, {"solver": "sgd", "nesterovs_momentum": False, "alpha": 0.1}),
    "invscaling": (MLPRegressor, NUMBERS, {"solver": "sgd", "learning_rate": "invscaling", "batch_size": 11}),
    "adaptive": (
        MLPRegressor, NUMBERS,
        {"solver": "sgd", "learning_rate": "adaptive", "learning_rate_init": 0.1, "tol": 1e-2, "n_iter_no_change": 2},
    ),
    "early": (MLPClassifier, BINARY, {"early_stopping": True, "validation_curve": True}),
    "poisson": (MLPRegressor, COUNTS, {"loss": "poisson"}),
    "identity, deep": (MLPRegressor, NUMBERS, {"activation": "identity", "hidden_layer_sizes": (4, 1, 3)}),
    "unshuffled": (MLPRegressor, NUMBERS, {"shuffle": False, "batch_size": 16}),
    "dropout": (MLPClassifier, CLASSES, {"dropout": 0.3, "batch_size": 8}),
    "clipped": (MLPRegressor, NUMBERS, {"clip_norm": 0.05}),
    "mixed": (MLPRegressor, NUMBERS, {"activation": ["tanh", "relu"], "hidden_layer_sizes": (4, 3)}),
    "none hidden": (MLPClassifier, CLASSES, {"hidden_layer_sizes": ()}),
}  # fmt: skip
DATA = {"dense": X, "sparse": sparse.csr_matrix(X * (X > 0)), "float32": X.astype(np.float32)}


def trained(kind, y, settings, samples, weighted):
    model = kind(**{"hidden_layer_sizes": (5,), "max_iter": 12, "random_state": 1, **settings})
    return model.fit(samples, y, **({"sample_weight": WEIGHT} if weighted else {}))


@pytest.fixture
def without_compiler(monkeypatch):
    """A function that switches the compiler off."""

    def off():
        monkeypatch.setattr(compiler, "missing", lambda: "it is switched off")
        network.program.cache_clear()

    yield off
    network.program.cache_clear()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", CASES)
def test_the_same_numbers(name, data, weighted, without_compiler):
    a = trained(*CASES[name], DATA[data], weighted)
    without_compiler()
    b = trained(*CASES[name], DATA[data], weighted)
    rtol = 1e-3 if data == "float32" else 1e-8
    for x, y in zip([*a.coefs_, *a.intercepts_], [*b.coefs_, *b.intercepts_], strict=True):
        np.testing.assert_allclose(y, x, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(b.loss_curve_, a.loss_curve_, rtol=rtol)
    np.testing.assert_allclose(b.gradient_norms_, a.gradient_norms_, rtol=10 * rtol)
    assert (a.n_iter_, a.t_) == (b.n_iter_, b.t_)


def test_partial_fit_goes_on(without_compiler):
    a, b = (MLPClassifier((5,), random_state=0) for _ in range(2))
    a.partial_fit(X, CLASSES, classes=[0, 1, 2]).partial_fit(X, CLASSES)
    without_compiler()
    b.partial_fit(X, CLASSES, classes=[0, 1, 2]).partial_fit(X, CLASSES)
    np.testing.assert_allclose(b.coefs_[0], a.coefs_[0], rtol=1e-9)


def test_a_batch_that_weighs_nothing_is_said(without_compiler):
    without_compiler()
    with pytest.raises(ZeroDivisionError, match="sum to zero"):
        MLPRegressor(hidden_layer_sizes=(2,), batch_size=10, shuffle=False).fit(
            X, NUMBERS, sample_weight=(np.arange(40) > 15).astype(float)
        )
