"""Layers and losses against PyTorch's, forward and backward, to 1e-12 in float64."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.parity.torch_spelling import F, torch  # skips this module if torch is missing
from tinygrad_edu import nn, ops
from tinygrad_edu.nn.losses import LOSSES

pytestmark = pytest.mark.torch
both = pytest.mark.parametrize("backend", ["scalar", "tensor"])


def plain(y):
    if not isinstance(y, np.ndarray):
        return y.data
    return np.vectorize(lambda v: v.data, otypes=[float])(y) if y.dtype.kind == "O" else y


def close(a, b, rtol=1e-12):
    np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-13)


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(0.5, 2.0, shape)


def compare(ours, theirs, x):
    """Outputs, and gradients of Σ sin of them by the parameters."""
    y, e = ours(x), theirs(torch.as_tensor(x))
    close(plain(y), e.detach().numpy())
    if not ours.parameters():
        return
    ours.zero_grad()
    theirs.zero_grad()
    ops.sum(ops.sin(y)).backward()
    torch.sin(e).sum().backward()
    gradients = ours.gradients()
    for name, parameter in theirs.named_parameters():
        close(gradients[name], parameter.grad.numpy())


def same_start(ours, theirs):
    theirs = theirs.double()
    theirs.load_state_dict({name: torch.tensor(w) for name, w in ours.state_dict().items()}, strict=False)
    return theirs


@both
@pytest.mark.parametrize("bias", [True, False])
def test_linear(backend, bias):
    ours = nn.Linear(4, 3, bias, rng=0, backend=backend)
    compare(ours, same_start(ours, torch.nn.Linear(4, 3, bias)), normal(5, 4))


@both
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (2, 3, 4), (4,)])
def test_layer_norm(backend, affine, shape):
    ours = nn.LayerNorm(4, eps=1e-3, affine=affine, backend=backend)
    if affine:
        ours.load_state_dict({"weight": normal(4, seed=1), "bias": normal(4, seed=2)})
    compare(ours, same_start(ours, torch.nn.LayerNorm(4, 1e-3, affine)), normal(*shape))


@both
@pytest.mark.parametrize("settings", [{}, {"momentum": 0.4}, {"eps": 1e-2}, {"affine": False}])
def test_batch_norm(backend, settings):
    """Three batches in training, of different sizes, then in use."""
    ours = nn.BatchNorm(3, backend=backend, **settings)
    theirs = same_start(ours, torch.nn.BatchNorm1d(3, **settings))
    for samples in (4, 2, 7):
        compare(ours, theirs, normal(samples, 3, seed=samples))
        for name, w in theirs.named_buffers():
            if name != "num_batches_tracked":
                close(ours.state_dict()[name], w.numpy())
    compare(ours.eval(), theirs.eval(), normal(4, 3))


def test_batch_norm_of_sequences():
    """PyTorch's features stand on axis 1 of (batch, features, time), ours last."""
    ours, theirs, x = nn.BatchNorm(3), torch.nn.BatchNorm1d(3).double(), normal(4, 5, 3)
    close(ours(x).data, theirs(torch.as_tensor(x).transpose(1, 2)).transpose(1, 2).detach().numpy())


@both
def test_gradients_by_the_input_of_a_normalization(backend):
    x = normal(6, 3)
    for ours, theirs in ((nn.LayerNorm(3), torch.nn.LayerNorm(3)), (nn.BatchNorm(3), torch.nn.BatchNorm1d(3))):
        _, g = tg.value_and_grad(lambda x, ours=ours: ops.sum(ops.sin(ours(x))))(x)
        leaf = torch.tensor(x, requires_grad=True)
        torch.sin(theirs.double()(leaf)).sum().backward()
        close(g, leaf.grad.numpy())


@both
def test_embedding(backend):
    ours = nn.Embedding(6, 3, rng=0, backend=backend)
    theirs = same_start(ours, torch.nn.Embedding(6, 3))
    compare(ours, theirs, np.array([[5, 0, 5], [5, 2, 2]]))


