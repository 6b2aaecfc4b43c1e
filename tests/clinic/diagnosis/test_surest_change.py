"""A change that repairs most seeds only gives way to a larger one of the same cause that repairs all."""

from types import SimpleNamespace

import pytest

from tests.clinic.diagnosis.test_fewer_changes import counted
from tinygrad_edu.clinic.diagnosis.single import surest

RATES = (1e-4, 1e-3, 1e-2, 1e-1)


@pytest.mark.parametrize(
    ("reached", "first", "expected"),
    [
        ((0, 17, 20, 20), 1e-3, 1e-2),  # four of five, and then all
        ((0, 20, 20, 20), 1e-3, 1e-3),  # sure at once
        ((0, 17, 18, 20), 1e-3, 1e-1),  # the next is not sure either
        ((0, 17, 18, 12), 1e-3, 1e-3),  # none is
        ((0, 17, None, 20), 1e-3, 1e-1),  # no time for one
        ((0, 3, 5, 17), 1e-1, 1e-1),  # it was the last
    ],
)
def test_the_next_changes_are_tried_until_one_is_sure(reached, first, expected):
    seeds = dict(zip(RATES, reached, strict=True))
    trial = lambda change, code="": None if seeds[change["lr"]] is None else counted(change, seeds[change["lr"]])  # noqa: E731
    t = SimpleNamespace(trial=trial, record=None, confirm=lambda x: x, beats=lambda x: x.share >= 0.8)
    cause = SimpleNamespace(code="lr_too_low", changes=lambda record: ({"lr": rate} for rate in RATES))
    assert surest(t, cause, trial({"lr": first})).change == {"lr": expected}
