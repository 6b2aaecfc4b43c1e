"""Schedules: their formulas, PyTorch's and scikit-learn's numbers, many rates at once, and following the loss."""

import copy
import math
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygrad_edu import Tensor, Value
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim import schedules
from tinygrad_edu.optim.named import optimizer_classes

EVERY = [
    schedules.constant(0.1),
    schedules.inverse_time(0.1, decay=0.25),
    schedules.inverse_power(0.1, power=0.75),
    schedules.exponential(0.1, factor=0.9),
    schedules.step(0.1, every=7, factor=0.5),
    schedules.cosine(0.1, steps=30, final=0.01),
    schedules.cosine_restarts(0.1, steps=10),
    schedules.cosine_restarts(0.1, steps=5, mult=2, final=0.01),
    schedules.one_cycle(0.1, steps=50),
    schedules.one_cycle(0.1, steps=40, rise=0.25, div_factor=10.0, final_div_factor=100.0),
    schedules.warmup(0.1, steps=5),
    schedules.warmup(schedules.cosine(0.1, steps=30), steps=5),
    schedules.piecewise([10, 20], [0.1, schedules.inverse_time(0.05), lambda t: 0.01 / (t + 1)]),
    schedules.piecewise([], [0.1]),
    schedules.invscaling(0.1, power=0.5, samples=100, batch_size=32),
    schedules.reduce_on_plateau(0.1),
    schedules.adaptive(0.1),
    schedules.by_function(lambda t: 0.1 / (1 + t) ** 2),
]
every = pytest.mark.parametrize("schedule", EVERY, ids=repr)


# one step at a time, and many at once


@every
def test_many_rates_are_the_single_ones(schedule):
    np.testing.assert_allclose(schedule.rates(0, 60), [schedule(t) for t in range(60)], rtol=1e-14)
    np.testing.assert_array_equal(schedule.rates(17, 20), schedule.rates(0, 60)[17:37])
    assert schedule.rates(5, 0).shape == (0,)
    assert type(schedule(3)) is float


@every
def test_a_schedule_prints_the_call_that_makes_it(schedule):
    text = repr(schedule)
    assert text.startswith(f"{schedule.kind}(")
    if "lambda" not in text:
        assert repr(eval(text, vars(schedules))) == text


@every
def test_a_schedule_is_copied_and_pickled(schedule):
    copies = [copy.deepcopy(schedule)] if "lambda" in repr(schedule) else []
    copies += [pickle.loads(pickle.dumps(schedule))] if "lambda" not in repr(schedule) else []
    for each in copies:
        np.testing.assert_array_equal(each.rates(0, 40), schedule.rates(0, 40))


def test_a_copy_has_learned_what_the_original_had():
    schedule = schedules.warmup(schedules.reduce_on_plateau(0.8, factor=0.5, patience=0), steps=2)
    for loss in (1.0, 1.0, 1.0):
        schedule.observe(loss)
    other = pickle.loads(pickle.dumps(schedule))
    assert other(99) == schedule(99) == 0.2
    other.observe(1.0)
    assert (other(99), schedule(99)) == (0.1, 0.2)


VALUES = [
    (schedules.inverse_time(0.1, decay=0.5), [0.1, 0.1 / 1.5, 0.05]),
    (schedules.inverse_power(0.1, power=1.0), [0.1, 0.05, 0.1 / 3]),
    (schedules.inverse_power(0.1, power=0.0), [0.1, 0.1, 0.1]),
    (schedules.warmup(0.4, steps=3), [0.1, 0.2, 0.3, 0.4, 0.4]),
    (schedules.warmup(schedules.exponential(0.4, 0.5), steps=1), [0.2, 0.4, 0.2, 0.1]),
    (schedules.piecewise([1, 3], [3.0, 2.0, schedules.exponential(1.0, 0.5)]), [3.0, 2.0, 2.0, 1.0, 0.5]),
    (schedules.invscaling(0.1), [0.1, 0.1 / 2**0.5, 0.1 / 3**0.5]),
    (schedules.cosine(0.2, steps=2), [0.2, 0.1, 0.0, 0.0]),
    (schedules.step(0.1, every=1, factor=1.0), [0.1, 0.1]),
]


