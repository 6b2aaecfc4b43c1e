"""Statistics that divide by a count keep float32 under jit, as in NumPy."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba

X = np.array([[1.0, 2.0, 4.0], [0.5, -1.0, 3.0]], np.float32)
STATISTICS = {
    "var": lambda x: np.var(x, axis=1, ddof=1),
    "std": lambda x: np.std(x, axis=0, ddof=1),
    "var of PyTorch": lambda x: x.var(axis=0, ddof=1),
    "var of all": lambda x: x - np.var(x, ddof=1),
    "cov": lambda x: np.cov(x),
    "corrcoef": lambda x: np.corrcoef(x),
    "average": lambda x: np.average(x, axis=0),
    "mean": lambda x: np.mean(x, axis=0),
    "nanvar": lambda x: np.nanvar(x, axis=0, ddof=1),
    "gradient": lambda x: np.gradient(x, axis=1),
    "norm": lambda x: x / np.linalg.norm(x, axis=1, keepdims=True),
}


@pytest.mark.parametrize("name", STATISTICS)
def test_as_numpy(name):
    f = STATISTICS[name]
    with without_numba():
        found = tg.jit(f)(X)
    assert found.dtype == f(X).dtype
    np.testing.assert_allclose(found, f(X), rtol=1e-5)


@pytest.mark.parametrize(
    "f", [lambda x: x * x, lambda x: np.minimum(x, 2.0), lambda x: np.abs(x) ** np.array([1.0, 2.0, 3.0])]
)
def test_the_gradient_by_a_tensor_has_its_dtype_beside_float64(f):
    t, c = tg.Tensor(X), np.array([1.0, 2.0, 3.0])
    for g in (tg.grad(lambda x: np.sum(f(x) * c))(t), tg.vjp(lambda x: np.sum(f(x) * c), t)[1](1.0)[0]):
        assert g.dtype == np.float32
    assert tg.grad(lambda x: np.sum(tg.grad(lambda z: np.sum(f(z) * c))(x) ** 2))(t).dtype == np.float32
