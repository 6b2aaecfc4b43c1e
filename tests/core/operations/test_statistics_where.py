"""np.mean, np.var and np.std with where=: values of NumPy, and derivatives of the entries that are chosen."""

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba

CHOSEN = [
    ([2.0, 2.0], [True, True]), ([2.0, 5.0], [True, False]), ([1.0, 2.0, 4.0], [True, True, False]),
    ([1.0, 2.0], [False, False]), ([3.0, 1.0, 2.0, 7.0], [True, True, True, False]),
]  # fmt: skip


@pytest.mark.parametrize(("x", "where"), CHOSEN)
@pytest.mark.parametrize("name", ["mean", "var", "std"])
@pytest.mark.parametrize("ddof", [0, 1, 2, 3])
def test_as_numpy(name, x, where, ddof):
    x, where, f = np.array(x), np.array(where), getattr(np, name)
    options = {"where": where} | ({} if name == "mean" else {"ddof": ddof})
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        right = f(x, **options)
        np.testing.assert_array_equal(np.asarray(f(tg.Tensor(x), **options)), right)
        with without_numba():
            np.testing.assert_array_equal(tg.jit(lambda x: f(x, **options))(x), right)


@pytest.mark.parametrize(("x", "where"), CHOSEN)
def test_the_derivative_is_that_of_the_chosen_entries(x, where):
    x, where = np.array(x), np.array(where)
    right = np.zeros(len(x))
    if where.any():
        right[where] = tg.grad(np.std)(x[where])
        found = tg.grad(lambda x: np.std(x, where=where))(x)
        np.testing.assert_allclose(found, right, rtol=1e-12)
        assert np.isfinite(found).all()
