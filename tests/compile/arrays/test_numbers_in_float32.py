"""Programs of float32 arrays: what NumPy computes beside them in float64, numbers and fractions of whole numbers."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import DtypeError, TraceError

X = np.array([1.0, 2.0, -3.0], np.float32)
DIFFERENCES = {  # few digits are left of what is subtracted
    "of a time": lambda n: n - 1.7e9,
    "of a quotient": lambda n: (n * 1000 + 17) / 1000 - 1.7e9,
    "of thirds": lambda n: n / 3 - 566666666,
    "from one": lambda n: 1 - 0.999 ** (n - 1699999999),
    "of roots": lambda n: np.sqrt(n) - 41231.0,
    "of sines": lambda n: np.sin(n) - np.sin(n - 1),
    "inside a mean": lambda n: np.mean(n / 7) - 242857143.0,
    "in the rounds of a loop": lambda n: tg.scan(lambda s, r: (s + (n / 7 - 242857143.0) * r, None), n * 0.0, X)[0],
}
GIVEN = {
    "int": 1700000003,
    "float": 1700000000.3,
    "np.int64": np.int64(1700000003),
    "0-d": np.array(1700000000.3),
    "array": np.array([1700000003, 1700000005, 1699999999]),
    "int32": np.array([1700000003, 1700000005, 1699999999], np.int32),
}
WAYS = {
    "x·d": lambda x, d: x * d,
    "where": lambda x, d: np.where(x > 0.0, x, d),
    "sum": lambda x, d: np.sum(x * np.tanh(d)),
}


@pytest.mark.parametrize("given", GIVEN)
@pytest.mark.parametrize("difference", DIFFERENCES)
def test_as_numpy_without_jit(difference, given):
    n, d = GIVEN[given], DIFFERENCES[difference]
    with without_numba():
        for way, join in WAYS.items():
            jitted, expected = tg.jit(lambda x, n, join=join: join(x, d(n))), join(X, d(n))
            if (difference, given) == ("of a quotient", "int32"):  # n * 1000 is wrapped round
                with pytest.raises(DtypeError, match="wraps"):
                    jitted(X, n)
                continue
            found = jitted(X, n)
            np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-6, err_msg=way)
            assert given not in ("array", "int32") or way == "sum" or found.dtype == expected.dtype


def test_products_with_whole_numbers_have_the_dtype_of_numpy():
    """float64 beside int64, and for images of 8 bits over 255.0, which NumPy has in float64."""
    for f in (
        lambda x, n: x * n,
        lambda x, n: x * (n / 3),
        lambda x, n: x * (np.mean(n) - 2.5),
        lambda x, n: x[n] * (n > 1),
        lambda x, n: x * ((n.astype(np.uint8) / 255.0 - 0.5) * 2.0),
    ):
        with without_numba():
            found = tg.jit(f)(X, np.array([0, 1, 2]))
        expected = f(X, np.array([0, 1, 2]))
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-12 if found.dtype == np.float64 else 1e-6)


def test_the_loops_stay_narrow():
    """Compiled: the number is cast before it meets an array."""
    jitted = tg.jit(lambda x, t: np.sum(x * t) / (1.0 - 0.999**t))
    found, (dx, dt) = jitted.value_and_grad(X + 4.0, 1.0, argnum=(0, 1))
    assert found == pytest.approx(12000.0)
    np.testing.assert_allclose(dx, np.full(3, 1000.0), rtol=1e-6)
    assert dt == pytest.approx(tg.grad(lambda t: 12.0 * t / (1.0 - 0.999**t))(1.0), rel=1e-4)
    assert "x[i0] * np.float32(t)" in jitted.source


OUTSIDE = {
    "add": (lambda n: n + 300, np.int8),
    "maximum": (lambda n: np.maximum(n, 300), np.int8),
    "where": (lambda n: np.where(n > 2, n, 300), np.int8),
    "where of the largest": (lambda n: np.where(n > 2, n, np.iinfo(np.int64).max), np.int32),
    "where of -1": (lambda n: np.where(n > 2, n, -1), np.uint8),
    "mul": (lambda n: n * 2**40, np.int32),
}


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_number_out_of_the_bounds_of_the_dtype_beside_it(name):
    """NumPy raises OverflowError, or wraps it round in np.where: 300 of int8 is 44."""
    f, dtype = OUTSIDE[name]
    with pytest.raises(TraceError, match="out of its bounds"):
        tg.jit(lambda x, n: x * f(n))(X, np.array([1, 2, 3], dtype))
    with without_numba():
        wide = tg.jit(lambda x, n: x * f(n.astype(np.int64)))(X, np.array([1, 2, 3], dtype))
    np.testing.assert_allclose(wide, X * f(np.array([1, 2, 3])), rtol=1e-6)


def test_bounds_of_clip_and_comparisons_may_be_outside():
    n = np.array([1, 2, 3], np.int8)
    for f in (lambda x, n: x * np.clip(n, 0, 300), lambda x, n: x * (n < 300)):
        with without_numba():
            np.testing.assert_allclose(tg.jit(f)(X, n), f(X, n))
