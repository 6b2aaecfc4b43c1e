"""The door: parameters and gradients in any form, a backward as a callable, a program that trains itself."""

import copy
import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.clinic.examiner.learner.structure import Structure
from tinygrad_edu.errors import ExaminerError

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 1))
W, B, V = RNG.normal(size=(3, 4)), RNG.normal(size=(1, 4)), RNG.normal(size=(4, 1))


def loss_of(w, b, v):
    return np.mean((np.tanh(X @ w + b) @ v - T) ** 2)


def gradients(w, b, v, slope=True):
    h = np.tanh(X @ w + b)
    d = 2 * (h @ v - T) / 5
    d1 = d @ v.T * ((1 - h * h) if slope else 1.0)
    return X.T @ d1, d1.sum(0, keepdims=True), h.T @ d


class Net:
    def __init__(self):
        self.W, self.b, self.v = W.copy(), B.copy(), V.copy()


FORMS = {
    "a dict": ({"W": W, "b": B, "v": V}, lambda p: (p["W"], p["b"], p["v"])),
    "a list": ([W, B, V], lambda p: p),
    "a tuple": ((W, B, V), lambda p: p),
    "nested": ({"layers": [{"W": W, "b": B}], "out": (V,)}, lambda p: (*p["layers"][0].values(), *p["out"])),
    "an object": (Net(), lambda p: (p.W, p.b, p.v)),
    "lists of numbers": ({"W": W.tolist(), "b": B.tolist(), "v": V.tolist()}, lambda p: map(np.array, p.values())),
}


def shaped(form, grads):
    """The gradients in the form of the parameters."""
    structure = Structure.of(form)
    return structure.fill(dict(zip(structure.names, grads, strict=True)))


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("slope", [True, False])
def test_parameters_in_any_form(name, slope):
    form, parts = FORMS[name]
    report = tg.clinic.check_backprop(
        lambda p: loss_of(*parts(p)), form, lambda p: shaped(p, gradients(*parts(p), slope))
    )
    assert report.ok == slope
    assert slope or len(report.wrong) == 2


P = FORMS["a dict"][0]
G = dict(zip(P, gradients(W, B, V), strict=True))


def forward(p):
    return loss_of(p["W"], p["b"], p["v"])


def test_tensors_are_their_numbers():
    """Of this library or of PyTorch, in the parameters, the gradients or both; a forward of arrays is still traced."""
    kinds = (np.array, tg.Tensor, lambda x: tg.Tensor(x, requires_grad=True))
    for of_weights, of_gradients in itertools.product(kinds, kinds):
        report = tg.clinic.check_backprop(
            forward, {k: of_weights(x) for k, x in P.items()}, {k: of_gradients(x) for k, x in G.items()}
        )
        assert report.ok
        assert "traced" not in str(report)


@pytest.mark.torch
def test_a_forward_of_pytorch_s_tensors_is_compared_by_finite_differences():
    torch = pytest.importorskip("torch")
    weights = {k: torch.tensor(x, requires_grad=True) for k, x in P.items()}

    def loss(p):
        return torch.mean((torch.tanh(torch.tensor(X) @ p["W"] + p["b"]) @ p["v"] - torch.tensor(T)) ** 2)

    loss(weights).backward()
    assert tg.clinic.check_backprop(loss, weights, {k: x.grad for k, x in weights.items()}).ok


@pytest.mark.parametrize("key", ["d{}", "d_{}", "grad_{}", "{}_grad", "g{}", "dL_d{}", "D{}", "nabla_{}"])
def test_keys_that_people_give_gradients(key):
    assert tg.clinic.check_backprop(forward, P, {key.format(n): g for n, g in G.items()}).ok


def test_a_gradient_of_a_shape_that_broadcasts():
    assert tg.clinic.check_backprop(forward, P, {**G, "b": G["b"].reshape(4)}).ok
    report = tg.clinic.check_backprop(forward, P, {**G, "b": G["b"].sum()})
    assert report.slips[0].code == "bias_wrong_axis"


def test_missing_and_empty_gradients_are_said_to_be_missing():
    zeros = {n: np.zeros_like(x) for n, x in P.items()}
    report = tg.clinic.check_backprop(forward, P, zeros)
    assert not report.ok
    assert report.explanations == []
    assert "The gradients of W, b, v are all 0. Not written yet?" in str(report)
    report = tg.clinic.check_backprop(forward, P, dict.fromkeys(P))
    assert set(report.missing) == set(P)
    assert "The gradients of W, b, v are missing." in str(report)
    some = tg.clinic.check_backprop(forward, P, {"W": G["W"], "b": G["b"]})
    assert list(some.wrong) == ["v"]


