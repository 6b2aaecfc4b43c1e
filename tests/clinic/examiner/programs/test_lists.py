"""Pure Python: nested lists and `math`, as in case 9."""

import importlib
import math
import random
from math import exp, tanh

import pytest

from tinygrad_edu.clinic import check_lists
from tinygrad_edu.errors import ExaminerError, ShapeError

INPUT, TARGET = [0.05, 0.1, 1], [0.01, 0.99]
START = {"hidden": [[0.15, 0.2, 0.35], [0.25, 0.3, 0.6]], "output": [[0.4, 0.45], [0.5, 0.55]]}


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def run(p):
    hidden = [sigmoid(sum(w * x for w, x in zip(row, INPUT, strict=True))) for row in p["hidden"]]
    return hidden, [sigmoid(sum(w * x for w, x in zip(row, hidden, strict=True))) for row in p["output"]]


def forward(p):
    return sum(0.5 * (t - y) ** 2 for t, y in zip(TARGET, run(p)[1], strict=True))


def gradients(p, slope=lambda a: a * (1 - a), propagate=lambda p, i, j: p["output"][i][j]):
    hidden, output = run(p)
    d2 = [(y - t) * y * (1 - y) for y, t in zip(output, TARGET, strict=True)]
    d1 = [sum(d2[i] * propagate(p, i, j) for i in range(2)) * slope(hidden[j]) for j in range(2)]
    return {"hidden": [[d * x for x in INPUT] for d in d1], "output": [[d * h for h in hidden] for d in d2]}


def updated(p, lr, slip):
    """One step; the slip is w += (-lr·w)∘(δ·inputᵀ)."""
    grads = gradients(p)

    def row(weights, slopes):
        return [w - lr * (w if slip else 1.0) * g for w, g in zip(weights, slopes, strict=True)]

    return {name: [row(*rows) for rows in zip(p[name], grads[name], strict=True)] for name in p}


def test_case_9_is_the_gradient_times_the_weight():
    p = START
    for _ in range(999):
        p = updated(p, 5.0, slip=True)
    assert run(p)[1] == pytest.approx([0.5, 0.98928666375571], abs=1e-12)
    report = check_lists(forward, START, updated=updated(START, 5.0, slip=True), lr=5.0)
    best = report.explanations[0]
    assert [(s.code, s.where) for s in best] == [("gradient_times_weight", "every weight")]
    assert set(best[0].explains) == {"hidden", "output"}


def test_the_right_step_is_right():
    assert check_lists(forward, START, updated=updated(START, 0.5, slip=False), lr=0.5).ok


SLIPS = [
    ("missing_activation_derivative", gradients(START, slope=lambda a: 1.0)),
    ("derivative_at_activation", gradients(START, slope=lambda a: sigmoid(a) * (1 - sigmoid(a)))),
    ("not_transposed", gradients(START, propagate=lambda p, i, j: p["output"][j][i])),
]


@pytest.mark.parametrize(("code", "grads"), SLIPS)
def test_lists_are_put_together_to_layers(code, grads):
    report = check_lists(forward, START, grads)
    assert report.note == ""
    assert report.slips[0].code == code
    assert [layer.where for layer in report.network.layers] == ["hidden layer 1", "output layer"]


def test_names_imported_from_math_and_closures_are_exchanged():
    scale = [2.0]

    def loss(p):
        return (tanh(p["w"] * scale[0]) - exp(-1.0)) ** 2 + math.pi * 0.0

    w = 0.3
    right = 2 * (math.tanh(2 * w) - math.exp(-1)) * (1 - math.tanh(2 * w) ** 2) * 2
    assert check_lists(loss, {"w": w}, {"w": right}).ok
    assert check_lists(loss, {"w": w}, {"w": -right}).slips[0].code == "sign_flipped"


