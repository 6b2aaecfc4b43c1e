"""PyTorch's and NumPy's names on a Tensor: the same results as theirs, or an error that names what is here."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, jit, ops
from tinygrad_edu.errors import DtypeError, OperandError, TraceError

MASK = np.array([[True, False, True], [False, True, False]])
X = np.random.default_rng(0).normal(size=(2, 3))
SAME = [  # expressions of x with the same meaning in PyTorch
    "x.view(3, 2)", "x.view((6,))", "x.view(-1)", "x.permute(1, 0)", "x.permute((1, 0))", "x.t()", "x.mT",
    "x.unsqueeze(0)", "x.unsqueeze(-1)", "x.unsqueeze(1).squeeze(1)", "x[None].transpose(1, 2)", "x.expand(4, 2, 3)",
    "x[:1].expand(5, -1)", "x.contiguous()", "x.masked_fill(mask, 7.0)", "x.masked_select(mask)", "x.clone()",
    "x.clamp(-0.5, 0.5)", "x.clamp(max=0.1)", "x.clamp(min=0.1)", "x.mm(x.t())", "x.unbind(1)", "x.chunk(2, 1)[1]",
    "x.sum(dim=0)", "x.sum(dim=1, keepdim=True)", "x.mean(dim=0)", "x.std(dim=1)", "x.var(dim=0)",
    "x.var(dim=0, unbiased=False)", "x.std(dim=1, correction=0)", "x.logsumexp(dim=1)", "x.softmax(dim=0)",
    "x.log_softmax(dim=-1)", "x.cumsum(dim=1)", "x.prod(dim=1)", "x.view_as(x.t())", "x[:1].expand_as(x)",
    "x.tile(2, 1)", "x.float()", "x.double()", "x.float().double()", "x.argmax()", "x.argmax(dim=1)",
    "x.argmin(dim=0)", "x.argsort(dim=1)", "(x > 0).any()", "x.tolist()", "x.numel()", "x.size()", "x.size(1)",
    "x.dim()", "x.ndimension()", "x.eq(x)", "x.gt(0.0)", "x.le(0.1)", "x.is_leaf", "x.cpu()", "x.to('cpu')",
    "x.type_as(x.float())", "x.detach().requires_grad_().requires_grad", "x.flip(0)", "x.pow(2.0)",
    "x.index_select(1, index)", "x.gather(1, where)", "x.flatten()", "x.reshape(3, -1)", "x.swapaxes(0, 1)",
    "x.clip(min=0.1)", "x.clip(max=0.1)", "x.clip(-0.5, None)", "x.roll(shifts=1, dims=0)", "x.roll(1, dims=1)",
    "x.flip(dims=(0, 1))", "x.rot90(1, dims=(1, 0))", "x.norm(p=2, dim=1, keepdim=True)", "x.norm(p=1, dim=0)",
    "x.repeat(2, 1, 3)", "x.is_cuda",
]  # fmt: skip
INDEX, WHERE = np.array([2, 0]), np.array([[0, 2], [1, 1]])


def numbers(y):
    if hasattr(y, "detach"):
        y = y.detach()
        y = y.numpy() if not isinstance(y, Tensor) else y.data
    return np.asarray(y)


@pytest.mark.torch
@pytest.mark.parametrize("text", SAME)
def test_the_same_as_in_pytorch(text):
    torch = pytest.importorskip("torch")
    ours, theirs = Tensor(X, requires_grad=True), torch.tensor(X, requires_grad=True)
    given = {"mask": MASK, "index": INDEX, "where": WHERE}
    y = eval(text, {"x": ours, **given})
    e = eval(text, {"x": theirs, **{name: torch.tensor(a) for name, a in given.items()}})
    if isinstance(e, (tuple, list)) and isinstance(e[0], torch.Tensor):
        assert len(y) == len(e)
        y, e = ops.concatenate(list(y), axis=0), torch.cat(list(e))
    np.testing.assert_allclose(numbers(y), numbers(e), rtol=1e-12)
    assert numbers(y).dtype == numbers(e).dtype
    if isinstance(y, Tensor) and y.requires_grad and y.parents:
        ops.sum(ops.sin(y)).backward()
        torch.sin(e).sum().backward()
        np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-6 if "float" in text else 1e-11, atol=1e-12)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x.size + 0", 6), ("int(x.size)", 6), ("x.all()", np.True_), ("x.any(axis=0).tolist()", [True] * 3),
        ("x.nonzero()[0].tolist()", [0, 0, 0, 1, 1, 1]), ("x.nbytes", 48),
        ("x.nonzero(as_tuple=True)[1].tolist()", [0, 1, 2, 0, 1, 2]), ("x.nonzero(as_tuple=False)[1].tolist()", [0, 1]),
        ("x.eq(x).nonzero(as_tuple=True)[0].tolist()", [0, 0, 0, 1, 1, 1]),
        ("x.eq(x).nonzero(as_tuple=False).shape", (6, 2)),
        ("x.astype('float32').dtype", np.float32),
        ("x.repeat(2, axis=0).shape", (4, 3)), ("x.copy().data[0, 0] == x.data[0, 0]", True),
        ("x.zero_grad_().grad", None),
        ("x.to('float32').dtype", np.float32), ("x.transpose(1, 0).shape", (3, 2)),
        ("x.std(axis=0).data.tolist()", None),
    ],
)  # fmt: skip
def test_numpys_meaning(text, expected):
    found = eval(text, {"x": Tensor(X, requires_grad=True)})
    if text.startswith("x.std"):
        expected = X.std(axis=0).tolist()
    assert found == expected


@pytest.mark.parametrize(
    ("text", "error", "names"),
    [
        ("x.roll(1, 1, dims=0)", OperandError, "one option"),
        ("x.tanh_()", AttributeError, r"x = x\.tanh\(\)"),
        ("x.scatter_add(0, i, x)", AttributeError, r"np\.eye\(n\)\[index\]\.T @ values"),
        ("x.repeat(2, 1)", OperandError, r"x\.tile\(2, 1\)"),
        ("x.transpose(0, 1)", OperandError, r"x\.T"),
        ("x.astype(complex)", DtypeError, r"x\.data\.astype"),
        ("x.to('cuda:0')", DtypeError, "computes on the CPU"),
        ("x[None].t()", OperandError, r"x\.permute"),
        ("(+x).requires_grad_().cumsum_(0)", AttributeError, "no attribute 'cumsum_'"),
        ("x.cuda()", AttributeError, "CPU"),
    ],
)
def test_what_means_two_things_is_refused_by_name(text, error, names):
    with pytest.raises(error, match=names):
        eval(text, {"x": Tensor(X)})


def test_in_a_trace():
    def f(x):
        return ops.sum(ops.sin(x.view(2, 2).permute(1, 0).unsqueeze(0).clamp(-0.5, 0.5)) * x.sum(dim=1, keepdim=True))

    more = lambda x: ops.sum(x.clip(min=0.1) * x.roll(shifts=1, dims=0).flip(dims=(1,)))  # noqa: E731
    for function in (lambda x: f(x[:, :2]), lambda x: ops.sum(x.t() * x.masked_fill(MASK, 0.5).mT), more):
        np.testing.assert_allclose(jit(function)(X), function(Tensor(X)).item(), rtol=1e-12)


@pytest.mark.parametrize("text", ["x.astype(int)", "x.to(int)", "x.type('int64')", "np.trunc(x).astype(np.int64)"])
def test_whole_numbers_are_a_plain_array_as_from_long(text):
    x = Tensor(X * 1.7, requires_grad=True)
    found = eval(text, {"x": x, "np": np})
    assert isinstance(found, np.ndarray)
    assert found.dtype == np.int64
    assert np.array_equal(found, x.long())


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp", "sum", "prod", "cumsum"])
def test_dim_and_keepdim_of_a_function(name):
    x, f = Tensor(X), getattr(ops, name)
    assert np.array_equal(f(x, dim=0).data, f(x, axis=0).data)
    if "keepdims" in f.options:
        assert f(x, dim=0, keepdim=True).shape == f(x, axis=0, keepdims=True).shape
    with pytest.raises(OperandError):
        f(x, axis=0, dim=0)


def test_dim_of_max_is_refused_since_pytorch_gives_the_places_too():
    with pytest.raises(OperandError, match="axis"):
        ops.max(Tensor(X), dim=0)


@pytest.mark.parametrize("text", ["x.size(0)", "x.size()[1]", "x.nelement()", "x.size", "x.new_zeros(2, 2).sum() + 1"])
def test_sizes_in_a_trace(text):
    x = Tensor(X)
    assert jit(lambda x: x.sum() * eval(text, {"x": x}))(X) == (x.sum() * eval(text, {"x": x})).item()


@pytest.mark.parametrize("text", ["x.numpy()", "x.detach().numpy()", "x.detach().cpu().numpy()"])
def test_numbers_in_a_trace_are_refused_by_words(text):
    with pytest.raises(TraceError, match="no numbers while it is traced"):
        jit(lambda x: (eval(text, {"x": x}), x.sum())[1])(X)
