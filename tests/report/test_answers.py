"""What a report says of the answers: as many right, and as far off, as predictions by hand say."""

import re

import numpy as np
import pytest
from sklearn.compose import TransformedTargetRegressor
from sklearn.metrics import confusion_matrix
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tinygrad_edu import fit, nn
from tinygrad_edu.estimators import MLPClassifier, MLPRegressor
from tinygrad_edu.reporting.answers import Answer, answer, answers_of
from tinygrad_edu.reporting.boundary import behind_it
from tinygrad_edu.reporting.confusion import matrix
from tinygrad_edu.reporting.estimators import record_of_estimator
from tinygrad_edu.reporting.frames import Camera, rounded
from tinygrad_edu.reporting.network import states_of
from tinygrad_edu.reporting.record import record_of

X = np.random.default_rng(0).normal(size=(60, 2))
S = X.sum(axis=1)
LINKS = {"identity": lambda z: z, "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)), "exp": np.exp}
# targets by name: (samples,) or (samples, outputs)
TARGETS = {
    "0 1": (S > 0.0) * 1.0, "-1 1": np.where(S > 0.0, 1.0, -1.0), "-5 3": np.where(S > 0.0, 3.0, -5.0),
    "numbers": S, "counts": np.round(np.exp(S / 2.0)), "shares": LINKS["sigmoid"](S),
    "classes": np.digitize(S, [-0.7, 0.7]), "one-hot": np.eye(3)[np.digitize(S, [-0.7, 0.7])],
}  # fmt: skip
# (loss, targets, link of the outputs, the threshold between two classes after it)
CASES = [
    ("mse", "0 1", "identity", 0.5), ("mse", "-1 1", "identity", 0.0), ("mse", "-5 3", "identity", -1.0),
    ("mae", "numbers", "identity", None), ("hinge", "-1 1", "identity", 0.0),
    ("bce_with_logits", "0 1", "sigmoid", 0.5),
    ("bce_with_logits", "shares", "sigmoid", None), ("delta_rule", "0 1", "sigmoid", 0.5),
    ("poisson", "counts", "exp", None), ("cross_entropy", "classes", "identity", None),
    ("multi_margin", "classes", "identity", None), ("cross_entropy", "one-hot", "identity", None),
    ("mse", "one-hot", "identity", None),
]  # fmt: skip


def numbers_in(words: str) -> list[float]:
    return [float(x) for x in re.findall(r"-?\d+(?:\.\d+)?(?:e[-+]\d+)?", words)][:2]


def by_hand(z, y, link, threshold):
    """[right, samples] of classes, [root mean square, samples] of numbers."""
    if z.shape[1] > 1:
        return [np.sum(z.argmax(axis=1) == (y if y.ndim == 1 else y.argmax(axis=1))), len(y)]
    p = LINKS[link](z[:, 0])
    if threshold is None:
        return [np.sqrt(np.mean((p - y) ** 2)), len(y)]
    return [np.sum((p > threshold) == (y > threshold)), len(y)]


@pytest.mark.parametrize(("loss", "targets", "link", "threshold"), CASES)
def test_words_of_a_run_are_counted_by_hand_on_samples_of_any_number(loss, targets, link, threshold):
    y = TARGETS[targets]
    model = nn.MLP([2, 5, 3 if targets in ("classes", "one-hot") else 1], seed=1)
    column = y if y.ndim == 2 or targets == "classes" else y[:, None]
    record = record_of(fit(model, X, column, loss=loss, optimizer="adam", epochs=3, progress=False))
    for rows in (slice(None), slice(0, 2), slice(0, 1), np.flatnonzero(y.reshape(60, -1)[:, 0] == y.max())):
        z = answers_of(record, X[rows])
        found = answer(record, z, column[rows])
        np.testing.assert_allclose(numbers_in(found.words), by_hand(z, y[rows], link, threshold), rtol=2e-3)


def test_of_a_loss_of_ones_own_the_threshold_is_named():
    y = TARGETS["0 1"][:, None]
    run = fit(nn.MLP([2, 1]), X, y, loss=lambda z, t: nn.losses.bce_with_logits(z, t), optimizer="sgd", epochs=1)
    record = record_of(run)
    assert answer(record, answers_of(record, X), y).words.endswith("(a number above 0.5 counts as class 1).")


def test_an_ignored_index_is_not_counted():
    y = np.where(np.arange(60) < 20, -100, TARGETS["classes"])
    run = fit(nn.MLP([2, 3]), X, y, loss=lambda z, t: nn.losses.cross_entropy(z, t, ignore_index=-100), optimizer="sgd",
              epochs=1)  # fmt: skip
    record = record_of(run)
    z = answers_of(record, X)
    assert numbers_in(answer(record, z, y).words) == [np.sum(z.argmax(axis=1)[20:] == y[20:]), 40]


LABELS = {
    "texts": np.where(S > 0.0, "yes", "no"), "three texts": np.array(["c", "a", "b"])[TARGETS["classes"]],
    "gaps": np.where(S > 0.0, 10, 3), "negative": np.array([-5, -1, 7])[TARGETS["classes"]], "booleans": S > 0.0,
    "one class": np.full(60, 4), "rare": (S > 2.0) * 1,
}  # fmt: skip
CLASSIFIERS = {
    "log_loss": {}, "mse": {"loss": "mse"}, "hinge": {"loss": "hinge"}, "norm": {"norm": "batch"},
    "tanh": {"loss": "mse", "out_activation": "tanh"},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("kind", [*CLASSIFIERS, "tree"])
def test_the_confusion_matrix_of_a_classifier_is_that_of_its_predictions(kind, labels):
    y, settings = LABELS[labels], {"hidden_layer_sizes": (5,), "max_iter": 3, "random_state": 0}
    made = DecisionTreeClassifier(max_depth=1) if kind == "tree" else MLPClassifier(**settings, **CLASSIFIERS[kind])
    record = record_of_estimator(made.fit(X, y), X, y)
    found = answer(record, answers_of(record, record.data[0]), record.data[1])
    want = confusion_matrix(y, made.predict(X), labels=made.classes_)
    assert found.names == tuple(map(str, made.classes_))
    assert np.array_equal(matrix(found), want)
    assert numbers_in(found.words) == [np.trace(want), 60]


REGRESSORS = [
    {}, {"loss": "poisson"}, {"loss": "mae"}, {"out_activation": "exp"}, {"out_activation": "tanh"}, {"norm": "layer"},
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("settings", REGRESSORS, ids=str)
@pytest.mark.parametrize("targets", ["counts", "0 1"])
def test_a_regressor_is_as_far_off_as_its_predictions(settings, targets):
    y = TARGETS[targets]
    made = MLPRegressor(hidden_layer_sizes=(5,), max_iter=3, random_state=0, **settings).fit(X, y)
    record = record_of_estimator(made, X, y)
    found = answer(record, answers_of(record, record.data[0]), record.data[1])
    assert numbers_in(found.words)[0] == pytest.approx(np.sqrt(np.mean((made.predict(X) - y) ** 2)), rel=2e-3)
    assert len(record.run.loss_curve) == 3


@pytest.mark.filterwarnings("ignore")
def test_scaled_targets_are_said_to_be_so():
    made = TransformedTargetRegressor(MLPRegressor(max_iter=2), transformer=StandardScaler()).fit(X, 1e6 * S)
    record = record_of_estimator(made, X, 1e6 * S)
    assert "scaled targets" in answer(record, answers_of(record, X), record.data[1]).words


def test_small_numbers_of_an_animation_keep_their_digits():
    assert rounded(np.array([1.5e-9, 1000.0625, np.inf])) == [1.5e-9, 1000.062, None]


def test_the_table_names_classes_and_says_of_how_many_samples_it_is():
    y = np.where(np.arange(1000) % 2 == 0, 1000001.0, 1000002.0)
    x = np.random.default_rng(0).normal(size=(1000, 2))
    found = Answer(y, y, (1000001.0, 1000002.0))
    html = behind_it(["a", "b"], x, found)
    assert "(58 of 1,000 rows)" in html
    assert "<td>1000001</td><td>1000001</td>" in html


def test_gradients_are_those_of_the_weighted_loss():
    y, weights = TARGETS["numbers"][:, None], np.where(S > 0.0, 1.0, 1e-3)
    model = nn.MLP([2, 3, 1], seed=0)
    record = record_of(fit(model, X, y, loss="mse", optimizer="sgd", epochs=2, sample_weight=weights, progress=False))
    model.zero_grad()
    nn.losses.mse(model(X), y, sample_weight=weights).backward()
    by_hand = [np.concatenate([np.ravel(p.grad) for p in layer.parameters()]) for layer in model.layers]
    found = states_of(record)
    frame = Camera(record).frame(2, model.state_dict())["gradients"]
    for place, gradient in enumerate(by_hand):
        name = f"layers.{place}"
        assert found[name].gradients.size == pytest.approx(np.sqrt(np.mean(gradient**2)))
        assert frame[name] == pytest.approx(np.linalg.norm(gradient), rel=1e-3)
