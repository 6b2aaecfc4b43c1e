"""Arrays that are no plain arrays of numbers: masked ones, objects, columns of data frames, small whole numbers."""

import fractions
from contextlib import suppress
from decimal import Decimal

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.errors import DtypeError, OperandError, TinygradError

MASKED = np.ma.array(np.arange(6.0).reshape(3, 2), mask=[[0, 0], [0, 1], [0, 0]])
WAYS = {
    "Tensor": tg.Tensor,
    "operation": tg.ops.tanh,
    "beside a Tensor": lambda x: tg.Tensor(np.ones(2)) * x,
    "grad": tg.grad(lambda x: np.sum(x * x)),
    "jit": tg.jit(lambda x: np.sum(x * x)),
    "vmap": tg.vmap(lambda row: np.sum(row * row)),
    "loss": lambda x: tg.nn.losses.mse(x, np.zeros((3, 2))),
    "target": lambda x: tg.nn.losses.mse(np.zeros((3, 2)), x),
    "model": lambda x: tg.nn.MLP([2, 1])(x),
    "fit": lambda x: tg.fit(tg.nn.MLP([2, 1]), x, np.ones(3), loss="mse", optimizer="sgd", epochs=1),
    "y of fit": lambda x: tg.fit(tg.nn.MLP([2, 2]), np.ones((3, 2)), x, loss="mse", optimizer="sgd", epochs=1),
    "fit_many": lambda x: tg.fit_many(
        lambda seed: tg.nn.MLP([2, 1]), x, np.ones(3), loss="mse", optimizer="sgd", epochs=1, seeds=range(2)
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_masked_entries_are_refused(way):
    """They hold numbers, which mean nothing; plain NumPy functions drop the mask without a word."""
    with pytest.raises(DtypeError, match="1 of 6 entries of this array are masked"):
        WAYS[way](MASKED)
    WAYS[way](np.ma.array(MASKED.filled(0.0)))  # nothing is masked, so it is accepted


@pytest.mark.parametrize(
    "x", [fractions.Fraction(1, 2), Decimal("0.5"), object(), None, "0.5"], ids=lambda x: type(x).__name__
)
@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.partials][::7], ids=lambda row: row.name)
def test_objects_that_are_no_numbers(row, x):
    rest = [0.5] * (len(row.parameters) - 1)
    for given in (x, [x], np.array([x, 1.0], dtype=object)):
        with pytest.raises(DtypeError, match="works on real numbers, not on"):
            row(given, *rest)
    with pytest.raises(OperandError):
        row(tg.Tensor(np.ones(2)), *[x] * len(rest)) if rest else tg.Value(x)


def test_columns_of_a_data_frame_beside_a_value():
    pandas = pytest.importorskip("pandas")
    column, x = pandas.Series([1.0, 2.0]), tg.Value(3.0)
    for y in (x + column, tg.ops.add(x, column), x + column.to_numpy()):
        assert [v.data for v in y] == [4.0, 5.0]


def test_losses_of_small_whole_numbers():
    one, two = np.array([1], dtype=np.uint8), np.array([2], dtype=np.uint8)
    assert tg.nn.losses.mae(one, two) == 1.0  # not 255
    assert tg.nn.losses.mse(np.array([True]), np.array([False])) == 1.0


def test_sparse_inputs_of_fit():
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(DtypeError, match=r"X is a sparse csr_array: write X.toarray\(\)"):
        tg.fit(tg.nn.MLP([2, 1]), sparse.csr_array(np.eye(2)), np.ones(2), loss="mse", optimizer="sgd", epochs=1)


AXES = ["a", 1.5, (0, "a"), {0}, object(), True, np.array([0, 1]), (0, 1.0), 10**30]
ALONG = [
    lambda x, axis: x.sum(dim=axis), lambda x, axis: np.sum(x, axis=axis), lambda x, axis: np.cumsum(x, axis=axis),
    lambda x, axis: np.sort(x, axis=axis), lambda x, axis: np.concatenate([x, x], axis=axis), np.expand_dims,
    lambda x, axis: x.max(axis), lambda x, axis: np.stack([x, x], axis=axis), lambda x, axis: np.moveaxis(x, 0, axis),
    lambda x, axis: tg.ops.softmax(x, axis=axis), lambda x, axis: np.linalg.norm(x, axis=axis), np.std, np.median,
    lambda x, axis: np.split(x, 2, axis=axis), lambda x, axis: np.diff(x, axis=axis),  np.flip,
]  # fmt: skip


@pytest.mark.parametrize("axis", AXES, ids=lambda axis: type(axis).__name__)
def test_axes_that_are_no_whole_numbers(axis):
    """Of the library's own words, and never Python's or NumPy's."""
    x = tg.Tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    for f in ALONG:
        with suppress(TinygradError):
            f(x, axis)
