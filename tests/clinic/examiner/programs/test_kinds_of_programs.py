"""Kinds of programs that people write: neurons that own their weights, tied weights, strided windows, lists of arrays.

Also: no verdict is cut by a clock, so that a slow machine finds what a fast one finds.
"""

import ast
import math
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.clinic import examiner
from tinygrad_edu.clinic.examiner import search
from tinygrad_edu.clinic.examiner.forward.traced_functions import as_strided
from tinygrad_edu.clinic.examiner.forward.traced_numpy import TRACED_NUMPY
from tinygrad_edu.clinic.examiner.forward.tracing import trace_call
from tinygrad_edu.clinic.examiner.work import Work

CLOCKS = {"inputs.py"}  # a bar of finite differences says how long it takes, and stops nothing


def test_no_clock_decides_what_is_found():
    folder = Path(examiner.__file__).parent
    timed = {
        path.name
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import) and any(name.name == "time" for name in node.names)
    }
    assert timed == CLOCKS


def test_work_is_counted_and_ends_a_search(monkeypatch):
    for name in ("BUDGET", "ALONE", "PATIENCE", "AGAIN", "AT_LEAST"):
        monkeypatch.setattr(search, name, 1e-4)
    rng = np.random.default_rng(0)
    X, params = rng.normal(size=(5, 3)), {"W": rng.normal(size=(3, 2))}
    wrong = {"W": rng.normal(size=(3, 2))}
    report = tg.clinic.check_backprop(lambda p: np.sum(np.tanh(X @ p["W"]) ** 2), params, wrong)
    assert not report.ok
    assert not report.certain


def test_work_is_the_same_each_time():
    def done():
        rng = np.random.default_rng(0)
        program = trace_call(lambda p: np.sum(np.tanh(p["W"]) ** 2), {"W": rng.normal(size=(3, 2))})
        work = Work()
        work.charge_steps(program.steps, list(program.handed))
        return work.done

    assert done() == done() > 0.0


# neurons with weights of their own, in lists of dicts


def sigmoid(z):
    return 1.0 / (1.0 + math.exp(-z))


class Lists:
    """2-3-2 in lists of dicts; `slope` of the hidden neurons is for a mistake."""

    def __init__(self, slope=True, sign=1.0):
        rng = np.random.default_rng(3)
        self.layers = [[{"w": rng.normal(size=n + 1).tolist()} for _ in range(m)] for n, m in ((2, 3), (3, 2))]
        self.slope, self.sign = slope, sign

    def run(self, x):
        for layer in self.layers:
            for neuron in layer:
                neuron["in"] = x
                neuron["out"] = sigmoid(sum(w * v for w, v in zip(neuron["w"], x, strict=False)) + neuron["w"][-1])
            x = [neuron["out"] for neuron in layer]
        return x

    def loss(self):
        return sum(0.5 * (y - t) ** 2 for y, t in zip(self.run([0.4, -0.7]), [1.0, 0.0], strict=True))

    def step(self):
        errors = [y - t for y, t in zip(self.run([0.4, -0.7]), [1.0, 0.0], strict=True)]
        for k, layer in reversed([*enumerate(self.layers)]):
            for neuron, error in zip(layer, errors, strict=True):
                slope = neuron["out"] * (1.0 - neuron["out"]) if self.slope or k else 1.0
                neuron["delta"] = self.sign * error * slope
            errors = [sum(n["w"][j] * n["delta"] for n in layer) for j in range(len(layer[0]["in"]))]
        for layer in self.layers:
            for neuron in layer:
                for j, x in enumerate([*neuron["in"], 1.0]):
                    neuron["w"][j] -= 0.5 * neuron["delta"] * x


@pytest.mark.parametrize(
    ("net", "code", "where"),
    [
        (Lists(), "", ""),
        (Lists(slope=False), "missing_activation_derivative", "hidden layer 1, every neuron"),
    ],
    ids=["right", "slope"],
)
def test_neurons_that_own_their_weights_are_layers(net, code, where):
    report = tg.clinic.check_program(net.layers, step=net.step, loss=net.loss, lr=0.5)
    assert [(s.code, s.where) for s in report.slips[:1]] == ([(code, where)] if code else [])
    assert "no layers" not in report.note


# weights that are used twice


@pytest.mark.parametrize("left_out", ["", "encoder", "decoder"])
def test_a_share_of_tied_weights_is_missed(left_out):
    rng = np.random.default_rng(1)
    X, params = rng.normal(size=(6, 4)), {"W": rng.normal(size=(4, 3)), "b": rng.normal(size=3)}

    def forward(p):
        return 0.5 * np.sum((np.tanh(X @ p["W"] + p["b"]) @ p["W"].T - X) ** 2)

    def backward(p):
        h = np.tanh(X @ p["W"] + p["b"])
        d = h @ p["W"].T - X
        dh = (d @ p["W"]) * (1 - h**2)
        encoder, decoder = X.T @ dh, d.T @ h
        dW = {"": encoder + decoder, "encoder": decoder, "decoder": encoder}[left_out]
        return {"W": dW, "b": dh.sum(axis=0)}

    report = tg.clinic.check_backprop(forward, params, backward)
    assert [s.code for s in report.slips] == (["shared_weight_counted_once"] if left_out else [])


# windows that share memory


