"""Numbers and where they stand: PyTorch's max, min, sort, topk, median, mode, kthvalue, cummax, and its split."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.core.methods.pairs import METHODS
from tinygrad_edu.errors import OperandError, SavedArrayChangedError, SettingError, ShapeError, TraceError

RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 4))
TIES, UNKNOWN = np.round(X), np.where(np.arange(12).reshape(3, 4) == 6, np.nan, X)
CALLS = [
    "max(dim=1)", "max(dim=-1, keepdim=True)", "max(0, keepdim=True)", "max(1, True)", "min(dim=0)",
    "min(1, keepdim=False)", "sort(dim=1)", "sort(descending=True)", "sort(dim=0, descending=True, stable=True)",
    "topk(2)", "topk(2, dim=0, largest=False)", "topk(0, 1)", "kthvalue(2)", "kthvalue(2, dim=0, keepdim=True)",
    "median(dim=1)", "median(dim=0, keepdim=True)", "mode()", "mode(dim=0, keepdim=True)", "cummax(dim=1)", "cummin(0)",
]  # fmt: skip


def test_every_method_has_a_call():
    assert {call.partition("(")[0] for call in CALLS} == METHODS.keys()


@pytest.mark.torch
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("x", [X, TIES, UNKNOWN], ids=["plain", "ties", "nan"])
def test_what_pytorch_gives(call, x):
    import torch

    if "mode" in call and x is UNKNOWN:
        pytest.skip("PyTorch does not say which is the most frequent number where one is NaN")
    theirs, ours = torch.tensor(x, requires_grad=True), tg.Tensor(x, requires_grad=True)
    expected, found = eval(f"x.{call}", {"x": theirs}), eval(f"x.{call}", {"x": ours})
    values, indices = found
    assert found[0] is found.values is values
    assert found[1] is indices
    np.testing.assert_array_equal(values.data, expected.values.detach().numpy())
    assert indices.shape == tuple(expected.indices.shape)
    assert indices.dtype.kind == "i"
    if np.array_equal(indices, expected.indices.numpy()):  # the whole gradient goes to these entries
        weight = np.cos(np.arange(values.size)).reshape(values.shape)
        (values * weight).sum().backward()
        (expected.values * torch.tensor(weight)).sum().backward()
        np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-12)
    # PyTorch does not specify which of several equal numbers is chosen
    if x is TIES and not call.startswith(("max", "min")):
        if given := re.search(r"dim=(-?\d).*keepdim=True", call):
            np.testing.assert_array_equal(np.take_along_axis(x, indices, int(given[1])), values.data)
        return
    np.testing.assert_array_equal(indices, expected.indices.numpy())


TIED = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 0.0], [np.nan, 1.0, np.nan], [-np.inf, -np.inf, -np.inf]])


@pytest.mark.parametrize(("name", "at"), [("max", [1, 0, 0, 0]), ("min", [0, 2, 0, 0])])
def test_the_first_of_several_gets_the_whole_gradient(name, at):
    def f(x):
        return (getattr(x, name)(dim=1).values * np.array([1.0, 2.0, 3.0, 4.0])).sum()

    expected = np.eye(3)[at] * np.arange(1.0, 5.0)[:, None]
    x = tg.Tensor(TIED, requires_grad=True)
    f(x).backward()
    np.testing.assert_array_equal(x.grad, expected)
    with without_numba():
        np.testing.assert_array_equal(tg.jit(f).value_and_grad(TIED)[1], expected)
        each = tg.vmap(tg.grad(lambda row: getattr(row, name)(dim=0).values))(TIED)
    np.testing.assert_array_equal(each, np.eye(3)[at])
    y = tg.Tensor(TIED[:2], requires_grad=True)
    getattr(y, name)(1).sum().backward()  # NumPy's form: the gradient is shared among ties
    assert y.grad.max() == (0.5 if name == "max" else 1.0)


def test_numpys_calls_give_numbers_alone():
    x = tg.Tensor(X)
    np.testing.assert_array_equal(x.max(1).data, X.max(1))
    np.testing.assert_array_equal(x.min(axis=0, keepdims=True).data, X.min(axis=0, keepdims=True))
    np.testing.assert_array_equal(x.max(-x).data, np.maximum(X, -X))
    assert x.median().item() == np.median(X)


def test_numpys_call_knows_where_its_numbers_stand():
    x = tg.Tensor(X, requires_grad=True)
    for found, axis, keep in ((x.max(1), 1, False), (x.min(0, keepdims=True), 0, True)):
        where = (X.argmax if found.op.name == "max" else X.argmin)(axis=axis, keepdims=keep)
        assert found.indices.tolist() == where.tolist()
        assert found.values is found
    for other in (x * 2.0, x.max(), tg.Tensor(X).max(), tg.Tensor(X)):
        assert not hasattr(other, "values")
        with pytest.raises(AttributeError, match=r"x\.max\(dim=1\)\.indices"):
            other.indices  # noqa: B018


def test_it_knows_without_a_graph_too():
    def found(x):
        return [(y.values.data.tolist(), y.indices.tolist()) for y in (x.max(1), x.min(axis=0), x.max(1, keepdim=True))]

    x = tg.Tensor(X, requires_grad=True)
    wanted = found(x)
    with tg.no_grad():
        assert found(x) == found(x * 1.0) == wanted
    assert found(tg.Tensor(X)) == found(x.detach()) == wanted


@pytest.mark.parametrize("call", ["topk(1)", "kthvalue(1)", "median()", "mode()", "cummax()", "cummin()", "sort()"])
@pytest.mark.parametrize("dim", [7, -3, "a", 1.5, True, (0, 1)])
def test_what_is_no_axis(call, dim):
    with pytest.raises((ShapeError, SettingError), match="dim="):
        eval(f"x.{call[:-1]}{', ' * (call[-2] != '(')}dim=dim)", {"x": tg.Tensor(X), "dim": dim})


@pytest.mark.parametrize(
    ("call", "error", "names"),
    [
        ("sort()", OperandError, r"np\.sort\(x\), or x\.sort\(dim=-1\)"),
        ("max(keepdim=True)", OperandError, r"x\.max\(dim=1, keepdim=True\)"),
        ("max(dim=(0, 1))", OperandError, r"amax\(dim=\(0, 1\)\)"),
        ("split(-2)", SettingError, "split_size=-2"),
        ("split(0)", SettingError, "split_size=0"),
        ("split(2.5)", SettingError, r"split_size=2\.5"),
        ("chunk(0)", SettingError, "chunks=0"),
        ("topk(5)", SettingError, "has 4 entries"),
        ("kthvalue(0)", SettingError, "counted from 1"),
        ("split([1, 1], dim=1)", ShapeError, "add up to 2, and the axis has 4"),
    ],
)
def test_mistakes_are_named(call, error, names):
    with pytest.raises(error, match=names):
        eval(f"x.{call}", {"x": tg.Tensor(X)})


@pytest.mark.torch
@pytest.mark.parametrize("call", ["split(2, dim=1)", "split([1, 2, 1], dim=1)", "split(2)", "split((1, 2))"])
def test_split_is_pytorchs(call):
    import torch

    expected, found = eval(f"x.{call}", {"x": torch.tensor(X)}), eval(f"x.{call}", {"x": tg.Tensor(X)})
    assert [part.shape for part in found] == [tuple(part.shape) for part in expected]
    np.testing.assert_array_equal(np.concatenate([part.data.ravel() for part in found]),
                                  torch.cat([part.reshape(-1) for part in expected]).numpy())  # fmt: skip


def test_split_with_an_axis_is_numpys():
    assert [part.shape for part in tg.Tensor(X).split(2, axis=1)] == [(3, 2), (3, 2)]


def test_compiled_values_and_refused_indices():
    def f(x):
        return (x.max(1, keepdim=True).values * x).sum() + sum(part.sum() ** 2 for part in x.split(3, dim=1))

    with without_numba():
        np.testing.assert_allclose(tg.jit(f)(X), f(tg.Tensor(X)).item(), rtol=1e-12)
        for refused in (lambda x: x.max(dim=1).indices, lambda x: x.topk(2).values, lambda x: x.median(dim=1).values):
            with pytest.raises(TraceError, match=r"cannot be compiled"):
                tg.jit(refused)(X)


def test_for_each_sample():
    np.testing.assert_array_equal(tg.vmap(lambda x: x.max(dim=0).values)(X), X.max(1))
    np.testing.assert_array_equal(tg.vmap(lambda x: x.topk(2).values)(X), -np.sort(-X)[:, :2])


def test_plain_arrays_know_the_words_too():
    x = tg.Tensor(X)
    assert (x > 0).sum(dim=1).tolist() == (X > 0).sum(1).tolist()
    assert (x > 0).any(dim=0).tolist() == (X > 0).any(0).tolist()
    values, indices = x.data.max(dim=1)
    assert type(values) is type(x.data)
    assert indices.tolist() == X.argmax(1).tolist()
    assert x.data.max(1).tolist() == X.max(1).tolist()
    np.testing.assert_allclose(x.data.std(dim=0), X.std(0, ddof=1))
    np.testing.assert_array_equal(x.data.topk(2).values, -np.sort(-X)[:, :2])
    assert (x.argmax(1) + 1).float().tolist() == (X.argmax(1) + 1).tolist()
    assert x.data.size() == (3, 4)
    assert x.data.size(1) == 4
    assert x.data.size == 12


@pytest.mark.parametrize("recorded", [False, True])
@pytest.mark.parametrize("write", ["x.data[:] = -x.data", "x[0] = -x[0]", "x.data = -x.data"])
def test_indices_of_numbers_written_to_in_between_are_refused(write, recorded):
    x = tg.Tensor(X, requires_grad=recorded)
    y, other = x.max(1), x.max(np.int64(1))
    assert y.indices.tolist() == other.indices.tolist() == X.argmax(1).tolist()
    with tg.no_grad():
        exec(write, {"x": x})
    with pytest.raises(SavedArrayChangedError, match=r"values, indices = x\.max\(dim=1\)"):
        y.indices  # noqa: B018


def test_a_maximum_of_everything_does_not_keep_what_it_is_of():
    assert not tg.Tensor(X).max().options
