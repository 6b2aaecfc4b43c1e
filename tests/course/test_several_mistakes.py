"""Several mistakes in one exercise: each is named with the results that it explains."""

import functools
import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.course.test_course import LAYER, NUMERIC, SUBMISSIONS, in_this_process, numeric, written
from tinygrad_edu.course import find, relations, sandbox, suspects
from tinygrad_edu.course.exercise import Mistake


def spoiled(exercise, mistake):
    """The results that a mistake changes, on one input."""
    return spoiled_in(exercise.name, mistake)


@functools.cache
def spoiled_in(name, mistake):
    exercise = find(name)
    inputs = exercise.inputs(np.random.default_rng(0))
    found = set()
    for function in exercise.functions:
        right, theirs = exercise.right(function, inputs), exercise.right(function, inputs, mistake)
        found |= {n for n in right if n not in theirs or not relations.are_the_same(theirs[n], right[n], 1e-6)}
    return frozenset(found)


def apart(exercise, a, b):
    """Does each change its own results as if the other were not there?"""
    inputs = exercise.inputs(np.random.default_rng(0))
    both = Mistake("both", exercise.solution, exercise.solution.replace(a.old, a.new).replace(b.old, b.new), "")
    for mistake in (a, b):
        for function in exercise.functions:
            one, two = exercise.right(function, inputs, mistake), exercise.right(function, inputs, both)
            if any(
                name in one and not relations.are_the_same(two[name], one[name]) for name in spoiled(exercise, mistake)
            ):
                return False
    return True


def pairs():
    """Two mistakes in different lines, which spoil different results."""
    rng = np.random.default_rng(0)
    for exercise in NUMERIC:
        every = list(itertools.combinations(exercise.mistakes, 2))
        count = 0
        for i in rng.permutation(len(every)):
            a, b = every[i]
            text = exercise.solution
            if a.old not in text.replace(b.old, b.new) or b.old not in text.replace(a.old, a.new):
                continue
            one, other = spoiled(exercise, a), spoiled(exercise, b)
            if one and other and not one & other and apart(exercise, a, b):
                yield pytest.param(exercise, a, b, id=f"{exercise.name}-{a.code}-{b.code}-{i}")
                count += 1
                if count == 6:
                    break


@pytest.mark.parametrize(("exercise", "a", "b"), list(pairs()))
def test_both_of_two_mistakes_are_named_with_their_results(exercise, a, b, tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    path = written(tmp_path, exercise, exercise.solution.replace(a.old, a.new).replace(b.old, b.new))
    grade, both = tg.clinic.grade(path, hint=2, seed=0), spoiled(exercise, a) | spoiled(exercise, b)
    if "Your numbers are those of these mistakes:" not in grade.text:  # the mistakes overlap, or one mistake is both
        named = [m for m in exercise.mistakes if m.code in grade.mistakes]
        assert {a.code, b.code} <= set(grade.mistakes) or any(spoiled(exercise, m) == both for m in named), grade.text
        return
    for mistake in (a, b):
        line = next(line for line in grade.text.splitlines() if any(m in line for m in twins(exercise, mistake)))
        assert set(line.partition(":")[0].strip().split(", ")) == spoiled(exercise, mistake), grade.text


def twins(exercise, mistake):
    """The sentences of mistakes that cannot be told apart, such as `=` and `+=` at an index."""
    return [m.sentence for m in exercise.mistakes if spoiled(exercise, m) == spoiled(exercise, mistake)]


def test_a_result_that_no_mistake_explains_is_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    exercise = find("rnn_step")
    text = exercise.solution.replace("dx = dz @ Wx.T", "dx = np.sin(dz @ Wx.T)").replace("dz @ Wh.T", "dz @ Wh")
    grade = tg.clinic.grade(written(tmp_path, exercise, text), hint=2, seed=0)
    assert grade.mistakes == ("no_transpose",)
    assert "dx: no known mistake gives these numbers." in grade.text


def test_a_mistake_that_would_spoil_a_right_result_is_not_named(tmp_path, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    exercise = find("dropout")
    text = exercise.solution.replace("dx = dy * mask / (1.0 - p)", "dx = dy * mask")
    assert tg.clinic.grade(written(tmp_path, exercise, text), hint=2).mistakes == ("no_scale_backward",)


def test_a_sign_is_called_a_sign():
    right = np.array([[1.0, -2.0], [0.5, 3.0]])
    case = relations.Case("dx", -right, right, {"dx": right}, {"x": 2.0 * right})
    assert relations.relation([case]) == ("sign", "The sign is wrong.")


@numeric
def test_no_two_mistakes_give_the_same_numbers_under_two_names(exercise):
    """A learner would get two names for one mistake: such ways are written under one code."""
    cases = [exercise.inputs(np.random.default_rng(seed)) for seed in (1, 2)]
    found = {s: [s.results(exercise, case) for case in cases] for s in suspects.classics(exercise)}
    alike = [
        (a.codes, b.codes)
        for a, b in itertools.combinations(found, 2)
        if a.codes != b.codes
        and all(
            one.keys() == other.keys() and all(relations.are_the_same(one[name], other[name]) for name in one)
            for one, other in zip(found[a], found[b], strict=True)
        )
    ]
    assert alike == []


def test_a_crash_and_differences_are_told_once(tmp_path):
    """The line of a crash is in its sentence, and differences are no mistake in a formula."""
    crash = tg.clinic.grade(written(tmp_path, LAYER, LAYER.solution.replace("dz @ W.T", "dz @ W")), hint=2).text
    assert "computed in line" not in crash
    body, *_ = SUBMISSIONS["differences"]
    told = tg.clinic.grade(written(tmp_path, LAYER, f"def backward(x, W, b, dy):\n{body}"), hint=2).text
    assert "finite differences" in told
    assert "No known mistake" not in told