@pytest.mark.parametrize(("stride", "turned"), [(1, False), (2, False), (1, True)])
def test_as_strided_is_traced(stride, turned):
    rng = np.random.default_rng(2)
    x, K = rng.normal(size=(5, 6)), rng.normal(size=(2, 2))

    def forward(p, np=TRACED_NUMPY):
        image = p["x"].T if turned else p["x"]
        rows, columns = ((n - 2) // stride + 1 for n in image.shape)
        (a, b), shape = image.strides, (rows, columns, 2, 2)
        windows = np.lib.stride_tricks.as_strided(image, shape, (stride * a, stride * b, a, b))
        return np.sum(np.tanh(np.einsum("ijkl,kl->ij", windows, p["K"])))

    g = trace_call(forward, {"x": x, "K": K}).gradients
    assert g
    report = tg.clinic.check_backprop(forward, {"x": x, "K": K}, tg.clinic.check_backprop(
        forward, {"x": x, "K": K}, {"x": np.ones_like(x), "K": np.ones_like(K)}).right)  # fmt: skip
    assert report.ok  # compared with measured slopes on the way
    assert report.method == "traced"


def test_as_strided_of_plain_arrays_is_numpys():
    x = np.arange(6.0)
    assert np.array_equal(as_strided(x, (5, 2), (8, 8)), np.lib.stride_tricks.sliding_window_view(x, 2))


# steps


class Modules:
    """Two layers whose gradients are added up in place; `zero`: are they set to 0 first? `all`: is each updated?"""

    def __init__(self, zero=True, every=True):
        rng = np.random.default_rng(4)
        self.layers = [{"W": rng.normal(size=s), "g": np.zeros(s)} for s in ((3, 4), (4, 1))]
        self.X, self.t, self.zero, self.every = rng.normal(size=(5, 3)), rng.normal(size=(5, 1)), zero, every

    def loss(self):
        self.h = np.tanh(self.X @ self.layers[0]["W"])
        self.y = self.h @ self.layers[1]["W"]
        return 0.5 * np.sum((self.y - self.t) ** 2)

    def step(self):
        self.loss()
        first, second = self.layers
        if self.zero:
            first["g"][...] = 0.0
            second["g"][...] = 0.0
        d = self.y - self.t
        second["g"] += self.h.T @ d
        first["g"] += self.X.T @ ((d @ second["W"].T) * (1 - self.h**2))
        for layer in self.layers if self.every else self.layers[1:]:
            layer["W"] -= 0.05 * layer["g"]


def test_gradients_that_are_not_set_to_zero_show_in_the_second_step():
    net = Modules(zero=False)
    report = tg.clinic.check_program(net, step=net.step, loss=net.loss, lr=0.05)
    assert [s.code for s in report.slips] == ["gradients_not_set_to_zero"]
    assert "step 2" in report.note
    right = Modules()
    assert tg.clinic.check_program(right, step=right.step, loss=right.loss, lr=0.05).ok


def test_a_layer_that_the_step_leaves_as_it_is_is_missed():
    net = Modules(every=False)
    report = tg.clinic.check_program(net, step=net.step, loss=net.loss, lr=0.05)
    assert report.missing == ("net.layers[0]['W']",) or list(report.missing) == [*report.wrong]
    assert "leaves" in report.note


class Book:
    """Lists of arrays that are added up and updated item by item, sample by sample."""

    def __init__(self, wrong):
        rng = np.random.default_rng(5)
        self.W = [rng.normal(size=(4, 3)), rng.normal(size=(2, 4))]
        self.data = [(rng.normal(size=(3, 1)), rng.normal(size=(2, 1))) for _ in range(4)]
        self.wrong = wrong

    def loss(self):
        return sum(0.5 * np.sum((self.W[1] @ np.tanh(self.W[0] @ x) - t) ** 2) for x, t in self.data) / len(self.data)

    def gradients(self, x, t):
        h = np.tanh(self.W[0] @ x)
        d = self.W[1] @ h - t
        below = (self.W[1].T @ d) * (1 - h**2) + (0.1 * h if self.wrong else 0.0)
        return [below @ x.T, d @ h.T]

    def step(self):
        whole = [np.zeros(w.shape) for w in self.W]
        for x, t in self.data:
            one = self.gradients(x, t)
            whole = [a + b for a, b in zip(whole, one, strict=False)]
        self.W = [w - 0.3 / len(self.data) * g for w, g in zip(self.W, whole, strict=False)]


def test_lists_that_are_made_item_by_item_keep_their_items_apart(monkeypatch):
    for name in ("BUDGET", "ALONE", "PATIENCE", "AGAIN", "AT_LEAST"):  # the line is asked for, not the name
        monkeypatch.setattr(search, name, 0.01)
    book = Book(wrong=True)
    report = tg.clinic.check_program(book, step=book.step, loss=book.loss, lr=0.3)
    assert report.places[0].source.startswith("below =")
    right = Book(wrong=False)
    assert tg.clinic.check_program(right, step=right.step, loss=right.loss, lr=0.3).ok


def test_a_type_without_a_module_of_its_own_is_passed_over():
    """A descriptor in place of `__module__` is found among the globals of NumPy's own types."""

    class Odd:
        __module__ = property(lambda self: "odd")  # type: ignore[assignment]

    odd, x = Odd(), np.array([2.0])
    report = tg.clinic.check_backprop(lambda p: np.sum(p["w"] ** 2) + 0 * bool(odd), {"w": x}, {"w": 2 * x})
    assert report.ok
