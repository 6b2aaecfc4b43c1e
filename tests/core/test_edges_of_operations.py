"""Operations at the edges of what they are asked: crossed bounds, no entries, rows of NaN."""

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