def test_rounded_gradients_and_finite_differences_are_right_to_some_digits():
    rounded = {n: np.vectorize(lambda x: float(f"{x:.4g}"))(g) for n, g in G.items()}
    report = tg.clinic.check_backprop(forward, P, rounded)
    assert "Right to" in str(report)
    assert report.explanations == []


def test_a_mistake_that_hides_at_gamma_one_is_found_at_other_parameters():
    p = {**P, "gamma": np.ones(4)}

    def scaled(q):
        return np.mean((np.tanh(X @ q["W"] + q["b"]) * q["gamma"] @ q["v"] - T) ** 2)

    def backward(q):
        h = np.tanh(X @ q["W"] + q["b"])
        d = 2 * (h * q["gamma"] @ q["v"] - T) / 5
        dh = d @ q["v"].T  # gamma is forgotten, and is 1
        d1 = dh * (1 - h * h)
        return {"W": X.T @ d1, "b": d1.sum(0, keepdims=True), "v": (h * q["gamma"]).T @ d, "gamma": (dh * h).sum(0)}

    report = tg.clinic.check_backprop(scaled, p, backward)
    assert set(report.wrong) == {"W", "b"}
    assert "At your parameters the gradients are right" in str(report)


def test_the_card_and_the_picture_show_the_line():
    def backward(p):
        h = np.tanh(X @ p["W"] + p["b"])
        d = 2 * (h @ p["v"] - T) / 5
        d1 = d @ p["v"].T * h  # THE LINE
        return {"W": X.T @ d1, "b": d1.sum(0, keepdims=True), "v": h.T @ d}

    report = tg.clinic.check_backprop(forward, P, backward)
    place = report.places[0]
    assert place.file == __file__
    assert "THE LINE" in place.source
    assert str(place.line) in str(report)
    assert f"line {place.line}" in report.draw().dot


# Programs that train themselves


class Trained(Net):
    def loss(self):
        return loss_of(self.W, self.b, self.v)

    def train(self, slope=True):
        self.calls = getattr(self, "calls", 0) + 1
        dW, db, dv = gradients(self.W, self.b, self.v, slope)
        self.W -= 0.1 * dW
        self.b = self.b - 0.1 * db
        self.v -= 0.1 * dv


def frozen(net):
    return {k: copy.deepcopy(x) for k, x in vars(net).items()}


def unchanged(net, before):
    return vars(net).keys() == before.keys() and all(np.array_equal(x, before[k]) for k, x in vars(net).items())


def test_a_program_is_named_by_its_paths_and_left_as_it_was():
    net = Trained()
    before, arrays = frozen(net), [id(net.W), id(net.b)]
    assert tg.clinic.check_program(net, step=net.train, loss=net.loss, lr=0.1).ok
    report = tg.clinic.check_program(net, step=lambda: net.train(slope=False), loss=net.loss, lr=0.1)
    assert set(report.wrong) == {"net.W", "net.b"}
    assert report.certain
    assert report.slips[0].code == "missing_activation_derivative"
    assert unchanged(net, before)
    assert [id(net.W), id(net.b)] == arrays


def test_a_program_is_left_as_it_was_when_its_step_raises():
    net = Trained()
    before, state = frozen(net), np.random.get_state()[1].copy()

    def broken():
        np.random.random()
        net.extra = 1
        net.train()
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        tg.clinic.check_program(net, step=broken, loss=net.loss, lr=0.1)
    assert unchanged(net, before)
    assert np.array_equal(np.random.get_state()[1], state)


def test_a_forward_that_fills_an_object_leaves_no_traces_in_it():
    net = Net()
    before = frozen(net)

    def put(p):
        net.W, net.b, net.v = p["W"], p["b"], p["v"]
        net.h = np.tanh(X @ net.W + net.b)
        return loss_of(net.W, net.b, net.v)

    assert tg.clinic.check_backprop(put, P, G).ok
    assert unchanged(net, before)
    assert type(net.W) is np.ndarray


@pytest.mark.parametrize("lr", [None, 0.1])
def test_a_step_that_changes_nothing_is_said_to_change_nothing(lr):
    net = Trained()
    with pytest.raises(ExaminerError, match="changed nothing"):
        tg.clinic.check_program(net, step=lambda: None, loss=net.loss, lr=lr)
    with pytest.raises(ExaminerError, match="changed nothing"):
        tg.clinic.check_step(lambda p: None, forward, P, lr=0.1)


def test_a_bias_that_grows_to_a_matrix_is_not_summed():
    updated = {"W": W - 0.1 * G["W"], "v": V - 0.1 * G["v"]}
    h = np.tanh(X @ W + B)
    d1 = 2 * (h @ V - T) / 5 @ V.T * (1 - h * h)
    report = tg.clinic.check_backprop(forward, P, updated={**updated, "b": B - 0.1 * d1}, lr=0.1)
    assert report.certain
    assert report.slips[0].code == "bias_not_summed"


