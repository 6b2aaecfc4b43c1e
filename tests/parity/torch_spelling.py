"""PyTorch under the names and arguments of `tg.ops`, so that the examples of tests/examples.py run on it."""

import math

import numpy as np
import pytest

from tests.parity.torch_numpy import numpys

torch = pytest.importorskip("torch", reason="PyTorch (torch) is not installed: python -m pip install torch==2.13.0")
F = torch.nn.functional

ELEMENTWISE = {
    "pos": torch.positive,
    "log_sigmoid": F.logsigmoid,
    "softplus": F.softplus,
    "leaky_relu": lambda x, slope: torch.where(x > 0, x, slope * x),
    "elu": lambda x, alpha: torch.where(x > 0, x, alpha * torch.expm1(torch.clamp(x, max=0.0))),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "relu": F.relu,
    "where": lambda c, a, b: torch.where(c != 0, a, b),
    "clip": lambda x, low, high: torch.minimum(torch.maximum(x, low), high),  # clamp cannot broadcast x backward
    "equal": torch.eq,
    "selu": F.selu,
    "celu": lambda x, alpha: torch.where(x > 0, x, alpha * torch.expm1(torch.clamp(x, max=0.0) / alpha)),
    "mish": F.mish,
    "softsign": F.softsign,
    "relu6": F.relu6,
    "hard_tanh": F.hardtanh,
    "hard_sigmoid": lambda x: torch.clamp(x / 6.0 + 0.5, 0.0, 1.0),  # F.hardsigmoid has 1/6 in float32, no 2nd order
    "hard_swish": F.hardswish,
    "squared_error": lambda p, t: (p - t) ** 2,
    "absolute_error": lambda p, t: (p - t).abs(),
    "huber_loss": lambda p, t, d: torch.where((p - t).abs() <= d, (p - t) ** 2 / 2, d * ((p - t).abs() - d / 2)),
    "logistic_loss": lambda z, t: F.softplus(z) - z * t,
    "log_loss": lambda p, t: -(t * torch.log(p) + (1.0 - t) * torch.log1p(-p)),
    "hinge_loss": lambda p, t: torch.clamp(1.0 - p * t, min=0.0),
    "poisson_loss": lambda z, t: torch.exp(z) - t * z,
    "cbrt": lambda x: torch.sign(x) * torch.abs(x) ** (1.0 / 3.0),
    "rint": torch.round,
    "floor_divide": lambda a, b: torch.floor(a.detach() / b.detach()) + 0.0 * (a + b),
    "heaviside": lambda x, h: torch.where(x == 0.0, h, (x > 0.0).double() + 0.0 * (x + h)),
    "mod": torch.remainder,
    "gammaln": torch.lgamma,
    "betaln": lambda a, b: torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b),
    "ndtr": torch.special.ndtr,
    "entr": torch.special.entr,
    "log_ndtr": torch.special.log_ndtr,
    "ndtri": torch.special.ndtri,
    "xlog1py": torch.special.xlog1py,
    "polygamma": lambda n, x: torch.polygamma(int(n.reshape(-1)[0]), x) + 0.0 * n,
}


def elementwise(name):
    return ELEMENTWISE.get(name) or getattr(torch, name)


def axes(x, axis):
    """(x, its axes as a tuple); all of them by flattening."""
    return (x.reshape(-1), (0,)) if axis is None else (x, (axis,) if isinstance(axis, int) else axis)


def reduction(function):
    def reduce(x, axis=None, keepdims=False, **options):
        x, dim = axes(x, axis)
        return function(x, dim=dim, keepdim=keepdims, **options)

    return staticmethod(reduce)


def product(x, dim, keepdim):
    for axis in sorted(dim, reverse=True):
        x = torch.prod(x, dim=axis, keepdim=keepdim)
    return x


def spread(function):
    return lambda x, dim, keepdim, ddof=0: function(x, dim=dim, correction=ddof, keepdim=keepdim)


