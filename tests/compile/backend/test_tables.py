"""tanh of float32 by a table: its error, limits and signs."""

import numpy as np
import pytest
from llvmlite import ir

from tinygrad_edu.compile.backend import cache, tables
from tinygrad_edu.compile.codegen import module_writer

BOUND = 1.5  # ulp; 1.40 measured for all float32
LOOP = "    for i in range(x.shape[0]):\n        out[i] = tanh_by_table(x[i])"


@pytest.fixture(scope="module")
def tanh():
    text = module_writer.module("", "tanh_of_all", "x, out", LOOP, accurate=True, whole=False)
    function = cache.load(text, "program").tanh_of_all

    def compute(x):
        x = np.asarray(x, dtype=np.float32)
        out = np.empty_like(x)
        function(x, out)
        return out

    return compute


def test_error_and_symmetry(tanh):
    x = np.arange(1, 0x7F800000, 1009, dtype=np.int32).view(np.float32)  # every 1009th positive float32
    y, exact = tanh(x), np.tanh(x.astype(float))
    assert np.max(np.abs(y - exact) / np.spacing(exact.astype(np.float32))) <= BOUND
    assert np.array_equal(tanh(-x), -y)
    assert np.all(np.diff(y) >= -np.spacing(y[1:]))  # it falls nowhere but by a rounding error


def test_limits(tanh):
    x = [0.0, -0.0, np.inf, -np.inf, 1e30, -9.25, 1e-45, -1e-45]
    y = tanh(x)
    np.testing.assert_array_equal(y, np.float32([0.0, -0.0, 1.0, -1.0, 1.0, -1.0, 1e-45, -1e-45]))
    np.testing.assert_array_equal(np.signbit(y), np.signbit(x))
    assert np.isnan(tanh([np.nan, -np.nan])).all()


def test_only_float32():
    with pytest.raises(NotImplementedError, match="float32, not double"):
        tables.tanh_by_table(None, ir.Constant(ir.DoubleType(), 1.0))