@pytest.mark.parametrize(("schedule", "rates"), VALUES, ids=lambda x: repr(x)[:60])
def test_values(schedule, rates):
    assert [schedule(t) for t in range(len(rates))] == pytest.approx(rates, rel=1e-14, abs=1e-18)


@every
def test_far_away_steps_are_no_trouble(schedule):
    with warnings.catch_warnings(action="error"), np.errstate(all="raise", under="ignore"):
        assert 0.0 <= schedule(10**9) <= 0.1
        assert np.isfinite(schedule.rates(10**9, 3)).all()


# PyTorch's

TORCH = [
    (schedules.cosine_restarts(0.1, steps=7), "CosineAnnealingWarmRestarts", {"T_0": 7}),
    (
        schedules.cosine_restarts(0.1, steps=3, mult=2, final=0.01),
        "CosineAnnealingWarmRestarts",
        {"T_0": 3, "T_mult": 2, "eta_min": 0.01},
    ),
    (schedules.cosine_restarts(0.1, steps=1, mult=3), "CosineAnnealingWarmRestarts", {"T_0": 1, "T_mult": 3}),
    (schedules.one_cycle(0.5, steps=60), "OneCycleLR", {"max_lr": 0.5, "total_steps": 60, "cycle_momentum": False}),
    (
        schedules.one_cycle(0.5, steps=52, rise=0.5, div_factor=10.0, final_div_factor=50.0),
        "OneCycleLR",
        {
            "max_lr": 0.5,
            "total_steps": 52,
            "pct_start": 0.5,
            "div_factor": 10.0,
            "final_div_factor": 50.0,
            "cycle_momentum": False,
        },
    ),
    (schedules.exponential(0.1, 0.93), "ExponentialLR", {"gamma": 0.93}),
    (schedules.step(0.1, every=7, factor=0.3), "StepLR", {"step_size": 7, "gamma": 0.3}),
    (schedules.cosine(0.1, steps=50), "CosineAnnealingLR", {"T_max": 50}),
    (schedules.cosine(0.1, steps=50, final=0.02), "CosineAnnealingLR", {"T_max": 50, "eta_min": 0.02}),
    (schedules.warmup(0.1, steps=9), "LinearLR", {"start_factor": 0.1, "total_iters": 9}),
    (schedules.piecewise([5, 20], [0.1, 0.05, 0.025]), "MultiStepLR", {"milestones": [5, 20], "gamma": 0.5}),
]


def torch_optimizer(torch):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)


@pytest.mark.torch
@pytest.mark.parametrize(("schedule", "name", "options"), TORCH, ids=[f"{name} {x}" for _, name, x in TORCH])
def test_pytorchs_schedules(schedule, name, options):
    torch = pytest.importorskip("torch")
    optimizer = torch_optimizer(torch)
    theirs = getattr(torch.optim.lr_scheduler, name)(optimizer, **options)
    rates = []
    for _ in range(51):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()
    np.testing.assert_allclose(schedule.rates(0, 51), rates, rtol=1e-12, atol=1e-16)


@pytest.mark.torch
@given(
    losses=st.lists(st.floats(0.5, 2.0) | st.sampled_from([1.0, math.nan, math.inf]), min_size=1, max_size=60),
    factor=st.sampled_from([0.1, 0.5, 0.9]),
    patience=st.integers(0, 4),
    cooldown=st.integers(0, 3),
    threshold=st.sampled_from([0.0, 1e-4, 0.1]),
    final=st.sampled_from([0.0, 1e-3, 0.03]),
)
@settings(max_examples=100, deadline=None, derandomize=True)
def test_pytorchs_reduce_on_plateau(losses, factor, patience, cooldown, threshold, final):
    torch = pytest.importorskip("torch")
    optimizer = torch_optimizer(torch)
    options = {"factor": factor, "patience": patience, "cooldown": cooldown, "threshold": threshold}
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, min_lr=final, eps=0.0, **options)
    ours = schedules.reduce_on_plateau(0.1, final=final, **options)
    for i, loss in enumerate(losses):
        theirs.step(loss)
        ours.observe(loss)
        assert ours(i) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)


