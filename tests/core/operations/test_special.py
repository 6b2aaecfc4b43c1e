"""The formulas of core.special for floats and compiled programs against SciPy's functions, far from the origin too."""

import itertools
import math

import numpy as np
import pytest
import scipy.special

import tinygrad_edu as tg
from tinygrad_edu.errors import UnsupportedNumpyError

X = np.array([1e-3, 0.1, 0.5, 1.0, 1.5, 2.0, 3.7, 10.0, 25.5, 1e3, 1e6])
NEGATIVE = np.array([-0.1, -0.5, -1.25, -3.7])


@pytest.mark.parametrize("n", [0.0, 1.0, 2.0, 3.0, 5.0])
def test_polygamma_is_scipys(n):
    expected = scipy.special.polygamma(int(n), X)
    np.testing.assert_allclose([tg.ops.polygamma(n, float(x)) for x in X], expected, rtol=1e-13)
    np.testing.assert_allclose(tg.ops.polygamma(n, X), expected, rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_polygamma_below_zero(n):
    """It was the sum alone, of which ten terms say nothing about x < -9: 0.5 in place of 15 at -20.3, say."""
    x = np.array([-1e-3, -0.3, -0.5, -1.25, -3.7, -8.3157, -9.5, -20.3, -100.7])
    expected = scipy.special.polygamma(n, x)
    for found in (tg.ops.polygamma(float(n), x), [tg.ops.polygamma(float(n), float(v)) for v in x]):
        np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-10)
    np.testing.assert_allclose(
        tg.jit(lambda x: tg.ops.polygamma(float(n), x) + 0.0)(x), expected, rtol=1e-11, atol=1e-10
    )
    assert np.isnan(tg.ops.polygamma(5.0, -20.3))  # rather than a wrong number
    if n < 4:
        assert tg.gradcheck(lambda x: np.sum(tg.ops.polygamma(float(n), x)), x[1:6])


def test_the_gradient_of_digamma_below_zero():
    x = np.array([-1.5, -8.3157, -20.3])
    found = tg.grad(lambda x: np.sum(scipy.special.digamma(x)))(x)
    np.testing.assert_allclose(found, scipy.special.polygamma(1, x), rtol=1e-12)


@pytest.mark.parametrize("name", ["ndtri", "log_ndtr"])
def test_floats_keep_the_digits_of_small_shares(name):
    shares = np.array([1e-300, 1e-100, 1e-20, 1e-9, 0.99e-9, 1e-3, 0.3, 0.5, 0.7, 0.999, 1.0 - 1e-10])
    at = {"ndtri": shares, "log_ndtr": [-1e3, -45.0, -30.01, -29.99, -5.0, -1.0, 0.0, 1.0, 5.0, 9.0, 40.0]}[name]
    f, expected = getattr(tg.ops, name), getattr(scipy.special, name)(at)
    np.testing.assert_allclose([f(float(v)) for v in at], expected, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(tg.jit(lambda x: f(x) + 0.0)(np.asarray(at)), expected, rtol=1e-13, atol=1e-15)


def test_the_slope_of_log_ndtr_far_below_zero():
    x = np.array([-29.99, -30.01, -1e3, -1e6, -1e8, -1e10])
    expected = -x + 1.0 / -x * (1.0 - 2.0 / x**2)  # asymptotic series of φ(x)/Φ(x)
    for f in (tg.ops.log_ndtr, tg.jit(tg.ops.log_ndtr)):
        np.testing.assert_allclose(tg.grad(lambda x, f=f: np.sum(f(x)))(x), expected, rtol=1e-7)
    np.testing.assert_allclose([tg.grad(tg.ops.log_ndtr)(float(v)) for v in x], expected, rtol=1e-7)
    second = tg.grad(tg.grad(tg.ops.log_ndtr))(-1e6)
    np.testing.assert_allclose(second, -1.0, rtol=1e-7)


def test_the_ends_of_ndtri():
    expected = [-np.inf, np.inf, np.nan, np.nan]
    np.testing.assert_array_equal([tg.ops.ndtri(x) for x in (0.0, 1.0, -0.1, 1.1)], expected)
    np.testing.assert_array_equal(tg.ops.ndtri(np.array([0.0, 1.0, -0.1, 1.1])), expected)


@pytest.mark.parametrize("name", ["digamma", "gammaln"])
def test_floats_and_arrays_agree(name):
    x = np.concatenate([X, NEGATIVE])
    scale = np.maximum(np.abs(getattr(scipy.special, name)(x)), 1.0)
    found = np.array([getattr(tg.ops, name)(float(v)) for v in x])
    assert (np.abs(found - getattr(scipy.special, name)(x)) <= 1e-13 * scale).all()


@pytest.mark.parametrize(
    "name",
    [
        "expit",
        "logit",
        "log_expit",
        "erf",
        "erfc",
        "gammaln",
        "digamma",
        "psi",
        "ndtr",
        "log_ndtr",
        "ndtri",
        "erfinv",
        "entr",
    ],
)
def test_scipys_own_functions_are_differentiable(name):
    x = np.array([0.2, 0.7])
    f = getattr(scipy.special, name)
    y = f(tg.Tensor(x, requires_grad=True))
    assert isinstance(y, tg.Tensor)
    np.testing.assert_array_equal(y.data, f(x))
    assert tg.gradcheck(lambda x: np.sum(np.sin(f(x))), x)
    assert tg.gradcheck(tg.grad(lambda x: np.sum(np.sin(f(x)))), x)


@pytest.mark.parametrize("name", ["betaln", "xlogy", "xlog1py"])
def test_scipys_functions_of_two_numbers_too(name):
    f = getattr(scipy.special, name)
    assert tg.gradcheck(lambda a, b: np.sum(f(a, b)), np.array([0.2, 0.7]), np.array([1.5, 0.3]))
    assert isinstance(f(tg.Value(0.5), 2.0), tg.Value)


def test_sinc_is_smooth_at_0():
    """1 - p²/6 + p⁴/120 with p = πx, so that the derivatives at 0 are 0, -π²/3, 0, π⁴/5."""
    f, found = tg.ops.sinc, []
    for _ in range(5):
        found.append(f(0.0))
        f = tg.grad(f)
    np.testing.assert_allclose(found, [1.0, 0.0, -(np.pi**2) / 3.0, 0.0, np.pi**4 / 5.0], atol=1e-12)


@pytest.mark.parametrize("name", ["floor", "ceil", "trunc", "rint"])
def test_whole_numbers_are_numpys(name):
    """Also halves, numbers above 2⁵², infinities and NaN: as floats and compiled."""
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999999999999994, 2.0**53 + 2.0, 1e300, np.inf, -np.inf, np.nan, 0.0])
    f = getattr(tg.ops, name)
    expected = getattr(np, name)(x)
    np.testing.assert_array_equal([f(float(v)) for v in x], expected)
    np.testing.assert_array_equal(tg.jit(lambda x: f(x) + 0.0)(x), expected)


