"""Learning rates by schedules and functions; settings out of range are refused."""

import numpy as np
import pytest

from tests.optim.test_optim import makers
from tinygrad_edu import Tensor, Value, nn, optim
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.optim import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    RMSprop,
    Rprop,
    schedules,
)

# The learning rate


@makers
def test_a_schedule_gives_each_step_its_rate(make):
    w = make(0.0)
    schedule = schedules.inverse_time(0.5)
    optimizer, path = SGD([w], lr=schedule), []
    for _ in range(4):
        path.append((optimizer.lr, w.item()))
        w.grad = 1.0 if make is Value else np.array(1.0)
        optimizer.step()
    rates = [schedule(t) for t in range(4)]
    assert path == [(rate, pytest.approx(-sum(rates[:i]))) for i, rate in enumerate(rates)]
    np.testing.assert_array_equal(optimizer.rates(optimizer.steps, 3), [schedule(t) for t in (4, 5, 6)])


def test_a_plain_function_is_a_schedule_too():
    optimizer = SGD([Value(1.0)], lr=lambda t: 0.1 / (t + 1))
    optimizer.step()
    assert optimizer.lr == 0.05
    assert "by_function" in repr(optimizer)


def test_a_number_replaces_a_schedule():
    optimizer = Adam([Value(1.0)], lr=schedules.exponential(0.1, 0.5))
    optimizer.step()
    assert optimizer.lr == 0.05
    optimizer.lr = 0.3
    optimizer.step()
    assert optimizer.lr == 0.3
    assert optimizer.rates(7, 2).tolist() == [0.3, 0.3]


def test_a_step_without_gradients_is_no_step():
    optimizer = SGD([Tensor([1.0], requires_grad=True)], lr=schedules.inverse_time(0.1))
    optimizer.step()
    assert (optimizer.steps, optimizer.lr) == (0, 0.1)


def test_the_state_of_a_schedule_is_gone_back_to():
    optimizer = SGD([Value(1.0)], lr=schedules.reduce_on_plateau(0.1, factor=0.5, patience=0))
    optimizer.schedule.observe(1.0)
    before = optimizer.state()
    optimizer.schedule.observe(2.0)
    assert optimizer.lr == 0.05
    optimizer.load_state(before)
    assert optimizer.lr == 0.1


@pytest.mark.parametrize("value", [-0.1, float("nan"), float("inf"), "0.1", None, True, [0.1]])
def test_a_bad_learning_rate_is_refused_later_too(value):
    optimizer = SGD([Value(1.0)], lr=0.1)
    with pytest.raises(SettingError, match=r"lr=.* (lies outside \[0, inf\)|is text: give a number)"):
        optimizer.lr = value
    assert optimizer.lr == 0.1


@pytest.mark.parametrize("bad", [-1.0, float("nan"), float("inf")])
def test_a_schedule_that_goes_astray_is_refused_at_the_step(bad):
    w = Value(1.0)
    optimizer = SGD([w], lr=lambda t: 0.1 if t < 2 else bad)
    optimizer.step()
    optimizer.step()
    with pytest.raises(SettingError, match=r"gives the learning rate .* at t=2"):
        optimizer.step()


def test_a_step_leaves_arrays_that_were_given_out():
    w = Tensor([1.0], requires_grad=True)
    kept = w.data
    w.sum().backward()
    SGD([w], lr=0.5).step()
    assert (kept[0], w.data[0]) == (1.0, 0.5)


# What is refused

