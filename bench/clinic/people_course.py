"""Course exercises with one mistake each, written for this bench: the examiner is measured on them too.

Every function builds a whole small program as a student writes it, wrong (`slip`) or right; the line of the mistake
ends in `# SLIP`.
"""

from __future__ import annotations

import numpy as np

from bench.clinic.people_parts import Handed, course, rng


@course
def two_layer_net_with_penalty(slip: bool) -> Handed:
    """CS231n assignment 1: affine, ReLU, affine, softmax; the penalty's gradient."""
    r = rng(1)
    X, y, reg = r.normal(size=(7, 4)), r.integers(0, 3, 7), 0.1
    params = {"W1": r.normal(size=(4, 6)), "b1": r.normal(size=6), "W2": r.normal(size=(6, 3)), "b2": r.normal(size=3)}

    def scores(p):
        hidden = np.maximum(0, X.dot(p["W1"]) + p["b1"])
        return hidden, hidden.dot(p["W2"]) + p["b2"]

    def loss(p):
        s = scores(p)[1]
        s = s - s.max(axis=1, keepdims=True)
        logp = s - np.log(np.sum(np.exp(s), axis=1, keepdims=True))
        return -logp[np.arange(7), y].mean() + reg * (np.sum(p["W1"] ** 2) + np.sum(p["W2"] ** 2))

    def backward(p):
        hidden, s = scores(p)
        probs = np.exp(s) / np.sum(np.exp(s), axis=1, keepdims=True)
        probs[np.arange(7), y] -= 1
        dscores = probs / 7
        grads = {}
        grads["W2"] = hidden.T.dot(dscores) + 2 * reg * p["W2"]
        grads["b2"] = np.sum(dscores, axis=0)
        dhidden = dscores.dot(p["W2"].T)
        dhidden[hidden <= 0] = 0
        grads["W1"] = X.T.dot(dhidden) + (1 if slip else 2) * reg * p["W1"]  # SLIP
        grads["b1"] = np.sum(dhidden, axis=0)
        return grads

    return Handed(loss, params, backward)


@course
def rnn_step_by_step(slip: bool) -> Handed:
    """CS231n assignment 3: a vanilla RNN over time, forward caches in a list."""
    r = rng(8)
    xs, ts = r.normal(size=(4, 2, 3)), r.normal(size=(4, 2, 5))
    params = {"Wx": r.normal(size=(3, 5)) * 0.6, "Wh": r.normal(size=(5, 5)) * 0.6, "b": r.normal(size=5) * 0.1}

    def rnn_forward(p):
        h, cache = np.zeros((2, 5)), []
        for x in xs:
            prev = h
            h = np.tanh(x.dot(p["Wx"]) + prev.dot(p["Wh"]) + p["b"])
            cache.append((x, prev, h))
        return cache

    def loss(p):
        return 0.5 * sum(np.sum((c[2] - t) ** 2) for c, t in zip(rnn_forward(p), ts, strict=True))

    def rnn_step_backward(dnext, cache, p):
        x, prev, h = cache
        dz = dnext * (1 - h**2)
        dprev = (dnext if slip else dz).dot(p["Wh"].T)  # SLIP
        return dprev, x.T.dot(dz), prev.T.dot(dz), dz.sum(axis=0)

    def backward(p):
        cache = rnn_forward(p)
        dWx, dWh, db = (np.zeros_like(p[n]) for n in ("Wx", "Wh", "b"))
        dprev = np.zeros((2, 5))
        for k in reversed(range(4)):
            dh = cache[k][2] - ts[k] + dprev
            dprev, a, b, c = rnn_step_backward(dh, cache[k], p)
            dWx += a
            dWh += b
            db += c
        return {"Wx": dWx, "Wh": dWh, "b": db}

    return Handed(loss, params, backward)


