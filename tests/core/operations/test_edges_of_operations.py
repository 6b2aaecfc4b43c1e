"""Operations at the edges of what they are asked: crossed bounds, no entries, rows of NaN."""

import re
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg


def test_crossed_bounds_of_clip():
    """NumPy gives the upper bound, so the upper bound has the gradient, whatever x is."""
    x, low, high = (tg.Tensor([a] * 3, requires_grad=True) for a in (3.0, 5.0, 4.0))
    y = np.clip(x + np.array([-9.0, 0.0, 9.0]), low, high)
    y.sum().backward()
    assert y.data.tolist() == [4.0] * 3
    assert (x.grad.tolist(), low.grad.tolist(), high.grad.tolist()) == ([0.0] * 3, [0.0] * 3, [1.0] * 3)


SHAPES = [((0,), (0,)), ((2, 0), (0, 3)), ((0, 2), (2, 3)), ((2, 0), (0,)), ((3, 0, 2), (2, 4)), ((2, 3, 0), (0, 2)),
          ((2, 3, 4), (4, 0)), ((2, 3, 0), (2, 0, 2)), ((0, 3), (3,)), ((3,), (3, 0))]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_products_without_entries(left, right):
    a, b = (tg.Tensor(np.ones(shape), requires_grad=True) for shape in (left, right))
    y = a @ b
    assert y.shape == (np.ones(left) @ np.ones(right)).shape
    y.sum().backward()
    assert (a.grad.shape, b.grad.shape) == (left, right)


def test_quantiles_of_rows_of_nan():
    x = np.array([[np.nan] * 3, [1.0, np.nan, 3.0], [1.0, -2.0, 3.0]])
    for q in (0.0, 0.25, 0.5, 1.0):
        with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="All-NaN"):
            expected = np.nanquantile(x, q, axis=1)
        found = np.nanquantile(tg.Tensor(x, requires_grad=True), q, axis=1)
        np.testing.assert_array_equal(found.data, expected)


def same_as_numpys(call, *arrays):
    """Of Tensors that require a gradient, in every entry: NaN and infinities too."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = call(*arrays)
        found = call(*[tg.Tensor(x, requires_grad=True) for x in arrays])
    np.testing.assert_allclose(found.data, expected, rtol=1e-14)


HOLED = np.array([[0.6, np.nan, 0.2, 0.7], [np.inf, 0.8, 0.3, 0.1], [0.9, 0.5, 0.4, np.nan]])


@pytest.mark.parametrize("ddof", [0, 1, 3, 4, 9])
@pytest.mark.parametrize("function", [np.nanvar, np.nanstd, np.var, np.std])
def test_no_variance_is_negative(function, ddof):
    """nanvar divided by a negative number where NumPy gives NaN."""
    for axis in (None, 0, 1):
        same_as_numpys(lambda x, axis=axis: function(x, axis=axis, ddof=ddof), HOLED)


def test_nanstd_of_equal_numbers_has_derivative_0_as_std():
    for function in (np.nanstd, np.std):
        np.testing.assert_array_equal(tg.grad(lambda x, f=function: f(x))(np.full(3, 0.7)), np.zeros(3))


def test_a_slope_inside_reads_its_two_neighbours_alone():
    """NaN and infinity spread to the entry itself, where NumPy's slope is finite."""
    for axis in (0, 1):
        same_as_numpys(lambda x, axis=axis: np.gradient(x, 0.5, axis=axis), HOLED)


REFUSED = {
    "axis 2 is out of bounds": lambda x: np.take_along_axis(x, np.zeros((2, 3), int), 2),
    "diff: n=-1 differences": lambda x: np.diff(x, n=-1),
    "diff: axis=1.0: an axis is a whole number": lambda x: np.diff(x, axis=1.0),
    "repeat: axis=1.0: an axis is a whole number": lambda x: np.repeat(x, 2, axis=1.0),
    "linalg.trace(dtype=": lambda x: np.linalg.trace(x, dtype=np.float32),
    "ddof='a' is subtracted": lambda x: np.var(x, ddof="a"),
    "ddof=None is subtracted": lambda x: np.nanstd(x, ddof=None),
}


@pytest.mark.parametrize("words", REFUSED)
def test_options_that_numpy_refuses(words):
    """An axis beyond the last one counted from the front again; the others gave x itself, or raw errors."""
    with pytest.raises(tg.errors.TinygradError, match=re.escape(words)):
        REFUSED[words](tg.Tensor(np.ones((2, 3)), requires_grad=True))


REPEATED = {"equal": np.eye(3), "rounded": 1.1 * np.eye(3) + 1e-16 * np.diag([0.0, 1.0, 2.0]), "zero": np.zeros((3, 3))}


@pytest.mark.parametrize("kind", REPEATED)
def test_vectors_of_equal_values_have_no_derivative(kind):
    """It was a finite number that was wrong: exp(A) by eigh at the identity had a diagonal derivative."""
    x, weights = REPEATED[kind], np.arange(9.0).reshape(3, 3)

    def made_of_vectors(x):
        values, vectors = np.linalg.eigh(x)
        return np.sum(weights * ((vectors * np.exp(values)) @ vectors.T))

    assert np.isnan(tg.grad(made_of_vectors)(x)).all()
    np.testing.assert_allclose(tg.grad(lambda x: np.sum(np.exp(np.linalg.eigh(x)[0])))(x), np.diag(np.exp(np.diag(x))))
    np.testing.assert_allclose(tg.grad(lambda x: np.linalg.norm(x + np.eye(3), "nuc"))(x), np.eye(3), atol=1e-15)
    single = np.diag([1.0, 1.0, 3.0])  # of a vector whose value is no other's it exists
    slope = tg.grad(lambda x: np.sum(weights[0] * np.linalg.eigh(x)[1][:, 2] ** 2))(single)
    assert np.isfinite(slope).all()


def test_powers_without_columns_are_refused():
    with pytest.raises(tg.errors.ShapeError, match=r"vander\(N=0\) of 2 numbers would have no columns"):
        np.vander(tg.Tensor([1.0, 2.0]), 0)


def test_lines_of_a_program_in_a_folder_named_numpy(tmp_path):
    (tmp_path / "numpy").mkdir()
    path = tmp_path / "numpy" / "lesson.py"
    path.write_text("with tg.record_lines():\n    y = np.stack([tg.Tensor([2.0]) * 3.0])\n")
    names = {"tg": tg, "np": np, "__name__": "lesson"}
    exec(compile(path.read_text(), str(path), "exec"), names)
    assert str(names["y"].place) == "lesson.py, line 2"
