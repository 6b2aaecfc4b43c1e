"""Compiled functions of arrays without a compiler: the same numbers, operation by operation."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.compile import uncompiled
from tinygrad_edu.compile.backend import compiler

RNG = np.random.default_rng(0)
X, W, S = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 2)), 0.5
PROGRAMS = {
    "a layer": (lambda x, w: np.sum(np.tanh(x @ w)), (X, W)),
    "a number beside arrays": (lambda x, s: np.mean(x * s) / (s - 0.5), (X, S)),
    "numbers alone": (lambda a, b: np.sum(np.exp(X * a)) * b, (0.3, 0.2)),
    "a dict": (lambda p: np.sum((p["x"] @ p["w"]) ** 2), ({"x": X, "w": W},)),
    "a list": (lambda p: np.sum(p[0] * p[1]), ([X, X + 1.0],)),
    "float32": (lambda x: np.sum(np.log1p(x * x)), (X.astype(np.float32),)),
    "infinite": (lambda x: np.sum(x / 0.0), (np.abs(X),)),
}


@pytest.fixture
def no_compiler(monkeypatch):
    return lambda: monkeypatch.setattr(compiler, "missing", lambda: "it is switched off")


def close(a, b):
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        return [close(a[name], b[name]) for name in a]
    if isinstance(a, (list, tuple)):
        return [close(x, y) for x, y in zip(a, b, strict=True)]
    assert type(a) is type(b)
    assert np.shape(a) == np.shape(b)
    assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
    return np.testing.assert_allclose(a, b, rtol=1e-5 if getattr(a, "dtype", None) == np.float32 else 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_values_and_gradients(name, no_compiler):
    f, arguments = PROGRAMS[name]
    compiled = tg.jit(f)
    with np.errstate(all="ignore"):
        value, both = compiled(*arguments), compiled.value_and_grad(*arguments)
        no_compiler()
        again = tg.jit(f)
        np.testing.assert_allclose(again(*arguments), value, rtol=1e-5)
        np.testing.assert_allclose(again.value_and_grad(*arguments)[0], both[0], rtol=1e-5)
        close(again.value_and_grad(*arguments)[1], both[1])


def test_several_results(no_compiler):
    f = tg.jit(lambda x: {"sum": np.sum(x), "rows": np.mean(x, axis=1)})
    expected = f(X)
    no_compiler()
    close(tg.jit(lambda x: {"sum": np.sum(x), "rows": np.mean(x, axis=1)})(X), expected)


def test_what_a_trace_refuses_is_refused(no_compiler):
    no_compiler()
    with pytest.raises(tg.errors.TraceError):
        tg.jit(lambda x: x if x[0] > 0.0 else -x)(X[0])


def test_no_loops_in_python(no_compiler, monkeypatch):
    """The way over the generated text is not gone."""
    no_compiler()
    monkeypatch.setattr("tinygrad_edu.compile.call.call_first", None)
    f = tg.jit(PROGRAMS["a layer"][0])
    assert f(X, W) == pytest.approx(np.sum(np.tanh(X @ W)))
    assert f.value_and_grad(X, W)[1].shape == X.shape
    assert uncompiled.is_way((X, 0.5))
    assert not uncompiled.is_way((X, np.arange(3)))
