"""Lines whose values have no name: arguments made in a call, items of loops and dicts, shares, labels, Jacobians."""

import math

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program

r = np.random.default_rng(5)
X, T = r.normal(size=(6, 3)), r.normal(size=(6, 2))
LABELS = np.array([0, 1, 2, 0, 1, 2])
C = {"W": r.normal(size=(3, 4)), "V": r.normal(size=(4, 3))}
P = {"W": r.normal(size=(3, 4)), "V": r.normal(size=(4, 2))}


def hidden(p):
    return np.tanh(X @ p["W"])


def squares(p):
    return 0.5 * np.sum((hidden(p) @ p["V"] - T) ** 2)


def first_line(backward, loss=squares, params=None):
    report = check_backprop(loss, params or P, backward)
    assert not report.ok
    return report.places[0].source


class Layer:
    """A layer that a backward pass calls with what it makes on the line of the call."""

    def __init__(self, x):
        self.x = x

    def back(self, delta):
        return self.x.T @ delta


def made_in_the_call(p):
    h = hidden(p)
    d = h @ p["V"] - T
    first = Layer(X).back(d @ p["V"].T * (1 - h))  # mistake
    return {"W": first, "V": h.T @ d}


def made_in_a_loop(p):
    h, g = hidden(p), {}
    d = h @ p["V"] - T
    d1 = d @ p["V"].T * (1 - h * h) * np.abs(h)  # mistake
    for name, value in (("W", X.T @ d1), ("V", h.T @ d)):
        g[name] = value
    return g


def made_in_a_zipped_loop(p):
    h, g = hidden(p), {}
    d = h @ p["V"] - T
    d1 = d @ p["V"].T * (1 - h * h) * np.abs(h)  # mistake
    for name, value in zip(["W", "V"], [X.T @ d1, h.T @ d], strict=True):
        g[name] = value
    return g


def made_in_a_dict(p):
    h = hidden(p)
    d = h @ p["V"] - T
    d1 = d @ p["V"].T * (1 - h * h) * np.abs(h)  # mistake
    return dict(W=X.T @ d1, V=h.T @ d)  # noqa: C408 (as people write it)


@pytest.mark.slow
@pytest.mark.parametrize("backward", [made_in_the_call, made_in_a_loop, made_in_a_zipped_loop, made_in_a_dict])
def test_values_that_are_made_in_passing_have_their_own_inputs(backward):
    assert first_line(backward).endswith("# mistake")


def entropy(p):
    z = hidden(p) @ p["V"]
    s = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return -np.sum(r_weights * np.log(s[np.arange(6), LABELS]))


r_weights = r.normal(size=6)


def test_a_label_that_is_written_into_noughts_is_no_mistake():
    def backward(p):
        h, deltas = hidden(p), []
        z = h @ p["V"]
        s = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
        for k in range(6):
            label = np.zeros(3)
            label[LABELS[k]] = 1
            deltas.append(s[k] - label)  # mistake: r_weights
        d = np.vstack(deltas)
        return {"W": X.T @ (d @ p["V"].T * (1 - h * h)), "V": h.T @ d}

    assert first_line(backward, entropy, C).endswith("# mistake: r_weights")


def test_of_two_terms_the_one_with_its_sign_turned_is_pointed_at():
    same = np.array([1.0, 0.0, 1.0, 1.0, 0.0, 0.0])

    def loss(p):
        d = np.sqrt(np.sum((hidden(p) @ p["V"]) ** 2, axis=1))
        return np.mean(same * d**2 + (1 - same) * (3.0 - d) ** 2)

    def backward(p):
        h = hidden(p)
        y = h @ p["V"]
        d = np.sqrt(np.sum(y**2, axis=1))
        near = 2 * same[:, None] * y
        far = ((1 - same) * 2 * (3.0 - d) / d)[:, None] * y  # mistake: -
        g = (near + far) / 6
        return {"W": X.T @ (g @ p["V"].T * (1 - h * h)), "V": h.T @ g}

    assert first_line(backward, loss).endswith("# mistake: -")


def test_a_share_explains_all_that_it_goes_into():
    params = {"W": P["W"], "m": r.normal(size=4), "s": r.normal(size=4) * 0.3}

    def loss(p):
        h = hidden(p)
        s = h @ p["s"]
        return np.mean(s + 0.5 * ((T[:, 0] - h @ p["m"]) / np.exp(s)) ** 2)

    def backward(p):
        h = hidden(p)
        e = (T[:, 0] - h @ p["m"]) / np.exp(h @ p["s"])
        dm = -e / np.exp(h @ p["s"]) / 6
        ds = -(e**2) / 6  # mistake: 1 -
        dz = (np.outer(dm, p["m"]) + np.outer(ds, p["s"])) * (1 - h * h)
        return {"W": X.T @ dz, "m": h.T @ dm, "s": h.T @ ds}

    assert first_line(backward, loss, params).endswith("# mistake: 1 -")


