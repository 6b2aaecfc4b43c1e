"""LayerNorm and GroupNorm of many numbers, one operation each, give what their steps give."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core.graph import parent_nodes, topological
from tinygrad_edu.nn import normalization

LAYERS = {
    "layer": (lambda dtype: nn.LayerNorm(40, dtype=dtype), (9, 12, 40)),
    "two axes": (lambda dtype: nn.LayerNorm((12, 40), dtype=dtype), (9, 12, 40)),
    "not learned": (lambda dtype: nn.LayerNorm(40, affine=False, dtype=dtype), (110, 40)),
    "groups": (lambda dtype: nn.GroupNorm(2, 6, dtype=dtype), (9, 6, 10, 8)),
}
SPECIAL = {"plain": None, "nan": np.nan, "inf": np.inf}


def gradients(model, x, kept):
    given = tg.Tensor(x, requires_grad=True)
    model.zero_grad()
    y = model(given)
    tg.ops.where(kept, y**3 + y, 0.0).sum().backward()
    names = {node.op.name for node in topological(y, parent_nodes) if node.op is not None}
    return names, [y.data, *(w.grad for w in (given, *model.parameters()))]


@pytest.mark.parametrize("special", SPECIAL)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", LAYERS)
def test_the_numbers_of_the_steps(name, dtype, special, monkeypatch):
    """Also where a sample is NaN or infinite, and left out of the loss."""
    make, shape = LAYERS[name]
    x, model = (3.0 + np.random.default_rng(0).normal(size=shape)).astype(dtype), make(dtype)
    kept = np.ones(shape, bool)
    if SPECIAL[special] is not None:
        x[1], kept[1] = SPECIAL[special], False
    with np.errstate(invalid="ignore"):
        names, found = gradients(model, x, kept)
        with monkeypatch.context() as patch:
            patch.setattr(normalization, "FEW", 10**9)
            steps, expected = gradients(model, x, kept)
    assert "standard_scores" in names - steps
    limit = 1e-10 if dtype == "float64" else 2e-3
    for a, b in zip(found, expected, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        assert np.allclose(a, b, rtol=limit, atol=limit, equal_nan=True)
    assert all(np.isfinite(a).all() for a in found[1:])


def test_few_numbers_and_compiled_functions_have_the_steps():
    model, x = nn.LayerNorm(40), np.random.default_rng(0).normal(size=(110, 40))
    assert "standard_scores" not in {node.op.name for node in topological(model(x[:2]), parent_nodes) if node.op}
    assert np.allclose(tg.vmap(model)(x), model(x).data)
    with tg.detect_anomaly():
        assert "standard_scores" not in {node.op.name for node in topological(model(x), parent_nodes) if node.op}
