"""The gradient of x[index] adds up entries that stand twice, in the order of np.add.at, to the last bit."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.shapes import put

KINDS = ["int64", "int8", "int32", "uint8"]


def drawn_index(rng, shape):
    """Arrays of whole numbers for some of the first axes, also below 0, of few bits, broadcast, or as lists; masks."""
    if rng.random() < 0.1:
        return rng.random(shape[: rng.integers(1, len(shape) + 1)]) < 0.5
    axes, sizes = rng.integers(1, len(shape) + 1), tuple(rng.integers(0, 4, size=rng.integers(0, 3)))
    dtype = rng.choice(KINDS)
    parts = [rng.integers(0 if dtype == "uint8" else -n, n, size=sizes).astype(dtype) for n in shape[:axes]]
    if len(parts) > 1 and sizes and rng.random() < 0.3:
        parts[0] = parts[0][..., :1]
    if len(parts) == 1 and sizes and rng.random() < 0.5:
        return parts[0].tolist() if rng.random() < 0.5 else parts[0]
    return tuple(parts)


@pytest.mark.parametrize("seed", range(3))
def test_the_same_bits_as_numpys_loop(seed):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        shape = tuple(rng.integers(1, 5, size=rng.integers(1, 5)))
        index = drawn_index(rng, shape)
        for dtype in ("float64", "float32"):
            g, expected = rng.normal(size=np.zeros(shape)[index].shape).astype(dtype), np.zeros(shape, dtype)
            np.add.at(expected, index, g)
            found = put(g, index, shape)
            assert found.dtype == dtype
            assert np.array_equal(found, expected), (shape, index)


def test_many_rows_and_few_bits():
    """300 columns times row 100 is more than an int8 holds."""
    table = tg.Tensor(np.zeros((128, 300)), requires_grad=True)
    table[np.array([100, -28, 3], dtype=np.int8)].sum().backward()
    assert table.grad.sum(axis=1).nonzero()[0].tolist() == [3, 100]
    assert (table.grad[100] == 2.0).all()


@pytest.mark.parametrize("index", [range(2), (range(2), [0, 1]), (np.int8(1), np.array([0, 2])), (1, [0, 0]), True])
def test_other_indices(index):
    x, out = tg.Tensor(np.arange(6.0).reshape(2, 3), requires_grad=True), np.zeros((2, 3))
    x[index].sum().backward()
    np.add.at(out, index, 1.0)
    assert x.grad.tolist() == out.tolist()
