"""One neuron in plain Python, the first program of many: its mistakes by name and line, and nothing invented."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop
from tinygrad_edu.clinic.examiner.catalogue import CATALOGUE, Mutant
from tinygrad_edu.clinic.examiner.explanation import Explanation, is_earned

XS, YS = [[1.0, 2.0], [2.0, -1.0], [0.5, 1.5], [-1.0, 0.3]], [1.0, 0.0, 1.0, 0.0]
LOSSES = ["logistic", "logistic", "squared"] * 9
START = {"w": [0.5, -0.3], "b": 0.1}
SOURCE = """
def backward(p):
    gw = [0.0, 0.0]
    gb = 0.0
    for x, y in zip(XS, YS):
        q = 1 / (1 + math.exp(-(p["w"][0] * x[0] + p["w"][1] * x[1] + p["b"])))
        d = {delta}
        {first}
        {second}
        {bias}
    return {{"w": [v / len(XS) for v in gw], "b": gb / len(XS)}}
"""
RIGHT = {"first": "gw[0] += d * x[0]", "second": "gw[1] += d * x[1]", "bias": "gb += d"}
# the mistake's line, and its code if it has one
MISTAKES = {
    "assigned": ("second", "gw[1] = d * x[1]", "entry_of_one_sample"),
    "subtracted": ("second", "gw[1] -= d * x[1]", "entry_sign_flipped"),
    "left out": ("second", "pass", "entry_left_out"),
    "other input": ("second", "gw[1] += d * x[0]", "entry_of_another_index"),
    "no input": ("second", "gw[1] += d", "input_forgotten"),
    "weight": ("second", 'gw[1] += d * p["w"][1]', "weight_for_the_input"),
    "target": ("second", "gw[1] += d * y", ""),
    "squared": ("first", "gw[0] += d * x[0] ** 2", ""),
    "input in the bias": ("bias", "gb += d * x[0]", "entry_of_another_index"),
    "bias assigned": ("bias", "gb = d", "only_last_sample"),
}


def forward_of(loss):
    def forward(p):
        total = 0.0
        for x, y in zip(XS, YS, strict=True):
            q = 1 / (1 + math.exp(-(p["w"][0] * x[0] + p["w"][1] * x[1] + p["b"])))
            total += (q - y) ** 2 if loss == "squared" else -(y * math.log(q) + (1 - y) * math.log(1 - q))
        return total / len(XS)

    return forward


def backward_of(folder, loss, **lines):
    delta = "2 * (q - y) * q * (1 - q)" if loss == "squared" else "q - y"
    file, names = folder / "neuron.py", {"math": math, "XS": XS, "YS": YS}
    file.write_text(SOURCE.format(delta=delta, **(RIGHT | lines)))
    exec(compile(file.read_text(), str(file), "exec"), names)
    return names["backward"]


@pytest.mark.parametrize(("name", "loss"), [*zip(MISTAKES, LOSSES, strict=False)])
def test_a_neurons_mistake_has_its_name_and_its_line(name, loss, tmp_path):
    place, line, code = MISTAKES[name]
    report = check_backprop(forward_of(loss), START, backward_of(tmp_path, loss, **{place: line}))
    assert [slip.code for e in report.explanations[:1] for slip in e] == ([code] if code else [])
    shown = RIGHT["first"] if line == "pass" else line  # what is not there is told beside its neighbour
    assert report.places[0].source == shown


@pytest.mark.parametrize("loss", ["squared", "logistic"])
def test_a_right_neuron_is_right(loss, tmp_path):
    assert check_backprop(forward_of(loss), START, backward_of(tmp_path, loss)).ok


def fitted(factor, numbers, others=0):
    """An explanation with a fitted factor, and so many other mistakes."""
    entry = CATALOGUE["constant_factor"]
    one = Mutant(entry, "", [], (), parameter="w", chance=True, scales={"w": factor})
    other = Mutant(CATALOGUE["not_transposed"], "", [], ())
    return Explanation((*[other] * others, one), 0.0, {"w": np.array(numbers)})


@pytest.mark.parametrize(
    ("explanation", "earned"),
    [
        (fitted(-0.125859, [0.04, 0.04], others=1), False),
        (fitted(-0.125859, [0.04, 0.03, 0.02, 0.01, 0.07, 0.06], others=1), False),  # no program has this factor
        (fitted(0.37, [0.04, 0.03, 0.02], others=1), True),
        (fitted(0.37, [0.04, -0.04, 0.04], others=1), False),
        (fitted(0.125859, [0.04, 0.03, 0.02]), True),
        (fitted(0.125859, [0.04, 0.03]), False),
        (fitted(2 / 7, [0.04, 0.03]), True),
    ],
)
def test_a_fitted_factor_must_explain_more_than_was_fitted(explanation, earned):
    assert is_earned(explanation, ["w"]) is earned