# scikit-learn's


@pytest.mark.parametrize(("samples", "batch_size"), [(10, 4), (8, 8), (5, 1), (7, 100)])
@pytest.mark.parametrize("power", [0.5, 1.0, 0.3])
def test_scikit_learns_invscaling(samples, batch_size, power):
    pytest.importorskip("sklearn")
    from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

    theirs = SGDOptimizer([np.zeros(1)], 0.1, "invscaling", power_t=power)
    ours = schedules.invscaling(0.1, power, samples, batch_size)
    step, seen = 0, 0
    for _ in range(6):
        for _ in range(0, samples, batch_size):
            assert ours(step) == pytest.approx(theirs.learning_rate, rel=1e-14)
            step += 1
        seen += samples
        theirs.iteration_ends(seen)


@pytest.mark.parametrize(("tol", "patience", "epochs"), [(1e-4, 10, 60), (1e-2, 2, 40), (1e-2, 2, 400), (0.0, 1, 300)])
def test_scikit_learns_adaptive(tol, patience, epochs):
    """Its own losses give its own learning rate, also where it stops because the rate has become too small."""
    pytest.importorskip("sklearn")
    from sklearn.neural_network import MLPRegressor

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(20, 2)), rng.normal(size=20)
    model = MLPRegressor(
        hidden_layer_sizes=(4,), solver="sgd", learning_rate="adaptive", learning_rate_init=0.2, max_iter=epochs,
        tol=tol, n_iter_no_change=patience, random_state=0, batch_size=5,
    )  # fmt: skip
    with warnings.catch_warnings(action="ignore"):
        model.fit(X, y)
    ours = schedules.adaptive(0.2, tol=tol, patience=patience)
    for loss in model.loss_curve_:
        assert not ours.finished
        ours.observe(loss)
    assert ours(0) == pytest.approx(model._optimizer.learning_rate, rel=1e-12)
    assert ours.finished == (model.n_iter_ < epochs)


# Those that follow the loss


def test_losses_reach_the_schedule_inside_a_warmup_and_a_piece():
    inner = schedules.reduce_on_plateau(1.0, factor=0.5, patience=0)
    for outer in (schedules.warmup(inner, steps=3), schedules.piecewise([10], [2.0, inner])):
        assert outer.follows_loss
        before = outer(50)
        outer.observe(1.0)
        outer.observe(1.0)
        outer.observe(1.0)
        assert outer(50) < before
        assert outer(0) > 0.0
    assert not schedules.warmup(0.1, steps=3).follows_loss


@pytest.mark.parametrize("schedule", EVERY[:9], ids=repr)
def test_the_others_are_told_the_loss_in_vain(schedule):
    before = schedule.rates(0, 30)
    for loss in (1.0, 2.0, math.nan):
        schedule.observe(loss)
    np.testing.assert_array_equal(schedule.rates(0, 30), before)


# What is refused

