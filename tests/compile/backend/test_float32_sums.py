"""Sums of float32 in compiled code: as near as NumPy's pairwise ones; those of long rows with accurate=True alone."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg

RNG = np.random.default_rng(0)
LARGE = {
    "equal": np.full(1_000_000, 0.1, np.float32),
    "alike": (RNG.normal(size=1_000_000) + 100.0).astype(np.float32),
    "small after large": np.r_[np.float32(1e6), np.full(999_999, 0.01, np.float32)],
}
SUMS = {
    "sum": lambda x: np.sum(x),
    "mean": lambda x: np.mean(x),
    "squares": lambda x: np.sum(x * x),
    "one row": lambda x: np.sum(x.reshape(1, -1), axis=1)[0],
    "matrix": lambda x: np.sum(x.reshape(1000, -1)),
    "two axes of three": lambda x: np.sum(np.sum(x.reshape(10, 4, -1), axis=(0, 2))),
    "variance": lambda x: np.var(x),
}


# Each setting once, not every pair: `accurate` selects functions, which no sum calls.
@pytest.mark.slow
@pytest.mark.parametrize(("accurate", "parallel"), [(False, False), (True, True)])
@pytest.mark.parametrize("name", SUMS)
def test_a_million_numbers(name, accurate, parallel):
    f = tg.jit(SUMS[name], accurate=accurate, parallel=parallel)
    for x in LARGE.values():
        true = SUMS[name](x.astype(float))
        scale = np.mean(np.square(x.astype(float))) if name == "variance" else np.abs(true)
        assert abs(f(x) - true) <= 1e-6 * scale


def test_the_gradient_of_a_mean_of_many():
    loss, gradient = tg.value_and_grad(tg.jit(lambda w, x: np.mean((x - w) ** 2)))(np.float32([0.5]), LARGE["equal"])
    assert loss == pytest.approx(0.16, rel=1e-6)
    np.testing.assert_allclose(gradient, [0.8], rtol=1e-6)


SHAPES = [(0,), (1,), (5,), (1024,), (1025,), (2500,), (1, 7), (7, 1), (0, 3), (3, 0), (2, 1100), (1100, 2), (3, 1, 4),
          (1, 1, 1), (2, 3, 40), (1, 2000, 1)]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_all_axes_of_small_shapes(rank):
    for axis in [c for n in range(1, rank + 1) for c in itertools.combinations(range(rank), n)]:
        program = tg.jit(lambda x, axis=axis: np.sum(x * 2.0, axis=axis) + np.sum(x, axis=axis))
        for shape in [shape for shape in SHAPES if len(shape) == rank]:
            x = RNG.normal(size=shape).astype(np.float32)
            true = 3.0 * x.astype(float).sum(axis=axis)
            np.testing.assert_allclose(np.asarray(program(x)), true, rtol=1e-4, atol=1e-4)
