"""A whole series through an LSTM cell as one operation: the loop over time without a node for each of its twenty steps.

x is (4·hidden, times, batch), the part of the four gates that comes from the input, in the order o, i, f, n: output,
input and forget gate, and the new content of the cell. h and c are (hidden, batch), the state before the first time;
w is (4·hidden, hidden), what the gates get from h. With the batch as the last axis each gate is one piece of memory.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.linalg import matmul_with_care
from tinygrad_edu.core.operation import array_op
from tinygrad_edu.core.ops import equal, not_equal, sigmoid, tanh, where
from tinygrad_edu.core.shapes import concatenate, reshape, stack, transpose


def one_by_one(x: ArrayLike, h: ArrayLike, c: ArrayLike, w: ArrayLike) -> Any:
    """`lstm_states`, written with operations."""
    found = []
    for t in range(x.shape[1]):
        o, i, f, n = in_four(x[:, t] + w @ h)
        c = sigmoid(f) * c + sigmoid(i) * tanh(n)
        h = sigmoid(o) * tanh(c)
        found.append(concatenate([h, c]))
    return stack(found)


def in_four(a: ArrayLike) -> Sequence[Any]:
    """The gates, or what belongs to each, along the first axis."""
    size = a.shape[0] // 4
    return [a[k * size : (k + 1) * size] for k in range(4)]


@array_op(
    vjp=lambda g, y, *given: (through_time_of_arrays if g.__class__ is np.ndarray else through_time)(g, y, *given),
    shape=lambda x, h, _c, _w: (x.shape[1], 2 * h.shape[0], x.shape[2]),
    made_of=one_by_one,
    careful=lambda g, y, x, h, c, w: through_time(g, y, x, h, c, w, times_with_care, matmul_with_care),
)
def lstm_states(x: ArrayLike, h: ArrayLike, c: ArrayLike, w: ArrayLike, /) -> Any:
    """hₜ above cₜ, (times, 2·hidden, batch):  c ← σ(f)·c + σ(i)·tanh n,  h ← σ(o)·tanh c."""
    size = len(h)
    y = np.empty((x.shape[1], 2 * size, x.shape[2]), np.result_type(x, h, c, w))
    with np.errstate(over="ignore"):
        for t, row in enumerate(y):
            a = w @ h
            a += x[:, t]
            gates, new = sigmoid_in_place(a[: 3 * size]), np.tanh(a[3 * size :])
            c = np.multiply(gates[2 * size :], c, row[size:])
            c += np.multiply(gates[size : 2 * size], new, new)
            h = np.multiply(gates[:size], np.tanh(c), row[:size])
    return y


def sigmoid_in_place(a: ArrayLike) -> Any:
    """1/(1 + e⁻ˣ), written into a: SciPy's takes 2.3 times as long. e⁻ˣ is infinite where the result is 0."""
    np.negative(a, a)
    np.exp(a, a)
    np.add(a, 1.0, a)
    return np.reciprocal(a, a)


