"""Losses that are a multiple of ours are repeated at a multiple of the rate, whatever the schedule."""

import numpy as np
import pytest

from tinygrad_edu.clinic.diagnosis.causes.changes import scale_rate
from tinygrad_edu.clinic.diagnosis.facts.foreign import larger_steps
from tinygrad_edu.clinic.diagnosis.facts.foreign_training import weights_of_torch_loss
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim import schedules

SCHEDULES = {  # of optim.schedules, by name
    "adaptive": schedules.adaptive(0.1),
    "by_function": schedules.by_function(lambda t: 0.1 / (1 + t)),
    "constant": 0.1,
    "cosine": schedules.cosine(0.1, 10, 0.01),
    "cosine_restarts": schedules.cosine_restarts(0.1, 5, 2, 0.01),
    "exponential": schedules.exponential(0.1, 0.9),
    "inverse_power": schedules.inverse_power(0.1, 0.5),
    "inverse_time": schedules.inverse_time(0.1, 0.5),
    "invscaling": schedules.invscaling(0.1, 0.5, 20, 4),
    "one_cycle": schedules.one_cycle(0.1, 15),
    "piecewise": schedules.piecewise([3, 8], [0.1, 0.01, schedules.exponential(0.1, 0.9)]),
    "reduce_on_plateau": schedules.reduce_on_plateau(0.1, 0.5, 2, 0.0, 0, 0.01),
    "step": schedules.step(0.1, 4),
    "warmup": schedules.warmup(schedules.cosine(0.1, 10, 0.05), 4),
}


def test_every_schedule_can_be_scaled():
    assert {*SCHEDULES, "Plateau", "Schedule", "as_schedule"} == set(schedules.__all__)
    for name, lr in SCHEDULES.items():
        twice = schedules.as_schedule(scale_rate(lr, 2.0))
        np.testing.assert_allclose(twice.rates(0, 20), 2.0 * schedules.as_schedule(lr).rates(0, 20), err_msg=name)
    function = SCHEDULES["by_function"]
    assert repr(scale_rate(function, 2.0)) != repr(
        scale_rate(function, 3.0)
    )  # trials are looked up by the words that describe a change


@pytest.mark.parametrize("name", SCHEDULES)
def test_all_rates_of_a_schedule_are_so_many_times_as_large(name):
    made = larger_steps({"lr": SCHEDULES[name], "options": {}}, 3.0)["lr"]
    theirs, ours = (schedules.as_schedule(lr) for lr in (SCHEDULES[name], made))
    np.testing.assert_allclose(ours.rates(0, 20), 3.0 * theirs.rates(0, 20), rtol=1e-12)
    if name == "reduce_on_plateau":
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
    # with several outputs a sample would have several weights
    with pytest.raises(SettingError, match="a pos_weight of one output"):
        weights_of_torch_loss(BCEWithLogitsLoss(), np.array([[0.0, 1.0], [1.0, 0.0]]))
