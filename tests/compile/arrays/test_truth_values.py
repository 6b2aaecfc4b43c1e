"""Truth values in programs: added and joined as NumPy does it, and whole numbers are not taken for them."""

import numpy as np
import pytest

from tests.compile.programs import without_numba
from tinygrad_edu import jit
from tinygrad_edu.errors import TraceError

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0]])
M = np.array([[True, False, True], [False, False, True]])
I = np.array([3, 2, 0])  # noqa: E741

OF_TRUTH = {
    "sum": lambda x, m: (x > 0) + (x > 0.7),
    "sum of masks": lambda x, m: (m + m) * x,
    "a mask and a comparison": lambda x, m: (m + (x > 0)) * x,
    "and": lambda x, m: (m & (x > 0)) * x,
    "or": lambda x, m: (m | (x > 0)) * x,
    "not": lambda x, m: ~m * x + ~(x > 0),
    "exclusive or": lambda x, m: (m ^ (x > 0)) * x,
    "moved": lambda x, m: ((x > 0).T & m.T).T * x,
    "rows": lambda x, m: ((x > 0)[0] | m[1]) * x,
    "joined": lambda x, m: (np.concatenate([m, x > 0]) + True) * 2.0,
    "three": lambda x, m: ((x > 0) * m + (x < 0)) * x,
    "counted": lambda x, m: np.sum((x > 0) + m, axis=0) + np.sum(m),
    "with numbers": lambda x, m: (x > 0) + x + (x > 0) * 2.0,
    # Arithmetic turns booleans into numbers, which + adds.
    "times 1": lambda x, m: (x > 0) * 1.0 + (x > 0.7) * 1.0,
    "1 times": lambda x, m: 1 * (x > 0) + 1 * m,
    "by 1": lambda x, m: (x > 0) / 1.0 + m / 1,
    "less 0": lambda x, m: ((x > 0) - 0.0) + (m - 0),
    "plus -0": lambda x, m: ((x > 0) + -0.0) + (-0.0 + m),
    "to the power of 1": lambda x, m: (x > 0) ** 1.0 + m**1.0,
    "times ones": lambda x, m: (x > 0) * np.ones(3) + m * np.ones((2, 3)),
    "stacked": lambda x, m: np.stack([(x > 0) * 1.0, m * 1.0]).sum(axis=0),
    "a type": lambda x, m: np.where(x > 0, 1.0, 0.0) + np.where(m, 1.0, 0.0),
    "where one of them is chosen": lambda x, m: np.where(True, (x > 0) * 1.0, x) + np.where(False, x, m * 1.0),
    "less one another": lambda x, m: (x > 0) * 1.0 - m * 1.0,
    "squared": lambda x, m: (x > 0) ** 2 + m**2,
    "square": lambda x, m: np.square(x > 0) + np.square(m),
    "signs": lambda x, m: np.sign((x > 0) - 0.5) + np.sign(m * 1.0),
    "as floats": lambda x, m: (x > 0).astype(float) + m.astype(float),
    "absolute": lambda x, m: np.abs(x > 0) + np.abs(m),
    "products of matrices": lambda x, m: ((x > 0) @ m.T) + (m @ m.T),
    "with a row": lambda x, m: ((x > 0) @ m[0]) + (m @ m[0]),
    "one of two": lambda x, m: np.where(m, x > 0, m) + np.where(x > 0, m, x > 0.7),
    "diagonals": lambda x, m: np.diag((x > 0)[:, :2]) + np.diag(m[:, :2]),
    "triangles": lambda x, m: np.tril(x > 0) + np.triu(m),
    "true times": lambda x, m: True * (x > 0) + m * True,
    "closed over": lambda x, m: (M + (x > 0)) * x + (m & M),
}


@pytest.mark.parametrize("name", OF_TRUTH)
def test_truth_values(name):
    f = OF_TRUTH[name]
    with without_numba():
        assert np.array_equal(np.asarray(jit(f)(X, M), float), np.asarray(f(X, M), float))


OF_BITS = [lambda i: i & 1, lambda i: i | 4, lambda i: ~i, lambda i: i ^ 1, lambda i: (i > 1) & i, lambda i: 1 & i]


@pytest.mark.parametrize("f", OF_BITS)
def test_bits_of_whole_numbers_are_refused(f):
    with without_numba(), pytest.raises(TraceError):
        jit(f)(I)


BESIDE = {
    "where": lambda i: np.where(i > 2, i, True) * 100,
    "minimum": lambda i: (np.minimum(i, True) + i) * 50,
    "maximum": lambda i: np.maximum(i, i > 2) * 100,
    "sum": lambda i: (i + (i > 2)) * 100,
    "product": lambda i: (i * (i > 2)) * 100,
}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int64"])
@pytest.mark.parametrize("name", BESIDE)
def test_whole_numbers_beside_truth_values_keep_their_dtype(name, dtype):
    """And so wrap round as NumPy's do: 4 * 100 is 144 in uint8."""
    i = np.array([1, 4, 2], dtype)
    with without_numba():
        np.testing.assert_array_equal(jit(lambda x, i: x * BESIDE[name](i))(np.ones(3), i), BESIDE[name](i))