def through_time(
    g: ArrayLike,
    y: ArrayLike,
    x: ArrayLike,
    h: ArrayLike,
    c: ArrayLike,
    w: ArrayLike,
    times: Callable[..., Any] = operator.mul,
    product: Callable[..., Any] = operator.matmul,
) -> Any:
    """The four pull-backs. The gates, computed again for all times at once, give the slopes; a loop goes back in time.

    ḣ and ċ are the gradients of the state. Those of the gates are ḣ·tanh c·o(1 - o) and ċ·(n·i(1 - i), c₋·f(1 - f),
    i·(1 - n²)), with ċ = ċ₊·f₊ + ḣ·o·(1 - tanh² c) and ḣ = Wᵀ(those of the gates at the next time).
    times, product: of a gradient and what it is multiplied by, the plain ones or those with care.
    """
    size = h.shape[0]
    before = transpose(concatenate([concatenate([h, c])[None], y[:-1]]), (1, 0, 2))
    rows = reshape(before[:size], (size, -1))
    o, i, f, n = in_four(x + reshape(w @ rows, x.shape))
    o, i, f, n, seen = sigmoid(o), sigmoid(i), sigmoid(f), tanh(n), tanh(transpose(y[:, size:], (1, 0, 2)))
    by_c = stack([n * i * (1.0 - i), before[size:] * f * (1.0 - f), i * (1.0 - n * n)])
    by_h, to_c = seen * o * (1.0 - o), o * (1.0 - seen * seen)
    back_h, back_c, found = g[-1, :size], g[-1, size:], []
    for t in range(x.shape[1] - 1, -1, -1):
        back_c = back_c + times(back_h, to_c[:, t])
        shares = reshape(times(back_c, by_c[:, :, t]), (3 * size, -1))
        found.append(concatenate([times(back_h, by_h[:, t]), shares]))
        back_h, back_c = product(found[-1].T, w).T, times(back_c, f[:, t])
        if t:
            back_h, back_c = back_h + g[t - 1, :size], back_c + g[t - 1, size:]
    gates = stack(found[::-1], axis=1)
    return gates, back_h, back_c, product(reshape(gates, (4 * size, -1)), rows.T)


def times_with_care(g: ArrayLike, slope: ArrayLike) -> Any:
    """g·slope, 0 where g is 0, also beside an infinite slope or NaN; what is finite can be differentiated by g."""
    left_out = equal(g, 0.0) * not_equal(slope * 0.0, 0.0)
    return g * where(left_out, 0.0, slope)


def through_time_of_arrays(g: ArrayLike, y: ArrayLike, x: ArrayLike, h: ArrayLike, c: ArrayLike, w: ArrayLike) -> Any:
    """`through_time` in the memory of four arrays: the slopes of the gates become their gradients."""
    size, (times, batch) = len(h), x.shape[1:]
    earlier = np.empty((size, times, batch), y.dtype)
    earlier[:, 0], earlier[:, 1:] = h, y[:-1, :size].swapaxes(0, 1)
    rows = earlier.reshape(size, -1)
    gates = (w @ rows).reshape(x.shape)
    gates += x
    with np.errstate(over="ignore"):
        sigmoid_in_place(gates[: 3 * size])
    np.tanh(gates[3 * size :], gates[3 * size :])
    slopes, to_c = slopes_of_gates(gates, y[:, size:].swapaxes(0, 1), c)
    forget, back = gates[2 * size : 3 * size], np.ascontiguousarray(w.T)
    back_h, back_c = g[-1, :size].copy(), g[-1, size:].copy()
    for t in range(times - 1, -1, -1):
        back_c += back_h * to_c[:, t]
        share = slopes[:, t].copy()  # one piece of memory, in which two products and a matrix product are quicker
        share[:size] *= back_h
        by_c = share[size:].reshape(3, size, batch)
        by_c *= back_c
        slopes[:, t] = share
        np.matmul(back, share, back_h)
        back_c *= forget[:, t]
        if t:
            back_h += g[t - 1, :size]
            back_c += g[t - 1, size:]
    return slopes, back_h, back_c, slopes.reshape(4 * size, -1) @ rows.T


def slopes_of_gates(gates: ArrayLike, cells: ArrayLike, c: ArrayLike) -> tuple[Any, Any]:
    """(what ḣ and ċ are multiplied by, (4·hidden, times, batch); what takes ḣ to ċ, (hidden, times, batch))."""
    o, i, _, n = in_four(gates)
    seen = np.tanh(cells, np.empty_like(o))
    slopes = np.empty_like(gates)
    by_o, by_i, by_f, by_n = in_four(slopes)
    sigmoids = slopes[: 3 * len(o)]
    np.subtract(1.0, gates[: 3 * len(o)], sigmoids)
    sigmoids *= gates[: 3 * len(o)]
    by_o *= seen
    by_i *= n
    by_f[:, 0] *= c
    by_f[:, 1:] *= cells[:, :-1]
    for x, factor, out in ((n, i, by_n), (seen, o, seen)):
        np.multiply(x, x, out)
        np.subtract(1.0, out, out)
        out *= factor
    return slopes, seen