@course
def lstm_cell_gradient_not_handed_back(slip: bool) -> Handed:
    """CS231n: an LSTM with one matrix for all gates; the cell's gradient is lost between the steps."""
    r = rng(9)
    xs, t, H = r.normal(size=(3, 2, 3)), r.normal(size=(2, 4)), 4
    params = {"Wx": r.normal(size=(3, 16)) * 0.5, "Wh": r.normal(size=(4, 16)) * 0.5, "b": r.normal(size=16) * 0.2}

    def sig(z):
        return 1 / (1 + np.exp(-z))

    def run(p):
        h, c, cache = np.zeros((2, H)), np.zeros((2, H)), []
        for x in xs:
            a = x.dot(p["Wx"]) + h.dot(p["Wh"]) + p["b"]
            i, f, o, g = sig(a[:, :H]), sig(a[:, H : 2 * H]), sig(a[:, 2 * H : 3 * H]), np.tanh(a[:, 3 * H :])
            c_new = f * c + i * g
            tc = np.tanh(c_new)
            cache.append((x, h, c, i, f, o, g, tc))
            h, c = o * tc, c_new
        return h, cache

    def loss(p):
        return 0.5 * np.sum((run(p)[0] - t) ** 2)

    def backward(p):
        h, cache = run(p)
        grads = {n: np.zeros_like(x) for n, x in p.items()}
        dh, dc = h - t, np.zeros((2, H))
        for x, prev, c, i, f, o, g, tc in reversed(cache):
            do = dh * tc
            dc_total = dh * o * (1 - tc**2) + (0 if slip else dc)  # SLIP
            di, df, dg = dc_total * g, dc_total * c, dc_total * i
            da = np.hstack([di * i * (1 - i), df * f * (1 - f), do * o * (1 - o), dg * (1 - g**2)])
            grads["Wx"] += x.T.dot(da)
            grads["Wh"] += prev.T.dot(da)
            grads["b"] += da.sum(axis=0)
            dh = da.dot(p["Wh"].T)
            dc = dc_total * f
        return grads

    return Handed(loss, params, backward)


@course
def makemore_backprop_ninja(slip: bool) -> Handed:
    """makemore part 4: cross-entropy and batch norm, one derivative a line."""
    r = rng(11)
    x, Yb, n = r.normal(size=(6, 4)), r.integers(0, 3, 6), 6
    params = {"W1": r.normal(size=(4, 5)), "bngain": 1 + 0.2 * r.normal(size=(1, 5)), "bnbias": r.normal(size=(1, 5))}
    params |= {"W2": r.normal(size=(5, 3)), "b2": r.normal(size=3)}

    def run(p):
        hprebn = x @ p["W1"]
        bnmeani = 1 / n * hprebn.sum(0, keepdims=True)
        bndiff = hprebn - bnmeani
        bnvar = 1 / (n - 1) * (bndiff**2).sum(0, keepdims=True)
        bnvar_inv = (bnvar + 1e-5) ** -0.5
        bnraw = bndiff * bnvar_inv
        h = np.tanh(p["bngain"] * bnraw + p["bnbias"])
        logits = h @ p["W2"] + p["b2"]
        logit_maxes = logits.max(1, keepdims=True)
        counts = np.exp(logits - logit_maxes)
        probs = counts * counts.sum(1, keepdims=True) ** -1
        return bndiff, bnvar, bnvar_inv, bnraw, h, probs, np.log(probs)

    def loss(p):
        return -run(p)[-1][range(n), Yb].mean()

    def backward(p):
        bndiff, bnvar, bnvar_inv, bnraw, h, probs, _ = run(p)
        dlogits = probs.copy()
        dlogits[range(n), Yb] -= 1
        dlogits /= n
        dh = dlogits @ p["W2"].T
        dhpreact = (1.0 - h**2) * dh
        dbngain = (bnraw * dhpreact).sum(0, keepdims=True)
        dbnbias = dhpreact.sum(0, keepdims=True)
        dbnraw = p["bngain"] * dhpreact
        dbnvar_inv = (bndiff * dbnraw).sum(0, keepdims=True)
        dbnvar = (-0.5 * (bnvar + 1e-5) ** (-0.5 if slip else -1.5)) * dbnvar_inv  # SLIP
        dbndiff = bnvar_inv * dbnraw + 2.0 / (n - 1) * bndiff * dbnvar
        dhprebn = dbndiff - 1.0 / n * dbndiff.sum(0, keepdims=True)
        return {"W1": x.T @ dhprebn, "bngain": dbngain, "bnbias": dbnbias, "W2": h.T @ dlogits, "b2": dlogits.sum(0)}

    return Handed(loss, params, backward)


