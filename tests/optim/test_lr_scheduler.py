"""PyTorch's schedulers: the same rates, epoch by epoch, in every group."""

import itertools
import math
import pickle

import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim import lr_scheduler

CALLS = {
    "StepLR": [{"step_size": 3, "gamma": 0.5}, {"step_size": 1}],
    "MultiStepLR": [{"milestones": [2, 5, 5, 9], "gamma": 0.3}],
    "ExponentialLR": [{"gamma": 0.9}],
    "ConstantLR": [{}, {"factor": 0.5, "total_iters": 3}],
    "LinearLR": [{}, {"start_factor": 0.1, "end_factor": 0.7, "total_iters": 4}],
    "CosineAnnealingLR": [{"T_max": 5}, {"T_max": 4, "eta_min": 0.01}],
    "CosineAnnealingWarmRestarts": [{"T_0": 3}, {"T_0": 2, "T_mult": 2, "eta_min": 0.01}],
    "PolynomialLR": [{}, {"total_iters": 7, "power": 2.0}],
    "MultiplicativeLR": [{"lr_lambda": lambda e: 0.9 if e % 2 else 1.05}],
    "OneCycleLR": [
        {"max_lr": 0.3, "total_steps": 20},
        {"max_lr": [0.3, 0.1], "epochs": 3, "steps_per_epoch": 7, "anneal_strategy": "linear", "pct_start": 0.2},
        {"max_lr": 0.3, "total_steps": 16, "three_phase": True, "div_factor": 4.0, "final_div_factor": 10.0},
    ],
    "CyclicLR": [
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 3},
        {"base_lr": [0.01, 0.02], "max_lr": 0.1, "step_size_up": 2, "step_size_down": 4, "mode": "triangular2"},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "mode": "exp_range", "gamma": 0.9, "base_momentum": 0.5},
        {"base_lr": 0.01, "max_lr": 0.1, "step_size_up": 2, "scale_fn": lambda cycle: 1.0 / cycle},
    ],
    "LambdaLR": [{"lr_lambda": lambda e: 0.9**e}, {"lr_lambda": [lambda e: 1.0 / (1 + e), lambda e: 0.5]}],
    "ReduceLROnPlateau": [
        {"patience": 1, "factor": 0.5},
        {"mode": "max", "patience": 0, "cooldown": 2, "min_lr": 0.02},
        {"mode": "max", "patience": 0, "threshold": 0.02, "threshold_mode": "abs", "min_lr": [0.03, 0.01]},
        {"patience": 0, "threshold": 0.015, "threshold_mode": "abs", "eps": 0.002},
    ],
}
JOINED = {
    "a warm-up": lambda S, o: S.SequentialLR(o, [S.LinearLR(o, 0.1, total_iters=3), S.CosineAnnealingLR(o, 6)], [3]),
    "three": lambda S, o: S.SequentialLR(
        o, [S.ConstantLR(o, 0.5, 2), S.StepLR(o, 2, 0.5), S.MultiStepLR(o, [1, 2])], [2, 7]
    ),
    "without a closed form": lambda S, o: S.SequentialLR(
        o, [S.LambdaLR(o, lambda e: 1.0 / (1 + e)), S.MultiplicativeLR(o, lambda e: 0.9)], [4]
    ),
    "restarts": lambda S, o: S.SequentialLR(o, [S.ExponentialLR(o, 0.8), S.CosineAnnealingWarmRestarts(o, 3)], [5]),
    "a polynomial": lambda S, o: S.SequentialLR(o, [S.PolynomialLR(o, 4), S.LinearLR(o, 0.2)], [6]),
    "all at once": lambda S, o: S.ChainedScheduler([S.ConstantLR(o, 0.1, 4), S.ExponentialLR(o, 0.9)], optimizer=o),
}
LOSSES = [1.0, 0.9, 0.95, 0.94, 0.96, 0.5, 0.51, 0.52, 0.53, 0.54, 0.55, 0.2, 0.3, 0.3, 0.3, math.inf]


def test_every_scheduler_has_a_call():
    assert CALLS.keys() == lr_scheduler.CLASSES.keys() - {"LRScheduler", "SequentialLR", "ChainedScheduler"}


def two_groups(library, leaf, rates=(0.2, 0.1)):
    groups = [{"params": [leaf()], "lr": lr} for lr in rates]
    return library.optim.SGD(groups, lr=0.1, momentum=0.5)


