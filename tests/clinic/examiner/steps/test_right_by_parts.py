"""Updates of programs of people, right or wrong as a whole: penalties by sample, parameters of a class, clips."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program

r = np.random.default_rng(11)
X, y = r.normal(size=(8, 3)), r.normal(size=8)
ROWS = [(0, 1, 2.0), (1, 0, 1.0), (2, 2, 3.0), (0, 2, 0.5), (1, 2, -1.0)]


class Factors:
    """Products of two tables of rows, trained one entry after the other."""

    def __init__(self, own=1.0):
        self.P, self.Q, self.lam, self.own = r.normal(size=(3, 2)), r.normal(size=(3, 2)), 0.1, own

    def loss(self):
        total = 0.0
        for i, j, t in ROWS:
            total += 0.5 * (t - self.P[i] @ self.Q[j]) ** 2
            total += 0.5 * self.lam * (np.sum(self.P[i] ** 2) + np.sum(self.Q[j] ** 2))
        return total

    def step(self):
        for i, j, t in ROWS:
            e, p, q = t - self.P[i] @ self.Q[j], self.P[i].copy(), self.Q[j].copy()
            self.P[i] += 0.05 * (e * q - self.own * self.lam * p)
            self.Q[j] += 0.05 * (e * p - self.own * self.lam * q)


@pytest.mark.slow
@pytest.mark.parametrize("own", [1.0, -1.0])
def test_a_penalty_for_every_sample_belongs_to_it(own):
    net = Factors(own)
    assert check_program(net, step=net.step, loss=net.loss, lr=0.05).ok == (own == 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("share", [1.0, -1.0])
@pytest.mark.parametrize("size", [1, 4])
def test_a_penalty_beside_a_mean_is_whole_in_every_update(size, share):
    net = {"w": r.normal(size=3)}

    def step():
        order = np.random.permutation(8)
        for k in range(0, 8, size):
            A, t = X[order[k : k + size]], y[order[k : k + size]]
            net["w"] = net["w"] - 0.1 * (2 * A.T @ (A @ net["w"] - t) / len(t) + 0.2 * share * net["w"])

    report = check_program(
        net, step=step, loss=lambda: np.mean((X @ net["w"] - y) ** 2) + 0.1 * net["w"] @ net["w"], lr=0.1
    )
    assert report.ok == (share == 1.0)


def test_rows_and_numbers_of_right_gradients_are_seen_where_the_rule_is_not_known():
    P, Q, G = r.normal(size=(3, 2)), r.normal(size=(3, 2)), np.ones((3, 1))
    net = {"P": P, "Q": Q}

    def step():
        for i, j, t in ROWS:
            e = P[i] @ Q[j] - t
            p, q = e * Q[j], e * P[i]
            P[i] -= 0.05 * p / G[i] ** 0.3
            Q[j] -= 0.05 * q
            G[i] += 1.0

    def loss():
        return sum(0.5 * (P[i] @ Q[j] - t) ** 2 for i, j, t in ROWS)

    assert check_program(net, step=step, loss=loss, lr=0.05).ok


class Unit:
    """Parameters in the body of a class: an object has its own only after its first update."""

    w, b = 0.5, -0.2
    steps = 0

    def train(self, right):
        d = sum(2 * (self.w * a + self.b - t) * (a if right else self.w) for a, t in ((0.3, 1.0), (-0.7, 0.2)))
        e = sum(2 * (self.w * a + self.b - t) for a, t in ((0.3, 1.0), (-0.7, 0.2)))
        self.w -= 0.1 * d
        self.b -= 0.1 * e
        Unit.steps += 1

    def loss(self):
        return sum((self.w * a + self.b - t) ** 2 for a, t in ((0.3, 1.0), (-0.7, 0.2)))


@pytest.mark.parametrize("right", [True, False])
def test_parameters_in_the_body_of_a_class(right):
    unit = Unit()
    report = check_program(unit, step=lambda: unit.train(right), loss=unit.loss, lr=0.1)
    assert list(report.errors) == ["unit.w", "unit.b"]
    assert list(report.wrong) == ([] if right else ["unit.w"])
    assert vars(unit) == {}
    assert Unit.steps == 0


@pytest.mark.parametrize("wrong_way", [False, True])
def test_gradients_clipped_the_wrong_way(wrong_way):
    net = {"w": r.normal(size=3) * 5}

    def step():
        g = 2 * X.T @ (X @ net["w"] - y) / 8
        norm = np.linalg.norm(g)
        if norm > 1.0:
            g = g * (norm if wrong_way else 1.0 / norm)
        net["w"] = net["w"] - 0.01 * g

    report = check_program(net, step=step, loss=lambda: np.mean((X @ net["w"] - y) ** 2), lr=0.01)
    assert report.ok != wrong_way
    assert [s.code for s in report.slips] == ["gradient_clip_inverted"] * wrong_way


def test_momentum_with_dampening_is_a_right_rule():
    net = {"w": r.normal(size=3), "v": None, "tau": 0.3, "mu": 0.85}

    def step():
        g = 2 * X.T @ (X @ net["w"] - y) / 8
        net["v"] = g if net["v"] is None else net["mu"] * net["v"] + (1 - net["tau"]) * g
        net["w"] = net["w"] - 0.02 * net["v"]

    report = check_program(net, step=step, loss=lambda: np.mean((X @ net["w"] - y) ** 2), lr=0.02)
    assert report.ok
    assert "momentum with dampening" in report.note


# gradients of 0, and names


def relu_net(p):
    return np.maximum(A @ p["W"] + p["b"], 0) @ p["v"] - t[:, None]


A, t = np.array([[1.0, 0.5], [0.4, 1.2], [-3.0, -2.0]]), np.array([0.3, -0.4, 1.0])
R = {"W": np.array([[0.7, 0.4], [0.3, 0.9]]), "b": np.array([0.1, 0.2]), "v": np.array([[0.5], [-0.6]])}


def last_sample_alone(names):
    h = np.maximum(A @ R["W"] + R["b"], 0)
    d = 2 * relu_net(R)
    d1 = d @ R["v"].T * (h > 0)
    last = {"W": np.outer(A[-1], d1[-1]), "b": d1[-1], "v": np.outer(h[-1], d[-1])}
    right = {"W": A.T @ d1, "b": d1.sum(axis=0), "v": h.T @ d}
    return {n: last[n] if n in names else right[n] for n in right}


@pytest.mark.parametrize(("names", "named"), [("v", True), ("W", True), ("Wbv", False)])
def test_zeros_of_a_sample_that_is_off_are_named_where_other_gradients_are_written(names, named):
    found = last_sample_alone(names)  # the last sample is off: its share is 0
    report = check_backprop(lambda p: np.sum(relu_net(p) ** 2), R, found)
    assert all(not np.any(found[n]) for n in names)
    assert ("only_last_sample" in [s.code for s in report.slips]) == named
    assert "Not written yet?" in str(report)


def test_a_bias_that_begins_at_0_is_not_said_to_be_multiplied_by_itself():
    params = {**R, "b": np.zeros(2)}
    grads = {"W": np.zeros((2, 2)), "b": np.zeros(2), "v": np.zeros((2, 1))}
    d = 2 * relu_net(params)
    grads["v"] = np.maximum(A @ params["W"], 0).T @ d
    report = check_backprop(lambda p: np.sum(relu_net(p) ** 2), params, grads)
    assert "gradient_times_weight" not in [s.code for s in report.slips]


def test_two_uses_in_different_products_are_no_time_steps():
    def loss(p):
        h = np.tanh(X @ p["w"])
        slope = (1 - h * h) * p["w"][:1]
        return np.sum((h + slope) ** 2)

    def backward(p):
        h = np.tanh(X @ p["w"])
        s = 1 - h * h
        d = 2 * (h + s * p["w"][:1])
        return {"w": X.T @ (d * s + d * p["w"][:1] * (-2 * h) * s)}

    report = check_backprop(loss, {"w": r.normal(size=(3, 2))}, backward)
    assert "time_step_dropped" not in [s.code for s in report.slips]


def test_states_in_one_array_of_which_none_hands_its_gradient_back():
    params = {"U": r.normal(size=(2, 3)), "W": r.normal(size=(3, 3)) * 0.5, "V": r.normal(size=(3, 1))}
    xs, goal = r.normal(size=(4, 2)), r.normal(size=(4, 1))

    def states(p):
        s, o = np.zeros((5, 3)), np.zeros((4, 1))
        for k in range(4):
            s[k] = np.tanh(xs[k] @ p["U"] + s[k - 1] @ p["W"])
            o[k] = s[k] @ p["V"]
        return s, o

    def loss(p):
        return 0.5 * np.sum((states(p)[1] - goal) ** 2)

    def backward(p):
        (s, o), g = states(p), {n: np.zeros_like(x) for n, x in p.items()}
        for k in range(4):
            d = o[k] - goal[k]
            ds = p["V"] @ d
            dz = ds * (1 - s[k] ** 2)
            g["V"] += np.outer(s[k], d)
            g["U"] += np.outer(xs[k], dz)
            g["W"] += np.outer(s[k - 1], dz)
        return g

    report = check_backprop(loss, params, backward)
    assert report.slips[0].code == "hidden_gradient_not_handed_back"


# programs in which two things happen in one step


@pytest.mark.slow
def test_a_decay_that_is_written_before_adam_is_no_update_of_its_own():
    net = {"w": r.normal(size=3), "m": np.zeros(3), "v": np.zeros(3), "t": 0}

    def step():
        g = 2 * X.T @ (X @ net["w"] - y) / 8
        net["t"] += 1
        lr = 0.01 * min(1.0, net["t"] / 5)
        net["w"] -= lr * 0.1 * net["w"]
        net["m"] = 0.9 * net["m"] + 0.1 * g
        net["v"] = 0.99 * net["v"] + 0.01 * g * g
        net["w"] -= lr * (net["m"] / (1 - 0.9 ** net["t"])) / (np.sqrt(net["v"] / (1 - 0.99 ** net["t"])) + 1e-8)

    assert check_program(net, step=step, loss=lambda: np.mean((X @ net["w"] - y) ** 2), lr=0.01).ok


def test_two_numbers_of_one_size_are_not_clipped():
    classes = np.array([0, 1, 1, 0, 1, 0, 0, 1])
    net = {"w": r.normal(size=(3, 2)), "b": np.zeros(2)}

    def softmax(x):
        e = np.exp(x @ net["w"] + net["b"])
        return e / e.sum(axis=1, keepdims=True)

    def step():
        dw, db = np.zeros((3, 2)), np.zeros(2)
        for k in range(0, 8, 2):
            d = softmax(X[k : k + 2])
            d[[0, 1], classes[k : k + 2]] -= 1
            dw += X[k : k + 2].T @ d / 2
            db += d.sum(axis=0) / 2
        net["w"], net["b"] = net["w"] - 0.1 * dw, net["b"] - 0.1 * db  # mistake: 4 batches

    report = check_program(net, step=step, loss=lambda: -np.mean(np.log(softmax(X)[range(8), classes])), lr=0.1)
    assert [s.code for s in report.explanations[0]] == ["constant_factor"]


def test_statistics_of_images_over_all_axes_but_one():
    images, goal = r.normal(size=(2, 2, 3, 3)), r.normal(size=(2, 2, 3, 3))
    params = {"k": r.normal(size=(2, 2))}

    def norm(p):
        a = np.einsum("nihw,ci->nchw", images, p["k"])
        spread = np.sqrt(a.var(axis=(0, 2, 3), keepdims=True) + 1e-5)
        return (a - a.mean(axis=(0, 2, 3), keepdims=True)) / spread, spread

    def backward(p):
        b, spread = norm(p)
        d = b - goal
        s1 = d.sum(axis=(0, 2, 3), keepdims=True)
        s2 = (d * b).sum(axis=(0, 2, 3), keepdims=True)
        da = (d - s1 / 2 - b * s2 / 2) / spread  # mistake: 18
        return {"k": np.einsum("nchw,nihw->ci", da, images)}

    report = check_backprop(lambda p: 0.5 * np.sum((norm(p)[0] - goal) ** 2), params, backward)
    assert "# mistake" in report.places[0].source
