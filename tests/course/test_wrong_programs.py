"""Mistakes in other styles than the solutions are named: each block of wrong_programs/ says what has to be said."""

import re
from pathlib import Path

import pytest

from tests.course.test_course import NUMERIC, in_this_process
from tinygrad_edu.course import find, grading, sandbox, submission

FOLDER = Path(__file__).with_name("wrong_programs")


def blocks(name):
    """(what has to be said, bodies) of one exercise: `== words`, then a body, `=====` between two functions."""
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    return [block.split("\n", 1) for block in re.split(r"^== ", text, flags=re.MULTILINE)[1:]]


CASES = [(exercise.name, *block) for exercise in NUMERIC for block in blocks(exercise.name)]


def program(name, body):
    exercise = find(name)
    parts = zip(exercise.functions, body.split("=====\n"), strict=True)
    return "\n\n".join(f"def {f}({', '.join(exercise.parameters[f])}):\n{part}" for f, part in parts)


@pytest.mark.parametrize(("name", "words", "body"), CASES, ids=[f"{name}-{words}" for name, words, _ in CASES])
def test_a_mistake_in_another_style_is_named(name, words, body, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    grade = grading.grade(submission.of_text(program(name, body), name), find(name), 2, 10.0, 3)
    assert grade.score < 1.0
    assert words in grade.text, grade.text


def test_every_exercise_has_some():
    assert all(len(blocks(exercise.name)) >= 8 for exercise in NUMERIC)
