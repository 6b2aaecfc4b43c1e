"""The course: exercises with gaps, graded by the examiner on random inputs.

Read exercise.py first (what an exercise is), then catalog.py (all of them), submission.py and sandbox.py (a learner's
file is read, its functions run in a process of their own), grading.py, naming.py (which mistake it was).

`tinygrad-edu course FOLDER` writes them, `tinygrad-edu check FILE` grades one; `check` and `grade` do it from Python.
"""

from __future__ import annotations

from typing import Any

from tinygrad_edu.clinic.examiner.grade import GRADERS, Grade, grade
from tinygrad_edu.course.catalog import EXERCISES, find
from tinygrad_edu.course.exercise import Exercise
from tinygrad_edu.course.folder import grade_folder, write, write_examples
from tinygrad_edu.course.grading import grade_file

__all__ = ["EXERCISES", "Exercise", "Grade", "check", "find", "grade", "grade_folder", "write", "write_examples"]
GRADERS["course"] = grade_file


def check(*given: Any, exercise: str = "", hint: int = 1, seconds: float = 10.0, seed: int | None = None) -> Grade:
    """Grade a file, or the functions of a notebook: check(__file__), check(backward, exercise="mlp_layer").

    given: functions by name, the path of a file, or its text.
    exercise: the name of the exercise, if functions are given.
    hint: how much to tell, from 1.
    seconds: how long it may run.
    seed: what the numbers of the exercise are drawn from (one of its own for each exercise).
    Errors: InputFileError, NameNotFoundError for an exercise that is not there.
    """
    from tinygrad_edu.course import grading, submission

    if len(given) == 1:
        return grade_file(given[0], exercise, hint, seconds, seed)
    joined = submission.of_functions(*given)
    chosen = find(exercise)
    return grading.grade(joined, chosen, hint, seconds, grading.seed_of(chosen) if seed is None else seed)
