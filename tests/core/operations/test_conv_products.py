"""The two orders of factors in the gradient of a convolution's weight."""

import numpy as np
import pytest

from tinygrad_edu.core.arrays.conv import conv_weight

CASES = {  # (samples, channels in, channels out, length, kernel size, groups)
    "few windows": (3, 4, 32, 40, 3, 2), "few channels": (3, 4, 8, 40, 3, 2), "many windows": (2, 4, 32, 300, 3, 2),
    "large columns": (2, 128, 16, 200, 3, 1),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", CASES)
def test_the_weights_gradient_is_a_sum_over_windows(case, dtype):
    samples, channels, out, length, size, groups = CASES[case]
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, channels, length)).astype(dtype)
    g = rng.normal(size=(samples, out, length - size + 1)).astype(dtype)
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=-1)
    parts = zip(np.split(g, groups, axis=1), np.split(windows, groups, axis=1), strict=True)
    expected = np.concatenate([np.einsum("sow,scwk->ock", y, w) for y, w in parts])
    found = conv_weight(x, g, (size,), (1,), (1,), groups)
    assert found.dtype == dtype
    rtol = 1e-11 if dtype == "float64" else 1e-3
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
