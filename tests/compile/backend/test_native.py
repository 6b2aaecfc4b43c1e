"""The words that Numba has not: what their machine code does is what their NumPy form in templates.py says."""

import itertools

import numpy as np
import pytest
from numba import njit

from tests.compile.programs import normal
from tinygrad_edu.compile.backend.intrinsics import copy, dot, gather, uniform, view
from tinygrad_edu.compile.codegen.templates import HEADER
from tinygrad_edu.train.compiled.session import addresses


@njit
def product(a, b, out):
    dot(a, b, out)


@njit
def product_of_transposes(a, b, out):
    dot(a.T, b.T, out)


@njit
def summed(memory, at, n, m):
    x = view(memory, at, (n, m))
    total = 0.0
    for i in range(n):
        for j in range(m):
            total += x[i, j] * (i * m + j)
    return total


@njit
def written(memory, at, n):
    x = view(memory, at, (n,))
    for i in range(n):
        x[i] = i


@njit
def copied(source, out):
    copy(source, out)


@njit
def gathered(source, order, place, out):
    gather(source, order, place, out)


SIZES = [
    (1, 1, 1),
    (2, 3, 4),
    (4, 4, 4),
    (5, 4, 4),
    (30, 20, 10),
    (1, 50, 7),
    (7, 1, 9),
    (0, 3, 2),
    (3, 0, 2),
    (3, 2, 0),
]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("k", [17, 64, 127, 128, 150, 513, 1025])
@pytest.mark.parametrize("n", [3, 4, 7, 8, 9, 16, 23, 24, 31])
def test_products_by_tiles_at_their_edges_write_nothing_else(n, k, dtype):
    """Tiles overlap in the last rows, and their last vectors are masked: around the result, nothing may change."""
    tolerance = 1e-13 if dtype is np.float64 else 1e-5
    for m in (1, 3, 4, 7, 8, 9, 15, 16, 17, 31, 32, 33, 50):
        a, b, memory = normal(n, k, dtype=dtype), normal(k, m, dtype=dtype), np.full(n * m + 64, np.nan, dtype)
        out, expected = memory[32:-32].reshape(n, m), a @ b
        for left, right in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))):
            out[...] = np.nan
            product(left, right, out)
            np.testing.assert_allclose(out, expected, rtol=tolerance, atol=k * tolerance)
            assert np.isnan(memory[:32]).all()
            assert np.isnan(memory[-32:]).all()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("k", [24, 25, 129, 256, 257, 520])
def test_a_matrix_that_is_turned_around_panel_by_panel(k, dtype):
    """Panels of 256 rows and of one or two vectors, the last ones smaller."""
    tolerance = 1e-13 if dtype is np.float64 else 1e-5
    for n, m in itertools.product((32, 41, 129), (8, 32, 33, 49)):
        a, b, memory = normal(n, k, dtype=dtype), normal(m, k, dtype=dtype), np.full(n * m + 64, np.nan, dtype)
        out = memory[32:-32].reshape(n, m)
        for left in (a, np.asfortranarray(a)):
            product(left, b.T, out)
            np.testing.assert_allclose(out, a @ b.T, rtol=tolerance, atol=k * tolerance)
            assert np.isnan(memory[:32]).all()
            assert np.isnan(memory[-32:]).all()


@pytest.mark.parametrize("at", [0, 40, 63])
@pytest.mark.parametrize(("n", "k", "m"), [(24, 150, 20), (40, 300, 40)])
def test_what_is_not_finite_stays_in_its_row_and_column(n, k, m, at):
    a, b = normal(n, k), normal(k, m)
    a[5, at], b[at, 7] = np.nan, np.inf
    out = np.empty((n, m))
    for left, right in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))):
        product(left, right, out)
        finite = np.isfinite(out)
        assert not finite[5].any()
        assert not finite[:, 7].any()
        assert finite.sum() == (n - 1) * (m - 1)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("sizes", SIZES)
