"""Lines in kinds of programs of people: values appended to lists, updates by name, one branch of twins, statistics."""

import numpy as np
import pytest

from tests.clinic.examiner.programs.test_real_programs import P, T, X, forward, gradients
from tinygrad_edu.clinic import check_backprop, check_program

r = np.random.default_rng(3)


def test_item_of_a_one_by_one_loss_is_traced():
    w, x, y = r.normal(size=(1, 3)), r.normal(size=(3, 8)), (r.normal(size=(1, 8)) > 0) * 1.0

    def cost(p):
        a = 1 / (1 + np.exp(-p["w"].dot(x)))
        return float(-(y.dot(np.log(a.T)) + (1 - y).dot(np.log(1 - a.T))).item() / 8)

    report = check_backprop(cost, {"w": w}, {"w": (1 / (1 + np.exp(-w.dot(x))) - y).dot(x.T)})
    assert report.method == "traced"
    assert report.slips[0].code == "constant_factor"


def places_of(backward, loss=forward, params=None):
    return [place.source for place in check_backprop(loss, params or P, backward).places]


def test_what_is_appended_to_a_list_was_made_on_that_line():
    def backward(p):
        a, grads = [X, np.tanh(X @ p["W1"] + p["b1"])], []
        d = 2 * (a[1] @ p["W2"] + p["b2"] - T) / T.size
        for k, name in ((1, "2"), (0, "1")):
            grads.insert(0, d.sum(0) if k else d.sum(0) * p["b1"])
            grads.insert(0, a[k].T @ d)
            d = d @ p["W" + name].T * (1 - a[k] ** 2)
        return dict(zip(P, grads, strict=True))

    assert places_of(backward)[0] == 'grads.insert(0, d.sum(0) if k else d.sum(0) * p["b1"])'


def test_a_first_delta_that_is_wrong_is_pointed_at():
    def backward(p):
        h = np.tanh(X @ p["W1"] + p["b1"])
        d2 = 2 * (h @ p["W2"] + p["b2"] - T[:, ::-1]) / T.size
        d1 = d2 @ p["W2"].T * (1 - h * h)
        return {"W1": X.T @ d1, "b1": d1.sum(0), "W2": h.T @ d2, "b2": d2.sum(0)}

    assert places_of(backward)[0] == 'd2 = 2 * (h @ p["W2"] + p["b2"] - T[:, ::-1]) / T.size'


A, B = r.normal(size=(5, 3)), r.normal(size=(5, 3))


def distance(p):
    return np.mean(np.sum((np.tanh(A @ p["W"]) @ p["V"] - np.tanh(B @ p["W"]) @ p["V"]) ** 2, axis=1))


def branch(x, d, p):
    h = np.tanh(x @ p["W"])
    dV = h.T @ d
    return x.T @ (d @ p["V"].T * (1 - h * h)), dV


@pytest.mark.parametrize("left", [0, 1])
def test_one_branch_of_twins(left):
    p = {"W": r.normal(size=(3, 4)) * 0.5, "V": r.normal(size=(4, 2)) * 0.5}

    def backward(p):
        d = 2 * (np.tanh(A @ p["W"]) @ p["V"] - np.tanh(B @ p["W"]) @ p["V"]) / 5
        both = branch(A, d, p), branch(B, -d, p)
        grads = {}
        grads["W"], grads["V"] = both[left]
        return grads

    report = check_backprop(distance, p, backward)
    assert report.certain
    assert report.slips[0].code == "shared_weight_counted_once"
    assert "both[left]" in report.places[0].source


def norm_backward(d, z, xhat, p, power):
    n, v = len(z), z.var(axis=0) + 1e-5
    dgamma = d.sum(axis=0) if power is None else (d * xhat).sum(axis=0)
    dx = d * p["gamma"]
    dvar = np.sum(dx * (z - z.mean(0)), axis=0) * -0.5 * v ** (-1.5 if power is None else power)
    dmu = -np.sum(dx / np.sqrt(v), axis=0) + dvar * np.mean(-2 * (z - z.mean(0)), axis=0)
    return dx / np.sqrt(v) + dvar * 2 * (z - z.mean(0)) / n + dmu / n, dgamma


LINES = {None: "dgamma = d.sum(axis=0) if", -0.5: "dvar = np.sum(", -2.5: "dvar = np.sum("}


@pytest.mark.slow
@pytest.mark.parametrize("power", LINES)
def test_statistics_for_which_a_right_value_speaks_though_it_does_not_depend_on_them(power):
    p = {"W": r.normal(size=(3, 4)), "gamma": 1 + 0.3 * r.normal(size=4), "beta": r.normal(size=4) * 0.1}

    def run(p):
        z = X @ p["W"]
        xhat = (z - z.mean(axis=0)) / np.sqrt(z.var(axis=0) + 1e-5)
        return z, xhat, p["gamma"] * xhat + p["beta"]

    def loss(p):
        return np.sum(np.tanh(run(p)[2]) ** 2)

    def backward(p):
        z, xhat, y = run(p)
        dy = 2 * np.tanh(y) * (1 - np.tanh(y) ** 2)
        dz, dgamma = norm_backward(dy, z, xhat, p, power)
        return {"W": X.T @ dz, "gamma": dgamma, "beta": dy.sum(axis=0)}

    assert LINES[power] in places_of(backward, loss, p)[0]