def concatenate(xs, axis=0):
    return torch.cat([x.reshape(-1) for x in xs]) if axis is None else torch.cat(xs, dim=axis)


def put(x, index, shape):
    places = torch.arange(math.prod(shape)).reshape(shape)[index].reshape(-1)
    return torch.zeros(math.prod(shape), dtype=x.dtype).index_add(0, places, x.reshape(-1)).reshape(shape)


def pad(x, pad_width, constant_values=0.0):
    pairs = np.broadcast_to(pad_width, (x.ndim, 2))[::-1]
    return F.pad(x, [int(n) for n in pairs.ravel()], value=constant_values)


def take(x, indices, axis=None):
    x, axis = (x.reshape(-1), 0) if axis is None else (x, axis)
    return torch.index_select(x, axis, torch.as_tensor(np.asarray(indices) % x.shape[axis]))


def expand_dims(x, axis):
    for place in (axis,) if isinstance(axis, int) else sorted(axis):
        x = torch.unsqueeze(x, place)
    return x


def dot(a, b):
    return a * b if a.ndim == 0 else torch.tensordot(a, b, dims=([-1], [max(b.ndim - 2, 0)]))


def as_windows(x, size, stride, dilation):
    """unfold: by torch's for images, with one row where there is a single spatial axis."""
    one = len(size) == 1
    x, size, stride, dilation = (
        (x[..., None, :], (1, *size), (1, *stride), (1, *dilation)) if one else (x, size, stride, dilation)
    )
    lead = x.shape[:-2]
    y = F.unfold(x.reshape(-1, 1, *x.shape[-2:]), size, dilation=dilation, stride=stride)
    counts = [(n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(x.shape[-2:], size, stride, dilation, strict=True)]
    y = y.reshape(*lead, *size, *counts)
    return y[..., 0, :, 0, :] if one else y


def from_windows(x, shape, stride, dilation):
    n = len(stride)
    size, counts = x.shape[-2 * n : -n], x.shape[-n:]
    shape = shape or [(m - 1) * s + (k - 1) * d + 1 for k, m, s, d in zip(size, counts, stride, dilation, strict=True)]
    rows = x.reshape(-1, math.prod(size), math.prod(counts))
    more = (1,) * (2 - n)
    y = F.fold(rows, (*more, *shape), (*more, *size), dilation=(*more, *dilation), stride=(*more, *stride))
    return y.reshape(*x.shape[: -2 * n], *shape)


def conv(x, w, stride, dilation, groups):
    return (F.conv1d if x.ndim == 3 else F.conv2d)(x, w, None, stride, 0, dilation, groups)


def conv_transpose(x, w, shape, stride, dilation, groups):
    y = (F.conv_transpose1d if x.ndim == 3 else F.conv_transpose2d)(x, w, None, stride, 0, 0, groups, dilation)
    spare = [n - m for n, m in zip(shape or y.shape[2:], y.shape[2:], strict=True)]
    return F.pad(y, [n for m in spare[::-1] for n in (0, m)])


def conv_weight(x, y, size, stride, dilation, groups):
    w = torch.zeros(y.shape[1], x.shape[1] // groups, *size, dtype=x.dtype, requires_grad=True)
    return torch.autograd.grad(conv(x, w, stride, dilation, groups), w, y, create_graph=True)[0]


def lstm_states(x, h, c, w):
    found = []
    for t in range(x.shape[1]):
        o, i, f, n = (x[:, t] + w @ h).chunk(4)
        c = f.sigmoid() * c + i.sigmoid() * n.tanh()
        h = o.sigmoid() * c.tanh()
        found.append(torch.cat([h, c]))
    return torch.stack(found)


def standard_scores(x, axis, eps=0.0):
    return (x - x.mean(axis, keepdim=True)) / (x.var(axis, correction=0, keepdim=True) + eps).sqrt()


class Otherwise(type):
    def __getattr__(cls, name):
        return numpys(name)


class Torch(metaclass=Otherwise):
    astype = staticmethod(lambda x, dtype: x.to(dtype))
    conv1d, conv2d, max_pool1d, max_pool2d = F.conv1d, F.conv2d, F.max_pool1d, F.max_pool2d
    conv_transpose1d, conv_transpose2d = F.conv_transpose1d, F.conv_transpose2d
    avg_pool1d, avg_pool2d, adaptive_avg_pool2d = F.avg_pool1d, F.avg_pool2d, F.adaptive_avg_pool2d
    conv, conv_transpose, conv_weight = map(staticmethod, (conv, conv_transpose, conv_weight))
    lstm_states, standard_scores = staticmethod(lstm_states), staticmethod(standard_scores)
    unfold, fold = staticmethod(as_windows), staticmethod(from_windows)
    reshape, matmul, inner, broadcast_to = torch.reshape, torch.matmul, torch.inner, torch.broadcast_to
    atleast_2d, hstack, vstack = torch.atleast_2d, torch.hstack, torch.vstack
    bce_with_logits, mse, mae, bce = F.binary_cross_entropy_with_logits, F.mse_loss, F.l1_loss, F.binary_cross_entropy
    huber, poisson = F.huber_loss, F.poisson_nll_loss
    delta_rule = staticmethod(lambda z, t: F.binary_cross_entropy_with_logits(z, torch.as_tensor(t).double()))
    hinge = staticmethod(lambda p, t: torch.clamp(1.0 - p * torch.as_tensor(t), min=0.0).mean())
    concatenate, put, pad, take, expand_dims, dot = map(staticmethod, (concatenate, put, pad, take, expand_dims, dot))
    sum, mean = reduction(torch.sum), reduction(torch.mean)
    max, min, logsumexp = reduction(torch.amax), reduction(torch.amin), reduction(torch.logsumexp)
    prod = reduction(product)
    var, std = reduction(spread(torch.var)), reduction(spread(torch.std))
    transpose = staticmethod(lambda x, axes=None: x.permute(tuple(range(x.ndim))[::-1] if axes is None else axes))
    swapaxes, ravel = torch.swapaxes, torch.ravel
    squeeze = staticmethod(lambda x, axis=None: x.squeeze() if axis is None else x.squeeze(axis))
    stack = staticmethod(lambda xs, axis=0: torch.stack(xs, dim=axis))
    split = staticmethod(lambda x, at, axis=0: list(torch.tensor_split(x, at, dim=axis)))
    flip = staticmethod(lambda x, axis=None: torch.flip(x, tuple(range(x.ndim)) if axis is None else (axis,)))
    cumsum = staticmethod(lambda x, axis=None: torch.cumsum(*((x.reshape(-1), 0) if axis is None else (x, axis))))
    softmax = staticmethod(lambda x, axis=-1: torch.softmax(x, dim=axis))
    log_softmax = staticmethod(lambda x, axis=-1: torch.log_softmax(x, dim=axis))
    cross_entropy = staticmethod(lambda z, t: F.cross_entropy(z, torch.as_tensor(t)))
    class_entropy = staticmethod(
        lambda z, index, divisor=1.0: (
            F.cross_entropy(z.mT if z.ndim > 2 else z, torch.as_tensor(index), reduction="sum") / divisor
        )
    )
    nll = staticmethod(
        lambda z, t, weight=None: F.nll_loss(
            z, torch.as_tensor(t), weight if weight is None else torch.as_tensor(weight)
        )
    )
    multi_margin = staticmethod(lambda z, t, **more: F.multi_margin_loss(z, torch.as_tensor(t), **more))
    kl_div = staticmethod(lambda z, t: F.kl_div(z, t, reduction="sum") / z.numel())  # "mean" gives a warning
    outer = staticmethod(lambda a, b: torch.outer(a.reshape(-1), b.reshape(-1)))
    vdot = staticmethod(lambda a, b: torch.dot(a.reshape(-1), b.reshape(-1)))
