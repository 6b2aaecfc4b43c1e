"""What is no mistake: arrays that a step keeps fixed, and updates that the table of rules does not hold."""

import inspect

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program
from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.lines.untouched import belong, missed_updates
from tinygrad_edu.optim import rules

DATA = np.random.default_rng(0)
X, Y = DATA.normal(size=(6, 3)), DATA.normal(size=(6, 2))
SETTINGS = {
    **{"lr": 0.05, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0, "momentum_decay": 0.004},
    **{"alpha": 0.99, "rho": 0.9, "lr_decay": 0.0, "momentum": 0.9, "eta_minus": 0.5, "eta_plus": 1.2},
    **{"smallest": 1e-6, "largest": 50.0, "nesterov": False, "centered": False, "decoupled": False},
    **{"dampening": 0.5, "lambd": 1e-4, "t0": 1e6},
}
OUTSIDE = ("asgd", "sgd_damped")  # rules that are not in the table: gradients right, and no verdict on the update


class Net:
    """Two layers by hand; `offset`, `kept` and `update` are what a test changes."""

    def __init__(self, update=None, **more):
        r = np.random.default_rng(1)
        self.W1, self.b1 = 0.5 * r.normal(size=(3, 4)), 0.1 * r.normal(size=4)
        self.W2, self.b2 = 0.5 * r.normal(size=(4, 2)), np.full(2, 0.1)
        self.update, self.memory, self.t = update or (lambda net, name, w, g: w - 0.05 * g), {}, 0
        vars(self).update(more)

    def forward(self):
        scale = getattr(self, "scale_by", None)
        self.h = np.tanh(X @ self.W1 + self.b1) * (1.0 if scale is None else getattr(self, scale))
        added = sum(getattr(self, n) for n in vars(self).get("added", ()))
        return self.h @ self.W2 + self.b2 + added

    def loss(self):
        return float(np.mean((self.forward() - Y) ** 2))

    def step(self):
        p, scale = self.forward(), getattr(self, "scale_by", None)
        d = 2 * (p - Y) / p.size
        s = 1.0 if scale is None else getattr(self, scale)
        e = d @ self.W2.T * s * (1 - (self.h / s) ** 2)
        made = {"W1": X.T @ e, "b1": e.sum(0), "W2": self.h.T @ d, "b2": d.sum(0)}
        self.t += 1
        for name, g in made.items():
            if name not in vars(self).get("frozen", ()):
                setattr(self, name, self.update(self, name, getattr(self, name), g))


def examine(net, lr=0.05):
    return check_program(net, step=net.step, loss=net.loss, lr=lr)


@pytest.mark.parametrize("name", ["beta", "bw", "wd", "base", "Win", "wts", "w", "b", "u_fix", "bias", "gamma"])
@pytest.mark.parametrize("value", [1.5, np.array([[1.0, 2.0, 1.0, 0.5]])])
def test_numbers_that_stay_are_no_mistake_whatever_their_name(name, value):
    assert examine(Net(scale_by=name, **{name: value})).ok


def test_an_array_with_the_name_of_a_weight_gets_a_remark_and_a_setting_none():
    fixed = Net(added=["base"], base=0.1 * Y)
    assert examine(fixed).note.endswith(
        "base is used by the loss and the step leaves it as it is: right if you keep it fixed."
    )
    assert "right if you keep" not in examine(Net(scale_by="beta", beta=1.5)).note


def test_weighted_least_squares_keeps_its_sample_weights():
    y, net = X @ [1.0, 2.0, 3.0], {"theta": np.zeros(3), "w": np.array([1.0, 1.0, 2.0, 1.0, 1.0, 3.0]), "b": 0.2}

    def step():
        d = 2 * net["w"] * (X @ net["theta"] + net["b"] - y) / 6
        net["theta"], net["b"] = net["theta"] - 0.05 * X.T @ d, net["b"] - 0.05 * d.sum()

    def loss():
        return float(np.mean(net["w"] * (X @ net["theta"] + net["b"] - y) ** 2))

    assert check_program(net, step=step, loss=loss, lr=0.05).ok


def test_a_reservoir_stays():
    r, net = np.random.default_rng(2), {}
    net |= {"W_in": r.normal(size=(3, 5)), "W_res": 0.2 * r.normal(size=(5, 5)), "W_out": r.normal(size=(5, 2))}

    def states():
        h, found = np.zeros(5), []
        for x in X:
            h = np.tanh(x @ net["W_in"] + h @ net["W_res"])
            found.append(h)
        return np.array(found)

    def step():
        h = states()
        net["W_out"] = net["W_out"] - 0.05 * h.T @ (2 * (h @ net["W_out"] - Y) / Y.size)

    report = check_program(net, step=step, loss=lambda: float(np.mean((states() @ net["W_out"] - Y) ** 2)), lr=0.05)
    assert report.ok
    assert "W_in, W_res are used by the loss" in report.note


