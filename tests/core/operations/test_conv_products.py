"""The two orders of factors in the gradient of a convolution's weight, and the two ways of a transposed one."""

import numpy as np
import pytest

from tinygrad_edu.core.arrays.conv import conv_transpose, conv_weight

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


GROUPED = {  # (groups, channels and outputs of a group, windows, kernel size, dilation, room beyond the windows)
    "depthwise": (3, 1, 1, (5,), (3,), (1,), 0), "two of each": (2, 2, 3, (4, 3), (2, 3), (1, 2), 0),
    "a larger shape": (4, 1, 2, (3, 3), (3, 1), (2, 1), 2), "one sample": (2, 1, 1, (1, 1), (2, 2), (1, 1), 1),
}  # fmt: skip


@pytest.mark.parametrize("special", [None, np.inf, np.nan])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", GROUPED)
def test_a_transposed_convolution_of_groups_is_one_of_each_group(case, dtype, special):
    groups, channels, out, counts, size, dilation, more = GROUPED[case]
    rng = np.random.default_rng(0)
    y = rng.normal(size=(2, groups * out, *counts)).astype(dtype)
    w = rng.normal(size=(groups * out, channels, *size)).astype(dtype)
    shape = tuple(n + d * (k - 1) + more for n, k, d in zip(counts, size, dilation, strict=True))
    one = (1,) * len(size)
    if special is not None:
        w[0, 0, 0], y[0, -1, -1] = special, special
    with np.errstate(invalid="ignore"):
        found = conv_transpose(y, w, shape, one, dilation, groups)
        parts = zip(np.split(y, groups, axis=1), np.split(w, groups), strict=True)
        expected = np.concatenate([conv_transpose(part, v, shape, one, dilation, 1) for part, v in parts], axis=1)
    assert found.dtype == expected.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-5)
