"""The ways of large arrays: where gives the bits of np.where, sigmoid and log_sigmoid SciPy's numbers to rounding."""

import itertools

import numpy as np
import pytest
import scipy.special

import tinygrad_edu as tg
from tinygrad_edu.core.elementwise.large_arrays import FEW

SPECIAL = [
    0.0, -0.0, np.inf, -np.inf, np.nan, 1e-300, 1e-42, 30.0, -30.0, 86.0, -86.9, -88.0, -103.0, -720.0, 3.0, 710.0,
]  # fmt: skip


def drawn(dtype, shape=(4, FEW)):
    rng = np.random.default_rng(0)
    return (10.0 ** rng.uniform(-3, 1, shape) * rng.choice([-1, 1], shape)).astype(dtype)


BRANCHES = {
    "arrays": lambda x: (x, 2 * x), "array and number": lambda x: (x, 0.5), "number and NaN": lambda x: (np.nan, x),
    "two numbers": lambda _: (1.0, -np.inf), "other dtype": lambda x: (x, x.astype("f8")),
    "large number": lambda x: (x, 1e39),
    "whole numbers": lambda _: (1, 0), "row": lambda x: (x[:1], x), "NumPy's number": lambda x: (np.float64(2.0), x),
    "reversed": lambda x: (x[:, ::-1], x), "along the columns": lambda x: (np.asfortranarray(x), -x),
    "empty axis": lambda x: (x[None], x),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BRANCHES)
def test_where_has_the_bits_of_numpys(name, dtype):
    x = drawn(dtype)
    x[:, : len(SPECIAL)] = np.array(SPECIAL, dtype)
    a, b = BRANCHES[name](x)
    for condition in (x > 0.3, x != x, np.ones(x.shape, bool), x > np.inf, x[0] > 0.0, x.astype(float)):
        with np.errstate(over="ignore"):
            found, expected = tg.ops.where(condition, a, b), np.where(condition, a, b)
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(expected).tobytes()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "scipys"), [("sigmoid", "expit"), ("log_sigmoid", "log_expit")])
def test_numbers_of_scipy(name, scipys, dtype):
    usual, special = drawn(dtype), np.tile(np.array(SPECIAL, dtype), FEW // 8)
    with np.errstate(all="ignore"):
        for x in (usual, special, usual[:, ::-1], usual.T, np.full(FEW, -86.9, dtype), np.full(FEW, 80.0, dtype)):
            found, exact = getattr(tg.ops, name)(x), getattr(scipy.special, scipys)(x.astype("g").astype("f8"))
            expected = getattr(scipy.special, scipys)(x)
            assert found.dtype == x.dtype
            assert np.array_equal(np.isnan(found), np.isnan(expected))
            tiny = float(np.finfo(dtype).tiny)
            close = np.abs(found - exact) <= 5 * np.spacing(np.maximum(np.abs(expected), tiny))
            assert np.all(close | (found == expected) | np.isnan(expected))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["leaky_relu", "elu", "selu", "silu", "sigmoid", "log_sigmoid", "softplus"])
def test_activations_of_many_numbers_are_those_of_few(name, dtype):
    """The same values and gradients in one large array and in pieces of it."""
    x, f = drawn(dtype, (FEW,)), getattr(tg.ops, name)
    given = tg.Tensor(x, requires_grad=True)
    y = f(given)
    y.sum().backward()
    for i, j in itertools.pairwise(range(0, FEW + 1, FEW // 4)):
        piece = tg.Tensor(x[i:j], requires_grad=True)
        z = f(piece)
        z.sum().backward()
        limit = {"rtol": 1e-6, "atol": 1e-7} if dtype == "float32" else {"rtol": 1e-14, "atol": 1e-16}
        assert np.allclose(y.data[i:j], z.data, **limit)
        assert np.allclose(given.grad[i:j], piece.grad, **limit)
