"""Where an entry of the gradient of a @ b is 0, it adds 0 beside an infinite factor too, in every back end."""

import itertools
import tracemalloc

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.core.linalg import one_by_one_with_care, product_with_care

SHAPES = [((2, 3), (3, 2)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 2, 3), (3, 2)), ((3,), (2, 3, 2))]
FUNCTIONS = {
    "one entry": lambda y: y.ravel()[1],
    "those that are small": lambda y: np.where(np.abs(y) < 9.0, y, 0.0).sum(),
    "clipped": lambda y: np.clip(y, -1.0, 1.0).sum(),
}


def entry_by_entry(g, a, b):
    """The products of single numbers, 0·inf left out: (Ā, B̄) of matrices and stacks."""
    rows, columns = np.atleast_2d(a), b if b.ndim > 1 else b[:, None]
    lead = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    g = g.reshape((*lead, rows.shape[-2], columns.shape[-1]))
    kept = np.where(g == 0.0, 0.0, 1.0)
    with np.errstate(all="ignore"):
        left = np.where(kept[..., None] > 0, g[..., None] * np.swapaxes(columns, -1, -2)[..., None, :, :], 0.0).sum(-2)
        right = np.where(kept[..., None] > 0, g[..., None] * rows[..., :, None, :], 0.0).sum(-3)
    return [
        sum_to(left, rows.shape).reshape(a.shape),
        sum_to(np.swapaxes(right, -1, -2), columns.shape).reshape(b.shape),
    ]


def sum_to(x, shape):
    extra = x.ndim - len(shape)
    return x.sum(axis=tuple(range(extra))) if extra else x


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_zero_beside_infinity(name):
    rest = FUNCTIONS[name]
    for (left, right), of_right in itertools.product(SHAPES, (False, True)):
        a, b = np.random.default_rng(0).normal(size=left), np.random.default_rng(1).normal(size=right)
        (b if of_right else a).flat[0] = np.inf
        f = tg.jit(lambda a, b: rest(a @ b))
        with np.errstate(all="ignore"), without_numba():
            expected = entry_by_entry(np.asarray(tg.grad(rest)(a @ b)), a, b)
            for i in (0, 1):
                ways = [
                    tg.grad(f.f, i),
                    tg.jit(tg.grad(f.f, i)),
                    lambda *x, i=i, f=f: f.value_and_grad(*x, argnum=i)[1],
                ]
                for way in ways:
                    np.testing.assert_allclose(way(a, b), expected[i], err_msg=f"{left} {right}")


SPECIAL = np.array([0.0, -0.0, 1.0, -2.0, np.inf, -np.inf, np.nan])


@pytest.mark.parametrize("kinds", [4, 5, 6, 7])
def test_products_by_blas_are_those_of_the_entries(kinds):
    """Of all mixtures of the first so many special numbers, and of stacks."""
    rng = np.random.default_rng(kinds)
    for _ in range(200):
        g, x = rng.choice(SPECIAL[:kinds], size=(2, 3, 3)), rng.choice(SPECIAL[:kinds], size=(3, 4))
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(product_with_care(g, x), one_by_one_with_care(g, x))


def test_a_large_product_beside_infinity_takes_no_memory_of_its_single_products():
    a, w = (tg.Tensor(np.ones(shape), requires_grad=True) for shape in [(600, 500), (500, 600)])
    w.data[3, 5] = np.inf
    tracemalloc.start()
    with np.errstate(all="ignore"):
        np.clip(a @ w, -1.0, 1.0).sum().backward()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 30 * a.data.nbytes  # the 600 x 500 x 600 products would take 600 times as much
    assert not np.isnan(a.grad).any()
