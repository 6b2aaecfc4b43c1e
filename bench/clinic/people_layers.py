"""Exercises about one layer each, with one mistake: normalization, dropout, convolution, embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.clinic.people_parts import Handed, course, rng


def normed(back: Callable[..., Any], seed: int, axis: int = 0) -> Handed:
    """x W → norm → ReLU → V, with a squared error; back(dout, cache) of the norm."""
    r = rng(seed)
    x, t = r.normal(size=(6, 4)), r.normal(size=(6, 2))
    params = {"W": r.normal(size=(4, 5)), "gamma": 1 + 0.3 * r.normal(size=5), "beta": 0.2 * r.normal(size=5)}
    params["V"] = r.normal(size=(5, 2))

    def norm(x, gamma, beta, eps=1e-5):
        mu = x.mean(axis=axis, keepdims=True)
        xc = x - mu
        var = np.mean(xc**2, axis=axis, keepdims=True)
        std = np.sqrt(var + eps)
        xhat = xc / std
        return gamma * xhat + beta, (xc, std, xhat, gamma)

    def run(p):
        a, cache = norm(x.dot(p["W"]), p["gamma"], p["beta"])
        h = np.maximum(a, 0)
        return cache, a, h, h.dot(p["V"])

    def loss(p):
        return 0.5 * np.sum((run(p)[-1] - t) ** 2)

    def backward(p):
        cache, a, h, out = run(p)
        dout = out - t
        dh = dout.dot(p["V"].T) * (a > 0)
        dx, dgamma, dbeta = back(dh, cache)
        return {"dW": x.T.dot(dx), "dgamma": dgamma, "dbeta": dbeta, "dV": h.T.dot(dout)}

    return Handed(loss, params, backward)


@course
def batchnorm_by_the_graph(slip: bool) -> Handed:
    """CS231n assignment 2: batch norm backward, node by node; the path through the mean."""

    def batchnorm_backward(dout, cache):
        xc, std, xhat, gamma = cache
        N = dout.shape[0]
        dbeta = dout.sum(axis=0)
        dgamma = (dout * xhat).sum(axis=0)
        dxhat = dout * gamma
        dvar = np.sum(dxhat * xc * -0.5 * std**-3, axis=0)
        dxc = dxhat / std + dvar * 2 * xc / N
        dx = dxc if slip else dxc - dxc.mean(axis=0)  # SLIP
        return dx, dgamma, dbeta

    return normed(batchnorm_backward, 2)


@course
def batchnorm_statistics_as_constants(slip: bool) -> Handed:
    """Batch norm whose mean and variance are taken for constants."""

    def batchnorm_backward(dout, cache):
        _, std, xhat, gamma = cache
        dxhat = dout * gamma
        dx = dxhat / std  # SLIP
        if not slip:
            dx = dx - (dxhat.mean(axis=0) + xhat * np.mean(dxhat * xhat, axis=0)) / std
        return dx, (dout * xhat).sum(axis=0), dout.sum(axis=0)

    return normed(batchnorm_backward, 3)


@course
def layernorm_over_the_wrong_axis(slip: bool) -> Handed:
    """CS231n: layer norm, its backward copied from batch norm."""

    def layernorm_backward(dout, cache):
        _, std, xhat, gamma = cache
        dbeta = np.sum(dout, axis=0)
        dgamma = np.sum(dout * xhat, axis=0)
        dxhat = dout * gamma
        axis = 0 if slip else 1
        dx = dxhat - dxhat.mean(axis, keepdims=True) - xhat * np.mean(dxhat * xhat, axis, keepdims=True)  # SLIP
        return dx / std, dgamma, dbeta

    return normed(layernorm_backward, 4, axis=1)


@course
def dropout_mask_forgotten(slip: bool) -> Handed:
    """CS231n: inverted dropout with a fixed mask."""
    r = rng(5)
    X, t = r.normal(size=(5, 3)), r.normal(size=(5, 1))
    mask = (r.random((5, 8)) < 0.7) / 0.7
    params = {"W1": r.normal(size=(3, 8)), "W2": r.normal(size=(8, 1))}

    def loss(p):
        h = np.tanh(X.dot(p["W1"]))
        h_drop = h * mask
        return np.mean((h_drop.dot(p["W2"]) - t) ** 2)

    def backward(p):
        h = np.tanh(X.dot(p["W1"]))
        h_drop = h * mask
        dout = 2 * (h_drop.dot(p["W2"]) - t) / 5
        dW2 = h_drop.T.dot(dout)
        dh = dout.dot(p["W2"].T)
        if not slip:
            dh = dh * mask
        dz = dh * (1 - h**2)  # SLIP
        return {"W1": X.T.dot(dz), "W2": dW2}

    return Handed(loss, params, backward)


@course
def conv_layer_with_a_stride(slip: bool) -> Handed:
    """CS231n: the naive convolution in four loops; the gradient of x forgets the stride."""
    r = rng(6)
    x, t, stride = r.normal(size=(2, 1, 6, 6)), r.normal(size=(2, 8)), 2
    params = {"w1": r.normal(size=(1, 1, 3, 3)), "w2": r.normal(size=(2, 1, 2, 2)), "b": r.normal(size=2)}

    def conv_forward(x, w, b, stride):
        N, _, H, W = x.shape
        F, _, HH, WW = w.shape
        out = np.zeros((N, F, 1 + (H - HH) // stride, 1 + (W - WW) // stride))
        for n in range(N):
            for f in range(F):
                for i in range(out.shape[2]):
                    for j in range(out.shape[3]):
                        window = x[n, :, i * stride : i * stride + HH, j * stride : j * stride + WW]
                        out[n, f, i, j] = np.sum(window * w[f]) + b[f]
        return out

    def conv_backward(dout, x, w, stride):
        dx, dw, db = np.zeros_like(x), np.zeros_like(w), dout.sum(axis=(0, 2, 3))
        _, _, HH, WW = w.shape
        for n in range(dout.shape[0]):
            for f in range(dout.shape[1]):
                for i in range(dout.shape[2]):
                    for j in range(dout.shape[3]):
                        a, b = i * stride, j * stride
                        dw[f] += dout[n, f, i, j] * x[n, :, a : a + HH, b : b + WW]
                        a, b = (i, j) if slip else (a, b)
                        dx[n, :, a : a + HH, b : b + WW] += dout[n, f, i, j] * w[f]  # SLIP
        return dx, dw, db

    def run(p):
        a = np.tanh(conv_forward(x, p["w1"], np.zeros(1), 1))
        return a, conv_forward(a, p["w2"], p["b"], stride)

    def loss(p):
        return 0.5 * np.sum((run(p)[1].reshape(2, -1) - t) ** 2)

    def backward(p):
        a, out = run(p)
        dout = (out.reshape(2, -1) - t).reshape(out.shape)
        da, dw2, db = conv_backward(dout, a, p["w2"], stride)
        dz = da * (1 - a**2)
        _, dw1, _ = conv_backward(dz, x, p["w1"], 1)
        return {"w1": dw1, "w2": dw2, "b": db}

    return Handed(loss, params, backward)


@course
def conv_kernel_flipped(slip: bool) -> Handed:
    """A convolution of one channel; the kernel's gradient is handed out rotated."""
    r = rng(7)
    img, t = r.normal(size=(6, 6)), 0.7
    params = {"K": r.normal(size=(3, 3)) * 0.5, "v": r.normal(size=16) * 0.4}

    def convolve(img, K):
        return np.array([[np.sum(img[i : i + 3, j : j + 3] * K) for j in range(4)] for i in range(4)])

    def loss(p):
        a = np.tanh(convolve(img, p["K"]))
        return (np.dot(a.ravel(), p["v"]) - t) ** 2

    def backward(p):
        a = np.tanh(convolve(img, p["K"]))
        e = 2 * (np.dot(a.ravel(), p["v"]) - t)
        d = (e * p["v"]).reshape(4, 4) * (1 - a * a)
        dK = np.zeros((3, 3))
        for i in range(4):
            for j in range(4):
                dK += d[i, j] * img[i : i + 3, j : j + 3]
        return {"K": dK[::-1, ::-1] if slip else dK, "v": e * a.ravel()}  # SLIP

    return Handed(loss, params, backward)


