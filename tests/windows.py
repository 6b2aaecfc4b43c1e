"""Convolutions, pooling and an LSTM by their definitions, as plain loops: slow, and easy to check by eye."""

import itertools

import numpy as np


def pairs(x, n):
    return tuple(x) if isinstance(x, tuple) else (x,) * n


def places(counts, size, stride, dilation):
    """(window, place in the kernel, place in the input) of every term."""
    for i in np.ndindex(*counts):
        for k in np.ndindex(*size):
            yield i, k, tuple(a * s + b * d for a, b, s, d in zip(i, k, stride, dilation, strict=True))


def window_counts(shape, size, stride, dilation):
    return tuple((n - d * (k - 1) - 1) // s + 1 for n, k, s, d in zip(shape, size, stride, dilation, strict=True))


def unfold(x, size, stride, dilation):
    counts = window_counts(x.shape[-len(size) :], size, stride, dilation)
    out = np.zeros((*x.shape[: -len(size)], *size, *counts))
    for i, k, at in places(counts, size, stride, dilation):
        out[(..., *k, *i)] = x[(..., *at)]
    return out


def fold(x, shape, stride, dilation):
    n = len(stride)
    size, counts = x.shape[-2 * n : -n], x.shape[-n:]
    reach = [(m - 1) * s + (k - 1) * d + 1 for k, m, s, d in zip(size, counts, stride, dilation, strict=True)]
    out = np.zeros((*x.shape[: -2 * n], *(shape or reach)))
    for i, k, at in places(counts, size, stride, dilation):
        out[(..., *at)] += x[(..., *k, *i)]
    return out


def conv(x, w, stride, dilation, groups):
    counts = window_counts(x.shape[2:], w.shape[2:], stride, dilation)
    out = np.zeros((len(x), len(w), *counts))
    for o, c in itertools.product(range(len(w)), range(w.shape[1])):
        channel = o // (len(w) // groups) * w.shape[1] + c
        for i, k, at in places(counts, w.shape[2:], stride, dilation):
            out[(slice(None), o, *i)] += w[(o, c, *k)] * x[(slice(None), channel, *at)]
    return out


def conv_transpose(x, w, shape, stride, dilation, groups):
    size = w.shape[2:]
    reach = [(m - 1) * s + (k - 1) * d + 1 for k, m, s, d in zip(size, x.shape[2:], stride, dilation, strict=True)]
    out = np.zeros((len(x), w.shape[1] * groups, *(shape or reach)))
    for o, c in itertools.product(range(len(w)), range(w.shape[1])):
        channel = o // (len(w) // groups) * w.shape[1] + c
        for i, k, at in places(x.shape[2:], size, stride, dilation):
            out[(slice(None), channel, *at)] += w[(o, c, *k)] * x[(slice(None), o, *i)]
    return out


def conv_weight(x, y, size, stride, dilation, groups):
    out = np.zeros((y.shape[1], x.shape[1] // groups, *size))
    for o, c in itertools.product(*map(range, out.shape[:2])):
        channel = o // (len(out) // groups) * out.shape[1] + c
        for i, k, at in places(y.shape[2:], size, stride, dilation):
            out[(o, c, *k)] += (y[(slice(None), o, *i)] * x[(slice(None), channel, *at)]).sum()
    return out


def convolution(axes):
    def f(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
        batch = x if x.ndim == w.ndim else x[None]
        stride, dilation = pairs(stride, axes), pairs(dilation, axes)
        spare = [d * (k - 1) for k, d in zip(w.shape[2:], dilation, strict=True)]
        widths = [(n // 2, n - n // 2) for n in spare] if padding == "same" else [(p, p) for p in pairs(padding, axes)]
        y = conv(np.pad(batch, [(0, 0), (0, 0), *widths]), w, stride, dilation, groups)
        y = y if b is None else y + b.reshape(-1, *[1] * axes)
        return y if x.ndim == w.ndim else y[0]

    return f


def transposed(axes):
    def f(x, w, b=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
        batch = x if x.ndim == w.ndim else x[None]
        y = conv_transpose(batch, w, None, pairs(stride, axes), pairs(dilation, axes), groups)
        y = np.pad(y, [(0, 0), (0, 0), *[(0, n) for n in pairs(output_padding, axes)]])
        y = y[(..., *[slice(p, n - p) for p, n in zip(pairs(padding, axes), y.shape[2:], strict=True)])]
        y = y if b is None else y + b.reshape(-1, *[1] * axes)
        return y if x.ndim == w.ndim else y[0]

    return f


def pooling(axes, reduce):
    """reduce(numbers of a window that lie in x, how many places of it lie in x or its border)."""

    def f(x, kernel_size, stride=None, padding=0, ceil_mode=False, dilation=1, **options):
        size, pad = pairs(kernel_size, axes), pairs(padding, axes)
        step, spread = pairs(stride or size, axes), pairs(dilation, axes)
        shape = x.shape[-axes:]
        firsts = []
        for n, k, s, p, d in zip(shape, size, step, pad, spread, strict=True):
            # a window must begin in x or in the border before it
            last = n - 1 if ceil_mode else n + p - d * (k - 1) - 1
            starts = [a for a in range(-p, n + p, s) if a <= last]
            over = [a for a in starts if a + d * (k - 1) >= n + p]
            firsts.append(starts if len(over) < 2 else starts[: 1 - len(over)])
        out = np.zeros((*x.shape[:-axes], *map(len, firsts)))
        for i in np.ndindex(*map(len, firsts)):
            each = [
                [first[a] + d * k for k in range(kk)] for a, first, d, kk in zip(i, firsts, spread, size, strict=True)
            ]
            within = [[a for a in row if 0 <= a < n] for row, n in zip(each, shape, strict=True)]
            border = [[a for a in row if a < n + p] for row, n, p in zip(each, shape, pad, strict=True)]
            counted = np.prod([len(row) for row in border])
            out[(..., *i)] = reduce(x[(..., *np.ix_(*within))], counted, axes, **options)
        return out

    return f


def largest(numbers, counted, axes):
    return numbers.max(axis=tuple(range(-axes, 0)))


def mean(numbers, counted, axes, count_include_pad=True):
    total = numbers.sum(axis=tuple(range(-axes, 0)))
    return total / (counted if count_include_pad else np.prod(numbers.shape[-axes:]))


def adaptive_avg_pool2d(x, output_size):
    out = np.zeros((*x.shape[:-2], *output_size))
    for i, j in np.ndindex(*output_size):
        rows, columns = (
            slice(a * n // m, -(-(a + 1) * n // m)) for a, n, m in zip((i, j), x.shape[-2:], output_size, strict=True)
        )
        out[..., i, j] = x[..., rows, columns].mean(axis=(-2, -1))
    return out


def lstm_states(x, h, c, w):
    """By its definition, one number after the other."""
    size = len(h)
    out = np.zeros((x.shape[1], 2 * size, x.shape[2]))
    for t, b in np.ndindex(*x.shape[1:]):
        before = out[t - 1, :, b] if t else np.concatenate([h, c])[:, b]
        for j in range(size):
            o, i, f, n = (x[k * size + j, t, b] + w[k * size + j] @ before[:size] for k in range(4))
            out[t, size + j, b] = before[size + j] / (1.0 + np.exp(-f)) + np.tanh(n) / (1.0 + np.exp(-i))
            out[t, j, b] = np.tanh(out[t, size + j, b]) / (1.0 + np.exp(-o))
    return out


def standard_scores(x, axis, eps=0.0):
    return (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + eps)


FUNCTIONS = {
    "standard_scores": standard_scores,
    "lstm_states": lstm_states,
    **{f.__name__: f for f in (unfold, fold, conv, conv_transpose, conv_weight, adaptive_avg_pool2d)},
    **{f"conv{axes}d": convolution(axes) for axes in (1, 2)},
    **{f"conv_transpose{axes}d": transposed(axes) for axes in (1, 2)},
    **{f"max_pool{axes}d": pooling(axes, largest) for axes in (1, 2)},
    **{f"avg_pool{axes}d": pooling(axes, mean) for axes in (1, 2)},
}