MATH = {
    "exp": (lambda w: math.exp(w), math.exp(0.3)),
    "log": (lambda w: math.log(w), 1 / 0.3),
    "log with a base": (lambda w: math.log(w, 3.0), 1 / (0.3 * math.log(3.0))),
    "log10": (lambda w: math.log10(w), 1 / (0.3 * math.log(10.0))),
    "log2": (lambda w: math.log2(w), 1 / (0.3 * math.log(2.0))),
    "fsum": (lambda w: math.fsum([w, 2.0 * w]) + math.fsum([0.1] * 10), 3.0),
    "hypot": (lambda w: math.hypot(w, 0.4), 0.3 / 0.5),
    "pow": (lambda w: math.pow(w, 3), 3 * 0.09),
    "fabs": (lambda w: math.fabs(-w), 1.0),
    "prod": (lambda w: math.prod([w, w, 2.0]), 4 * 0.3),
    "a guard": (lambda w: w if math.isfinite(w) and not math.isnan(w) and not math.isinf(w) else 0.0, 1.0),
}


@pytest.mark.parametrize("name", MATH)
def test_functions_of_math(name):
    forward, right = MATH[name]
    assert check_lists(lambda p: forward(p["w"]), {"w": 0.3}, {"w": right}).ok


class Net:
    """As most are written: a class, whose methods call each other and `math`."""

    rate = 0.1

    def __init__(self, forget=False):
        self.w, self.forget = [[0.3, -0.2], [0.5, 0.4]], forget

    def sigmoid(self, z):
        return 1 / (1 + math.exp(-z))

    @staticmethod
    def squash(z):
        return tanh(z)

    def predict(self, p):
        return [self.sigmoid(sum(w * v for w, v in zip(row, [1.0, -2.0], strict=True))) for row in p["w"]]

    def loss(self, p):
        return sum((self.squash(y) - t) ** 2 for y, t in zip(self.predict(p), TARGET, strict=True))

    __call__ = loss

    def gradients(self):
        found = []
        for y, t in zip(self.predict({"w": self.w}), TARGET, strict=True):
            d = 2 * (math.tanh(y) - t) * (1 - math.tanh(y) ** 2) * (1.0 if self.forget else y * (1 - y))
            found.append([d * 1.0, d * -2.0])
        return {"w": found}


@pytest.mark.parametrize("forward", [Net().loss, Net()], ids=["a method", "a callable object"])
def test_a_network_that_is_a_class(forward):
    net = Net()
    assert check_lists(forward, {"w": net.w}, net.gradients()).ok
    report = check_lists(forward, {"w": net.w}, Net(forget=True).gradients())
    assert list(report.wrong) == ["w"]
    assert math.exp is exp
    assert isinstance(math.exp(1.0), float)


def test_a_function_in_another_module_of_the_learner(monkeypatch, tmp_path):
    (tmp_path / "my_layers.py").write_text("from math import exp\n\ndef sigmoid(z):\n    return 1 / (1 + exp(-z))\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(globals(), "layers", importlib.import_module("my_layers"))

    def loss(p):
        return (globals()["layers"].sigmoid(p["w"]) - 1.0) ** 2

    y = sigmoid(0.3)
    assert check_lists(loss, {"w": 0.3}, {"w": 2 * (y - 1) * y * (1 - y)}).ok


def test_numbers_that_are_no_layers_are_still_compared():
    def loss(p):
        return p["a"][0] * p["a"][1] * p["a"][2]

    report = check_lists(loss, {"a": [2.0, 3.0, 5.0]}, {"a": [30.0, 30.0, 30.0]})
    assert list(report.wrong) == ["a"]
    assert "The numbers form no layers" in report.note
    assert report.slips[0].code == "gradient_times_weight"


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda p: p["a"], ShapeError, "one number"),
        (lambda p: None, ExaminerError, "return"),
        (lambda p: 1.0, ExaminerError, "on Values returned 1.0"),
        (lambda p: sum(p["a"]) + random.random(), ExaminerError, "not deterministic"),
        (lambda p: p["a"].pop(), ExaminerError, r"writes into params\['a'\]"),
        (lambda p: p["a"].append(3.0) or 1.0, ExaminerError, r"writes into params\['a'\]"),
        (lambda p: p.pop("a")[0], ExaminerError, r"writes into params\['a'\]"),
        (lambda p: p["a"][0] / 0.0, ZeroDivisionError, "division by zero"),
        (lambda p: p["a"][0] * math.inf, ExaminerError, "the loss is inf"),
    ],
)
def test_what_cannot_be_judged_is_refused(f, error, message):
    with pytest.raises(error, match=message):
        check_lists(f, {"a": [1.0, 2.0]}, {"a": [1.0, 2.0]})
