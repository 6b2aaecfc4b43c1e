"""Programs as people publish them: modules of globals, one random sample a step, one-line loops; and the line to blame.

A mistake is made in the line that carries its name as a comment.
"""

import types

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.clinic.examiner.learner import reachable

MODULE = """
import numpy as np
r = np.random.default_rng(0)
X, T = r.normal(size=(6, 3)), r.normal(size=(6, 2))
W1, b1, W2 = r.normal(size=(3, 4)), np.zeros(4), r.normal(size=(4, 2))

def predict():
    return np.tanh(X @ W1 + b1) @ W2

def train():
    global W1, b1, W2
    h = np.tanh(X @ W1 + b1)
    d2 = (h @ W2 - T) / len(X)
    d1 = d2 @ W2.T * (1 - h * h)
    W2 = W2 - 0.1 * h.T @ d2
    W1 = W1 SIGN 0.1 * X.T @ d1
    b1 = b1 - 0.1 * d1.sum(axis=0)
"""


def module_of(source, folder):
    path = folder / "net.py"
    path.write_text(source, encoding="utf-8")
    made = types.ModuleType("net_of_globals")
    made.__file__ = str(path)
    exec(compile(source, str(path), "exec"), vars(made))
    return made


@pytest.mark.parametrize("sign", ["-", "+"])
@pytest.mark.parametrize("as_globals", [False, True])
def test_a_module_is_a_program(tmp_path, sign, as_globals):
    net = module_of(MODULE.replace("SIGN", sign), tmp_path)
    first = net.W1.copy()
    report = tg.clinic.check_program(
        vars(net) if as_globals else net,
        step=net.train,
        loss=lambda: 0.5 * np.sum((net.predict() - net.T) ** 2) / len(net.X),
        lr=0.1,
    )
    assert report.ok == (sign == "-")
    assert {name.rpartition(".")[2] for name in report.wrong} == (set() if report.ok else {"W1"})
    assert np.array_equal(net.W1, first)


class Net:
    """Two layers, a cross-entropy with a little number in its logarithm; `mistake` says what is done wrong."""

    def __init__(self, mistake="", outputs=3):
        r = np.random.default_rng(4)
        self.X, self.T = r.normal(size=(7, 3)), np.eye(3)[[0, 1, 2, 1, 0, 2, 2]][:, :outputs]
        self.W1, self.b1 = r.normal(size=(3, 5)), np.zeros((1, 5))
        self.W2, self.b2 = r.normal(size=(5, outputs)), np.zeros((1, outputs))
        self.mistake = mistake

    def predict(self):
        return 1 / (1 + np.exp(-(np.maximum(self.X @ self.W1 + self.b1, 0) @ self.W2 + self.b2)))

    def loss(self):
        p = self.predict()
        return -np.sum(self.T * np.log(p + 1e-9) + (1 - self.T) * np.log(1 - p + 1e-9)) / len(self.X)

    def slope(self, z):
        return (z > 0).astype(float)

    def step(self):
        n, mistake = len(self.X), self.mistake
        z1 = self.X @ self.W1 + self.b1
        h = np.maximum(z1, 0)
        d2 = self.predict() - self.T
        if mistake == "twice":
            d2 = 2 * d2  # twice
        dW2, db2 = h.T @ d2 / n, d2.sum(axis=0, keepdims=True) / n
        if mistake == "negated":
            dW2 = -(h.T @ d2) / n  # negated
        if mistake == "mean":
            db2 = d2.mean(axis=0, keepdims=True) / n  # mean
        d1 = d2 @ self.W2.T * self.slope(z1)
        if mistake == "alone":
            d1 = self.slope(z1)  # alone
        dW1 = self.X.T @ d1 / n
        db1 = d1.sum(axis=0, keepdims=True) / n
        if mistake == "undivided":
            db1 = d1.sum(axis=0, keepdims=True)  # undivided
        self.W2 = self.W2 - 0.1 * dW2
        self.b2 -= 0.1 * db2
        if mistake == "assigned":
            self.W1 = 0.1 * dW1  # assigned
        elif mistake == "uphill":
            self.W1 = self.W1 + 0.1 * dW1  # uphill
        else:
            self.W1 = self.W1 - 0.1 * dW1
        self.b1 = self.b1 - 0.1 * db1


