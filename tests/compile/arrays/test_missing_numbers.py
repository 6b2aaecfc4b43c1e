"""Sums and products that skip NaN: of whole numbers and truth values they are whole numbers, compiled too."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba

FUNCTIONS = [np.nansum, np.nanprod, np.nancumsum, np.nancumprod, np.nanmax, np.nanmin, np.nanmean, np.nanvar]
ARRAYS = {
    "int64": np.array([3, -1, 2]),
    "int32": np.array([[1, 2], [3, 4]], np.int32),
    "uint8": np.array([3, 1, 2], np.uint8),
    "bool": np.array([True, False]),
    "float64": np.array([3.0, np.nan]),
    "float32": np.array([3.0, np.nan], np.float32),
}


def results(x):
    return {f.__name__: f(x) for f in FUNCTIONS if not (x.dtype == bool and f is np.nanvar)}  # float16


@pytest.mark.parametrize("name", ARRAYS)
def test_as_numpy(name):
    with without_numba():
        found = tg.jit(results)(ARRAYS[name])
    for key, y in results(ARRAYS[name]).items():
        np.testing.assert_allclose(found[key], y, rtol=1e-6, err_msg=key)
        assert np.asarray(found[key]).dtype == y.dtype, key