@pytest.mark.slow
@pytest.mark.parametrize("frozen", [["W1"], ["b1"], ["W2"], ["b2"], ["W1", "b2"]])
def test_half_of_a_layer_that_stays_is_a_mistake(frozen):
    report = examine(Net(frozen=frozen))
    assert [n.removeprefix("net.") for n in report.wrong] == frozen
    assert f"The step leaves {', '.join(report.wrong)} unchanged" in report.note


def test_a_whole_layer_that_stays_is_frozen():
    assert examine(Net(frozen=["W1", "b1"])).ok


@pytest.mark.parametrize(
    ("weight", "bias", "pair"),
    [
        *(("W1", "b1", True), ("W", "b", True), ("weights[1]", "biases[1]", True), ("Wxh", "bh", True)),
        *(("W_xh", "b_h", True), ("W_hy", "b_y", True), ("weights_in_hidden", "bias_hidden", True)),
        *(("net.layers[0].weight.data", "net.layers[0].bias.data", True), ("W_out", "b_out", True)),
        *(("W1", "b2", False), ("Win", "b", False), ("weights[0]", "biases[1]", False), ("W1", "base", False)),
    ],
)
def test_names_that_are_of_one_layer(weight, bias, pair):
    assert belong(weight, bias) is pair


def test_a_bias_has_a_number_for_each_unit():
    arrays = {"W": np.ones((3, 4)), "b": np.ones(()), "bias": np.ones(4)}  # b is a threshold, a single number
    assert missed_updates(["b", "bias"], arrays, ["W"], Recording()) == ["bias"]


# updates


def by_library(rule, settings):
    """An update by a rule of the library's own optimizers."""
    names = [*inspect.signature(rule).parameters]
    kept, wanted = names[2 : names.index("t")], names[names.index("t") + 1 :]
    first = {"product": 1.0, "step": 0.05, "rate": 0.05}

    def update(net, name, w, g):
        memory = net.memory.get(name) or [np.full(w.shape, first.get(n, 0.0)) for n in kept]
        new, *net.memory[name] = rule(w, g, *memory, net.t, **{n: settings[n] for n in wanted})
        return new

    return update


@pytest.mark.parametrize("name", [n for n in rules.__all__ if "t" in inspect.signature(getattr(rules, n)).parameters])
@pytest.mark.parametrize("more", [{}, {"momentum": 0.0}, {"nesterov": True}, {"momentum": 0.0, "centered": True}])
def test_every_optimizer_of_the_library_is_a_known_rule(name, more):
    rule = getattr(rules, name)
    if more.keys() <= {*inspect.signature(rule).parameters}:
        report = examine(Net(by_library(rule, SETTINGS | more)))
        assert report.ok
        known = report.note.startswith("The step is ")
        assert known or (name in OUTSIDE and "I cannot say" in report.note), report.note


def normalised(net, name, w, g):
    return w - 0.05 * g / (np.linalg.norm(g) + 1e-12)


def sign(net, name, w, g):
    return w - 0.05 * np.sign(g)


def cut_columns(net, name, w, g):
    w = w - 0.05 * g
    return w * np.minimum(1.0, 0.5 / np.linalg.norm(w, axis=0)) if name == "W1" else w


def cube_root(net, name, w, g):
    return w - 0.05 * np.cbrt(g)


@pytest.mark.slow
@pytest.mark.parametrize("update", [normalised, sign, cut_columns, cube_root])
def test_an_update_that_no_rule_gives_accuses_no_gradient(update):
    report = examine(Net(update))
    assert report.ok
    assert not report.places
    assert "I cannot say whether it is right" in report.note
    assert "All 4 gradients are right." in str(report)


@pytest.mark.slow
def test_right_gradients_that_go_uphill_or_for_one_parameter_alone_are_no_unknown_rule():
    assert not examine(Net(lambda net, name, w, g: w + 0.05 * np.cbrt(g))).ok
    report = examine(Net(lambda net, name, w, g: w - 0.05 * (np.cbrt(g) if name == "b1" else g)))
    assert str(report).startswith("The gradients are right, the update of net.b1 is not.")


@pytest.mark.parametrize(
    ("names", "said"), [(["W1"], "The gradient of W1 is 0"), (["W1", "b1"], "The gradients of W1, b1 are all 0")]
)
def test_gradients_of_0_are_spoken_of_in_the_right_number(names, said):
    zero = {"W1": np.zeros((3, 2)), "b1": np.zeros(2), "W2": np.zeros(())}
    params = {"W1": np.ones((3, 2)), "b1": np.ones(2), "W2": 2.0}
    loss = lambda p: float(np.sum((X @ p["W1"] + p["b1"]) ** 2) * p["W2"])  # noqa: E731
    z = X @ params["W1"] + 1.0
    right = {"W1": 4 * X.T @ z, "b1": 4 * z.sum(0), "W2": np.sum(z**2)}
    assert said in str(check_backprop(loss, params, right | {n: zero[n] for n in names}))


def test_the_card_of_a_factor_in_biases_speaks_of_biases():
    net = Net(lambda net, name, w, g: w - 0.05 * g * (2 if name.startswith("b") else 1))
    slip = examine(net).slips[0]
    assert (slip.code, slip.where) == ("constant_factor", "every bias")
    assert "W_l" not in slip.line + slip.right
