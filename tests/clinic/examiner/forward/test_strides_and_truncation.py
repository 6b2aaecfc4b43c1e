"""Strides and paddings that are forgotten on the way back, and a gradient that is cut off in time."""

import itertools

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop


def by_pad(x, p):
    return np.pad(x, ((0, 0), (p, p), (p, p)))


def by_zeros(x, p):
    padded = np.zeros((x.shape[0], x.shape[1] + 2 * p, x.shape[2] + 2 * p))
    padded[:, p : p + x.shape[1], p : p + x.shape[2]] = x
    return padded


class Strided:
    """Two convolutions with stride and padding, as loops over windows, and a dense layer; `wrong` names the mistake."""

    def __init__(self, stride, padding, pad, seed=0):
        r = np.random.default_rng(seed)
        self.s, self.p, self.pad, self.k = stride, padding, pad, 3
        self.x, self.t = r.normal(size=(1, 6, 6)), r.normal(size=2)
        self.n1 = 4  # of the first convolution, which is plain
        self.n2 = (self.n1 + 2 * padding - self.k) // stride + 1
        shapes = {"K1": (2, 1, 3, 3), "K2": (2, 2, 3, 3), "V": (2 * self.n2**2, 2)}
        self.params = {name: r.normal(size=shape) for name, shape in shapes.items()}

    def convolve(self, x, K, n, s):
        out = np.zeros((len(K), n, n))
        for f, i, j in itertools.product(range(len(K)), range(n), range(n)):
            out[f, i, j] = np.sum(x[:, i * s : i * s + self.k, j * s : j * s + self.k] * K[f])
        return out

    def run(self, p):
        a = np.tanh(self.convolve(self.x, p["K1"], self.n1, 1))
        padded = self.pad(a, self.p) if self.p else a
        h = np.tanh(self.convolve(padded, p["K2"], self.n2, self.s))
        return a, padded, h, h.reshape(-1) @ p["V"]

    def loss(self, p):
        return 0.5 * np.sum((self.run(p)[3] - self.t) ** 2)

    def backward(self, p, wrong=""):
        a, padded, h, y = self.run(p)
        d = y - self.t
        dz = (p["V"] @ d).reshape(h.shape) * (1 - h * h)
        dK2, dpadded = np.zeros_like(p["K2"]), np.zeros_like(padded)
        for f, i, j in itertools.product(range(2), range(self.n2), range(self.n2)):
            here, there = (
                (slice(None), slice(i * s, i * s + self.k), slice(j * s, j * s + self.k))
                for s in (1 if wrong == "stride_dx" else self.s, 1 if wrong == "stride_dK" else self.s)
            )
            dpadded[here] += dz[f, i, j] * p["K2"][f]
            dK2[f] += dz[f, i, j] * padded[there]
        q, n = 0 if wrong == "padding" else self.p, self.n1
        dz1 = dpadded[:, q : q + n, q : q + n] * (1 - a * a)
        dK1 = np.zeros_like(p["K1"])
        for f, i, j in itertools.product(range(2), range(n), range(n)):
            dK1[f] += dz1[f, i, j] * self.x[:, i : i + 3, j : j + 3]
        return {"K1": dK1, "K2": dK2, "V": np.outer(h.reshape(-1), d)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stride", "padding", "pad", "wrong", "code"),
    [
        (2, 1, by_zeros, "stride_dx", "stride_forgotten"),
        (2, 1, by_pad, "stride_dK", "stride_forgotten"),
        (1, 1, by_pad, "padding", "padding_forgotten"),
        (2, 1, by_zeros, "padding", "padding_forgotten"),
    ],
)
def test_what_is_forgotten_of_a_convolution_is_named(stride, padding, pad, wrong, code):
    net = Strided(stride, padding, pad)
    assert check_backprop(net.loss, net.params, net.backward(net.params)).ok
    report = check_backprop(net.loss, net.params, net.backward(net.params, wrong))
    assert report.certain
    assert [slip.code for slip in report.explanations[0]] == [code]


class Unrolled:
    """An Elman network with an output at each step, whose gradient is handed back through some steps only."""

    def __init__(self, steps, seed=0):
        r = np.random.default_rng(seed)
        self.x, self.t = r.normal(size=(steps, 3)), r.normal(size=(steps, 2))
        self.params = {"U": r.normal(size=(4, 3)), "W": r.normal(size=(4, 4)) * 0.6, "V": r.normal(size=(2, 4))}

    def run(self, p):
        h = [np.zeros(4)]
        for x in self.x:
            h.append(np.tanh(p["U"] @ x + p["W"] @ h[-1]))
        return h, [p["V"] @ s for s in h[1:]]

    def loss(self, p):
        return 0.5 * sum(np.sum((y - t) ** 2) for y, t in zip(self.run(p)[1], self.t, strict=True))

    def backward(self, p, depth=99):
        h, ys = self.run(p)
        g = {n: np.zeros_like(w) for n, w in p.items()}
        for t, (y, target) in enumerate(zip(ys, self.t, strict=True)):
            g["V"] += np.outer(y - target, h[t + 1])
            d = p["V"].T @ (y - target) * (1 - h[t + 1] ** 2)
            for s in range(t, max(t - depth, 0) - 1, -1):
                g["U"] += np.outer(d, self.x[s])
                g["W"] += np.outer(d, h[s])
                d = p["W"].T @ d * (1 - h[s] ** 2)
        return g


@pytest.mark.slow
@pytest.mark.parametrize(("steps", "depth"), [(4, 1), (5, 2), (6, 3)])
def test_a_gradient_that_is_cut_off_in_time_is_named(steps, depth):
    net = Unrolled(steps)
    assert check_backprop(net.loss, net.params, net.backward(net.params)).ok
    report = check_backprop(net.loss, net.params, net.backward(net.params, depth))
    assert report.certain
    slip = report.explanations[0][0]
    assert slip.code == "backpropagation_truncated"
    assert f"through {depth} step" in slip.line
    assert slip.where == "hidden layer 1, every time step"


def test_the_rows_of_the_bias_are_no_part_of_what_is_handed_down():
    r = np.random.default_rng(0)
    X, t = r.normal(size=(5, 3)), r.normal(size=(5, 2))
    params = {"W1": r.normal(size=(4, 4)), "W2": r.normal(size=(5, 2))}

    def with_ones(x):
        return np.concatenate([np.ones((5, 1)), x], axis=1)

    def loss(p):
        return 0.5 * np.sum((with_ones(np.tanh(with_ones(X) @ p["W1"])) @ p["W2"] - t) ** 2)

    h = np.tanh(with_ones(X) @ params["W1"])
    d2 = with_ones(h) @ params["W2"] - t
    d1 = d2 @ params["W2"][:-1].T * (1 - h * h)  # should be [1:], without the row of the bias
    report = check_backprop(loss, params, {"W1": with_ones(X).T @ d1, "W2": with_ones(h).T @ d2})
    assert report.certain
    assert report.slips[0].code == "wrong_matrix_in_propagation"
