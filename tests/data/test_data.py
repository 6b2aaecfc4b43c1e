"""Data sets: shapes, classes, the same numbers from the same seed, and the shipped ones against scikit-learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygrad_edu import data
from tinygrad_edu.errors import DtypeError, NameNotFoundError, SettingError, ShapeError

# (make, shape of X, shape of y, classes or None, sum of X to 6 places: changes if the numbers of a seed change)
GENERATED = {
    "moons": (lambda **s: data.moons(101, **s), (101, 2), (101, 1), [-1.0, 1.0], 75.015289),
    "circles": (lambda **s: data.circles(101, **s), (101, 2), (101, 1), [-1.0, 1.0], -7.16745),
    "spirals": (lambda **s: data.spirals(101, arms=4, **s), (101, 2), (101,), [0, 1, 2, 3], -2.258833),
    "blobs": (lambda **s: data.blobs(101, centers=5, features=3, **s), (101, 3), (101,), [0, 1, 2, 3, 4], 148.755044),
    "sine": (lambda **s: data.sine(101, **s), (101, 1), (101, 1), None, 30.21638),
    "glyphs": (lambda **s: data.glyphs(101, "07AQ", **s), (101, 900), (101,), [0, 1, 2, 3], 12372.431373),
}
generated = pytest.mark.parametrize("name", GENERATED)


@generated
def test_shapes_classes_and_balance(name):
    make, X_shape, y_shape, classes, _ = GENERATED[name]
    X, y = make()
    assert (X.shape, y.shape) == (X_shape, y_shape)
    assert np.isfinite(X).all()
    if classes is not None:
        found, counts = np.unique(y, return_counts=True)
        assert found.tolist() == classes
        assert counts.max() - counts.min() <= 1


@generated
def test_a_seed_is_a_data_set(name):
    make, *_, total = GENERATED[name]
    first, again, other = make(seed=0), make(seed=0), make(seed=1)
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    # glyphs are computed in float32 before the greys are rounded
    assert first[0].sum() == pytest.approx(total, abs=1e-6 if name != "glyphs" else 0.05)


@generated
def test_classes_come_in_random_order(name):
    make, _, _, classes, _ = GENERATED[name]
    if classes is not None:
        y = make()[1].ravel()
        assert (np.diff(y) != 0).sum() > 30  # sorted, there would be at most 4 changes


@pytest.mark.parametrize(
    ("gate", "outputs"), [(data.or_gate, [0, 1, 1, 1]), (data.and_gate, [0, 0, 0, 1]), (data.xor_gate, [0, 1, 1, 0])]
)
def test_gates(gate, outputs):
    X, y = gate()
    assert X.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert y.tolist() == [[output] for output in outputs]
    X[0, 0] = 5.0
    assert gate()[0][0, 0] == 0.0  # each call returns a copy


def test_without_noise_the_points_lie_on_their_curves():
    X, y = data.circles(50, noise=0.0, inner=0.3)
    np.testing.assert_allclose(np.hypot(*X.T), np.where(y.ravel() == 1.0, 0.3, 1.0))
    X, y = data.spirals(60, arms=3, turns=1.0, noise=0.0)
    radius, angle = np.hypot(*X.T), np.arctan2(X[:, 1], X[:, 0])
    turns = angle / (2 * np.pi) - radius - y / 3
    np.testing.assert_allclose(turns, np.rint(turns), atol=1e-9)
    X, y = data.sine(40, noise=0.0)
    np.testing.assert_array_equal(y, np.sin(X))


def test_blobs_scatter_around_their_centres_as_asked():
    X, y = data.blobs(6000, centers=3, spread=0.5, seed=2)
    for number in range(3):
        np.testing.assert_allclose(X[y == number].std(axis=0), 0.5, rtol=0.06)  # 4 standard errors of 2,000 samples
    middles = [X[y == number].mean(axis=0) for number in range(3)]
    assert np.abs(middles).max() < 10.1


BAD_SETTINGS = [
    (lambda: data.moons(0), "samples=0"),
    (lambda: data.moons(10.0), "samples=10.0"),
    (lambda: data.moons(True), "samples=True"),
    (lambda: data.circles(noise=-1.0), "noise=-1.0"),
    (lambda: data.circles(noise=float("nan")), "noise=nan"),
    (lambda: data.circles(inner="big"), "inner='big'"),
    (lambda: data.spirals(arms=1), "arms=1: a whole number of at least 2"),
    (lambda: data.spirals(turns=float("nan")), "turns=nan"),
    (lambda: data.blobs(centers=0), "centers=0"),
    (lambda: data.blobs(spread=float("inf")), "spread=inf"),
    (lambda: data.sine(-3), "samples=-3"),
    (lambda: data.glyphs(10, ""), "characters=''"),
    (lambda: data.glyphs(10, "ABA"), "characters='ABA'"),
    (lambda: data.glyphs(10, size=7), "size=7"),
    (lambda: data.glyphs(10, scale=1.0), "scale=1.0"),
    (lambda: data.glyphs(10, width=(3.0, 1.0)), "width=.*smaller one first"),
    (lambda: data.glyphs(10, width=2.0), "width=2.0: give two numbers"),
    (lambda: data.glyphs(10, noise=-0.1), "noise=-0.1"),
]


@pytest.mark.parametrize(("call", "message"), BAD_SETTINGS)
def test_bad_settings_are_named(call, message):
    with pytest.raises(SettingError, match=message):
        call()


# Shipped


def test_iris_is_that_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    X, y = data.iris()
    theirs = datasets.load_iris()
    np.testing.assert_array_equal(X, theirs.data)
    np.testing.assert_array_equal(y, theirs.target)
    assert list(data.SPECIES) == theirs.target_names.tolist()


def test_lynx():
    series = data.lynx()
    assert series.shape == (114,)
    assert series.sum() == 175334.0  # 114 · 1538.018, the mean that R prints for its series
    assert series[:5].tolist() == [269.0, 321.0, 585.0, 871.0, 1475.0]
    assert series[-1] == 3396.0
    assert 1821 + series.argmax() == 1904


def test_body_metrics():
    X, y = data.body_metrics()
    assert (X.shape, y.shape) == ((11, 3), (11,))
    labels = np.array(data.SEXES)[y]
    assert dict(zip(*np.unique(labels, return_counts=True), strict=True)) == {"female": 5, "male": 6}
    assert X.sum(axis=0).tolist() == [1891.0, 768.0, 450.0]
    X, y = data.body_metrics("test")
    assert (X.tolist(), y.tolist()) == ([[179.0, 69.0, 40.0], [175.0, 72.0, 45.0]], [0, 1])
    with pytest.raises(NameNotFoundError, match=r"'tset'\. Did you mean 'test'"):
        data.body_metrics("tset")


# Preparation

finite_matrices = st.integers(1, 3).flatmap(
    lambda width: st.lists(st.lists(st.floats(-1e3, 1e3), min_size=width, max_size=width), min_size=1, max_size=12)
)


@given(finite_matrices)
def test_scalings_are_those_of_scikit_learn(rows):
    preprocessing = pytest.importorskip("sklearn.preprocessing")
    X = np.round(np.array(rows), 3)  # differences of 1e-3 or 0: scikit-learn treats smaller ones as 0
    Z, scaling = data.standardize(X)
    np.testing.assert_allclose(Z, preprocessing.StandardScaler().fit_transform(X), atol=1e-8)
    np.testing.assert_allclose(scaling.inverse(Z), X, atol=1e-9)
    Z, scaling = data.min_max(X)
    np.testing.assert_allclose(Z, preprocessing.MinMaxScaler().fit_transform(X), atol=1e-9)
    assert Z.min() >= 0.0
    assert Z.max() <= 1.0
    np.testing.assert_allclose(scaling(X), Z)


@pytest.mark.parametrize("scale", [data.standardize, data.min_max])
def test_a_constant_feature_becomes_0(scale):
    X = np.column_stack([np.full(7, 0.1), np.arange(7.0)])  # the computed deviation of seven 0.1 is 1.4e-17, not 0
    Z, scaling = scale(X)
    assert Z[:, 0].tolist() == [0.0] * 7
    assert scaling([[1.1, 3.0]])[0, 0] == pytest.approx(1.0)


@pytest.mark.parametrize("stratify", [False, True])
def test_split_parts_hold_every_sample_once(stratify):
    X, y = data.iris()
    X_train, X_test, y_train, y_test = data.train_test_split(X, y, test=0.2, seed=4, stratify=stratify)
    assert (X_train.shape, X_test.shape, y_train.shape, y_test.shape) == ((120, 4), (30, 4), (120,), (30,))
    together = np.vstack([np.column_stack([X_train, y_train]), np.column_stack([X_test, y_test])])
    expected = np.column_stack([X, y])
    np.testing.assert_array_equal(together[np.lexsort(together.T)], expected[np.lexsort(expected.T)])
    if stratify:
        assert np.bincount(y_test).tolist() == [10, 10, 10]


def test_a_split_follows_its_seed():
    X, y = data.iris()
    first, again, other = (data.train_test_split(X, y, seed=seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(first) == 38  # a quarter of 150, rounded up as scikit-learn does


def test_one_hot():
    labels = np.array([[1], [0], [3]])
    assert data.one_hot(labels).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert data.one_hot([0, 1], classes=3).shape == (2, 3)
    y = data.iris()[1]
    np.testing.assert_array_equal(np.argmax(data.one_hot(y), axis=1), y)


def test_lagged_series():
    X, y = data.lagged(data.lynx(), 5)
    assert (X.shape, y.shape) == ((109, 5), (109, 1))
    assert X[0].tolist() == [1475.0, 871.0, 585.0, 321.0, 269.0]  # lag 1 first
    assert y[0, 0] == 2821.0
    np.testing.assert_array_equal(X[1:, 0], y[:-1, 0])
    np.testing.assert_array_equal(X[1:, 1:], X[:-1, :-1])
    np.testing.assert_array_equal(data.lagged(data.lynx()[:, None], 5)[0], X)


NAN = float("nan")
BAD_INPUT = [
    (lambda: data.standardize([[1.0], [NAN]]), SettingError, r"NaN or infinite, the first at index \(1, 0\)"),
    (lambda: data.min_max([]), ShapeError, r"X has shape \(0,\)"),
    (lambda: data.standardize([["a"]]), DtypeError, "X holds <U1"),
    (lambda: data.train_test_split([[1], [2]], [1]), ShapeError, "X has 2 rows and y has 1"),
    (lambda: data.train_test_split([[1], [2]], [1, 2], test=0.9), SettingError, "test=0.9 of 2 samples"),
    (lambda: data.train_test_split([[1], [2]], [1, 2], test=2), SettingError, "test=2 of 2"),
    (lambda: data.train_test_split([[1], [2]], [1, 2], test=NAN), SettingError, "test=nan"),
    (
        lambda: data.train_test_split(np.zeros((5, 1)), list("aabaa"), stratify=True),
        SettingError,
        r"class b has a single sample \(row 2\)",
    ),
    (lambda: data.one_hot([0.0, 1.0]), DtypeError, "labels hold float64"),
    (lambda: data.one_hot([0, 3], classes=3), SettingError, "label 3 in row 1: labels are numbers from 0 to below 3"),
    (lambda: data.one_hot([0, -1]), SettingError, "label -1 in row 1"),
    (lambda: data.one_hot([[0, 1]]), ShapeError, r"\(1, 2\)"),
    (lambda: data.one_hot([]), ShapeError, r"\(0,\)"),
    (lambda: data.lagged([1.0, 2.0], 2), SettingError, "lags=2 of a series of 2"),
    (lambda: data.lagged([1.0, 2.0], 0), SettingError, "lags=0"),
    (lambda: data.lagged([1.0, NAN, 2.0], 1), SettingError, r"series .*index \(1,\)"),
    (lambda: data.lagged(np.zeros((4, 2)), 1), ShapeError, r"series has shape \(4, 2\)"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD_INPUT)
def test_bad_input_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


MASKED = np.ma.masked_greater(np.array([0, 1, 2, 0, 1, 2]), 1)
TAKING = {
    "standardize": lambda x: data.standardize(x),
    "min_max": lambda x: data.min_max(x),
    "scaling": lambda x: data.standardize(np.arange(6))[1](x),
    "inverse": lambda x: data.standardize(np.arange(6))[1].inverse(x),
    "one_hot": lambda x: data.one_hot(x),
    "lagged": lambda x: data.lagged(x, 2),
    "orders": lambda x: data.orders(x, 1, "sorted"),
    "weights": lambda x: data.orders(np.arange(6), 1, "weighted", weights=x),
    "batches": lambda x: data.batches(np.arange(6), x, 2),
    "split": lambda x: data.train_test_split(x, np.arange(6)),
}


@pytest.mark.parametrize("name", TAKING)
def test_masked_entries_are_refused(name):
    """np.asarray would take the numbers under the mask, which mean nothing."""
    with pytest.raises(DtypeError, match="2 of 6 entries of this array are masked"):
        TAKING[name](MASKED)
    TAKING[name](np.ma.masked_array([0, 1, 2, 0, 1, 2], mask=False))