@pytest.mark.slow
def test_the_line_that_writes_a_wrong_entry_into_a_jacobian():
    def softmax(p, k):
        e = np.exp(hidden(p)[k] @ p["V3"])
        return e / e.sum()

    params = {"W": P["W"], "V3": r.normal(size=(4, 3))}
    goal = r.normal(size=(6, 3))

    def loss(p):
        return sum(0.5 * np.sum((softmax(p, k) - goal[k]) ** 2) for k in range(6))

    def backward(p):
        h, g = hidden(p), {n: np.zeros_like(x) for n, x in p.items()}
        for k in range(6):
            s, J = softmax(p, k), np.zeros((3, 3))
            for i in range(3):
                for j in range(3):
                    if i == j:
                        J[i, j] = s[i] * s[i]  # mistake
                    else:
                        J[i, j] = -s[i] * s[j]
            d = J @ (s - goal[k])
            g["V3"] += np.outer(h[k], d)
            g["W"] += np.outer(X[k], (p["V3"] @ d) * (1 - h[k] ** 2))
        return g

    assert first_line(backward, loss, params).endswith("# mistake")


def test_lines_that_divide_by_sizes_of_layers_and_not_by_the_batch():
    params = {"W": P["W"].T, "V": P["V"].T}

    def loss(p):
        return np.sum((p["V"] @ np.tanh(p["W"] @ X.T) - T.T) ** 2) / 6

    def backward(p):
        h, g = np.tanh(p["W"] @ X.T), {}
        d = 2 * (p["V"] @ h - T.T)
        for name, x in (("V", h), ("W", X.T)):
            g[name] = d @ x.T / len(x)  # mistake: 6
            d = p["V"].T @ d * (1 - h * h) if name == "V" else d
        return g

    assert first_line(backward, loss, params).endswith("# mistake: 6")


# whole programs


class Neuron:
    def __init__(self, w, b):
        self.w, self.b = w, b

    def out(self, x):
        return math.tanh(sum(a * c for a, c in zip(self.w, x, strict=True)) + self.b)


def test_the_line_beside_which_an_update_of_a_bias_is_missing():
    unit = Neuron([0.3, -0.4], 0.2)

    def step():
        y = unit.out([0.5, 1.5])
        d = 2 * (y - 0.7) * (1 - y * y)
        unit.w = [a - 0.1 * d * c for a, c in zip(unit.w, [0.5, 1.5], strict=True)]

    report = check_program(unit, step=step, loss=lambda: (unit.out([0.5, 1.5]) - 0.7) ** 2, lr=0.1)
    assert report.places[0].source.startswith("unit.w = [a")
    assert "no line of the step updates unit.b" in str(report)


@pytest.mark.slow
def test_a_single_number_that_is_the_gradient_of_another_parameter():
    data = [([0.5, -1.0], 1.0), ([1.5, 0.3], 0.0), ([-0.2, 0.8], 1.0)]
    net = {"w": [0.3, -0.2], "b": 0.4}

    def predict(x):
        return net["b"] + sum(a * c for a, c in zip(net["w"], x, strict=True))

    def step():
        dw, db = [0.0, 0.0], 0.0
        for x, t in data:
            e = 2 * (predict(x) - t)
            for k in range(2):
                dw[k] += e * x[k]
            db += e * x[1]  # mistake: 1
        net["w"] = [w - 0.1 * g for w, g in zip(net["w"], dw, strict=True)]
        net["b"] = net["b"] - 0.1 * db

    report = check_program(net, step=step, loss=lambda: sum((predict(x) - t) ** 2 for x, t in data), lr=0.1)
    assert report.places[0].source.endswith("# mistake: 1")


class Norm:
    def forward(self, x):
        self.s = np.sqrt(x.var(axis=-1, keepdims=True) + 1e-5)
        self.y = (x - x.mean(axis=-1, keepdims=True)) / self.s
        return self.y

    def backward(self, d):
        return (d - d.mean(-1, keepdims=True) - self.y * (d * self.y).mean(-1, keepdims=True)) / self.s


def test_a_skip_around_a_norm_is_missing_where_the_norm_is_called():
    norm = Norm()

    def loss(p):
        z = X @ p["W"]
        return np.sum(np.tanh(z + norm.forward(z) @ np.diag(np.arange(4.0))) ** 2)

    def backward(p):
        z = X @ p["W"]
        y = np.tanh(z + norm.forward(z) @ np.diag(np.arange(4.0)))
        d = 2 * y * (1 - y * y)
        dz = norm.backward(d @ np.diag(np.arange(4.0)))  # mistake: + d
        return {"W": X.T @ dz}

    assert first_line(backward, loss, {"W": P["W"]}).endswith("# mistake: + d")
