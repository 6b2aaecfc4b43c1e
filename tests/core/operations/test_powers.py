"""xⁿ for plain n, whole and half: within a few units of the last place, with the zeros, infinities and NaN of NumPy."""

import itertools

import numpy as np
import pytest

from tinygrad_edu import Tensor, jit
from tinygrad_edu.core.formulas.powers import FEW, power

EXPONENTS = [n / 2 for n in range(-14, 15)]
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e-300, -1e-300, 1e300, -1e300, 1e-42, -1e-42, 3e38, -3e38]


def numbers(dtype, size=2000):
    """Of both signs, with all magnitudes from 2⁻¹² to 2¹², and the special ones."""
    rng = np.random.default_rng(0)
    x = rng.choice([-1.0, 1.0], size) * np.exp2(rng.uniform(-12, 12, size))
    with np.errstate(over="ignore"):
        return np.concatenate([x, SPECIAL]).astype(dtype)


def agree(found, expected, units):
    """The same infinities, NaN and signs, and numbers within so many units of the last place."""
    assert found.dtype == expected.dtype
    assert np.array_equal(np.isnan(found), np.isnan(expected))
    usual = np.isfinite(expected) & (np.abs(expected) > np.finfo(found.dtype).tiny)
    rest = ~usual & ~np.isnan(expected)
    assert np.array_equal(np.signbit(found[~np.isnan(found)]), np.signbit(expected[~np.isnan(found)]))
    assert np.array_equal(np.isinf(found), np.isinf(expected))
    assert np.allclose(found[rest], expected[rest], rtol=0.3, atol=4 * np.finfo(found.dtype).smallest_subnormal)
    assert np.all(np.abs(found[usual] - expected[usual]) <= units * np.spacing(np.abs(expected[usual])))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", EXPONENTS)
def test_powers_of_many_and_of_few_numbers(n, dtype):
    x = numbers(dtype)
    whole = [n, int(n)] if n == int(n) else [n]
    with np.errstate(all="ignore"):
        for exponent, y in itertools.product(whole, (x, x[-FEW // 2 :], x.reshape(5, -1)[:, ::3])):
            agree(power(y, exponent), np.power(y, exponent), 3)
        zero_axes = power(x[3], n)
        assert zero_axes == np.power(x[3], n) or np.isnan(zero_axes) or abs(zero_axes / np.power(x[3], n) - 1) < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", EXPONENTS)
def test_derivatives_are_those_of_the_formula(n, dtype):
    """n·xⁿ⁻¹ in the dtype of x, eagerly; a Tensor gives the same when its gradient is differentiated again."""
    x = Tensor(numbers(dtype), requires_grad=True)
    with np.errstate(all="ignore"):
        (x**n).backward(np.ones_like(x.array))
        slope = np.dtype(dtype).type(n) * np.power(x.array, n - 1.0 if n else 0.0)
    agree(x.grad, slope, 8)


@pytest.mark.parametrize("n", [n for n in EXPONENTS if n == int(n)])
def test_compiled_whole_powers(n):
    """A few numbers of the usual size, by the tape, without a compiler: the rewritten graph counts here."""
    f = jit(lambda x: x**n)
    for x in (-2.5, -0.0, 0.0, 0.3, np.inf, -np.inf, -1e160):
        with np.errstate(all="ignore"):
            expected = float(np.power(np.float64(x), n))
            assert np.isclose(f(x), expected, rtol=1e-14, atol=0, equal_nan=True), (x, n)
            assert np.signbit(f(x)) == np.signbit(expected), (x, n)


def test_exponents_that_are_no_plain_numbers_go_to_numpy():
    x = np.array([-2.0, 3.0], np.float32)
    assert power(x, np.float64(3.0)).dtype == np.float64
    assert power(x, np.array([2.0, 3.0])).tolist() == [4.0, 27.0]
    assert power(np.array([2, 3]), 3).tolist() == [8, 27]
    with pytest.raises(OverflowError):
        power(np.ones(FEW), 10**400)