def test_products_of_every_layout(sizes, dtype):
    n, k, m = sizes
    a, b, out = normal(n, k, dtype=dtype), normal(k, m, dtype=dtype), np.full((n, m), np.nan, dtype)
    tolerance = 1e-13 if dtype is np.float64 else 1e-5
    for left, right in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))):
        out[...] = np.nan
        product(left, right, out)
        np.testing.assert_allclose(out, a @ b, rtol=tolerance, atol=tolerance)
    out[...] = np.nan
    product_of_transposes(np.ascontiguousarray(a.T), np.ascontiguousarray(b.T), out)
    np.testing.assert_allclose(out, a @ b, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("k", [1, 2, 15, 16, 17, 33])
def test_a_product_with_a_short_inner_axis_writes_its_own_numbers_alone(k, dtype):
    """Panels: rows from 8 on, columns in full registers and in parts of one, nothing beyond either."""
    tolerance = 1e-13 if dtype is np.float64 else 1e-5
    for n, m in itertools.product((7, 8, 9, 16, 25), (1, 3, 4, 7, 8, 9, 15, 16, 17, 40)):
        a, b, around = normal(n, k, dtype=dtype), normal(m, k, dtype=dtype), np.full(n * m + 64, np.nan, dtype)
        out = around[32 : 32 + n * m].reshape(n, m)
        product(a, b.T, out)
        np.testing.assert_allclose(out, a @ b.T, rtol=tolerance, atol=tolerance)
        assert np.isnan(around[:32]).all()
        assert np.isnan(around[-32:]).all()


def test_nan_and_infinity_go_through_panels_as_through_numpy():
    a, b, out = normal(9, 3), normal(5, 3), np.zeros((9, 5))
    a[2, 1], a[4, 0], b[3, 2] = np.nan, np.inf, -np.inf
    product(a, b.T, out)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(out, a @ b.T, rtol=1e-13)


def test_a_view_reads_and_writes_the_memory_in_c_order():
    memory = np.arange(20.0)
    assert summed(memory, 5, 3, 4) == np.sum(memory[5:17] * np.arange(12))
    assert summed(memory, 5, 0, 4) == 0.0
    written(memory, 18, 2)
    assert memory[17:].tolist() == [17.0, 0.0, 1.0]


def test_copies():
    source, out = normal(3, 4), np.zeros((3, 4))
    copied(source, out)
    assert (out == source).all()
    order, picked = np.array([[0, 1, 2], [2, 0, 1]]), np.zeros((2, 4))
    gathered(source, order, 3, picked)
    assert (picked == source[[2, 0]]).all()


def test_numpys_form_does_the_same():
    space = {}
    plain = HEADER[HEADER.index("    def dot(") :].replace("\n    ", "\n").lstrip()
    exec(f"import numpy as np\n{plain}", space)
    memory, source = np.arange(20.0), normal(3, 4)
    assert (space["view"](memory, 5, (3, 4)) == memory[5:17].reshape(3, 4)).all()
    out, picked = np.zeros((3, 4)), np.zeros((2, 4))
    space["copy"](source, out)
    space["gather"](source, np.array([[0, 1, 2], [2, 0, 1]]), 3, picked)
    assert (out == source).all()
    assert (picked == source[[2, 0]]).all()
    drawn = [space["uniform"](addresses(np.random.default_rng(3)))]
    assert drawn == np.random.default_rng(3).random(1).tolist()


@pytest.mark.parametrize("bits", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_random_numbers_are_those_of_the_generator(bits):
    """By Numba's word and by the direct compiler's, in the same order, and the generator is then as far."""

    @njit
    def by_numba(source, out):
        for i in range(out.size):
            out[i] = uniform(source)

    rng, other, out = np.random.Generator(bits(5)), np.random.Generator(bits(5)), np.zeros(7)
    by_numba(addresses(rng), out)
    assert out.tolist() == other.random(7).tolist()
    assert rng.random() == other.random()