@pytest.mark.torch
@pytest.mark.parametrize("name", JOINED)
def test_joined_schedulers_are_pytorchs(name):
    import torch

    theirs = two_groups(torch, lambda: torch.nn.Parameter(torch.zeros(1)))
    pairs = [(two_groups(tg, lambda: tg.Value(1.0)), lr_scheduler) for _ in range(2)]
    expected = JOINED[name](torch.optim.lr_scheduler, theirs)
    found, other = (JOINED[name](module, optimizer) for optimizer, module in pairs)
    for epoch in range(14):
        rates = [group["lr"] for group in theirs.param_groups]
        assert [group["lr"] for group in found.optimizer.param_groups] == pytest.approx(rates, rel=1e-12, abs=1e-17)
        assert found.get_last_lr() == pytest.approx(expected.get_last_lr(), rel=1e-12, abs=1e-17)
        if epoch == 6:  # another scheduler continues from here
            other.load_state_dict(found.state_dict())
            found = other
        theirs.step(), expected.step(), found.step()


@pytest.mark.torch
@pytest.mark.parametrize(("name", "options"), [(name, each) for name, calls in CALLS.items() for each in calls])
def test_the_rates_are_pytorchs(name, options):
    import torch

    leaf = torch.nn.Parameter(torch.zeros(1))
    theirs = torch.optim.SGD([{"params": [leaf], "lr": 0.2}, {"params": [torch.nn.Parameter(torch.zeros(1))]}], lr=0.1)
    ours = tg.optim.SGD([{"params": [tg.Value(1.0)], "lr": 0.2}, {"params": [tg.Value(1.0)]}], lr=0.1)
    expected = getattr(torch.optim.lr_scheduler, name)(theirs, **options)
    found = getattr(lr_scheduler, name)(ours, **options)
    for loss in LOSSES:
        rates = [group["lr"] for group in theirs.param_groups]
        assert [group["lr"] for group in ours.param_groups] == pytest.approx(rates, rel=1e-12, abs=1e-17)
        assert found.get_last_lr() == pytest.approx(rates, rel=1e-12, abs=1e-17)
        momenta = [group["momentum"] for group in theirs.param_groups]
        assert [group["momentum"] for group in ours.param_groups] == pytest.approx(momenta, rel=1e-12)
        theirs.step()
        for scheduler in (expected, found):
            scheduler.step(loss) if name == "ReduceLROnPlateau" else scheduler.step()


def rates_of(library, schedulers, optimizer, calls):
    """The rates of ten epochs, with one set by hand in the fifth."""
    made = [getattr(schedulers, name)(optimizer, **options) for name, options in calls]
    found = []
    for epoch, loss in enumerate(LOSSES[:10]):
        if library is not tg:
            optimizer.step()
        if epoch == 4:
            optimizer.param_groups[0]["lr"] = 0.07
        for (name, _), scheduler in zip(calls, made, strict=True):
            scheduler.step(loss) if name == "ReduceLROnPlateau" else scheduler.step()
        found.append([optimizer.param_groups[0]["lr"], *(scheduler.get_last_lr()[0] for scheduler in made)])
    return found, [list(getattr(scheduler, "base_lrs", [])) for scheduler in made if hasattr(scheduler, "milestones")]


@pytest.mark.torch
@pytest.mark.parametrize("first", CALLS)
def test_several_at_once_and_a_rate_set_by_hand_are_pytorchs(first):
    import torch

    one = {name: next(each for each in calls if "lr_lambda" not in each or callable(each["lr_lambda"]))
           for name, calls in CALLS.items()}  # fmt: skip
    for calls in ([(first, one[first]), *([(second, one[second])] if second else [])] for second in ("", *one)):
        ours = tg.optim.SGD([tg.Value(1.0)], lr=0.1)
        theirs = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
        found, base = rates_of(tg, lr_scheduler, ours, calls)
        expected, their_base = rates_of(torch, torch.optim.lr_scheduler, theirs, calls)
        for a, b in zip(found, expected, strict=True):
            assert a == pytest.approx(b, rel=1e-10, abs=1e-15), calls
        assert base == their_base


@pytest.mark.torch
def test_restarts_take_a_fraction_of_an_epoch():
    import torch

    ours = lr_scheduler.CosineAnnealingWarmRestarts(tg.optim.SGD([tg.Value(1.0)], lr=0.1), 2, 2)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    theirs = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 2, 2)
    optimizer.step()
    for epoch in (0.5, 1.25, 3.0, None, 7.5, None):
        ours.step(epoch), theirs.step(epoch)
        assert ours.get_last_lr() == pytest.approx(theirs.get_last_lr(), rel=1e-12)


