"""erf of large float32 arrays: the numbers of SciPy's in float64, rounded."""

import numpy as np
import pytest
import scipy.special

import tinygrad_edu as tg
from tinygrad_edu.core.elementwise.error_function import AT_ONCE, FEW


def test_within_a_unit_of_the_last_place():
    x = np.concatenate([np.linspace(-5, 5, 200_001), np.geomspace(1e-44, 10, 20_001)]).astype(np.float32)
    found, true = tg.ops.erf(x), scipy.special.erf(x.astype(float))
    assert found.dtype == np.float32
    assert np.all(np.abs(found - true) <= 0.9 * np.spacing(np.abs(true).astype(np.float32)))
    assert np.all(np.diff(found[:200_001]) >= 0.0)


def test_special_numbers_in_any_place():
    special = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, 3e38, -3e38], np.float32)
    x = np.tile(special, AT_ONCE // 8 + 5)
    found, expected = tg.ops.erf(x), scipy.special.erf(x)
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.array_equal(np.signbit(found[x == 0.0]), np.signbit(x[x == 0.0]))


@pytest.mark.parametrize("shape", [(FEW,), (2, FEW), (FEW - 1,), (3, 1000, 7), (0,), ()])
def test_shapes_and_strides(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    for given in (x, x.T, x[..., ::-1] if x.ndim else x):
        found = tg.ops.erf(given)
        assert np.shape(found) == given.shape
        assert np.allclose(found, scipy.special.erf(given), rtol=2e-7, atol=0)


def test_float64_and_gradients_are_as_before():
    x = np.random.default_rng(0).normal(size=FEW)
    assert np.array_equal(tg.ops.erf(x), scipy.special.erf(x))
    t = tg.Tensor(x.astype(np.float32), requires_grad=True)
    t.gelu().sum().backward()
    density = np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
    assert np.allclose(t.grad, scipy.special.ndtr(x) + x * density, atol=1e-6)
