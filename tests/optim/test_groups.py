"""Groups of parameters with settings of their own: PyTorch's steps, and what is refused."""

import numpy as np
import pytest

import tinygrad_edu as tg
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
        if name == "Adagrad" and kind is torch.optim:  # torch does not accept this setting for a group
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


@pytest.mark.torch
@pytest.mark.parametrize(
    ("name", "x"), [("dampening", 0.0), ("momentum", 0.0), ("momentum", 0.75), ("maximize", False)]
)
def test_settings_changed_in_between_are_pytorchs(name, x):
    import torch

    ends = []
    for library, leaf in (tg, Tensor), (torch, torch.tensor):
        w = leaf([1.0, 2.0], requires_grad=True)
        optimizer = library.optim.SGD([w], lr=0.5, momentum=0.5, dampening=0.25, maximize=True)
        for t in range(4):
            if t == 2:
                optimizer.param_groups[0][name] = x
            w.grad = leaf([1.0, -3.0]) if library is torch else np.array([1.0, -3.0])
            optimizer.step()
        ends.append(w.detach().numpy())
    np.testing.assert_allclose(*ends, rtol=1e-6)


def test_a_direction_for_each_group():
    a, b = Value(1.0), Value(1.0)
    optimizer = optim.SGD([{"params": [a]}, {"params": [b], "maximize": True}], lr=0.5)
    (a + b).backward(), optimizer.step()
    assert (a.data, b.data) == (0.5, 1.5)


def test_another_number_of_memories_needs_a_new_optimizer():
    optimizer = optim.Adam([Value(1.0)], amsgrad=True)
    with pytest.raises(SettingError, match="make a new optimizer"):
        optimizer.param_groups[0]["amsgrad"] = False


def test_classes_of_ones_own_pass_arguments_on():
    class Own(optim.SGD):
        def __init__(self, params, *arguments, extra=1, **more):
            super().__init__(params, *arguments, **more)

    class Plain(optim.Optimizer):
        rule, memories = staticmethod(lambda w, g, t, lr: (w - lr * g,)), 0

    for kind in (Own, Plain):
        w = Value(1.0)
        optimizer = kind([w], 0.5, maximize=True)
        w.backward(), optimizer.step()
        assert w.data == 1.5
        assert "maximize=True" in repr(optimizer)


def test_what_came_later_is_no_setting_where_it_is_off():
    """Checkpoints from before it came do not hold it, and a run is resumed with its own settings alone."""
    assert list(optim.SGD([Value(1.0)]).options) == ["momentum", "weight_decay", "nesterov"]
    assert list(optim.NAdam([Value(1.0)]).options) == ["betas", "eps", "weight_decay", "momentum_decay"]
    assert optim.NAdam([Value(1.0)], decoupled_weight_decay=True).options["decoupled_weight_decay"] is True


@pytest.mark.parametrize("groups", [False, True])
def test_a_scheduler_may_take_rprops_rate_to_zero_after_the_first_step(groups):
    w = Tensor([1.0, -2.0], requires_grad=True)
    optimizer = optim.Rprop([{"params": [w]}] if groups else [w], lr=0.1)
    scheduler = optim.lr_scheduler.PolynomialLR(optimizer, total_iters=1)
    found = []
    for _ in range(3):
        optimizer.zero_grad()
        (w * w).sum().backward()
        optimizer.step()
        scheduler.step()
        found.append(w.data.tolist())
    np.testing.assert_allclose(found, [[0.9, -1.9], [0.78, -1.78], [0.636, -1.636]])


def test_the_rate_of_a_group_is_that_of_the_next_step():
    w, u = tg.Value(3.0), tg.Value(2.0)
    halves = tg.optim.schedules.inverse_time
    optimizer = tg.optim.SGD([{"params": [w], "lr": halves(0.6)}, {"params": [u]}], lr=halves(0.1))
    for t in range(1, 4):
        assert [g["lr"] for g in optimizer.param_groups] == pytest.approx([0.6 / t, 0.1 / t])
        (w * w + u * u).backward()
        optimizer.step()
        optimizer.zero_grad()
