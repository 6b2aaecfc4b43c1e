"""Right programs of people that were accused, and the mistakes that must be found beside what makes them unusual."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program


def data(n=7, classes=3):
    rng = np.random.default_rng(4)
    return rng.normal(size=(n, 4)), np.arange(n) % classes


class Classifier:
    """Softmax regression behind a hidden layer; its loss adds a little number inside the log."""

    def __init__(self, little=1e-8, bias=float, decay=0.0, momentum=0.0, falls=0.0, slip=""):
        rng = np.random.default_rng(1)
        self.W1, self.b1 = rng.normal(size=(4, 5)), np.zeros(5, dtype=bias)
        self.W2, self.b2 = 2.5 * rng.normal(size=(5, 3)), np.zeros(3, dtype=bias)
        self.little, self.decay, self.mu, self.falls, self.slip = little, decay, momentum, falls, slip
        self.velocity, self.rounds = {}, 0

    def probabilities(self):
        self.h = np.tanh(X @ self.W1 + self.b1)
        e = np.exp(self.h @ self.W2 + self.b2)
        return e / e.sum(axis=1, keepdims=True)

    def loss(self):
        return -np.mean(np.log(self.probabilities()[np.arange(len(y)), y] + self.little))

    def gradients(self):
        d2 = (self.probabilities() - np.eye(3)[y]) / (1 if self.slip == "n" else len(y))
        d1 = d2 @ self.W2.T * (1.0 if self.slip == "slope" else 1.0 - self.h**2)
        first = d1.mean(axis=0) if self.slip == "bias" else d1.sum(axis=0)
        return {"W1": X.T @ d1, "b1": first, "W2": self.h.T @ d2, "b2": d2.sum(axis=0)}

    def step(self):
        for name, g in self.gradients().items():
            rate = 0.1 / (1.0 + self.falls * self.rounds)
            held = getattr(self, name)
            if self.decay and held.ndim > 1:
                g = g + self.decay * held
            self.velocity[name] = self.mu * self.velocity.get(name, 0.0) - rate * g
            held += self.velocity[name].astype(held.dtype)
            self.rounds += name[0] == "b"  # each layer counts


X, y = data()


def verdict(**options):
    net = Classifier(**options)
    return check_program(net, step=net.step, loss=net.loss, lr=0.1)


RIGHT = {
    "a little number in the log": {},
    "a larger one": {"little": 1e-5},
    "single precision for the biases alone": {"little": 0.0, "bias": np.float32},
    "momentum, with a rate that falls from layer to layer": {"little": 0.0, "momentum": 0.9, "falls": 1e-3},
    "no momentum, the same": {"little": 0.0, "falls": 1e-3},
    "both": {"momentum": 0.9, "falls": 1e-3},
}


@pytest.mark.parametrize("options", RIGHT.values(), ids=RIGHT)
def test_right_programs_are_right(options):
    report = verdict(**options)
    assert report.ok
    assert set(report.right) == {"net.W1", "net.b1", "net.W2", "net.b2"}
    assert "none of the rules" not in report.note


WRONG = {
    "a little number, a forgotten slope": ({"slip": "slope"}, "missing_activation_derivative"),
    "single precision, a bias by its mean": ({"bias": np.float32, "slip": "bias", "little": 0.0}, "constant_factor"),
    "a forgotten n beside weight decay": ({"decay": 0.03, "slip": "n", "little": 0.0}, "constant_factor"),
    "a forgotten n, a falling rate": ({"falls": 1e-3, "momentum": 0.9, "slip": "n", "little": 0.0}, "constant_factor"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("options", "code"), WRONG.values(), ids=WRONG)
def test_mistakes_beside_it_are_found(options, code):
    report = verdict(**options)
    assert not report.ok
    codes = {slip.code for e in report.explanations for slip in e}
    assert code in codes, codes


def test_the_little_number_is_told():
    assert "1e-05 that the loss adds inside its log is left out" in verdict(little=1e-5).note


def test_a_large_number_in_a_log_is_part_of_the_loss():
    assert not verdict(little=0.05).ok


def test_the_little_number_in_check_backprop():
    net = Classifier(1e-6)

    def forward(p):
        net.W2 = p["W2"]
        return net.loss()

    params, grads = {"W2": net.W2.copy()}, {"W2": net.gradients()["W2"]}
    assert check_backprop(forward, params, grads).ok
    assert not check_backprop(forward, params, {"W2": 2.0 * grads["W2"]}).ok


@pytest.mark.parametrize(("loss_little", "own"), [(1e-8, 1e-9), (1e-7, 1e-8), (1e-6, 0.0)])
def test_another_little_number_in_the_backward_pass(loss_little, own):
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(8, 3)), rng.integers(0, 2, (8, 1))
    p = {"V": 3.0 * rng.normal(size=(3, 4)), "W": 3.0 * rng.normal(size=(4, 1))}

    def output():
        h = np.tanh(x @ p["V"])
        return h, 1.0 / (1.0 + np.exp(-h @ p["W"]))

    def loss():
        a = output()[1]
        return -np.sum(t * np.log(a + loss_little) + (1 - t) * np.log(1 - a + loss_little))

    def step():
        h, a = output()
        d = ((1 - t) / (1 - a + own) - t / (a + own)) * a * (1 - a)
        d_v = x.T @ (d @ p["W"].T * (1 - h**2))
        p["W"] -= 0.1 * h.T @ d
        p["V"] -= 0.1 * d_v

    assert check_program(p, step=step, loss=loss, lr=0.1).ok


class Factors:
    """Matrix factorisation: each step on one rating that it draws, a loss over all of them in a loop."""

    def __init__(self, slip=False):
        rng = np.random.default_rng(2)
        self.u, self.z, self.slip = rng.random((3, 2)), rng.random((3, 2)), slip
        self.ratings = [(0, 0, 1.0), (0, 1, 0.0), (1, 2, 1.0), (1, 1, 1.0), (2, 0, 0.0)]

    def loss(self):
        total = 0.0
        for i, j, r in self.ratings:
            total += 0.5 * (r - np.sum(self.u[i] * self.z[j])) ** 2
        return total

    def step(self):
        i, j, r = self.ratings[np.random.choice(5)]
        error = r - self.u[i] @ self.z[j]
        old = self.u[i].copy()
        self.u[i] += 0.1 * error * self.z[j]
        self.z[j] += 0.1 * error * (self.z[j] if self.slip else old)


@pytest.mark.parametrize("slip", [False, True])
def test_a_step_on_a_drawn_sample(slip):
    np.random.seed(3)
    net = Factors(slip)
    report = check_program(net, step=net.step, loss=net.loss, lr=0.1)
    assert report.ok != slip
    assert "one sample" in report.note or "sample" in report.note
    assert [*report.wrong] == (["net.z"] if slip else [])


def test_an_output_that_is_taken_as_a_column():
    rng = np.random.default_rng(0)
    x, t = np.column_stack([-np.ones(6), np.linspace(-1, 1, 6)]), rng.normal(size=6)
    p = {"W": rng.normal(size=(3, 2)), "V": rng.normal(size=(1, 3))}

    def loss():
        return 0.5 * np.sum((t - (np.tanh(x @ p["W"].T) @ p["V"].T)[:, 0]) ** 2)

    def step():
        d_v, d_w = 0.0, 0.0
        for row, target in zip(x, t, strict=True):
            h = np.tanh(row @ p["W"].T)
            e = target - (p["V"] @ h)[0]
            d_v, d_w = d_v + e * h[None], d_w + np.outer(e * p["V"][0] * (1 - h), row)  # 1 - h² is forgotten
        p["V"] += 0.01 * d_v
        p["W"] += 0.01 * d_w

    report = check_program(p, step=step, loss=loss, lr=0.01)
    assert [*report.wrong] == ["W"]
    assert report.slips[0].code == "wrong_activation_derivative"
