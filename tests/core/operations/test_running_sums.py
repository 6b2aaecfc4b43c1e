"""Running sums and products of single numbers, and trapezoids of arrays of unlike axes: NumPy's values everywhere."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg

SHAPES = [(), (1,), (4,), (1, 4), (4, 1), (3, 4), (4, 4), (2, 3, 4)]


@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_of_one_number(name, axis):
    f = getattr(tg.ops, name)
    for x in (2.0, 0.0):
        found = [
            f(np.array(x), axis=axis),
            f(tg.Tensor(np.array(x)), axis=axis).data,
            tg.vmap(lambda t: f(t, axis=axis))(np.array([x, 1.0]))[0],
            tg.jit(lambda t: f(t, axis=axis))(np.array(x)),
        ]
        assert [np.asarray(y).tolist() for y in found] == [[x]] * 4
        total = lambda t: tg.ops.sum(f(t, axis=axis) ** 2)  # noqa: E731
        assert float(tg.grad(total)(np.array(x))) == 2.0 * x
        assert tg.vmap(tg.grad(total))(np.array([x]))[0] == 2.0 * x
        assert float(tg.jit(total).value_and_grad(np.array(x))[1]) == 2.0 * x


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_trapezoids(axis):
    """Whatever NumPy takes, with its values and shape; nothing else."""
    rng = np.random.default_rng(0)
    for of_y, of_x in itertools.product(SHAPES, SHAPES):
        y, x = rng.normal(size=of_y), rng.normal(size=of_x)
        try:
            expected = np.trapezoid(y, x, axis=axis)
        except (ValueError, IndexError):
            with pytest.raises((ValueError, IndexError)):
                tg.ops.trapezoid(tg.Tensor(np.array(y)), x, axis=axis)
            continue
        found = tg.ops.trapezoid(tg.Tensor(np.array(y)), x, axis=axis).data
        assert np.shape(found) == np.shape(expected)
        np.testing.assert_allclose(found, expected, atol=1e-14)