@pytest.mark.parametrize("name", ["mod", "fmod", "floor_divide"])
def test_remainders_are_numpys(name):
    a, b = (v.ravel() for v in np.meshgrid([7.5, -7.5, 1.0, 0.3, -1e-300, 0.0], [2.0, -2.0, 0.1, np.inf, -np.inf]))
    f = getattr(tg.ops, name)
    expected = getattr(np, name)(a, b)
    np.testing.assert_array_equal(np.array([f(float(p), float(q)) for p, q in zip(a, b, strict=True)]), expected)
    np.testing.assert_array_equal(tg.jit(lambda a, b: f(a, b) + 0.0)(a, b), expected)


def test_erfinv_is_scipys():
    x = np.concatenate(
        [np.linspace(-0.999, 0.999, 51), [0.0, 1e-300, 1.0 - 1e-12, -1.0 + 1e-15, 1.0, -1.0, 1.5, np.nan]]
    )
    with np.errstate(all="ignore"):
        expected = scipy.special.erfinv(x)
    found = np.array([tg.ops.erfinv(float(v)) for v in x])
    slope = np.sqrt(np.pi) / 2.0 * np.exp(np.minimum(expected**2, 700.0))  # effect of a rounding error in x
    with np.errstate(invalid="ignore"):
        near = np.abs(found - expected) <= 1e-15 * np.abs(expected) + 2.3e-16 * slope
    assert (near | (found == expected) | (np.isnan(found) & np.isnan(expected))).all()
    np.testing.assert_allclose(tg.jit(lambda x: tg.ops.erfinv(x) + 0.0)(x[:51]), expected[:51], rtol=1e-13)


NUMBERS = [0.0, -0.0, -1.0, -2.0, np.inf, -np.inf, np.nan, 1.0, -0.5, 2.5, 7.0]


@pytest.mark.parametrize("way", ["floats", "jit"])
def test_betaln_keeps_its_digits_far_from_0(way):
    """B(n, x) = (n - 1)!/(x·(x + 1)···(x + n - 1)) of whole n."""
    far = 10.0 ** np.linspace(1.9, 300.0, 200)
    f = tg.jit(tg.ops.betaln) if way == "jit" else np.vectorize(lambda a, b: tg.ops.betaln(float(a), float(b)))
    for n in (1, 2, 5):
        wanted = math.log(math.factorial(n - 1)) - sum(np.log(far + k) for k in range(n))
        np.testing.assert_allclose(f(np.full_like(far, n), far), wanted, rtol=1e-13)
        np.testing.assert_allclose(f(far, np.full_like(far, n)), wanted, rtol=1e-13)


def test_betaln_at_poles_and_at_infinity():
    """The table's own formula, for a Value, a tape and a program, gives what SciPy gives."""
    for a, b in itertools.product(NUMBERS, repeat=2):
        wanted = scipy.special.betaln(a, b)
        with np.errstate(all="ignore"):
            ways = [tg.ops.betaln(tg.Value(a), tg.Value(b)).data, tg.ops.betaln(tg.Tensor(a), tg.Tensor(b)).item()]
            ways += [tg.ops.betaln.ieee_function(a, b)]
        np.testing.assert_allclose(ways, wanted, rtol=1e-9, err_msg=f"{a}, {b}")


def test_polygamma_has_no_derivative_by_its_order():
    """It was 0 without a word, though the values change with n."""
    n = np.array([1.0, 2.0])
    with pytest.raises(UnsupportedNumpyError, match="polygamma has no derivative by n here: give n as plain numbers"):
        tg.grad(lambda n: np.sum(tg.ops.polygamma(n, 1.3)))(n)
    for f in (lambda n: tg.ops.polygamma(n, 1.3), tg.jit(lambda n: tg.ops.polygamma(n, 1.3) + 0.0)):
        assert np.isnan(tg.grad(f)(2.0))
    slope = tg.jit(tg.grad(lambda n, x: np.sum(tg.ops.polygamma(n, x)), 1))(n, np.array([1.3, 0.7]))
    np.testing.assert_allclose(slope, [scipy.special.polygamma(2, 1.3), scipy.special.polygamma(3, 0.7)], rtol=1e-12)
