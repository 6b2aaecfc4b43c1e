"""Losses that are a multiple of ours are repeated at a multiple of the rate, whatever the schedule."""

import numpy as np
import pytest

from tinygrad_edu.clinic.diagnosis.facts.foreign import larger_steps
from tinygrad_edu.clinic.diagnosis.facts.foreign_training import weights_of_torch_loss
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim import schedules

SCHEDULES = {
    "constant": 0.1,
    "cosine": schedules.cosine(0.1, 10, 0.01),
    "piecewise": schedules.piecewise([3, 8], [0.1, 0.01, schedules.exponential(0.1, 0.9)]),
    "warmup": schedules.warmup(schedules.cosine(0.1, 10, 0.05), 4),
    "plateau": schedules.reduce_on_plateau(0.1, 0.5, 2, 0.0, 0, 0.01),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_all_rates_of_a_schedule_are_so_many_times_as_large(name):
    made = larger_steps({"lr": SCHEDULES[name], "options": {}}, 3.0)["lr"]
    theirs, ours = (schedules.as_schedule(lr) for lr in (SCHEDULES[name], made))
    np.testing.assert_allclose(ours.rates(0, 20), 3.0 * theirs.rates(0, 20), rtol=1e-12)
    if ours.follows_loss:
        for _ in range(60):
            ours.observe(1.0)
        assert ours(60) == pytest.approx(3.0 * 0.01)


class BCEWithLogitsLoss:
    weight, reduction = None, "mean"
    pos_weight = type("Tensor", (), {"numel": lambda self: 1, "__float__": lambda self: 5.0})()


def test_one_pos_weight_is_of_one_output():
    weight, counted = weights_of_torch_loss(BCEWithLogitsLoss(), np.array([[0.0], [1.0]]))
    assert weight.tolist() == [1.0, 5.0]
    assert counted
    with pytest.raises(SettingError, match="a pos_weight of one output"):  # of several, a sample has several weights
        weights_of_torch_loss(BCEWithLogitsLoss(), np.array([[0.0, 1.0], [1.0, 0.0]]))
