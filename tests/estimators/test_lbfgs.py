"""The solver lbfgs beyond scikit-learn: callbacks after each iteration."""

import numpy as np
import pytest

from tinygrad_edu.estimators import MLPClassifier, MLPRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3))
TARGETS = {MLPClassifier: (X[:, 0] > X[:, 1]).astype(int), MLPRegressor: X[:, 0] * X[:, 1]}


def small(kind, **settings):
    settings = {"hidden_layer_sizes": (5,), "max_iter": 12, "random_state": 0, "solver": "lbfgs", **settings}
    return kind(**settings).fit(X, TARGETS[kind])


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("activation", ["tanh", "gelu"])  # one of scikit-learn's activations, and one that only we have
def test_callbacks_see_each_iteration_and_may_end_the_run(kind, activation):
    seen = []
    record = lambda model: seen.append(model.loss_)  # noqa: E731
    model = small(kind, activation=activation, callbacks=[record, lambda model: model.n_iter_ == 4])
    assert len(seen) == model.n_iter_ == 4
    assert model.loss_ == pytest.approx(seen[-1])
    assert seen == sorted(seen, reverse=True)
    shorter = small(kind, activation=activation, max_iter=4)
    np.testing.assert_array_equal(model.coefs_[0], shorter.coefs_[0])
