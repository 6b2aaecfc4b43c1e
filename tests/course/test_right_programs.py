"""Right solutions in unusual styles pass: forward derivatives, Jacobians, loops over samples, windows, einsum."""

from pathlib import Path

import pytest

from tests.course.test_course import NUMERIC, in_this_process
from tests.course.test_wrong_programs import program
from tinygrad_edu.course import find, grading, sandbox, submission

TEXT = Path(__file__).with_name("right_programs.txt").read_text(encoding="utf-8")
PROGRAMS = [
    (*block.split("\n", 1)[0].split(": ", 1), block.split("\n", 1)[1]) for block in ("\n" + TEXT).split("\n== ")[1:]
]


@pytest.mark.parametrize(("name", "style", "body"), PROGRAMS, ids=[f"{name}-{style}" for name, style, _ in PROGRAMS])
def test_a_right_solution_passes_in_any_style(name, style, body, monkeypatch):
    monkeypatch.setattr(sandbox, "run", in_this_process)
    for seed in (1, 2):
        grade = grading.grade(submission.of_text(program(name, body), name), find(name), seed, 10.0, 3)
        assert grade.score == 1.0, grade.text


def test_every_exercise_has_one():
    assert {name for name, _, _ in PROGRAMS} == {exercise.name for exercise in NUMERIC}