def test_a_plateau_keeps_its_rate_when_its_state_is_loaded():
    optimizer = tg.optim.SGD([tg.Value(1.0)], lr=0.1)
    scheduler = lr_scheduler.ReduceLROnPlateau(optimizer, patience=0)
    for _ in range(3):
        scheduler.step(1.0)
    assert optimizer.lr == pytest.approx(0.001)
    scheduler.load_state_dict(scheduler.state_dict())
    assert optimizer.lr == pytest.approx(0.001)


def test_a_scheduler_of_ones_own():
    class Halves(lr_scheduler.LRScheduler):
        def get_lr(self):
            return [group["lr"] * 0.5 for group in self.optimizer.param_groups]

    optimizer = tg.optim.SGD([tg.Value(1.0)], lr=0.1)
    Halves(optimizer, last_epoch=-1).step()
    assert optimizer.lr == 0.025


@pytest.mark.parametrize(("name", "options"), [(name, calls[0]) for name, calls in CALLS.items()])
def test_a_kept_state_goes_on(name, options):
    schedulers = []
    for _ in range(2):
        optimizer = tg.optim.SGD([tg.Value(1.0)], lr=0.1)
        schedulers.append(getattr(lr_scheduler, name)(optimizer, **options))
    first, second = schedulers
    advance = [(lambda s, x=x: s.step(x) if name == "ReduceLROnPlateau" else s.step()) for x in LOSSES]
    for step in advance[:6]:
        step(first)
    if hasattr(first, "max_momenta"):
        first.optimizer.param_groups[0]["momentum"] = 0.375  # set by hand, like a rate; it must be kept
    second.load_state_dict(first.state_dict())
    if name == "ReduceLROnPlateau":  # as in PyTorch, its rate is kept by the optimizer
        second.optimizer.lr = first.optimizer.lr
    assert dict(second.optimizer.param_groups[0], params=0) == dict(first.optimizer.param_groups[0], params=0)
    for step in advance[6:]:
        step(first), step(second)
        assert first.get_last_lr() == second.get_last_lr()


def test_bad_settings_are_named():
    optimizer = tg.optim.SGD([tg.Value(1.0)], lr=0.1)
    for make, text in (
        (lambda: lr_scheduler.StepLR(optimizer, 0), "step_size"),
        (lambda: lr_scheduler.StepLR(0.1, 3), "takes an optimizer"),
        (lambda: lr_scheduler.StepLR(tg.optim.SGD([tg.Value(1.0)], lr=lambda t: 0.1), 3), "a schedule already"),
        (lambda: lr_scheduler.StepLR(optimizer, 2, last_epoch=3), r"last_epoch=3.*load_state_dict"),
        (lambda: lr_scheduler.StepLR(optimizer, 2).step(3), r"step\(3\): it counts"),
        (lambda: lr_scheduler.ConstantLR(optimizer, 0.5, "a"), "total_iters='a'"),
        (lambda: lr_scheduler.MultiStepLR(optimizer, 5), "milestones=5"),
        (lambda: lr_scheduler.MultiStepLR(optimizer, ["a"]), "milestones='a'"),
        (lambda: lr_scheduler.LinearLR(optimizer, 0.0), "start_factor=0.0"),
        (lambda: lr_scheduler.LambdaLR(optimizer, None), "lr_lambda=None"),
        (lambda: lr_scheduler.LambdaLR(optimizer, [abs, abs]), "2 entries, and the optimizer 1 groups"),
        (lambda: lr_scheduler.LambdaLR(optimizer, lambda e: None), "a number is needed"),
        (lambda: lr_scheduler.OneCycleLR(optimizer, 0.1), "epochs=None"),
        (lambda: lr_scheduler.OneCycleLR(optimizer, 0.1, 9, anneal_strategy="x"), "anneal_strategy='x'"),
        (lambda: [s := lr_scheduler.OneCycleLR(optimizer, 0.1, 1), s.step(), s.step()], "step 2 of total_steps=1"),
        (lambda: lr_scheduler.CyclicLR(tg.optim.Rprop([tg.Value(1.0)]), 0.1, 1.0), "Rprop has no momentum"),
        (lambda: lr_scheduler.CyclicLR(optimizer, 0.1, 1.0, scale_fn=3), "scale_fn=3"),
        (lambda: lr_scheduler.SequentialLR(optimizer, [], []), "0 schedulers have 0 milestones"),
        (lambda: lr_scheduler.ChainedScheduler([optimizer]), "a list of schedulers"),
        (
            lambda: lr_scheduler.ChainedScheduler([lr_scheduler.ReduceLROnPlateau(optimizer)]),
            "ReduceLROnPlateau needs a metric",
        ),
        (lambda: lr_scheduler.ReduceLROnPlateau(optimizer, threshold_mode="x"), "threshold_mode='x'"),
        (lambda: lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=[0.1, 0.1]), "2 entries"),
    ):
        with pytest.raises(SettingError, match=text):
            make()


