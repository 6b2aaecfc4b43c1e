"""Arrays in every form that scikit-learn takes: bytes in the other order, strided, reversed, sparse, lists."""

import numpy as np
import pytest
from scipy import sparse

from tests.estimators.test_same_numbers import agree, pair

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X, NUMBERS, CLASSES = RNG.normal(size=(30, 3)), RNG.normal(size=30), RNG.integers(0, 3, 30)


def read_only(a):
    made = a.copy()
    made.flags.writeable = False
    return made


FORMS = {
    "plain": lambda a: a,
    "other bytes, 8": lambda a: a.astype(a.dtype.newbyteorder("S")),
    "other bytes, 4": lambda a: a.astype(np.dtype("f4" if a.dtype.kind == "f" else "i4").newbyteorder("S")),
    "every second row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "every second column": lambda a: np.repeat(a, 2, axis=-1)[..., ::2] if a.ndim > 1 else np.repeat(a, 2)[::2],
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "by columns": np.asfortranarray,
    "a list": lambda a: a.tolist(),
    "read-only": read_only,
    "float32": lambda a: a.astype(np.float32),
    "objects": lambda a: a.astype(object),
    "a subclass": lambda a: a.view(type("Own", (np.ndarray,), {})),
    "misaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), dtype=np.uint8)[1:].view(a.dtype).reshape(a.shape),
}
SPARSE = {
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_matrix,
}
SOLVERS = {"adam": {"solver": "adam"}, "sgd": {"solver": "sgd", "batch_size": 7}, "lbfgs": {"solver": "lbfgs"}}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("form", [*FORMS, *SPARSE])
@pytest.mark.parametrize(("kind", "y"), [("MLPRegressor", NUMBERS), ("MLPClassifier", CLASSES)])
def test_samples_and_targets_in_every_form(kind, y, form, solver):
    # SciPy's line search compares losses: one bit in float32 leads to other weights.
    few = {"max_iter": 2} if (form, solver) == ("float32", "lbfgs") else {}
    change = {**FORMS, **SPARSE}[form]
    settings = {"hidden_layer_sizes": (4,), "max_iter": 15, **SOLVERS[solver], **few}
    a, b = pair(kind, **settings)
    given, targets = change(X), FORMS.get(form, FORMS["plain"])(y)
    if form == "objects" and kind == "MLPClassifier":
        targets = y
    a.fit(given, targets)
    b.fit(given, targets)
    agree(a, b, rtol=2e-3 if "f" in form and a.coefs_[0].dtype == np.float32 else 1e-7)
    assert a.coefs_[0].dtype == b.coefs_[0].dtype
    np.testing.assert_allclose(
        np.asarray(b.predict(given), float), np.asarray(a.predict(given), float), rtol=2e-3, atol=1e-3
    )


@pytest.mark.parametrize("form", ["other bytes, 8", "other bytes, 4", "every second row", "reversed", "read-only"])
def test_weights_in_every_form(form):
    weight = FORMS[form](np.linspace(0.5, 1.5, 30))
    a, b = pair("MLPRegressor", hidden_layer_sizes=(4,), max_iter=15, early_stopping=True)
    agree(a.fit(X, NUMBERS, sample_weight=weight), b.fit(X, NUMBERS, sample_weight=weight), rtol=1e-6)


@pytest.mark.parametrize("solver", ["adam", "sgd", "lbfgs"])
@pytest.mark.parametrize("label", [0, 1, "a", True, -3, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_single_class_with_and_without_early_stopping(label, solver, weighted):
    y = np.full(30, label)
    more = {"sample_weight": np.linspace(0.1, 1.0, 30)} if weighted else {}
    for early in (False, True):
        a, b = pair("MLPClassifier", hidden_layer_sizes=(4,), max_iter=20, solver=solver, early_stopping=early)
        agree(a.fit(X, y, **more), b.fit(X, y, **more))
        assert (b.predict(X) == y).all()
        if early and solver != "lbfgs":
            assert set(b.validation_scores_) == {1.0}
            assert a.best_validation_score_ == b.best_validation_score_


def test_a_regressors_partial_fit_by_lbfgs_goes_on_from_its_weights():
    a, b = pair("MLPRegressor", hidden_layer_sizes=(4,), max_iter=3, solver="lbfgs")
    for _ in range(3):
        agree(a.partial_fit(X, NUMBERS), b.partial_fit(X, NUMBERS))
    assert hasattr(b, "partial_fit")