@course
def embedding_rows_assigned(slip: bool) -> Handed:
    """makemore: characters looked up in C; a character that occurs twice is counted once."""
    r = rng(10)
    Xb, Yb = np.array([[0, 1, 1], [2, 1, 0], [3, 3, 2]]), np.array([1, 0, 2])
    params = {"C": r.normal(size=(4, 2)), "W1": r.normal(size=(6, 5)) * 0.5, "W2": r.normal(size=(5, 4)) * 0.5}

    def run(p):
        emb = p["C"][Xb]
        embcat = emb.reshape(3, -1)
        h = np.tanh(embcat @ p["W1"])
        logits = h @ p["W2"]
        counts = np.exp(logits - logits.max(1, keepdims=True))
        return emb, embcat, h, counts / counts.sum(1, keepdims=True)

    def loss(p):
        return -np.log(run(p)[-1][range(3), Yb]).mean()

    def backward(p):
        emb, embcat, h, probs = run(p)
        dlogits = probs.copy()
        dlogits[range(3), Yb] -= 1
        dlogits /= 3
        dhpre = (1 - h**2) * (dlogits @ p["W2"].T)
        demb = (dhpre @ p["W1"].T).reshape(emb.shape)
        dC = np.zeros_like(p["C"])
        for k in range(Xb.shape[0]):
            for j in range(Xb.shape[1]):
                dC[Xb[k, j]] = demb[k, j] if slip else dC[Xb[k, j]] + demb[k, j]  # SLIP
        return {"C": dC, "W1": embcat.T @ dhpre, "W2": h.T @ dlogits}

    return Handed(loss, params, backward)
