"""Casts between float32 and float64 inside a compiled function: the digits and dtypes that it has without jit."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import nn
from tinygrad_edu.errors import TraceError

SINGLE, DOUBLE = np.float32, np.float64
FUNCTIONS = {
    "float32": lambda x: x.astype(SINGLE),
    "float32 and a number": lambda x: x.astype(SINGLE) + 1.0,
    "float32 and back": lambda x: x.astype(SINGLE).astype(DOUBLE),
    "float64": lambda x: x.astype(DOUBLE),
    "small differences": lambda x: x.astype(DOUBLE) * 1e-9 + 1.0,
    "own dtype": lambda x: x.astype(x.dtype) * 2,
    "a mask in float32": lambda x: (x > 0.5).astype(SINGLE),
    "a mask in float64": lambda x: (x > 0.5).astype(float) * x,
    "sums in float32": lambda x: np.sum(x, axis=0, keepdims=True, dtype=SINGLE),
    "counts": lambda x: np.sum(x > 0.5, axis=0, keepdims=True, dtype=float),
    "counts in float32": lambda x: np.sum(x > 0.5, axis=0, keepdims=True, dtype=SINGLE),
    "means in float64": lambda x: np.mean(x, axis=0, keepdims=True, dtype=DOUBLE),
    "running sums in float64": lambda x: np.cumsum(x, dtype=DOUBLE),
    "zeros in float32": lambda x: np.zeros_like(x, dtype=SINGLE),
    "zeros in float64": lambda x: np.zeros_like(x, dtype=DOUBLE) + x,
    "a fill in float64": lambda x: np.full_like(x, 0.1, dtype=DOUBLE),
    "asked for its dtype": lambda x: x * (2.0 if (x.astype(SINGLE) * 2).dtype == SINGLE else 3.0),
    "a choice": lambda x: np.where(x > 0.5, x.astype(SINGLE), 0.0),
    "joined": lambda x: np.concatenate([x.astype(SINGLE), x]),
    "a number": lambda x: x.sum().astype(SINGLE) * x,
    "whole numbers": lambda x: (x > 0).sum().astype(SINGLE) * x,
    "several results": lambda x: [x.astype(SINGLE), x * 2, x.astype(DOUBLE)],
    "a loop": lambda x: tg.scan(lambda s, r: (s * 0.5 + r.astype(DOUBLE), s), np.zeros_like(x[0]), x)[1],
    "samples": lambda x: tg.vmap(lambda r: r.astype(SINGLE) * 2)(x),
    "samples in float64": lambda x: tg.vmap(lambda r: r.astype(DOUBLE) * 1e-9 + 1.0)(x),
}
OF_TENSORS = {
    "float": lambda x: x.float() * 3,
    "double": lambda x: x.double() * 1e-9 + 1.0,
    "to": lambda x: x.to("float64") * 1e-9 + 1.0,
    "type_as": lambda x: x.float().type_as(x),
    "a loss in float32": lambda x: (x.float() ** 2).sum(),
    "a loss in float64": lambda x: (x.double() * 1e-9 + 1.0).sum(),
}
CASES = [(name, f, kind) for name, f in FUNCTIONS.items() for kind in (np.asarray, tg.Tensor)]
CASES += [(name, f, tg.Tensor) for name, f in OF_TENSORS.items()]


def assert_as_eager(f, x):
    for found, expected in zip(leaves(tg.jit(f)(x)), leaves(f(x)), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-13 if expected.dtype == DOUBLE else 3e-7)


def leaves(y):
    return [np.asarray(getattr(each, "data", each)) for each in (y if isinstance(y, list) else [y])]


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE])
@pytest.mark.parametrize(("name", "f", "kind"), CASES, ids=[f"{name}-{kind.__name__}" for name, _, kind in CASES])
def test_as_without_jit(name, f, kind, dtype):
    with without_numba():
        assert_as_eager(f, kind(np.array([0.1, 0.7], dtype)))


def test_the_machine_code_rounds_too():
    x = np.linspace(-3, 3, 37)
    assert_as_eager(lambda x: x - x.astype(SINGLE).astype(DOUBLE), x)  # nothing but what was rounded off


def test_the_gradient_of_a_cast():
    grad = tg.jit(tg.grad(lambda x: np.sum(x.astype(SINGLE) ** 3)))
    x = np.array([0.1, 0.7])
    with without_numba():
        np.testing.assert_allclose(grad(x), 3 * x**2, rtol=1e-6)


class Casting(nn.Module):
    def __init__(self, dtype, cast):
        self.layer, self.cast = nn.Linear(2, 1, rng=0), cast
        self.astype(dtype)

    def forward(self, x):
        return self.cast(self.layer(x))


def test_programs_of_float32_refuse_float64(tmp_path):
    """Compiled training and exported files have one dtype; eager training goes on, with the reason."""
    model, X = Casting(SINGLE, lambda z: z * (z > 0).astype(float)), np.ones((4, 2), SINGLE)
    for write in (
        lambda: tg.export(model, tmp_path / "net.c", X),
        lambda: tg.fit(model, X, X[:, :1], loss="mse", optimizer="sgd", epochs=1, compiled=True),
    ):
        with pytest.raises(TraceError, match="a cast to float64 in a float32 program cannot be compiled"):
            write()


@pytest.mark.parametrize(("ending", "text"), [("c", "(double)(float)x"), ("js", "Math.fround(x)")])
def test_exports_of_float64_round(tmp_path, ending, text):
    model = Casting(DOUBLE, lambda z: z.astype(SINGLE))
    assert text in tg.export(model, tmp_path / f"net.{ending}", np.ones((1, 2))).read_text()
