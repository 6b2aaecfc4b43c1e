"""A grade: a share from 0 to 1, a text for the learner, and the forms that graders of courses read."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_edu import checks
from tinygrad_edu.clinic.examiner.check import check_backprop
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.errors import ExaminerError
from tinygrad_edu.whole_files import replace

# The course, which imports this module, registers its grader of files here.
GRADERS: dict[str, Callable[..., Grade]] = {}


@dataclass(frozen=True)
class Grade:
    """The grade of a submission.

    score: the share of results that are right, from 0 to 1.
    text: what the learner is told.
    parts: for each result, by its name, its share and what is said of it.
    status: "right", "partly", "wrong", or why it could not be judged: "empty", "crashed", "slow", "refused",
        "unreadable".
    mistakes: the codes of the mistakes that give the learner's numbers.

    >>> Grade(0.5, "1 of 2 right", {"dx": (1.0, ""), "dW": (0.0, "")}, "partly").score
    0.5
    """

    score: float
    text: str
    parts: Mapping[str, tuple[float, str]] = field(default_factory=dict)
    status: str = "right"
    mistakes: tuple[str, ...] = ()
    exercise: str = ""
    name: str = ""

    def __str__(self) -> str:
        return self.text

    def to_nbgrader(self, points: float = 1.0) -> float:
        """Print the text and give the credit: the last line of a cell that nbgrader grades, worth so many points.

        nbgrader takes the number that a cell shows as its credit, from 0 to the points of the cell. Some of its
        versions take 0 for full credit: nothing right is therefore an error, which has no credit in all of them.
        Errors: AssertionError with the text, if nothing is right.

        >>> Grade(0.5, "1 of 2 right").to_nbgrader(points=4)
        1 of 2 right
        2.0
        """
        if self.score == 0.0:
            raise AssertionError(self.text)
        print(self.text)
        return round(self.score * points, 6)

    def to_gradescope(self, path: str | os.PathLike[str], points: float = 100.0) -> Path:
        """Write Gradescope's results.json, worth so many points; returns the path.

        Source: Gradescope's autograder specification, "Output format".
        """
        path, each = checks.path("path", path, "to_gradescope"), points / max(len(self.parts), 1)
        tests = [
            {
                "name": name, "score": round(share * each, 6), "max_score": round(each, 6), "output": said,
                "status": "passed" if share == 1.0 else "failed",
            }
            for name, (share, said) in self.parts.items()
        ]  # fmt: skip
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"score": round(self.score * points, 6), "output": self.text, "tests": tests}
        replace(path.resolve(), json.dumps(record, indent=1, ensure_ascii=False).encode())
        return path


def grade(submission: Any, params: Any = None, grads: Any = None, *, exercise: str = "", **options: Any) -> Grade:
    """Grade an exercise of the course, or gradients of any exercise of your own.

    There are three ways to call it. `grade(path)` grades a script or a notebook of the course, and
    `grade(function, exercise="mlp_layer")` one function of it; both run in a process of their own, on random inputs.
    `grade(forward, params, grads)` judges gradients as `check_backprop` does. In a cell of nbgrader,
    `grade(...).to_nbgrader(points)` is the credit.

    submission: the path of a script or notebook, a function of it, or a forward function of your own.
    params: the parameters, if the forward function is your own, as for check_backprop.
    grads: the gradients to judge, as for check_backprop.
    exercise: the name of the exercise, if `submission` is one function.
    options: for an exercise hint (1: which result is wrong, 2: also the mistake and its line, 3: also the formula; 1),
        seconds (the time limit; 10) and seed (of the inputs; the exercise's own); else those of check_backprop.
    Errors: ExaminerError, InputFileError, NameNotFoundError.

    >>> import numpy as np
    >>> x, W = np.array([[1.0, 2.0]]), np.array([[0.5], [-1.0]])
    >>> found = grade(lambda p: np.sum((x @ p["W"]) ** 2), {"W": W}, {"W": 2 * x.T @ (x @ W)})
    >>> found.score, found.status
    (1.0, 'right')
    """
    if params is not None or grads is not None:
        return grade_of(check_backprop(submission, params, grads, **options))
    if "course" not in GRADERS:
        raise ExaminerError(
            "grade(file) needs the exercises: `import tinygrad_edu.course` first, or call tg.clinic.grade"
        )
    return GRADERS["course"](submission, exercise=exercise, **options)


def grade_of(report: BackpropReport) -> Grade:
    """The grade for a report of the examiner: the share of gradients that are right."""
    parts = {
        name: (0.0 if name in report.wrong else 1.0, f"relative error {error:.2g}")
        for name, error in report.errors.items()
    } | dict.fromkeys(report.kept, (0.0, "no gradient was handed over"))
    right = sum(share for share, _ in parts.values())
    score = right / max(len(parts), 1)
    status = "right" if score == 1.0 else "partly" if right else "wrong"
    codes = dict.fromkeys(slip.code for slip in report.slips if slip.certain and not report.unwritten)
    return Grade(score, str(report), parts, status, tuple(codes))