# names


class Layer:
    def __init__(self):
        self.W, self.b = P["W1"].copy(), P["b1"].copy()


@pytest.mark.parametrize("spelling", ["setattr", "in place", "vars"])
@pytest.mark.parametrize("wrong", [True, False])
def test_parameters_that_are_updated_by_name(spelling, wrong):
    layer = Layer()

    def run():
        layer.x = X  # the data are found at another place after the first step: they are not gone
        return np.tanh(layer.x @ layer.W + layer.b)

    def step():
        h = run()
        delta = h * (1 - h) if wrong else h * (1 - h * h)
        layer.grads = {"W": X.T @ delta, "b": delta.sum(0)}
        for k, g in layer.grads.items():
            if spelling == "setattr":
                setattr(layer, k, getattr(layer, k) - 0.1 * g)
            elif spelling == "in place":
                getattr(layer, k)[...] -= 0.1 * g
            else:
                vars(layer)[k] = layer.__dict__[k] - 0.1 * g

    held = {"X": X, "layer": layer}
    report = check_program(held, step=step, loss=lambda: 0.5 * np.sum(run() ** 2), lr=0.1)
    assert report.ok != wrong
    assert [place.source[:7] for place in report.places[:1]] == (["delta ="] if wrong else [])


def test_each_item_of_what_is_written_out_has_its_own_inputs():
    net = Layer()
    net.V = P["W2"].copy()

    def step():
        h = np.tanh(X @ net.W + net.b)
        d = h @ net.V - T
        e = d @ net.V.T * (1 - h)  # of h * h
        net.grads = [h.T @ d, X.T @ e, e.sum(0)]
        net.V, net.W, net.b = net.V - 0.1 * net.grads[0], net.W - 0.1 * net.grads[1], net.b - 0.1 * net.grads[2]

    loss = lambda: 0.5 * np.sum((np.tanh(X @ net.W + net.b) @ net.V - T) ** 2)  # noqa: E731
    report = check_program(net, step=step, loss=loss, lr=0.1)
    assert set(report.wrong) == {"net.W", "net.b"}
    assert report.places[0].source.startswith("e = d @")


def test_a_factor_with_a_reason_is_no_clipping():
    g = gradients(P)
    norm = np.sqrt(sum(np.sum(x * x) for x in g.values()))
    scale = 0.074 / (0.05 * norm)  # so that 0.05 times all of them has a norm of two digits, by chance

    def loss(p):
        return scale * forward(p)

    report = check_backprop(loss, P, {n: 0.05 * scale * x for n, x in g.items()}, lr=0.05)
    assert report.slips[0].code == "constant_factor"


@pytest.mark.slow
def test_a_skip_that_is_forgotten_leaves_a_part_of_the_derivative():
    p = {"W": r.normal(size=(3, 4)), "V": r.normal(size=(4, 4)), "gamma": 1 + 0.2 * r.normal(size=4)}

    def run(p):
        z = X @ p["W"]
        xhat = (z - z.mean(1, keepdims=True)) / np.sqrt(z.var(1, keepdims=True) + 1e-5)
        return z, xhat, z + np.tanh(p["gamma"] * xhat) @ p["V"]

    def backward(p):
        z, xhat, y = run(p)
        h = np.tanh(p["gamma"] * xhat)
        dn = (2 * y @ p["V"].T) * (1 - h * h)
        d = dn * p["gamma"]
        d = d - d.mean(1, keepdims=True) - xhat * (d * xhat).mean(1, keepdims=True)
        dz = d / np.sqrt(z.var(1, keepdims=True) + 1e-5)  # + 2 * y
        return {"W": X.T @ dz, "V": h.T @ (2 * y), "gamma": (dn * xhat).sum(0)}

    report = check_backprop(lambda p: np.sum(run(p)[2] ** 2), p, backward)
    assert list(report.wrong) == ["W"]
    assert report.places[0].source.startswith("dz = d /")
    assert "only a part of" in report.places[0].sentence


@pytest.mark.slow
def test_a_part_of_a_derivative_that_is_handed_on_for_the_whole_is_pointed_at():
    x, target = r.normal(size=(3, 4)), r.normal(size=(3, 6, 6))
    p = {"W": r.normal(size=(4, 9)), "b": r.normal(size=9), "K": r.normal(size=(6, 6))}

    def run(p):
        h = np.tanh(x @ p["W"] + p["b"]).reshape(3, 3, 3)
        up = h.repeat(2, axis=1).repeat(2, axis=2)
        return h, up, up * p["K"]

    def backward(p):
        h, up, out = run(p)
        d = out - target
        dup = d * p["K"]
        dh = dup[:, ::2, ::2]  # of four places, one
        dz = (dh * (1 - h**2)).reshape(3, 9)
        return {"W": x.T @ dz, "b": dz.sum(0), "K": (d * up).sum(axis=0)}

    assert places_of(backward, lambda p: 0.5 * np.sum((run(p)[2] - target) ** 2), p)[0].startswith("dh = dup")