BAD = [
    (lambda: schedules.constant(-0.1), r"lr=-0\.1 lies outside \[0, inf\)"),
    (lambda: schedules.constant(math.nan), "lr=nan"),
    (lambda: schedules.inverse_time(math.inf), "lr=inf"),
    (lambda: schedules.inverse_time(0.1, decay=-1.0), r"decay=-1\.0"),
    (lambda: schedules.inverse_power(0.1, power=-0.5), r"power=-0\.5"),
    (lambda: schedules.exponential(0.1, factor=1.1), r"factor=1\.1 lies outside \(0, 1\]"),
    (lambda: schedules.exponential(0.1, factor=0.0), r"factor=0\.0"),
    (lambda: schedules.step(0.1, every=0), "every=0: a whole number of at least 1"),
    (lambda: schedules.step(0.1, every=2.5), r"every=2\.5"),
    (lambda: schedules.cosine(0.1, steps=0), "steps=0"),
    (lambda: schedules.cosine(0.1, steps=5, final=-1.0), r"final=-1\.0"),
    (lambda: schedules.warmup(-0.1, steps=5), r"lr=-0\.1"),
    (lambda: schedules.warmup("fast", steps=5), "lr='fast'"),
    (lambda: schedules.warmup(0.1, steps=-1), "steps=-1"),
    (lambda: schedules.piecewise([3], [0.1]), "1 boundaries separate 2 rates, not 1"),
    (lambda: schedules.piecewise([3, 3], [0.1, 0.2, 0.3]), r"\[3, 3\] have to increase"),
    (lambda: schedules.piecewise([0], [0.1, 0.2]), "boundary=0"),
    (lambda: schedules.piecewise([3], [0.1, None]), "lr=None"),
    (lambda: schedules.invscaling(0.1, samples=0), "samples=0"),
    (lambda: schedules.reduce_on_plateau(0.1, patience=-1), "patience=-1"),
    (lambda: schedules.reduce_on_plateau(0.1, threshold=1.0), r"threshold=1\.0 lies outside \[0, 1\)"),
    (lambda: schedules.adaptive(0.1, tol=-1.0), r"tol=-1\.0"),
    (lambda: schedules.constant(0.1)(-1), "steps are counted t = 0, 1, 2"),
    (lambda: schedules.constant(0.1)(math.nan), "t=nan"),
    (lambda: schedules.constant(0.1).rates(-1, 3), "first_step=-1"),
    (lambda: schedules.constant(0.1).rates(0, 2.5), r"count=2\.5"),
    (lambda: schedules.by_function(lambda t: 0.3 - 0.1 * t)(4), r"gives the learning rate -0\.1.* at t=4"),
    (lambda: schedules.by_function(lambda t: 0.25 - 0.1 * t).rates(0, 9), r"gives the learning rate .* at t=3"),
]


@pytest.mark.parametrize(("call", "text"), BAD)
def test_bad_settings_are_refused(call, text):
    with pytest.raises(SettingError, match=text):
        call()


def test_a_missing_setting_is_named():
    with pytest.raises(TypeError, match="factor"):
        schedules.exponential(0.1)


NUMBERS = [1.0, -2.0, 0.5]
OWN = sorted(name for name, kind in optimizer_classes().items() if kind.__module__.startswith("tinygrad_edu.optim.opt"))
OWN += sorted(name for name, kind in optimizer_classes().items() if kind.__module__ == "tinygrad_edu.optim.variants")
RATES = {
    "step": lambda: schedules.step(0.1, 1, 0.5),
    "inverse": lambda: schedules.inverse_time(0.1),
    "function": lambda: lambda t: 0.1 * 0.5**t,
}


def divided(kind, rate, parameters, groups):
    """The numbers after 3 steps, however they are divided into parameters; the last one has no gradient at first."""
    optimizer = kind([{"params": parameters[:1]}, {"params": parameters[1:]}] if groups else parameters, lr=rate())
    for t in range(3):
        optimizer.zero_grad()
        for p in parameters if t or len(parameters) == 1 else parameters[:-1]:
            (p * p).sum().backward() if isinstance(p, Tensor) else (p * p).backward()
        optimizer.step()
    return np.concatenate([np.ravel(p.data) for p in parameters])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", OWN)
def test_it_does_not_matter_how_numbers_are_divided_into_parameters(name, rate):
    """Rprop and ASGD begin with the rate of a parameter's first step, not with that of the next one."""
    kind = optimizer_classes()[name]
    whole = divided(kind, RATES[rate], [Tensor(NUMBERS, requires_grad=True)], groups=False)
    for groups in (False, True):
        apart = [Tensor([x], requires_grad=True) for x in NUMBERS]
        found = divided(kind, RATES[rate], [*apart, Tensor([9.0], requires_grad=True)], groups)
        np.testing.assert_allclose(found[:3], whole, rtol=1e-14)
        values = divided(kind, RATES[rate], [*map(Value, NUMBERS), Tensor([9.0], requires_grad=True)], groups)
        np.testing.assert_allclose(values, found, rtol=1e-14)
