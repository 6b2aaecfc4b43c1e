"""A schedule that follows the loss, given to several optimizers in turn: every run is as the first one."""

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.optim import schedules

X, Y = moons(40, seed=0)
MADE = {
    "plateau": lambda: schedules.reduce_on_plateau(1.5, patience=1),
    "adaptive": lambda: schedules.adaptive(1.5, patience=1),
    "within another": lambda: schedules.warmup(schedules.reduce_on_plateau(1.5, patience=1), 3),
    "a piece": lambda: schedules.piecewise([3], [0.1, schedules.adaptive(1.5, patience=1)]),
}


def trained(schedule, optimizer, epochs=15):
    model = nn.MLP([2, 4, 1], seed=1)
    made = getattr(optim, optimizer)(model.parameters(), lr=schedule)
    return fit(model, X, Y, loss="mse", optimizer=made, epochs=epochs, progress=False)


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("kind", MADE)
def test_a_second_run_does_not_begin_with_the_rate_of_the_first(kind, optimizer):
    schedule = MADE[kind]()
    first, second = trained(schedule, optimizer), trained(schedule, optimizer)
    np.testing.assert_array_equal(second.loss_curve, first.loss_curve)


@pytest.mark.parametrize("kind", MADE)
def test_a_run_that_goes_on_keeps_its_rate(kind):
    np.testing.assert_array_equal(
        trained(MADE[kind](), "SGD", 8).resume(15).loss_curve, trained(MADE[kind](), "SGD").loss_curve
    )


@pytest.mark.parametrize("kind", MADE)
def test_anew_is_without_memory_and_leaves_the_other_alone(kind):
    schedule = MADE[kind]()
    for loss in (1.0, 2.0, 3.0, 4.0):
        schedule.observe(loss)
    before = schedule.state()
    assert schedule.anew().state() == MADE[kind]().state()
    assert schedule.state() == before
