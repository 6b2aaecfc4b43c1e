"""Pure Python: nested lists and `math`, as in case 9."""

import math
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


def test_numbers_that_are_no_layers_are_still_compared():
    def loss(p):
        return p["a"][0] * p["a"][1] * p["a"][2]

    report = check_lists(loss, {"a": [2.0, 3.0, 5.0]}, {"a": [30.0, 30.0, 30.0]})
    assert list(report.wrong) == ["a"]
    assert "could not be put together" in report.note
    assert report.slips[0].code == "gradient_times_weight"


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda p: p["a"], ShapeError, "one number"),
        (lambda p: None, ExaminerError, "return"),
        (lambda p: 1.0, ExaminerError, "on Values returned 1.0"),
    ],
)
def test_what_cannot_be_judged_is_refused(f, error, message):
    with pytest.raises(error, match=message):
        check_lists(f, {"a": [1.0, 2.0]}, {"a": [1.0, 2.0]})