@course
def nnfs_layers_as_objects(slip: bool) -> Handed:
    """nnfs: layers with inputs, dinputs, dweights and dbiases; the ReLU's backward."""

    class Dense:
        def __init__(self, weights, biases):
            self.weights, self.biases = weights, biases

        def forward(self, inputs):
            self.inputs = inputs
            self.output = np.dot(inputs, self.weights) + self.biases

        def backward(self, dvalues):
            self.dweights = np.dot(self.inputs.T, dvalues)
            self.dbiases = np.sum(dvalues, axis=0, keepdims=True)
            self.dinputs = np.dot(dvalues, self.weights.T)

    class ReLU:
        def forward(self, inputs):
            self.inputs = inputs
            self.output = np.maximum(0, inputs)

        def backward(self, dvalues):
            self.dinputs = dvalues.copy()
            self.dinputs[(dvalues if slip else self.inputs) <= 0] = 0  # SLIP

    r = rng(12)
    X, y = r.normal(size=(6, 2)), r.integers(0, 3, 6)
    params = {
        "w1": r.normal(size=(2, 5)),
        "b1": r.normal(size=(1, 5)),
        "w2": r.normal(size=(5, 3)),
        "b2": np.zeros((1, 3)),
    }

    def build(p):
        first, act, second = Dense(p["w1"], p["b1"]), ReLU(), Dense(p["w2"], p["b2"])
        first.forward(X)
        act.forward(first.output)
        second.forward(act.output)
        e = np.exp(second.output - np.max(second.output, axis=1, keepdims=True))
        return first, act, second, e / np.sum(e, axis=1, keepdims=True)

    def loss(p):
        clipped = np.clip(build(p)[-1], 1e-7, 1 - 1e-7)
        return np.mean(-np.log(clipped[range(6), y]))

    def backward(p):
        first, act, second, probs = build(p)
        dinputs = probs.copy()
        dinputs[range(6), y] -= 1
        dinputs = dinputs / 6
        second.backward(dinputs)
        act.backward(second.dinputs)
        first.backward(act.dinputs)
        return {"w1": first.dweights, "b1": first.dbiases, "w2": second.dweights, "b2": second.dbiases}

    return Handed(loss, params, backward)


@course
def coursera_samples_as_columns(slip: bool) -> Handed:
    """Coursera: an L-layer network with dictionaries and samples as columns; 1/m forgotten in one place."""
    r = rng(13)
    X, Y, m = r.normal(size=(3, 6)), (r.random((1, 6)) > 0.5).astype(float), 6
    parameters = {
        "W1": r.normal(size=(4, 3)),
        "b1": r.normal(size=(4, 1)),
        "W2": r.normal(size=(1, 4)),
        "b2": np.zeros((1, 1)),
    }

    def L_model_forward(parameters):  # noqa: N802
        Z1 = np.dot(parameters["W1"], X) + parameters["b1"]
        A1 = np.maximum(0, Z1)
        Z2 = np.dot(parameters["W2"], A1) + parameters["b2"]
        return Z1, A1, 1 / (1 + np.exp(-Z2))

    def compute_cost(parameters):
        AL = L_model_forward(parameters)[-1]
        cost = -1 / m * np.sum(Y * np.log(AL) + (1 - Y) * np.log(1 - AL))
        return np.squeeze(cost)

    def L_model_backward(parameters):  # noqa: N802
        Z1, A1, AL = L_model_forward(parameters)
        dZ2 = AL - Y
        grads = {"dW2": 1 / m * np.dot(dZ2, A1.T), "db2": 1 / m * np.sum(dZ2, axis=1, keepdims=True)}
        dZ1 = np.dot(parameters["W2"].T, dZ2) * (Z1 > 0)
        grads["dW1"] = 1 / m * np.dot(dZ1, X.T)
        grads["db1"] = (1 if slip else 1 / m) * np.sum(dZ1, axis=1, keepdims=True)  # SLIP
        return grads

    return Handed(compute_cost, parameters, L_model_backward)


@course
def attention_scores_not_scaled_back(slip: bool) -> Handed:
    """One head of attention; the 1/√d of the scores is forgotten on the way back."""
    r = rng(14)
    X, t = r.normal(size=(4, 3)), r.normal(size=(4, 3))
    params = {n: r.normal(size=(3, 3)) * 0.7 for n in ("Wq", "Wk", "Wv")}

    def run(p):
        Q, K, V = X @ p["Wq"], X @ p["Wk"], X @ p["Wv"]
        S = Q @ K.T / np.sqrt(3)
        E = np.exp(S - S.max(axis=-1, keepdims=True))
        A = E / E.sum(axis=-1, keepdims=True)
        return Q, K, V, A, A @ V

    def loss(p):
        return np.mean((run(p)[-1] - t) ** 2)

    def backward(p):
        Q, K, V, A, out = run(p)
        dout = 2 * (out - t) / t.size
        dA, dV = dout @ V.T, A.T @ dout
        dS = A * (dA - np.sum(dA * A, axis=-1, keepdims=True))
        dS = dS if slip else dS / np.sqrt(3)
        dQ, dK = dS @ K, dS.T @ Q  # SLIP
        return {"Wq": X.T @ dQ, "Wk": X.T @ dK, "Wv": X.T @ dV}

    return Handed(loss, params, backward)
