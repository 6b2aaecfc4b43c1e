"""Reports of estimators, of many inputs, and what every report has without being asked: diagnosis and histograms."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.report.runs import Page, of_moons
from tinygrad_edu.clinic.diagnosis.card import ShareBar, bar_of, split_proof
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.errors import OperandError, SettingError, ShapeError
from tinygrad_edu.reporting.answers import Answer, answer, answers_of
from tinygrad_edu.reporting.confusion import confusion, matrix
from tinygrad_edu.reporting.estimators import record_of_estimator
from tinygrad_edu.reporting.projection import components
from tinygrad_edu.train import Run

pytest.importorskip("matplotlib")
sklearn = pytest.importorskip("sklearn")

from sklearn import (  # noqa: E402
    datasets,
    ensemble,
    feature_selection,
    linear_model,
    model_selection,
    neural_network,
    pipeline,
    preprocessing,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # warnings about convergence
IRIS, KIND = datasets.load_iris(return_X_y=True)
NAMED = np.array(["setosa", "<b>versicolor</b>", "$virginica^"])[KIND]
DIABETES, SUGAR = (array[:120] for array in datasets.load_diabetes(return_X_y=True))
SMALL = {"hidden_layer_sizes": (4,), "max_iter": 8, "random_state": 0}


def written(tmp_path, *given, **options):
    path = tg.report(*given, path=tmp_path / "report.html", **{"diagnosis": None} | options)
    return path.read_text(encoding="utf-8")


CLASSIFIERS = {
    "sklearn": lambda: neural_network.MLPClassifier(**SMALL),
    "ours": lambda: tg.estimators.MLPClassifier(**SMALL),
    "early": lambda: neural_network.MLPClassifier(early_stopping=True, **SMALL),
    "lbfgs": lambda: neural_network.MLPClassifier(solver="lbfgs", **SMALL),
    "pipeline": lambda: pipeline.make_pipeline(preprocessing.StandardScaler(), neural_network.MLPClassifier(**SMALL)),
    "search": lambda: model_selection.GridSearchCV(neural_network.MLPClassifier(**SMALL), {"alpha": [0.1, 1.0]}, cv=2),
    "forest": lambda: ensemble.RandomForestClassifier(5, random_state=0),
    "logistic": lambda: linear_model.LogisticRegression(max_iter=200),
}
NETWORKS = ("sklearn", "ours", "early", "lbfgs", "pipeline", "search")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "classes"), [*((name, 3) for name in CLASSIFIERS), ("ours", 2), ("logistic", 2)])
def test_every_classifier_has_a_confusion_matrix_and_a_projection(name, classes, tmp_path):
    X, y = IRIS[classes > KIND], NAMED[classes > KIND]
    fitted = CLASSIFIERS[name]().fit(X, y)
    text = written(tmp_path, fitted, X, y)
    page = Page(text)
    assert page.unbalanced == []
    assert "Confusion matrix: true class by predicted class" in text
    assert "principal components of the standardized inputs" in text
    assert "<b>versicolor" not in text
    right = int(np.sum(fitted.predict(X) == y))
    assert f"{right} of {len(y)} samples are on the right side" in text
    assert ('id="curves"' in text) == (name in NETWORKS)
    assert ("Layers over time" in text) == (name in NETWORKS)


REGRESSORS = {
    "sklearn": lambda: neural_network.MLPRegressor(**SMALL),
    "ours": lambda: tg.estimators.MLPRegressor(**SMALL),
    "ridge": lambda: linear_model.Ridge(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", REGRESSORS)
def test_every_regressor_is_drawn_over_its_targets(name, tmp_path):
    fitted = REGRESSORS[name]().fit(DIABETES, SUGAR)
    text = written(tmp_path, fitted, DIABETES, SUGAR)
    assert "Predictions of the network over the targets" in text
    error = np.sqrt(np.mean((fitted.predict(DIABETES) - SUGAR) ** 2))
    assert f"off by {error:.4g}" in text


@pytest.mark.slow
def test_scores_of_held_out_samples_stand_beside_the_loss(tmp_path):
    text = written(tmp_path, CLASSIFIERS["early"]().fit(IRIS, KIND), IRIS, KIND)
    assert "Score of the samples held out" in text


def small_network():
    return neural_network.MLPClassifier((3,), max_iter=4, random_state=0)


PLANE, SUM = np.random.default_rng(0).normal(size=(40, 2)), np.array([0.3, -0.8])
BY_SUM = np.digitize(PLANE.sum(axis=1), SUM[::-1])
WRAPPERS = {
    "another threshold": (lambda: model_selection.FixedThresholdClassifier(small_network(), threshold=0.9), 2),
    "the same threshold": (lambda: model_selection.FixedThresholdClassifier(small_network(), threshold=0.5), 2),
    "behind a step": (
        lambda: pipeline.make_pipeline(
            preprocessing.StandardScaler(), model_selection.FixedThresholdClassifier(small_network(), threshold=0.9)
        ),
        2,
    ),
    "chosen features": (lambda: feature_selection.RFE(small_network(), importance_getter=first_weights), 3),
    "chosen by a search": (lambda: model_selection.GridSearchCV(small_network(), {"alpha": [0.1, 9.0]}, cv=2), 3),
}  # fmt: skip


def first_weights(net):
    return np.abs(net.coefs_[0]).sum(axis=1)


@pytest.mark.parametrize("name", WRAPPERS)
def test_the_answers_are_those_of_the_wrapper_and_not_of_the_network_inside(name):
    maker, classes = WRAPPERS[name]
    y = np.minimum(BY_SUM, classes - 1)
    fitted = maker().fit(PLANE, y)
    record = record_of_estimator(fitted, PLANE, y)
    found = answer(record, answers_of(record, record.data[0]), record.data[1])
    counted = sklearn.metrics.confusion_matrix(y, fitted.predict(PLANE))
    assert np.array_equal(matrix(found), counted)


SEVERAL = {
    "labels, ours": lambda: tg.estimators.MLPClassifier((3,), max_iter=4, random_state=0),
    "labels, of a forest": lambda: ensemble.RandomForestClassifier(2, random_state=0),
    "numbers": lambda: linear_model.Ridge(),
}


@pytest.mark.parametrize("name", SEVERAL)
def test_several_labels_are_not_taken_for_one_class_where_each_sample_has_one(name):
    y = np.eye(3, dtype=int)[BY_SUM]
    record = record_of_estimator(SEVERAL[name]().fit(PLANE, y), PLANE, y)
    assert answer(record, answers_of(record, record.data[0]), record.data[1]) is None


WRONG = [
    ((3,), OperandError, "not int"),
    (("estimator",), SettingError, "give X and y"),
    (("estimator", IRIS[:, :3], KIND), ShapeError, "4 features"),
    (("estimator", IRIS, KIND[:-1]), ShapeError, "150 samples and y 149"),
    (("estimator", IRIS, KIND + 7), SettingError, "trained on"),
    (("forest", IRIS, KIND + 7), SettingError, "trained on"),
    (("forest", IRIS, KIND[:-1]), SettingError, "150 samples and y 149"),
]


@pytest.mark.parametrize(("given", "error", "words"), WRONG)
def test_what_is_no_estimator_or_other_data_is_refused(given, error, words, tmp_path):
    known = {"estimator": CLASSIFIERS["sklearn"], "forest": CLASSIFIERS["forest"]}
    first, *data = given
    fitted = known[first]().fit(IRIS, KIND) if first in known else first
    with pytest.raises(error, match=words):
        written(tmp_path, fitted, *data)


# without being asked


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensor", "scalar"])
def test_histograms_are_found_by_training_again(backend, tmp_path):
    run = of_moons(sizes=(2, 3, 1), epochs=4, callbacks=[], backend=backend)
    before = run.model.state_dict()
    text = written(tmp_path, run)
    assert 'data-frames="epoch 0|epoch 1|epoch 2|epoch 3|epoch 4"' in text
    assert all(np.array_equal(before[name], array) for name, array in run.model.state_dict().items())


def test_of_a_run_that_cannot_be_repeated_the_start_and_the_end_are_shown(tmp_path):
    model = tg.nn.MLP([2, 4, 1], dropout=0.5, seed=0)
    X, y = tg.data.moons(20, seed=0)
    optimizer = tg.optim.Adam(model.parameters())
    run = tg.fit(model, X, y, loss="mse", optimizer=optimizer, epochs=5, compiled=False)
    assert re.search(r'data-frames="epoch 0\|(?:epoch \d\|)*epoch 5"', written(tmp_path, run))


@pytest.mark.slow
def test_a_diagnosis_is_made_by_default(tmp_path):
    model = tg.nn.MLP([2, 8, 1], init="zeros")
    X, y = tg.data.xor_gate()
    run = tg.fit(model, X, y, loss="mse", optimizer=tg.optim.Adam(model.parameters(), lr=0.05), epochs=200)
    text = written(tmp_path, run, diagnosis="auto")
    assert "<b>trouble found</b>" in re.sub(r'<b style="[^"]*">', "<b>", text)
    assert "There is no diagnosis" not in text
    assert Page(text).unbalanced == []


def test_a_cause_has_a_bar_for_each_proof():
    proof = "as is: 0 of 5 seeds reach the goal; only <b>: 5 of 5; 1 of 5"
    text = Diagnosis(False, [FoundCause("a_cause", "It is <wrong>.", "Seen.", proof, "Mend it.")])._repr_html_()
    assert re.findall(r'aria-label="(\d of \d) runs reach the goal"', text) == ["0 of 5", "5 of 5", "1 of 5"]
    assert "<wrong>" not in text
    assert "only <b>" not in text


def test_where_there_can_be_no_diagnosis_the_reason_stands_there(tmp_path):
    run = Run(np.ones(3), np.ones(3), "done", "eager", None, {"loss": "mse"})
    assert "Diagnosis" in written(tmp_path, run, diagnosis="auto")


# Parts


def test_the_number_of_a_bar_stays_beside_it_where_the_page_is_narrow():
    html = ShareBar("only inputs as they are → standardized", 12, 12).html
    assert re.search(
        r'<span style="display:flex;[^"]*"><span role="img"[^>]*>.*</span></span><span[^>]*>12/12</span></span>', html
    )


@pytest.mark.parametrize(
    ("sentence", "bar"),
    [
        ("as is: 0 of 5 seeds reach the goal", ShareBar("as is", 0, 5, " seeds reach the goal")),
        (
            "2 changes together (lr 0.1 → 0.01, a: b): 16 of 20",
            ShareBar("2 changes together (lr 0.1 → 0.01, a: b)", 16, 20),
        ),
        ("its rate is too low", None), ("7 of 5", None),
    ],
)  # fmt: skip
def test_counted_runs_are_bars(sentence, bar):
    assert bar_of(sentence) == bar


def test_brackets_keep_their_semicolons():
    assert list(split_proof("a (b; c): 1 of 5; d")) == ["a (b; c): 1 of 5", "d"]


def test_the_matrix_counts_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    true, given = rng.integers(0, 5, 200), rng.integers(0, 5, 200)
    found = Answer(true, given, tuple(map(float, range(5))))
    assert np.array_equal(matrix(found), sklearn.metrics.confusion_matrix(true, given))
    assert confusion(found).count("<td style=") == 25


def test_of_many_classes_the_worst_pairs_are_told():
    classes = np.arange(40)
    assert "39 taken for 0: 1" in confusion(Answer(classes, classes * (classes < 39), tuple(map(float, classes))))


def test_the_projection_is_that_of_a_principal_component_analysis():
    from sklearn.decomposition import PCA

    wanted = PCA(2).fit(preprocessing.scale(IRIS))
    places, share = components(IRIS)
    assert share == pytest.approx(wanted.explained_variance_ratio_.sum())
    np.testing.assert_allclose(np.abs(places), np.abs(wanted.transform(preprocessing.scale(IRIS))), atol=1e-9)
