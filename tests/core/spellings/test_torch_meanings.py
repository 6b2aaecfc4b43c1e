"""Methods that only PyTorch has do what PyTorch does, where NumPy's function of the same name means something else."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Value
from tinygrad_edu.errors import OperandError, SettingError, ShapeError

A = np.array([[1.0, -2.5, 0.5, 3.0], [3.0, 4.0, -1.0, 0.25]])
GAPS = np.where(A > 3.5, np.nan, A)
SAME = [
    "x.where(x > 0, 0.5)", "x.where(x > 0, 2 * x)", "x.abs().polygamma(1)", "x.abs().polygamma(n=2)",
    "x.abs().polygamma(0)",
    *(f"x.norm({p})" for p in ("", "0", "1", "2", "3", "-1", "0.5", "p=1", "p=2", "'fro'", "'nuc'", "float('inf')")),
    "x.norm(float('-inf'))", "x.norm(1, 0)", "x.norm(2, 1, True)", "x.norm(p=3, dim=(0, 1))", "x.norm(2, (0, 1))",
    "x.norm(p=1, dim=(0, 1), keepdim=True)", "x.add(x, alpha=2)", "x.sub(x * x, alpha=0.5)", "x.subtract(x, alpha=3)",
    "x.div(2)", "x.div(x + 5, rounding_mode='floor')", "x.divide(0.4, rounding_mode='trunc')", "x.flip(0, 1)",
    "x.flip((0,))", "x.flip(dims=(0, 1))", "x.flip(1)", "x.unfold(1, 2, 1)", "x.unfold(0, 2, 1)", "x.unfold(-1, 3, 2)",
    "x.argsort(1, True)", "x.argsort(-1)", "x.argsort(dim=0, descending=True)", "x.equal(x)", "x.equal(x + 1)",
    "x.equal(x[0])", "x.tril(diagonal=1)", "x.triu(diagonal=-1)", "x[0].diag(diagonal=1)", "x[0].diagflat(offset=1)",
    "x.cov(correction=0)", "x.cov()", "x.nanmedian(dim=0).values", "x.nanmedian(dim=1, keepdim=True).values",
    "x.nanmedian(dim=1).indices", "d.norm(2, (0, 1))", "d.norm(1)", "d.norm(1, 0)", "d.norm('nuc')",
    "d.norm(p=3, dim=(0, 1))", "g.nanmedian(dim=1).values", "g.nanmedian(dim=0).indices", "x.tile(dims=(2, 1))",
    "x[None].flatten(1)", "x[None].flatten(0, 1)", "x.flatten()", "x.flatten(end_dim=0)",
    "(x > 0).any(dim=1, keepdim=True)", "(x > 0).all(dim=0, keepdim=False)", "x.any(dim=1, keepdim=True)",
]  # fmt: skip


def plain(y):
    return np.asarray(y.detach() if hasattr(y, "detach") else y)


@pytest.mark.torch
@pytest.mark.parametrize("text", SAME)
def test_what_pytorch_gives(text):
    torch = pytest.importorskip("torch")
    theirs, ours = torch.tensor(A, requires_grad=True), tg.Tensor(A, requires_grad=True)
    expected = eval(text, {"x": theirs, "d": theirs.data, "g": torch.tensor(GAPS)})
    found = eval(text, {"x": ours, "d": ours.data, "g": tg.Tensor(GAPS)})
    tolerance = 1e-8 if "polygamma" in text else 1e-12  # torch's own series is that far off
    np.testing.assert_allclose(plain(found), plain(expected), rtol=tolerance)
    assert plain(found).shape == plain(expected).shape
    if getattr(expected, "requires_grad", False) and text != "x.norm(0)":  # a count, of which torch gives no gradient
        expected.sum().backward()
        found.sum().backward()
        np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=100 * tolerance, atol=1e-13)


@pytest.mark.parametrize("text", ["x.where(x > 0, 0.5 * x)", "x.norm(1)", "x.abs().polygamma(1)", "x.unfold(1, 2, 1)"])
@pytest.mark.parametrize("transform", [tg.jit, tg.grad, tg.vmap])
def test_the_same_in_every_transform(text, transform):
    f = lambda x: (eval(text, {"x": tg.ops.exp(tg.Tensor(0.0)) * x}) ** 2).sum()  # noqa: E731
    given = A[None] if transform is tg.vmap else A
    found = transform(f)(given)
    if transform is tg.grad:
        x = tg.Tensor(A, requires_grad=True)
        f(x).backward()
        np.testing.assert_allclose(found, x.grad, rtol=1e-12)
    else:
        np.testing.assert_allclose(plain(found).ravel(), f(tg.Tensor(A)).item(), rtol=1e-12)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("x.where(x, 1.0)", OperandError, r"np\.where\(x, a, b\)"),
        ("x.where(1.0, 0.0)", OperandError, "truth values"),
        ("v.where(2.0, 0.0)", OperandError, "truth values"),
        ("x.norm(1, ord=1)", OperandError, "one option"),
        ("x.norm('spectral')", OperandError, "fro"),
        ("x.argsort(0, 'mergesort')", OperandError, "keep their order"),
        ("x.unfold(1, 0, 1)", SettingError, "at least 1"),
        ("x.unfold(1, 5, 1)", ShapeError, "4 entries"),
        ("x.div(2, rounding_mode='up')", SettingError, "trunc"),
        ("x.add(1, 2)", TypeError, "add"),
    ],
)
def test_what_is_neither_is_refused_in_words(text, error, words):
    with pytest.raises(error, match=words):
        eval(text, {"x": tg.Tensor(A), "v": Value(2.0)})


def test_numpys_meaning_is_that_of_the_function():
    x = tg.Tensor(A)
    for ord in (1, 2, -2, np.inf, "nuc"):
        np.testing.assert_allclose(np.linalg.norm(x, ord).data, np.linalg.norm(A, ord), rtol=1e-12)
        np.testing.assert_allclose(x.norm(ord=ord).data, np.linalg.norm(A, ord), rtol=1e-12)
    assert np.equal(x, x).tolist() == (x == x).tolist()
    assert np.array_equal(np.where(x > 0, x, 0.0).data, np.where(A > 0, A, 0.0))


def test_values_have_them_too():
    x = Value(2.0)
    y = x.where(x > 0, 0.0) + x.polygamma(1) + x.add(x, alpha=2) + x.sub(1.0, alpha=3)
    y.backward()
    assert y.data == pytest.approx(2 + tg.ops.polygamma(1, 2.0) + 6 - 1)
    assert x.grad == pytest.approx(1 + tg.ops.polygamma(2, 2.0) + 3 + 1)
    assert x.where(x < 0, 7.0) == 7.0


ORDERS = [
    "x.flatten('F')", "x.flatten(order='F')", "x.flatten('C')", "x.ravel('F')", "x.ravel(order='F')", "x.ravel('C')",
    "x.reshape((2, 4), order='F')", "x.reshape(-1, 2, order='F')", "x.reshape(8, order='F')",
    "x.reshape(-1, order='F')",
    "x.reshape(2, 4, order='C')", "x[None].reshape((2, 2, 2), order='F')", "x.copy('F')", "x.copy(order='C')",
]  # fmt: skip


@pytest.mark.parametrize("text", ORDERS)
def test_numpys_orders(text):
    expected, x = eval(text, {"x": A}), tg.Tensor(A, requires_grad=True)
    found = eval(text, {"x": x})
    assert np.array_equal(found.data, expected)
    weights = np.arange(8.0).reshape(expected.shape)
    (found * weights).sum().backward()
    slopes = np.zeros(A.size)
    slopes[eval(text, {"x": np.arange(8).reshape(A.shape)}).ravel()] = weights.ravel()
    assert np.array_equal(x.grad.ravel(), slopes)
    assert np.array_equal(tg.vmap(lambda x: eval(text, {"x": x}))(np.stack([A, A]))[1], expected)


@pytest.mark.parametrize("text", ["x.ravel('K')", "x.flatten('A')", "x.reshape(8, order='A')", "x.sort(axis=0)"])
def test_orders_in_memory_are_refused(text):
    with pytest.raises(OperandError, match=r"memory|NumPy"):
        eval(text, {"x": tg.Tensor(A)})
