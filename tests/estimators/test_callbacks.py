"""scikit-learn's own callbacks, set by `set_callbacks`: hooks in order, a stop, and searches that hand them on."""

import importlib.util

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tinygrad_edu.estimators import MLPClassifier, MLPRegressor
from tinygrad_edu.estimators.stochastic import StochasticTraining

callback = pytest.importorskip("sklearn.callback")  # since scikit-learn 1.9
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
NUMBERS, CLASSES = X[:, 0] + X[:, 1], (X[:, 0] > 0).astype(int)
WAYS = {
    "compiled": {}, "general": {"activation": "gelu"}, "early": {"early_stopping": True, "n_iter_no_change": 50},
    "lbfgs": {"solver": "lbfgs"},
}  # fmt: skip


class Watch:
    """Records what it is told; asks to stop after some epochs."""

    def __init__(self, stop_after=None):
        self.heard, self.stop_after, self.losses = [], stop_after, []

    def setup(self, estimator, context):
        self.heard.append("setup")

    def teardown(self, estimator, context):
        self.heard.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.heard.append(f"begin {context.task_name}")

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        self.heard.append(f"end {context.task_name}")
        if context.task_name == "epoch":
            self.losses.append((fitted_estimator.predict(X) != 0).sum())
            return self.stop_after is not None and context.task_id + 1 >= self.stop_after
        return False


def small(kind=MLPClassifier, **settings):
    return kind(**{"hidden_layer_sizes": (4,), "max_iter": 5, "random_state": 0, **settings})


@pytest.mark.parametrize("way", WAYS)
def test_hooks_in_their_order(way):
    watch = Watch()
    model = small(**WAYS[way]).set_callbacks(watch)
    without = small(**WAYS[way]).fit(X, CLASSES)
    np.testing.assert_array_equal(model.fit(X, CLASSES).coefs_[0], without.coefs_[0])
    epochs = 0 if way == "lbfgs" else 5
    assert watch.heard == ["setup", "begin fit", *["begin epoch", "end epoch"] * epochs, "end fit", "teardown"]
    assert len(watch.losses) == epochs
    assert not [name for name in vars(model) if name.endswith("_ctx")]


@pytest.mark.parametrize("way", ["compiled", "general", "early"])
def test_a_callback_that_stops(way):
    model = small(max_iter=50, **WAYS[way]).set_callbacks(Watch(stop_after=3)).fit(X, CLASSES)
    assert model.n_iter_ == len(model.loss_curve_) == 3


@pytest.mark.parametrize("way", ["compiled", "general"])
def test_partial_fit_is_a_fit_of_one_epoch(way):
    watch = Watch()
    model = small(MLPRegressor, **WAYS[way]).set_callbacks(watch)
    for _ in range(2):
        model.partial_fit(X, NUMBERS)
    assert watch.heard == ["setup", "begin fit", "begin epoch", "end epoch", "end fit", "teardown"] * 2


@pytest.mark.parametrize("way", ["compiled", "general"])
def test_teardown_follows_an_error(way):
    watch = Watch()
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        small(**WAYS[way]).set_callbacks(watch).fit(X, CLASSES[:9])
    assert watch.heard[-1] == "teardown"

    def fail(model):
        raise RuntimeError("own")

    watch.heard.clear()
    with pytest.raises(RuntimeError, match="own"):
        small(**WAYS[way], callbacks=[fail]).set_callbacks(watch).fit(X, CLASSES)
    assert watch.heard[-1] == "teardown"
    assert small(**WAYS[way]).set_callbacks(Watch()).fit(X, CLASSES).n_iter_ == 5


def test_they_can_be_taken_away_and_are_checked():
    watch = Watch()
    model = small().set_callbacks(watch).set_callbacks()
    model.fit(X, CLASSES)
    assert watch.heard == []
    with pytest.raises(TypeError, match="FitCallback"):
        model.set_callbacks(print)


def test_a_search_and_a_pipeline_hand_theirs_on():
    monitor = callback.ScoringMonitor(scoring="accuracy")
    search = GridSearchCV(small(max_iter=3), {"alpha": [1e-4, 1.0]}, cv=2).set_callbacks(monitor)
    search.fit(X, CLASSES)
    make_pipeline(StandardScaler(), clone(small()).set_callbacks(Watch())).fit(X, CLASSES)


@pytest.mark.skipif(importlib.util.find_spec("rich") is None, reason="scikit-learn's progress bar needs rich")
@pytest.mark.parametrize("way", WAYS)
def test_the_progress_bar(way, capsys):
    small(**WAYS[way]).set_callbacks(callback.ProgressBar()).fit(X, CLASSES)
    assert "MLPClassifier" in capsys.readouterr().out


def test_where_nobody_listens_a_candidate_of_a_grid_search_trains_all_epochs_in_one_call(monkeypatch):
    """GridSearchCV gives every candidate its context. An epoch at a time took seven times as long."""
    blocks, block = [], StochasticTraining.block
    monkeypatch.setattr(StochasticTraining, "block", lambda self: blocks.append(1) or block(self))
    GridSearchCV(MLPClassifier((3,), max_iter=40, random_state=0), {"alpha": [0.0, 0.1]}, cv=2).fit(X, CLASSES)
    assert len(blocks) == 5
