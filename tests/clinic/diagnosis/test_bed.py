"""The examiner on a sample of its test bed; `python -m bench.examiner` measures all of it."""

import pytest

from bench import examiner

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def singles():
    score = examiner.Score()
    for case in examiner.sampled(examiner.all_singles(), 60, seed=42):
        examiner.judge(score, *case)
    return score


def test_one_slip_is_named(singles):
    assert singles.right >= 0.98 * singles.cases, singles.missed
    assert singles.named >= 0.9 * singles.cases  # the mistake itself, and not another one that gives the same numbers


def test_two_slips_are_named():
    score = examiner.Score()
    for case in examiner.doubles(20, seed=42):
        examiner.judge(score, *case)
    assert score.right >= 0.9 * score.cases, score.missed


def test_no_slip_is_named_for_right_gradients():
    assert examiner.false_alarms(80) == (80, 0)
