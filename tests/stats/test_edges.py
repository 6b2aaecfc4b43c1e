"""The table of distributions at the ends of the supports, with parameters that are none, and far out: as SciPy."""

import itertools

import numpy as np
import pytest
import scipy.stats

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.stats.table import TABLE

X = [-np.inf, -1e300, -1e10, -40.0, -1.0, -1e-300, 0.0, 1e-300, 0.25, 1.0, 1.5, 2.0, 50.0, 1e10, 1e300, np.inf, np.nan]
COUNTS = [-np.inf, -1.0, -0.5, 0.0, 0.5, 1.0, 2.0, 7.0, 50.0, 1e6, np.inf, np.nan]
VALUES = {
    "df": [1e-3, 0.5, 1.0, 2.0, 199.0, 250.0, 1e5, 1e10, 1e20, np.inf, 0.0, -1.0, np.nan],
    "a": [1e-3, 0.5, 1.0, 2.0, 30.0, 1e5, 0.0, -1.0], "b": [1e-3, 0.5, 1.0, 3.0, 1e5, 0.0, -1.0],
    "s": [1e-3, 0.5, 1.0, 30.0, 0.0, -1.0], "c": [0.5, 1.0, 3.0, 0.0, -1.0],
    "p": [0.0, 1e-300, 1e-10, 0.3, 1.0, 1.5, -0.1, np.nan], "n": [0.0, 1.0, 1.5, 2.0, 10.0, 1e6, -1.0],
    "mu": [0.0, 1e-300, 0.5, 3.0, 1e3, 1e10, -1.0],
}  # fmt: skip
LEAST = -690.0
METHODS = [(name, method) for name, row in TABLE.items() for method in row.offered]


def grid(row, values=VALUES):
    return itertools.product(*(values[key] for key in row.shapes))


def points(row, dtype=float):
    return np.asarray(COUNTS if row.discrete else X, dtype)


def scipys_own(name, method, given):
    """Where SciPy gives a number for parameters that it calls invalid itself."""
    return (name, method) in (("bernoulli", "logcdf"), ("geom", "logcdf")) and not 0.0 < given[0] <= 1.0


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_values_are_scipys(name, method):
    row, floor = TABLE[name], 1.0 if method.startswith("log") else 1e-290
    x = points(row)
    places = [(0.0,)] if row.discrete else [(0.0, 1.0), (1.0, 2.5), (0.0, 0.0), (0.0, -1.0)]
    with np.errstate(all="ignore"):
        for given, place in itertools.product(grid(row), places):
            if scipys_own(name, method, given):
                continue
            expected = getattr(getattr(scipy.stats, name), method)(x, *given, *place)
            # log Γ of 1e10 is 2e11, so 1e-5 in the difference of two such numbers is rounding, in SciPy too.
            rtol = 1e-4 if name in ("chi2", "nbinom") and max(given) >= 1e10 else 2e-9
            found = np.asarray(getattr(row, method)(x, *given, *place))
            if method.startswith("log"):  # SciPy returns -inf where a probability is too small for a float
                found = np.where((found < LEAST) & np.isneginf(expected), -np.inf, found)
            if name == "weibull_min":  # where x^c overflows, SciPy's density is ∞·0
                expected = np.where(np.isnan(expected) & (x == 1e300) & (found == 0.0), 0.0, expected)
            np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol * floor, err_msg=str((given, place)))


FEW = {
    "df": [0.5, 2.0, 250.0, np.inf, 0.0], "a": [0.5, 2.0, 0.0], "b": [0.5, 3.0, -1.0], "s": [0.5, 30.0, 0.0],
    "c": [0.5, 3.0, 0.0], "p": [0.0, 0.3, 1.0, 1.5], "n": [0.0, 1.5, 2.0], "mu": [0.0, 3.0, -1.0],
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "method"), METHODS)
def test_eager_is_compiled_in_both_dtypes(name, method, dtype):
    row, rtol = TABLE[name], 1e-4 if dtype == "float32" else 1e-9
    with np.errstate(all="ignore"), without_numba():
        x = points(row, dtype)
        compiled = tg.jit(lambda x, *given: getattr(row, method)(x, *given))
        for given in grid(row, FEW):
            arrays = [np.full(x.shape, value, dtype) for value in given]
            eager = getattr(row, method)(x, *arrays)
            assert eager.dtype == dtype
            assert getattr(row, method)(x, *given).dtype == dtype  # plain numbers do not change the dtype
            np.testing.assert_allclose(compiled(x, *arrays), eager, rtol=rtol, atol=1e-6, err_msg=str(given))


def test_infinities_in_machine_code():
    """e^x is infinite before it becomes part of a sum: x - e^x at infinity is NaN, as in NumPy."""
    with np.errstate(all="ignore"):
        for dtype in ("float64", "float32"):
            x = np.array([-np.inf, np.inf, -800.0, 800.0, np.nan], dtype)
            found = tg.jit(lambda x: (x - tg.ops.exp(x), x - tg.ops.expm1(x), tg.stats.gumbel_r.logpdf(x)))(x)
            for y, expected in zip(found, (x - np.exp(x), x - np.expm1(x), tg.stats.gumbel_r.logpdf(x)), strict=True):
                np.testing.assert_array_equal(y, expected)


def test_the_logarithm_of_a_small_share_in_float32():
    """Φ(-14) is 0 in float32; compiled, its logarithm was -inf from there to -30."""
    x = np.linspace(-60.0, 10.0, 200).astype("float32")
    with without_numba():
        np.testing.assert_allclose(tg.jit(tg.ops.log_ndtr)(x), tg.ops.log_ndtr(x), rtol=1e-5)
