"""Ways in which people write that once kept the examiner from an answer: each a small program, right and wrong."""

import numba
import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program


def codes(report):
    return {s.code for e in report.explanations for s in e}


@numba.njit
def squash(z):
    return 1.0 / (1.0 + np.exp(-z))


class Private:
    """Private attributes, a property, a helper compiled by Numba, a loss that is a sum of floats."""

    def __init__(self, slip=""):
        r = np.random.default_rng(0)
        self.__w, self._bias, self.slip = r.normal(size=(2, 3)), r.normal(size=(2, 1)), slip
        self.x, self.t = r.normal(size=(5, 3, 1)), r.normal(size=(5, 2, 1))

    @property
    def bias(self):
        return self._bias

    def loss(self):
        total = 0.0
        for x, t in zip(self.x, self.t, strict=True):
            total += float(0.5 * np.sum((squash(self.__w @ x + self.bias) - t) ** 2))
        return total / len(self.x)

    def train(self):
        dw, db = np.zeros_like(self.__w), np.zeros_like(self.bias)
        for x, t in zip(self.x, self.t, strict=True):
            y = squash(self.__w @ x + self.bias)
            d = (y - t) * (1 if self.slip == "derivative" else y * (1 - y)) / len(self.x)
            dw += d @ x.T
            db += d
        self.__w = self.__w - 0.1 * dw
        if self.slip != "bias":
            self._bias -= 0.1 * db


@pytest.mark.slow
def test_private_attributes_compiled_helpers_and_sums_of_floats():
    right = Private()
    report = check_program(right, step=right.train, loss=right.loss, lr=0.1)
    assert report.ok
    assert report.method == "traced"
    wrong = Private("derivative")
    report = check_program(wrong, step=wrong.train, loss=wrong.loss, lr=0.1)
    assert "missing_activation_derivative" in codes(report)
    assert report.places  # through __w and the property, which are kept under other names


@pytest.mark.slow
def test_a_bias_that_is_never_updated():
    net = Private("bias")
    report = check_program(net, step=net.train, loss=net.loss, lr=0.1)
    assert "missing_bias_gradient" in codes(report)


def backward(p, extra=True):
    x = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])
    a = np.tanh(x @ p["W1"])
    dZ2 = a @ p["W2"] - 1.0
    dA1 = dZ2 @ p["W2"].T
    grads = {"dW2": a.T @ dZ2, "dW1": x.T @ (dA1 * (1 - a**2))}
    return grads | ({"dA1": dA1, "dZ2": dZ2, "loss": 1.0} if extra else {})


def test_a_backward_may_return_what_stands_on_the_way_too():
    x = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 1.0]])
    p = {"W1": np.array([[0.3, -0.2], [0.1, 0.4]]), "W2": np.array([[0.7], [-0.5]])}

    def forward(p):
        return 0.5 * np.sum((np.tanh(x @ p["W1"]) @ p["W2"] - 1.0) ** 2)

    assert check_backprop(forward, p, backward).ok
    assert check_backprop(forward, p, {k: v for k, v in backward(p).items() if k != "loss"}).ok


class Pooling:
    """A pooling whose gradient goes to the wrong entries."""

    def __init__(self):
        r = np.random.default_rng(0)
        self.x, self.p = r.normal(size=(3, 4, 4)), {"K": r.normal(size=(4, 4)), "v": r.normal(size=4)}

    def run(self, p):
        a = np.tanh(self.x @ p["K"])
        windows = a.reshape(3, 2, 2, 2, 2)
        return a, windows, windows.max(axis=(2, 4)).reshape(3, 4)

    def loss(self, p):
        return 0.5 * np.sum((self.run(p)[2] @ p["v"] - 1.0) ** 2)

    def backward(self, p, share):
        a, windows, q = self.run(p)
        d = q @ p["v"] - 1.0
        back = np.outer(d, p["v"]).reshape(3, 2, 1, 2, 1)
        mask = (windows == windows.max(axis=(2, 4), keepdims=True)).astype(float)
        da = (share(mask) * back).reshape(a.shape)
        return {"K": np.einsum("nij,nik->jk", self.x, da * (1 - a * a)), "v": q.T @ d}


@pytest.mark.parametrize("share", [np.ones_like, lambda m: np.full_like(m, 0.25), lambda m: 1 - m])
def test_a_maximum_without_its_mask(share):
    net = Pooling()
    assert check_backprop(net.loss, net.p, net.backward(net.p, lambda m: m)).ok
    assert codes(check_backprop(net.loss, net.p, net.backward(net.p, share))) == {"maximum_without_its_mask"}


@pytest.mark.parametrize(("first", "each"), [(1, False), (1, True)])
def test_adam_with_a_wrong_number_of_the_step(first, each):
    r = np.random.default_rng(0)
    net = {"w": r.normal(size=4), "v": r.normal(size=3)}
    x, t = r.normal(size=(5, 4)), r.normal(size=5)
    memory = {k: (np.zeros(4 if k == "w" else 3), np.zeros(4 if k == "w" else 3)) for k in net}
    clock = {"t": first}

    def loss():
        return np.sum((np.tanh(x @ net["w"]) - t) ** 2) + np.sum(net["v"] ** 4)

    def step():
        y = np.tanh(x @ net["w"])
        grads = {"w": x.T @ (2 * (y - t) * (1 - y * y)), "v": 4 * net["v"] ** 3}
        clock["t"] += 0 if each else 1
        for k, g in grads.items():
            clock["t"] += 1 if each else 0
            m, v = 0.9 * memory[k][0] + 0.1 * g, 0.999 * memory[k][1] + 0.001 * g * g
            memory[k] = (m, v)
            now = clock["t"]
            net[k] = net[k] - 0.01 * (m / (1 - 0.9**now)) / (np.sqrt(v / (1 - 0.999**now)) + 1e-8)

    found = codes(check_program(net, step=step, loss=loss, lr=0.01))
    assert found == {"adam_step_counted_per_parameter_from_two" if each else "adam_step_one_too_high"}
