"""Losses of classes with their settings against PyTorch: values and gradients to 1e-12 in float64."""

import numpy as np
import pytest

from tests.parity.torch_spelling import F, torch  # skips this module if torch is missing
from tinygrad_edu import Tensor, Value, jit, ops
from tinygrad_edu.errors import SettingError, ShapeError, TraceError
from tinygrad_edu.nn import losses

pytestmark = pytest.mark.torch

RNG = np.random.default_rng(0)
Z, LABELS = RNG.normal(size=(7, 4)) * 3.0, RNG.integers(0, 4, 7)
P = np.exp(RNG.normal(size=(7, 4)))
P /= P.sum(axis=1, keepdims=True)
W = np.array([0.5, 2.0, 0.0, 1.5])
SETTINGS = [
    {}, {"weight": W}, {"label_smoothing": 0.2}, {"ignore_index": 1}, {"weight": W, "label_smoothing": 0.3},
    {"weight": W, "ignore_index": 3}, {"label_smoothing": 0.1, "ignore_index": 0},
    {"weight": W, "label_smoothing": 0.3, "ignore_index": 1},
]  # fmt: skip
reductions = pytest.mark.parametrize("reduction", ["mean", "sum", "none"])


def agree(ours, theirs, x):
    mine, other = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, e = ours(mine), theirs(other)
    np.testing.assert_allclose(y.data, e.detach().numpy(), rtol=1e-12, atol=1e-13)
    ops.sum(ops.sin(y)).backward()
    torch.sin(e).sum().backward()
    np.testing.assert_allclose(mine.grad, other.grad.numpy(), rtol=1e-11, atol=1e-13)


def of_torch(settings):
    return {name: torch.tensor(x) if isinstance(x, np.ndarray) else x for name, x in settings.items()}


@reductions
@pytest.mark.parametrize("settings", SETTINGS, ids=map(str, SETTINGS))
def test_cross_entropy_of_class_numbers(settings, reduction):
    agree(
        lambda z: losses.cross_entropy(z, LABELS, reduction=reduction, **settings),
        lambda z: F.cross_entropy(z, torch.tensor(LABELS), reduction=reduction, **of_torch(settings)),
        Z,
    )


@reductions
@pytest.mark.parametrize("settings", [s for s in SETTINGS if "ignore_index" not in s], ids=str)
@pytest.mark.parametrize("target", [P, np.eye(4)[LABELS]], ids=["soft", "hard"])
def test_cross_entropy_of_probabilities(settings, reduction, target):
    agree(
        lambda z: losses.cross_entropy(z, target, reduction=reduction, **settings),
        lambda z: F.cross_entropy(z, torch.tensor(target), reduction=reduction, **of_torch(settings)),
        Z,
    )


@reductions
@pytest.mark.parametrize("settings", [s for s in SETTINGS if "label_smoothing" not in s], ids=str)
def test_nll(settings, reduction):
    agree(
        lambda z: losses.nll(ops.log_softmax(z), LABELS, reduction=reduction, **settings),
        lambda z: F.nll_loss(torch.log_softmax(z, 1), torch.tensor(LABELS), reduction=reduction, **of_torch(settings)),
        Z,
    )


@pytest.mark.filterwarnings("ignore:reduction")  # about PyTorch's "mean", which is over all entries
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div(log_target, reduction):
    target = np.log(P) if log_target else np.where(P < 0.1, 0.0, P)
    agree(
        lambda z: losses.kl_div(ops.log_softmax(z), target, log_target=log_target, reduction=reduction),
        lambda z: F.kl_div(torch.log_softmax(z, 1), torch.tensor(target), log_target=log_target, reduction=reduction),
        Z,
    )


@reductions
@pytest.mark.parametrize("settings", [{}, {"p": 2}, {"margin": 0.3}, {"weight": W}, {"p": 2, "weight": W}], ids=str)
def test_multi_margin(settings, reduction):
    agree(
        lambda z: losses.multi_margin(z, LABELS, reduction=reduction, **settings),
        lambda z: F.multi_margin_loss(z, torch.tensor(LABELS), reduction=reduction, **of_torch(settings)),
        Z,
    )


def test_series_of_classes():
    """(batch, time, classes) against torch's (batch, classes, time)."""
    z, labels = RNG.normal(size=(2, 3, 4)), RNG.integers(0, 4, (2, 3))
    settings = {"weight": W, "label_smoothing": 0.2, "ignore_index": 2}
    agree(
        lambda x: losses.cross_entropy(x, labels, **settings),
        lambda x: F.cross_entropy(x.permute(0, 2, 1), torch.tensor(labels), **of_torch(settings)),
        z,
    )


@pytest.mark.parametrize("settings", [s for s in SETTINGS if "ignore_index" not in s], ids=str)
def test_compiled_and_of_values(settings):
    f = lambda z, t: losses.cross_entropy(z, t, **settings)  # noqa: E731
    np.testing.assert_allclose(jit(f)(Z, LABELS), f(Z, LABELS), rtol=1e-12)
    values = np.vectorize(Value, otypes=[object])(Z)
    np.testing.assert_allclose(f(values, np.eye(4)[LABELS]).data, f(Z, np.eye(4)[LABELS]), rtol=1e-12)
    f(values, np.eye(4)[LABELS]).backward()


def test_what_is_refused():
    with pytest.raises(SettingError, match=r"label_smoothing=1\.5"):
        losses.cross_entropy(Z, LABELS, label_smoothing=1.5)
    with pytest.raises(ShapeError, match=r"one for each class is \(4,\)"):
        losses.cross_entropy(Z, LABELS, weight=[1.0, 2.0])
    with pytest.raises(SettingError, match="weight of a class"):
        losses.cross_entropy(Z, LABELS, weight=[1.0, 2.0, -1.0, 1.0])
    with pytest.raises(SettingError, match=r"has the settings .*weight, .*not \['smoothing'\]"):
        losses.cross_entropy(Z, LABELS, smoothing=0.1)
    with pytest.raises(SettingError, match="for class numbers"):
        losses.cross_entropy(Z, P, ignore_index=1)
    with pytest.raises(SettingError, match="log_target=True"):
        losses.kl_div(np.log(P), np.log(P))
    with pytest.raises(TraceError, match="ignore_index"):
        jit(lambda z, t: losses.cross_entropy(z, t, ignore_index=1))(Z, LABELS)
