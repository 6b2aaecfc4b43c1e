"""Groups of parameters with settings of their own: PyTorch's steps, and what is refused."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, Value, fit, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.errors import SettingError, TraceError
from tinygrad_edu.optim import schedules

STARTS = ([1.0, -2.0], [3.0], [[0.5, 0.25]])
GROUPS = {
    "SGD": ({"lr": 0.1, "momentum": 0.9}, {"lr": 0.01}, {"weight_decay": 0.1}),
    "Adam": ({"lr": 0.05}, {"betas": (0.5, 0.9), "lr": 0.2}, {"weight_decay": 0.1}),
    "AdamW": ({"lr": 0.05, "amsgrad": True}, {"weight_decay": 0.3}, {"eps": 1e-3}),
    "RMSprop": ({"lr": 0.02, "alpha": 0.9}, {"momentum": 0.5}, {"centered": True}),
    "Adagrad": ({"lr": 0.1}, {"initial_accumulator_value": 0.5}, {"lr_decay": 0.1}),
    "Rprop": ({"lr": 0.1}, {"lr": 0.02}, {"etas": (0.4, 1.3)}),
}


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize("name", GROUPS)
def test_the_steps_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    common, *own = GROUPS[name]
    ours = [Tensor(x, requires_grad=True) for x in STARTS]
    theirs = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in STARTS]
    made = []
    for kind, parameters in ((optim, ours), (torch.optim, theirs)):
        groups = [{"params": parameters[:1]}, {"params": parameters[1], **own[0]}, {"params": parameters[2:], **own[1]}]
        if name == "Adagrad" and kind is torch.optim:  # its groups cannot have this one
            groups[1].pop("initial_accumulator_value")
        made.append(getattr(kind, name)(groups, **common))
    if name == "Adagrad":
        made[1].state[theirs[1]]["sum"].fill_(0.5)
    for t in range(12):
        for x, y in zip(ours, theirs, strict=True):
            x.grad = np.cos(t + x.data)
            y.grad = torch.cos(t + y.detach())
        for optimizer in made:
            optimizer.step()
        if t == 6 and name != "Rprop":
            for optimizer in made:
                for group in optimizer.param_groups:
                    group["lr"] *= 0.5
        for x, y in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(x.data, y.detach().numpy(), rtol=1e-11)


def test_on_values():
    a, b = Value(1.0), Value(1.0)
    optimizer = optim.SGD([{"params": [a]}, {"params": [b], "lr": 0.5}], lr=0.1)
    (a * b).backward()
    optimizer.step()
    assert (a.data, b.data) == (0.9, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]


def layers(compiled, **settings):
    model = nn.MLP([2, 4, 1], seed=0)
    groups = [{"params": model.layers[0].parameters(), "lr": 0.0}, {"params": model.layers[1].parameters()}]
    optimizer = optim.SGD(groups, lr=schedules.inverse_time(0.1))
    before = model.state_dict()
    run = fit(model, *moons(20), loss="mse", optimizer=optimizer, epochs=5, compiled=compiled, **settings)
    changed = [not np.array_equal(before[name], w) for name, w in model.state_dict().items()]
    return run, changed


def test_in_fit():
    run, changed = layers("auto")
    assert changed == [False, False, True, True]
    assert run.how.startswith("eager")
    with pytest.raises(TraceError, match="groups of parameters"):
        layers(True)


def test_a_run_of_groups_goes_on_where_it_was(tmp_path):
    whole, _ = layers(False)
    run, _ = layers(False)
    run.save(tmp_path / "run.safetensors")
    assert np.array_equal(run.loss_curve, whole.loss_curve)


@pytest.mark.parametrize(
    ("groups", "complaint"),
    [
        ([{"lr": 0.1}], 'needs "params"'),
        ([{"params": [Value(1.0)], "rate": 0.1}], r"not \['rate'\]"),
        ([{"params": [Value(1.0)], "momentum": 2.0}], "momentum=2.0"),
    ],
)
def test_wrong_groups_are_refused(groups, complaint):
    with pytest.raises(SettingError, match=complaint):
        optim.SGD(groups)


def test_a_parameter_in_two_groups_is_refused():
    a = Value(1.0)
    with pytest.raises(SettingError, match="listed twice"):
        optim.SGD([{"params": [a]}, {"params": [a]}])


def test_one_group_where_none_were_given():
    optimizer = optim.Adam([Value(1.0)], lr=0.1)
    (group,) = optimizer.param_groups
    group["lr"] = 0.5
    group["weight_decay"] = 0.25
    assert optimizer.lr == 0.5
    assert optimizer.settings["weight_decay"] == 0.25
    assert dict(group)["betas"] == (0.9, 0.999)
    with pytest.raises(SettingError, match="cannot be set"):
        group["nesterov"] = True
