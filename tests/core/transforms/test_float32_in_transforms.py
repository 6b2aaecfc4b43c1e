"""float32 stays float32 in every transform, also compiled; and its numbers are those of float64, rounded."""

import numpy as np
import pytest
import scipy.special

import tinygrad_edu as tg

X = np.random.default_rng(0).uniform(0.1, 0.9, size=(3, 3))
V = np.cos(X)
FUNCTIONS = {
    "exp": lambda x: np.sum(np.exp(x) * x),
    "max": lambda x: np.sum(np.max(x, axis=1) * x[:, 0]),
    "relu": lambda x: np.sum(tg.ops.relu(x - 0.5) ** 2),
    "where": lambda x: np.mean(np.where(x > 0.5, x * x, 1.0)),
    "power": lambda x: np.sum(0.7**x) + np.sum(x**x),
    "norm": lambda x: np.linalg.norm(x) * np.std(x),
    "product": lambda x: np.sum((x @ x) ** 2),
}
TRANSFORMS = {
    "jvp": lambda f: lambda x, v: tg.jvp(lambda x: f(x) * x, (x,), (v,))[1],
    "jvp_of_a_number": lambda f: lambda x, v: tg.jvp(f, (x,), (v,))[1] * x,
    "hvp": lambda f: lambda x, v: tg.hvp(f, x, v),
    "vjp": lambda f: lambda x, v: tg.vjp(lambda x: f(x) * x, x)[1](v)[0],
    "jacobian": lambda f: lambda x, v: tg.jacobian(lambda x: f(x) * x)(x),
    "vmap_grad": lambda f: lambda x, v: tg.vmap(tg.grad(f))(np.stack([x, v])),
    "vmap_jvp": lambda f: (
        lambda x, v: tg.vmap(lambda x, v: tg.jvp(lambda x: f(x) * x, (x,), (v,))[1])(np.stack([x, v]), np.stack([v, x]))
    ),
}


def check(transformed, f):
    expected = f(X, V)
    found = transformed(X.astype(np.float32), V.astype(np.float32))
    assert np.asarray(found).dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_transforms(name, transform):
    f = TRANSFORMS[transform](FUNCTIONS[name])
    check(f, f)


@pytest.mark.slow
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_compiled_transforms(transform):
    """All functions in one program; of the long programs of Jacobians two."""
    few = list(FUNCTIONS.values())[: 2 if transform == "jacobian" else None]

    def f(x, v):
        return np.stack([TRANSFORMS[transform](g)(x, v) for g in few])

    check(tg.jit(f), f)


def test_operations_beside_plain_numbers():
    x = tg.Tensor(X, dtype="float32", requires_grad=True)
    losses = [tg.ops.logistic_loss, tg.ops.log_loss, tg.ops.poisson_loss]
    pairs = [tg.ops.xlogy, tg.ops.xlog1py, tg.ops.betaln, scipy.special.betaln]
    for f in [*pairs, *losses]:
        for y in (f(x, 0.7), f(0.7, x)):
            assert y.dtype == np.float32
            y.sum().backward()


def test_a_compiled_function_knows_its_dtype():
    def f(x):
        scale = 2.0 if x.dtype == np.float32 else 3.0
        return np.sum(x * np.full(3, 0.1, x.dtype)) * scale

    x = np.array([1.0, 2.0, 4.0])
    for dtype in (np.float32, np.float64):
        value, slope = tg.jit(f).value_and_grad(x.astype(dtype))
        np.testing.assert_allclose(value, f(x.astype(dtype)), rtol=1e-7)
        assert slope.dtype == dtype