def test_what_only_changes_how_pytorch_computes_is_taken():
    assert tg.optim.AdamW([tg.Value(1.0)], lr=0.1, fused=True, foreach=False).lr == 0.1
    assert tg.optim.SGD([tg.Value(1.0)], lr=0.1, maximize=False, dampening=0, differentiable=False).lr == 0.1
    with pytest.raises(SettingError, match=r"differentiable.*tg\.grad"):
        tg.optim.SGD([tg.Value(1.0)], differentiable=True)
    with pytest.raises(SettingError, match=r"SGD: 0, 0\.0001 without a name.*dampening, weight_decay"):
        tg.optim.SGD([tg.Value(1.0)], 0.1, 0.9, 0, 1e-4)  # PyTorch's fourth argument is dampening
    with pytest.raises(SettingError, match="history_size is history"):
        tg.optim.LBFGS([tg.Value(1.0)], lr=0.8)


@pytest.mark.parametrize(("steps", "rise"), [(10, 0.1), (10, 1.0), (1, 1.0), (1, 0.5)])
def test_one_cycle_with_a_phase_of_no_steps_begins_or_ends_at_the_top(steps, rise):
    """PyTorch divides by 0 there."""
    scheduler = lr_scheduler.OneCycleLR(tg.optim.SGD([tg.Value(1.0)]), 0.5, steps, pct_start=rise)
    rates = scheduler.get_last_lr()
    for _ in range(steps - 1):
        scheduler.step()
        rates += scheduler.get_last_lr()
    assert all(0.0 < rate <= 0.5 for rate in rates)
    assert steps == 1 or max(rates) == 0.5


def test_every_scheduler_can_be_pickled():
    def adam():
        return tg.optim.Adam([tg.Value(1.0)], lr=0.1)

    made = [
        lr_scheduler.OneCycleLR(adam(), 0.1, total_steps=9),
        lr_scheduler.OneCycleLR(adam(), 0.1, total_steps=9, anneal_strategy="linear"),
        *(lr_scheduler.CyclicLR(adam(), 0.01, 0.1, mode=x) for x in ("triangular", "triangular2", "exp_range")),
        lr_scheduler.StepLR(adam(), 2),
        lr_scheduler.CosineAnnealingLR(adam(), 5),
        lr_scheduler.ReduceLROnPlateau(adam()),
        lr_scheduler.SequentialLR(o := adam(), [lr_scheduler.StepLR(o, 2), lr_scheduler.ExponentialLR(o, 0.5)], [3]),
    ]
    for scheduler in made:
        copied = pickle.loads(pickle.dumps(scheduler))
        for each in (scheduler, copied):
            each.step(*([1.0] if isinstance(each, lr_scheduler.ReduceLROnPlateau) else []))
        assert copied.get_last_lr() == scheduler.get_last_lr()


def test_the_first_step_of_a_parameter_decides_its_own_rate():
    """Rprop's Δ and ASGD's rate start at the rate of the parameter's first step, as in PyTorch, groups included."""
    for kind, grouped in itertools.product((tg.optim.Rprop, tg.optim.ASGD), (False, True)):
        a, b = (tg.Tensor([1.0], requires_grad=True) for _ in range(2))
        optimizer = kind([{"params": [a]}, {"params": [b], "lr": 0.1}] if grouped else [a, b], lr=0.1)
        scheduler = lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
        for x in (a, b):  # b has its first gradient in the second step
            optimizer.zero_grad()
            x.sum().backward()
            optimizer.step()
            scheduler.step()
        assert [round(1.0 - x.item(), 3) for x in (a, b)] == [0.1, 0.05], kind
