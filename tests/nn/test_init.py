"""How weights begin: the moments of each formula, orthogonality, scikit-learn's own draws."""

import math
import warnings

import numpy as np
import pytest
from scipy import stats

from tinygrad_edu import nn
from tinygrad_edu.errors import NameNotFoundError, SettingError
from tinygrad_edu.nn import init
from tinygrad_edu.nn.init import INITIALIZERS

FAN_IN, FAN_OUT = 200, 300
UNIFORM = {  # half the width of the interval
    "glorot_uniform": math.sqrt(6 / 500),
    "he_uniform": math.sqrt(6 / 200),
    "lecun_uniform": math.sqrt(3 / 200),
    "uniform": 1.0,
    "scikit_learn": math.sqrt(6 / 500),
}
NORMAL = {  # standard deviation
    "glorot_normal": math.sqrt(2 / 500),
    "he_normal": math.sqrt(2 / 200),
    "lecun_normal": math.sqrt(1 / 200),
    "normal": 1.0,
}
both = pytest.mark.parametrize("backend", ["scalar", "tensor"])


def drawn(initializer, fan_in=FAN_IN, fan_out=FAN_OUT, seed=0):
    return nn.Linear(fan_in, fan_out, init=initializer, rng=seed).state_dict()["weight"]


def test_every_initializer_is_tested_here():
    assert UNIFORM.keys() | NORMAL.keys() | {"zeros", "orthogonal"} == INITIALIZERS.keys()


@pytest.mark.parametrize(("name", "bound"), UNIFORM.items())
def test_uniform(name, bound):
    """60,000 draws: the two moments within five standard errors, and Kolmogorov's test of the whole distribution."""
    check(drawn(name), stats.uniform(-bound, 2.0 * bound))


@pytest.mark.parametrize(("name", "std"), NORMAL.items())
def test_normal(name, std):
    check(drawn(name), stats.norm(0.0, std))


def check(weight, law):
    assert weight.shape == (FAN_OUT, FAN_IN)
    n, std = weight.size, law.std()
    kurtosis = float(law.stats("k")) + 3.0
    assert abs(weight.mean()) < 5.0 * std / math.sqrt(n)
    assert abs(weight.var() - std**2) < 5.0 * std**2 * math.sqrt((kurtosis - 1.0) / n)
    assert stats.kstest(weight.ravel(), law.cdf).pvalue > 1e-3


def test_with_arguments():
    assert np.all(drawn(init.constant(0.1)) == 0.1)
    assert not drawn("zeros").any()
    check(drawn(init.uniform(-0.5, 0.5)), stats.uniform(-0.5, 1.0))
    check(drawn(init.normal(std=0.3)), stats.norm(0.0, 0.3))
    np.testing.assert_array_equal(drawn(init.normal), drawn("normal"))


@pytest.mark.parametrize(("fan_in", "fan_out"), [(5, 5), (3, 8), (8, 3), (1, 4)])
@pytest.mark.parametrize("gain", [1.0, 2.5])
def test_orthogonal(fan_in, fan_out, gain):
    W = drawn(init.orthogonal(gain), fan_in, fan_out)
    product = W.T @ W if fan_in <= fan_out else W @ W.T
    np.testing.assert_allclose(product, gain**2 * np.eye(min(fan_in, fan_out)), atol=1e-12)


def test_orthogonal_has_no_favourite_sign():
    """Without the correction of QR's signs the diagonal of Q is negative nearly always."""
    entries = [drawn("orthogonal", 3, 3, seed)[0, 0] for seed in range(400)]
    assert 150 < np.sum(np.array(entries) > 0.0) < 250


@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic"])
def test_scikit_learns_own_draws(activation):
    """A network whose first epoch moves nothing still has the weights that it began with."""
    neural = pytest.importorskip("sklearn.neural_network")
    settings = {"solver": "sgd", "learning_rate_init": 1e-300, "max_iter": 1, "random_state": 7}
    theirs = neural.MLPRegressor(hidden_layer_sizes=(4, 3), activation=activation, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has not converged
        theirs.fit(np.ones((6, 2)), np.ones(6))
    rng = np.random.RandomState(7)
    for W, b in zip(theirs.coefs_, theirs.intercepts_, strict=True):
        layer = nn.Linear(*W.shape, init=init.scikit_learn(activation), rng=rng)
        np.testing.assert_array_equal(layer.weight.data, W.T)
        np.testing.assert_array_equal(layer.bias.data, b)


@both
def test_a_function_initializes_too(backend):
    ones = nn.Linear(2, 3, init=lambda rng, fan_in, fan_out: np.ones((fan_out, fan_in)), backend=backend)
    np.testing.assert_array_equal(ones.state_dict()["weight"], np.ones((3, 2)))
    np.testing.assert_array_equal(ones.state_dict()["bias"], np.zeros(3))


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: init.constant(math.nan), SettingError, r"constant\(c=nan\)"),
        (lambda: init.constant("a"), SettingError, r"constant\(c='a'\)"),
        (lambda: init.uniform(1.0, 1.0), SettingError, r"uniform\(a=1\.0, b=1\.0\): a must be below b"),
        (lambda: init.normal(-1.0), SettingError, r"normal\(std=-1\.0\)"),
        (lambda: init.orthogonal(math.inf), SettingError, r"orthogonal\(gain=inf\)"),
        (lambda: init.find("constant"), NameNotFoundError, "unknown init 'constant'"),
        (lambda: nn.Linear(2, 1, rng="a"), SettingError, r"Linear\(rng='a'\)"),
        (lambda: nn.Linear(2, 1, rng=-1), SettingError, r"Linear\(rng=-1\)"),
    ],
)
def test_settings_are_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