MISTAKES = {
    "twice": "constant_factor", "negated": "sign_flipped", "mean": "bias_not_summed", "undivided": "constant_factor",
    "alone": "upstream_gradient_dropped", "assigned": "update_assigned", "uphill": "sign_flipped",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mistake", "outputs"), [(x, 3) for x in ("", *MISTAKES)] + [("", 1), ("mean", 1), ("negated", 1)]
)
def test_the_line_that_brings_the_factor_in_comes_first(mistake, outputs):
    net = Net(mistake, outputs)
    report = tg.clinic.check_program(net, step=net.step, loss=net.loss, lr=0.1)
    if not mistake:
        assert report.ok
        return
    codes = {slip.code for slip in report.explanations[0]}
    assert report.certain
    assert codes == {MISTAKES[mistake]} or (outputs == 1 and mistake == "mean")  # of one number, a mean is a factor
    assert f"# {mistake}" in report.places[0].source


class Layer:
    def __init__(self, *shape):
        self.W = np.random.default_rng(sum(shape)).normal(size=shape)
        self.params, self.grads = [self.W], [np.zeros(shape)]

    def forward(self, x):
        self.x = x
        return x @ self.params[0]

    def backward(self, d):
        self.grads = [self.x.T @ d]
        return d @ self.params[0].T


class Tanh:
    params: tuple[()] = ()
    grads: tuple[()] = ()

    def __init__(self, forgotten, power):
        self.forgotten, self.power = forgotten, power

    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, d):
        if self.forgotten:
            return np.multiply(d, 1.0)  # the slope is forgotten
        out = d * (1 - self.y**self.power)  # the slope
        return out


@pytest.mark.parametrize(
    ("forgotten", "power", "mark"), [(False, 2, ""), (True, 2, "# the slope is forgotten"), (False, 1, "# the slope")]
)
def test_layers_that_are_updated_in_a_loop_on_one_line(forgotten, power, mark):
    r = np.random.default_rng(2)
    x, t = r.normal(size=(5, 3)), r.normal(size=(5, 2))
    net = [Layer(3, 4), Tanh(forgotten, power), Layer(4, 2)]

    def predict():
        h = x
        for layer in net:
            h = layer.forward(h)
        return h

    def step():
        d = predict() - t
        for layer in reversed(net):
            d = layer.backward(d)
        for layer in net:
            for p, g in zip(layer.params, layer.grads): p -= 0.1 * g  # noqa: B905, E701  # fmt: skip

    report = tg.clinic.check_program(net, step=step, loss=lambda: 0.5 * np.sum((predict() - t) ** 2), lr=0.1)
    assert report.ok == (not mark)
    assert not mark or report.places[0].source.endswith(mark)


class Online:
    """Every step takes one sample at random."""

    def __init__(self, slope=True):
        r = np.random.default_rng(5)
        self.X, self.T = r.normal(size=(6, 3)), r.uniform(size=(6, 2))
        self.weights = [r.normal(size=(3, 4)), r.normal(size=(4, 2))]
        self.slope = slope

    def run(self, a):
        values = [a]
        for w in self.weights:
            values.append(1 / (1 + np.exp(-np.dot(values[-1], w))))
        return values

    def step(self):
        i = np.random.randint(len(self.X))
        x, h, y = self.run(self.X[i])
        d2 = (self.T[i] - y) * y * (1 - y)
        d1 = d2.dot(self.weights[1].T) * (h * (1 - h) if self.slope else 1.0)
        self.weights[1] += 0.2 * np.outer(h, d2)
        self.weights[0] += 0.2 * np.outer(x, d1)