@both
def test_a_whole_model(backend):
    ours = nn.MLP([3, 5, 4, 2], "gelu", seed=1, norm="batch", dropout=0.3, backend=backend)
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 5), torch.nn.BatchNorm1d(5), torch.nn.GELU(), torch.nn.Dropout(0.3),
        torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4), torch.nn.GELU(), torch.nn.Dropout(0.3),
        torch.nn.Linear(4, 2),
    ).double()  # fmt: skip
    places = {"layers.0": "0", "norms.0": "1", "layers.1": "4", "norms.1": "5", "layers.2": "8"}
    state = {name: torch.tensor(w) for name, w in ours.state_dict().items()}
    renamed = {f"{places[name.rpartition('.')[0]]}.{name.rpartition('.')[2]}": w for name, w in state.items()}
    theirs.load_state_dict(renamed, strict=False)
    x = normal(6, 3)
    close(plain(ours.eval()(x)), theirs.eval()(torch.as_tensor(x)).detach().numpy())


# Losses


def hinge(p, t, reduction):
    each = torch.clamp(1.0 - p * t, min=0.0)
    return each if reduction == "none" else getattr(each, reduction)()


THEIRS = {
    "mse": F.mse_loss,
    "mae": F.l1_loss,
    "huber": F.huber_loss,
    "bce": F.binary_cross_entropy,
    "bce_with_logits": F.binary_cross_entropy_with_logits,
    "delta_rule": F.binary_cross_entropy_with_logits,
    "cross_entropy": F.cross_entropy,
    "hinge": hinge,
    "poisson": F.poisson_nll_loss,
}


def drawn(name, rng):
    """Predictions and targets that the loss takes."""
    p, t = rng.normal(0.0, 3.0, (7, 4)), rng.uniform(0.0, 1.0, (7, 4))
    if name == "bce":
        p = rng.uniform(1e-6, 1.0 - 1e-6, (7, 4))
    if name == "hinge":
        t = rng.choice([-1.0, 1.0], (7, 4))
    if name in ("mse", "mae", "huber"):
        t = rng.normal(0.0, 3.0, (7, 4))
    if name == "poisson":
        t = rng.integers(0, 9, (7, 4)) * 1.0
    return p, t


def same_loss(ours, theirs, p, t, rtol=1e-12):
    x, e = tg.Tensor(p, requires_grad=True), torch.tensor(p, requires_grad=True)
    y, z = ours(x, t), theirs(e, torch.as_tensor(t))
    close(y.data, z.detach().numpy())
    y.sum().backward()
    z.sum().backward()
    close(x.grad, e.grad.numpy(), rtol)


ELSEWHERE = {"nll", "kl_div", "multi_margin"}  # these take log-probabilities or class numbers: test_torch_losses.py


@pytest.mark.parametrize("name", sorted(LOSSES.keys() - ELSEWHERE))
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_losses(name, reduction):
    p, t = drawn(name, np.random.default_rng(0))
    same_loss(
        lambda p, t: LOSSES[name](p, t, reduction=reduction),
        lambda p, t: THEIRS[name](p, t, reduction=reduction),
        p,
        t,
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_of_classes(reduction):
    z, labels = normal(7, 4), np.random.default_rng(1).integers(0, 4, 7)
    same_loss(
        lambda z, t: nn.losses.cross_entropy(z, t, reduction=reduction),
        lambda z, t: F.cross_entropy(z, t, reduction=reduction),
        z,
        labels,
    )


def test_class_weights_are_weights_of_the_samples():
    z, labels, of_class = normal(7, 4), np.random.default_rng(2).integers(0, 4, 7), np.array([0.5, 2.0, 1.0, 3.0])
    same_loss(
        lambda z, t: nn.losses.cross_entropy(z, t, sample_weight=of_class[t]),
        lambda z, t: F.cross_entropy(z, t, weight=torch.as_tensor(of_class)),
        z,
        labels,
    )


@pytest.mark.parametrize("delta", [0.1, 1.0, 5.0])
def test_huber_with_its_setting(delta):
    p, t = drawn("huber", np.random.default_rng(3))
    same_loss(lambda p, t: nn.losses.huber(p, t, delta=delta), lambda p, t: F.huber_loss(p, t, delta=delta), p, t)


def test_saturated_probabilities():
    p, t = np.array([0.0, 1.0, 0.0, 1.0, 1e-14]), np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    same_loss(nn.losses.bce, F.binary_cross_entropy, p, t, rtol=1e-8)  # the 1e-12 in PyTorch's derivative is a float32
