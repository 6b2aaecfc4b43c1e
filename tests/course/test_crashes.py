"""A function that fails half-way, and a file that is checked twice."""

import pytest

import tinygrad_edu as tg
from tests.course.test_course import FIRST, LAYER, written

BEFORE = {  # lines that end in a crash, the score, what the text says
    "right": (
        "    a = dz @ W.T\n    c = dz.sum(axis=0)\n    e = x @ dz\n    return a, e, c\n",
        2 / 3,
        "dW  WRONG  line",
    ),
    "wrong": ("    dx = dz @ W\n    return dx, x.T @ dz, dz.sum(axis=0)\n", 0.0, "Is a .T missing"),
    "wrong numbers": ("    dx = 2 * dz @ W.T\n    return dx, x @ dz, 0\n", 0.0, "dx  WRONG  line 6"),
    "by its own name": ("    dx = dz @ W.T\n    return {'dx': dx, 'dW': x @ dz}\n", 1 / 3, "dx  right"),
}  # fmt: skip


def text_of(tmp_path, lines):
    return written(tmp_path, LAYER, f"def backward(x, W, b, dy):\n{FIRST}{lines}")


@pytest.mark.parametrize("case", BEFORE)
def test_what_was_right_before_a_crash_is_right(case, tmp_path):
    lines, score, words = BEFORE[case]
    found = tg.clinic.grade(text_of(tmp_path, lines), seconds=2)
    assert found.score == pytest.approx(score), found.text
    assert words in found.text


@pytest.mark.slow
def test_a_file_that_is_checked_twice_is_told_the_same(tmp_path):
    """Inputs are drawn from the exercise's own seed: other errors at every run look like another mistake."""
    path = text_of(tmp_path, "    return dz @ W.T, 1.5 * x.T @ dz + 1, dz.sum(axis=0)\n")
    first = tg.clinic.grade(path, hint=3)
    assert first.text == tg.clinic.grade(path, hint=3).text != tg.clinic.grade(path, hint=3, seed=5).text
    assert "\n\n\n" not in first.text
