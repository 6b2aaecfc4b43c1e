"""Programs of people: every program of the bench as its author would hand it over, wrong and right."""

import pytest

from bench.clinic.people import judged, wilson
from bench.clinic.people_parts import COURSE, PROGRAMS

# The line shown first is only a consequence here, and no mistake is named with certainty: honest, but not good enough.
OPEN = {"svm_in_loops"}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_right_program_is_called_right(name):
    assert judged(name, False)[0] == "right"


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_wrong_program_is_named_or_its_line_is_first(name):
    found, said, _ = judged(name, True)
    assert found in (("right", "named", "listed", "honest") if name in OPEN else ("right", "named")), said


def test_there_are_fourteen_course_exercises():
    assert len(COURSE) == 14
    assert len(PROGRAMS) >= 34


def test_an_interval_holds_the_share():
    low, high = wilson(9, 10)
    assert low < 0.9 < high
    assert wilson(0, 0) == (0.0, 1.0)
