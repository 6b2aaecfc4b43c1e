"""Several mistakes in one exercise: each is named with the results that it explains."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.course.test_course import NUMERIC, in_this_process, written
from tinygrad_edu.course import find, sandbox


def spoiled(exercise, mistake):
    """The results that a mistake changes, on one input."""
    inputs = exercise.inputs(np.random.default_rng(0))
    found = set()
    for function in exercise.functions:
        right, theirs = exercise.right(function, inputs), exercise.right(function, inputs, mistake)
        found |= {n for n in right if n not in theirs or not np.allclose(right[n], theirs[n], rtol=1e-6, atol=0.0)}
    return found


def pairs():
    """Two mistakes in different lines, which spoil different results."""
    for exercise in NUMERIC:
        for a, b in itertools.combinations(exercise.mistakes, 2):
            text = exercise.solution
            if a.old not in text.replace(b.old, b.new) or b.old not in text.replace(a.old, a.new):
                continue
            if spoiled(exercise, a) and spoiled(exercise, b) and not spoiled(exercise, a) & spoiled(exercise, b):
                yield pytest.param(exercise, a, b, id=f"{exercise.name}-{a.code}-{b.code}")


@pytest.mark.parametrize(("exercise", "a", "b"), list(pairs()))
def test_both_of_two_mistakes_are_named_with_their_results(exercise, a, b, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    path = written(tmp_path, exercise, exercise.solution.replace(a.old, a.new).replace(b.old, b.new))
    grade = tg.clinic.grade(path, hint=2, seed=0)
    assert "Your numbers are those of these mistakes:" in grade.text
    for mistake in (a, b):
        line = next(line for line in grade.text.splitlines() if any(m in line for m in twins(exercise, mistake)))
        assert set(line.partition(":")[0].strip().split(", ")) == spoiled(exercise, mistake), grade.text


def twins(exercise, mistake):
    """The sentences of mistakes that cannot be told apart, such as `=` and `+=` at an index."""
    return [m.sentence for m in exercise.mistakes if spoiled(exercise, m) == spoiled(exercise, mistake)]


def test_a_result_that_no_mistake_explains_is_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    exercise = find("rnn_step")
    text = exercise.solution.replace("dx = dz @ Wx.T", "dx = 1.5 * dz @ Wx.T").replace("dz @ Wh.T", "dz @ Wh")
    grade = tg.clinic.grade(written(tmp_path, exercise, text), hint=2, seed=0)
    assert grade.mistakes == ("no_transpose",)
    assert "dx: no classic mistake gives these numbers." in grade.text


def test_a_mistake_that_would_spoil_a_right_result_is_not_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    exercise = find("dropout")
    text = exercise.solution.replace("dx = dy * mask / (1.0 - p)", "dx = dy * mask")
    assert tg.clinic.grade(written(tmp_path, exercise, text), hint=2).mistakes == ("no_scale_backward",)