SETTINGS = [
    (SGD, {"lr": -0.1}, r"lr=-0\.1 lies outside \[0, inf\)"),
    (SGD, {"lr": float("nan")}, "lr=nan"),
    (Adam, {"lr": float("inf")}, "lr=inf"),
    (Adam, {"lr": "0.1"}, "lr='0.1'"),
    (SGD, {"momentum": 1.0}, r"momentum=1\.0 lies outside \[0, 1\)"),
    (SGD, {"momentum": -0.1}, r"momentum=-0\.1"),
    (SGD, {"nesterov": True}, "set momentum"),
    (SGD, {"weight_decay": -1.0}, r"weight_decay=-1\.0"),
    (Adam, {"weight_decay": float("nan")}, "weight_decay=nan"),
    (Adam, {"betas": (1.0, 0.9)}, r"beta1=1\.0 lies outside"),
    (Adam, {"betas": (0.9, -0.1)}, r"beta2=-0\.1"),
    (Adam, {"betas": (0.9,)}, r"betas=\(0\.9,\)"),
    (Adam, {"betas": 0.9}, r"betas=0\.9"),
    (Adam, {"eps": 0.0}, "eps=0"),
    (Adam, {"eps": -1e-8}, "eps=-1e-08"),
    (AdamW, {"weight_decay": -0.1}, r"weight_decay=-0\.1"),
    (AdamW, {"betas": (0.9, 1.0)}, r"beta2=1\.0"),
    (AdamW, {"lr": -1.0}, r"lr=-1\.0"),
    (RMSprop, {"alpha": 1.0}, r"alpha=1\.0 lies outside \[0, 1\)"),
    (RMSprop, {"alpha": float("nan")}, "alpha=nan"),
    (RMSprop, {"momentum": -0.5}, r"momentum=-0\.5"),
    (RMSprop, {"eps": 0}, "eps=0"),
    (RMSprop, {"weight_decay": "much"}, "weight_decay='much'"),
    (RMSprop, {"lr": float("nan")}, "lr=nan"),
    (Adagrad, {"lr_decay": -1.0}, r"lr_decay=-1\.0"),
    (Adagrad, {"initial_accumulator_value": -1.0}, r"initial_accumulator_value=-1\.0"),
    (Adagrad, {"initial_accumulator_value": float("inf")}, "initial_accumulator_value=inf"),
    (Adagrad, {"eps": 0.0}, r"eps=0: .* 0/0"),
    (Adagrad, {"weight_decay": -1.0}, "weight_decay"),
    (Rprop, {"etas": (1.2, 0.5)}, r"etas=\(1\.2, 0\.5\): steps shrink"),
    (Rprop, {"etas": (0.0, 1.2)}, r"eta_minus=0\.0 lies outside \(0, inf\]"),
    (Rprop, {"etas": 0.5}, "Rprop has two"),
    (Rprop, {"step_sizes": (1.0, 0.1)}, r"smallest=1\.0 lies outside \(0, 0\.1\]"),
    (Rprop, {"step_sizes": (1e-6,)}, "Δmin and Δmax"),
    (Rprop, {"lr": 0.0}, r"lr=0\.0 is Rprop's first step Δ.*\(1e-06, 50\.0\)"),
    (Rprop, {"lr": 99.0}, r"lr=99\.0 is Rprop's first step"),
    (Rprop, {"lr": float("nan")}, "lr=nan"),
]


@pytest.mark.parametrize(("optimizer", "settings", "text"), SETTINGS)
def test_settings_out_of_range_are_refused(optimizer, settings, text):
    with pytest.raises(SettingError, match=text):
        optimizer([Value(1.0)], **settings)


@makers
def test_a_parameter_listed_twice_is_refused(make):
    w = make(1.0)
    with pytest.raises(SettingError, match=r"1\.?0?.*listed twice"):
        SGD([w, make(1.0), w])


STRANGE = [
    (lambda: [Value(1.0) * 2.0], "op='mul'"),
    (lambda: [Tensor([1.0], requires_grad=True) * 2.0], "op='mul'"),
    (lambda: ["w"], "not 'w'"),
    (lambda: "weights", "not 'w'"),
    (lambda: [1.0], r"not 1\.0"),
    (lambda: [np.ones(2)], "not array"),
    (lambda: [], "an empty list"),
    (lambda: nn.MLP([2, 1]), r"model\.parameters\(\), not one MLP"),
    (lambda: Value(1.0), "not one Value"),
    (lambda: Tensor([1.0]), "not one Tensor"),
    (lambda: None, "not one NoneType"),
]


@pytest.mark.parametrize(("params", "text"), STRANGE)
def test_only_leaves_are_changed(params, text):
    with pytest.raises(OperandError, match=text):
        SGD(params())


HABITS = {  # of programs written for PyTorch
    "read": lambda optimizer, p: optimizer.state[p],
    "write": lambda optimizer, p: optimizer.state[p].update(step=0),
    "look": lambda optimizer, p: p in optimizer.state,
    "all": lambda optimizer, p: optimizer.state.items(),
    "forget": lambda optimizer, p: setattr(optimizer, "state", {}),
}


@pytest.mark.parametrize("habit", HABITS)
def test_the_state_of_pytorchs_optimizers_says_what_to_write(habit):
    layer = nn.Linear(2, 1, rng=0)
    optimizer = optim.Adam(layer.parameters())
    with pytest.raises(SettingError, match=r"The memory of a parameter p is optimizer\.memory\[i\]"):
        HABITS[habit](optimizer, layer.weight)
    i = [q is layer.weight for q in optimizer.params].index(True)  # what it says
    assert optimizer.memory[i][0].shape == layer.weight.shape
    before = optimizer.state()
    optimizer.load_state(before)
    assert optimizer.t[i] == 0


@pytest.mark.parametrize("name", ["state_dict", "load_state_dict", "add_param_group", "defaults"])
def test_names_of_pytorchs_optimizers_say_what_to_write(name):
    optimizer = optim.Adam(nn.Linear(2, 1, rng=0).parameters())
    with pytest.raises(AttributeError, match="Write "):
        getattr(optimizer, name)
    assert not hasattr(optimizer, name)