class Masked(Trained):
    """Its dropout masks are drawn anew in every forward."""

    def hidden(self):
        self.mask = (np.random.random((5, 4)) < 0.5) / 0.5
        self.h = np.tanh(X @ self.W + self.b) * self.mask
        return self.h @ self.v

    def loss(self):
        return np.mean((self.hidden() - T) ** 2)

    def train(self, masked=True):
        d = 2 * (self.hidden() - T) / 5
        dh = d @ self.v.T * (self.mask if masked else 1.0)
        dz = dh * (1 - np.tanh(X @ self.W + self.b) ** 2)
        self.v -= 0.1 * self.h.T @ d
        self.W -= 0.1 * X.T @ dz
        self.b -= 0.1 * dz.sum(0)


def test_random_masks_are_the_same_for_the_step_and_the_loss():
    net = Masked()
    assert tg.clinic.check_program(net, step=net.train, loss=net.loss, lr=0.1).ok
    report = tg.clinic.check_program(net, step=lambda: net.train(masked=False), loss=net.loss, lr=0.1)
    assert [slip.code for slip in report.slips][:1] == ["dropout_mask_forgotten"]


def test_a_right_program_in_single_precision_is_right():
    net, x, t = Net(), X.astype(np.float32), T.astype(np.float32)
    net.W, net.b, net.v = (a.astype(np.float32) for a in (W, B, V))

    def run():
        net.h = np.tanh(x @ net.W + net.b)
        return net.h @ net.v - t

    def train():
        d = 2 * run() / np.float32(5)
        d1 = d @ net.v.T * (1 - net.h**2)
        net.v -= np.float32(0.1) * net.h.T @ d
        net.W -= np.float32(0.1) * x.T @ d1
        net.b -= np.float32(0.1) * d1.sum(0)

    assert tg.clinic.check_program(net, step=train, loss=lambda: np.mean(run() ** 2), lr=0.1).ok


def test_a_gradient_that_nobody_has_written_is_no_mistake_of_the_catalogue():
    X, t = np.random.default_rng(0).normal(size=(2, 5, 3))
    params = {"W": np.random.default_rng(1).normal(size=(3, 3))}

    def forward(p):
        e = np.exp(X @ p["W"])
        return np.mean((e / e.sum(axis=1, keepdims=True) - t) ** 2)

    found = tg.clinic.grade(forward, params, {"W": np.zeros((3, 3))})
    assert found.mistakes == ()
    assert "Not written yet?" in found.text


def net_of(x):
    """A program that holds its weight as x makes it, and takes steps by hand."""
    data, net = np.random.default_rng(0).normal(size=(20, 3)), type("Net", (), {})()
    y, net.weight = data @ np.ones((3, 1)), x(np.zeros((3, 1)))

    def step():
        held = net.weight.data if hasattr(net.weight, "backward") else net.weight
        held -= 0.2 * data.T @ (data @ held - y) / len(y)

    def loss():
        held = net.weight.data if hasattr(net.weight, "backward") else net.weight
        return float(np.mean((data @ held - y) ** 2))

    return net, step, loss


def test_weights_that_are_tensors_are_refused_by_name_and_others_do_not_disturb():
    net, step, loss = net_of(lambda w: tg.Tensor(w, requires_grad=True))
    with pytest.raises(ExaminerError, match=r"weight: a Tensor gets its gradient from backward\(\)"):
        tg.clinic.check_program(net, step=step, loss=loss, lr=0.1)
    net, step, loss = net_of(np.array)
    net.other = tg.Tensor([1.0], requires_grad=True)
    assert tg.clinic.check_program(net, step=step, loss=loss, lr=0.1).ok


def test_the_right_gradient_made_and_another_one_taken():
    """No report says at once that the gradients are right and that one of them is wrong."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    net = {"W": rng.normal(size=(3, 4)), "V": rng.normal(size=(4, 1))}
    y = np.sum(x, axis=1, keepdims=True)

    def loss():
        return float(np.mean((np.tanh(x @ net["W"]) @ net["V"] - y) ** 2))

    def step():
        h = np.tanh(x @ net["W"])
        d = 2 * (h @ net["V"] - y) / len(x)
        taken = x.T @ (d @ net["V"].T * (1 - h**2))
        taken = x.T @ (d @ net["V"].T * (1 - np.tanh(h) ** 2))
        net["V"] -= 0.1 * h.T @ d
        net["W"] -= 0.1 * taken

    text = str(tg.clinic.check_program(net, step=step, loss=loss, lr=0.1))
    assert "1 of 2 gradients are right, 1 wrong" in text
    assert "gradients are right, the update" not in text
    assert not text.startswith("All")