@pytest.mark.parametrize("slope", [True, False])
def test_one_random_sample_is_no_wrong_gradient_of_all(slope):
    net = Online(slope)
    np.random.seed(1)
    report = tg.clinic.check_program(
        net, step=net.step, loss=lambda: 0.5 * np.sum((net.run(net.X)[-1] - net.T) ** 2), lr=0.2
    )
    assert report.ok == slope
    assert "one sample" in report.note if slope else report.slips[0].code == "missing_activation_derivative"


def test_weights_that_are_thrown_away_are_missed():
    r = np.random.default_rng(6)
    X, T = r.normal(size=(5, 3)), r.normal(size=(5, 2))
    net = {"weights": [r.normal(size=(3, 4)), r.normal(size=(4, 2))]}

    def predict():
        a = X
        for w in net["weights"]:
            a = a @ w
        return a

    def step():
        d = predict() - T
        gradients = [X.T @ (d @ net["weights"][1].T)]  # that of the second is lost
        net["weights"] = [w - 0.1 * g for w, g in zip(net["weights"], gradients, strict=False)]

    def loss():
        return 0.5 * np.sum((predict() - T) ** 2) if len(net["weights"]) == 2 else 0.0

    report = tg.clinic.check_program(net, step=step, loss=loss, lr=0.1)
    assert not report.ok
    assert "weights[1] is gone" in report.note


def test_states_written_into_a_copy_of_a_list_are_followed():
    r = np.random.default_rng(7)
    params = {"W": r.normal(size=(3, 3)), "V": r.normal(size=(3, 2))}
    xs = r.normal(size=(4, 2))

    def forward(p):
        states, total = np.copy([np.zeros(3), np.zeros(3)]), 0.0
        for x in xs:
            states[0] = np.tanh(p["W"] @ states[0] + p["V"] @ x)
            total = total + np.sum(states[0] ** 2)
        return total

    assert (
        tg.clinic.check_backprop(forward, params, {n: np.zeros_like(x) for n, x in params.items()}).method == "traced"
    )


def test_momentum_over_minibatches_in_a_random_order_is_right():
    r = np.random.default_rng(8)
    X, T = r.normal(size=(6, 2)), np.eye(3)[[0, 1, 2, 2, 1, 0]]  # the rows of T are wider, and many are alike
    net = {"W": r.normal(size=(2, 3)), "v": np.zeros((2, 3))}

    def errors(rows):
        z = np.exp(X[rows] @ net["W"])
        return z / z.sum(axis=1, keepdims=True)

    def step():
        order = np.random.permutation(6)
        for rows in (order[:3], order[3:]):
            x, d = X[rows], errors(rows) - T[rows]
            net["v"] = 0.9 * net["v"] - 0.1 * x.T @ d / len(x)
            net["W"] = net["W"] + net["v"]

    np.random.seed(0)
    loss = lambda: -np.mean(np.sum(T * np.log(errors(np.arange(6))), axis=1))  # noqa: E731
    assert tg.clinic.check_program(net, step=step, loss=loss, lr=0.1).ok


def test_globals_are_put_back_without_being_emptied_and_builtins_are_not_touched(tmp_path):
    """Other threads go on meanwhile: one that found no `len` ended pytest's own."""
    net = module_of(MODULE.replace("SIGN", "-"), tmp_path)
    world = vars(net)
    assert reachable.BUILTINS is world["__builtins__"]
    assert not any(x is reachable.BUILTINS for x in reachable.walk([world]))
    assert not {"__builtins__", "__loader__", "__spec__"} & {place.key for place in reachable.spots_in([world])}
    before, seen = dict(world), []
    with reachable.preserve(world):
        world["added"] = Watched(lambda: seen.append("__builtins__" in world))
        world["W1"] = None
    del before["__builtins__"]
    assert all(world[name] is x for name, x in before.items())
    assert "added" not in world
    assert seen == [True]


class Watched:
    """Looks when it is let go."""

    def __init__(self, look):
        self.look = look

    def __del__(self):
        self.look()
