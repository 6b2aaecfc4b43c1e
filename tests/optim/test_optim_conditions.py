"""The Robbins-Monro conditions: known series, the same forms as unknown functions, and a noisy quadratic."""

import math

import numpy as np
import pytest

from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim import robbins_monro, schedules

KNOWN = [  # (schedule, Σα = ∞, Σα² < ∞)
    (schedules.constant(0.1), True, False),
    (schedules.constant(0.0), False, True),
    (schedules.inverse_time(0.1), True, True),
    (schedules.inverse_time(0.1, decay=0.001), True, True),
    (schedules.inverse_time(0.1, decay=0.0), True, False),
    (schedules.inverse_power(0.1, power=0.0), True, False),
    (schedules.inverse_power(0.1, power=0.5), True, False),
    (schedules.inverse_power(0.1, power=0.51), True, True),
    (schedules.inverse_power(0.1, power=1.0), True, True),
    (schedules.inverse_power(0.1, power=1.01), False, True),
    (schedules.exponential(0.1, factor=0.999), False, True),
    (schedules.exponential(0.1, factor=1.0), True, False),
    (schedules.step(0.1, every=1000), False, True),
    (schedules.cosine(0.1, steps=1000), False, True),
    (schedules.cosine(0.1, steps=1000, final=1e-3), True, False),
    (schedules.warmup(0.1, steps=10), True, False),
    (schedules.warmup(schedules.inverse_time(0.1), steps=10), True, True),
    (schedules.piecewise([100], [schedules.inverse_time(0.1), 0.01]), True, False),
    (schedules.piecewise([100], [0.1, schedules.inverse_power(0.1, 0.6)]), True, True),
    (schedules.piecewise([100], [0.1, schedules.warmup(schedules.exponential(0.1, 0.9), steps=5)]), False, True),
    (schedules.invscaling(0.1), True, False),
    (schedules.invscaling(0.1, power=0.75, samples=100, batch_size=10), True, True),
    (schedules.reduce_on_plateau(0.1, final=1e-5), True, False),
    (schedules.reduce_on_plateau(0.1), None, None),
    (schedules.adaptive(0.1), True, False),
    (schedules.warmup(schedules.reduce_on_plateau(0.1), steps=5), None, None),
]
BARE = [  # functions of t, judged by a million values
    (lambda t: 0.1, True, False),
    (lambda t: 1.0 / (t + 1.0), True, True),
    (lambda t: 50.0 / (t + 100.0), True, True),
    (lambda t: (t + 1.0) ** -0.5, True, False),
    (lambda t: (t + 1.0) ** -0.75, True, True),
    (lambda t: (t + 1.0) ** -1.5, False, True),
    (lambda t: 0.1 * 0.999**t, False, True),
    (lambda t: 0.1 * 0.5 ** (t // 1000), False, True),
    (lambda t: 0.1 if t < 500 else 0.0, False, True),
    (lambda t: 0.1 + 0.05 * math.sin(t), True, False),
    (lambda t: 0.1 / math.log(t + 3.0), True, False),
    # near the border it must say that it does not know: 1/(t log t) diverges, 1/(t log² t) converges
    (lambda t: 1.0 / ((t + 2.0) * math.log(t + 2.0)), None, True),
    (lambda t: 1.0 / ((t + 2.0) * math.log(t + 2.0) ** 2), None, True),
    (lambda t: (t + 2.0) ** -0.5 / math.log(t + 2.0), True, None),
    (lambda t: (t + 1.0) ** -1.01, None, True),
    # the asymptotic behaviour has not begun yet
    (lambda t: 1.0 / (t + 1e5), None, None),
    (lambda t: 0.1 if t < 10_000 else 1e-4, None, None),
    (lambda t: 0.0 if t < 100_000 else 0.1, None, None),
    (lambda t: 0.0 if t < 100 else 0.1, True, False),
    (lambda t: 1.0 / (t + 1e7) ** 2, True, False),  # evidence can mislead: the reason says that it is no proof
]
WORDS = {True: "holds", False: "fails", None: "undecided"}


@pytest.mark.parametrize(("schedule", "diverges", "converge"), KNOWN, ids=[repr(case[0])[:70] for case in KNOWN])
def test_known_forms(schedule, diverges, converge):
    verdict = robbins_monro(schedule)
    assert (verdict.sum_diverges, verdict.squares_converge) == (diverges, converge)
    assert verdict.converges == (None if diverges is None else diverges and converge)
    assert all(verdict.reasons)
    assert "seen up to" not in str(verdict)


@pytest.mark.parametrize(("function", "diverges", "converge"), BARE)
def test_evidence_for_other_functions(function, diverges, converge):
    verdict = robbins_monro(function)
    assert (verdict.sum_diverges, verdict.squares_converge) == (diverges, converge)
    assert all("seen up to t = 1,000,000, not proved" in reason for reason in verdict.reasons)


@pytest.mark.parametrize("schedule", [case[0] for case in KNOWN if case[1] is not None], ids=lambda x: repr(x)[:70])
def test_evidence_never_contradicts_the_formula(schedule):
    """The same rates as a bare function: the same answers, or undecided."""
    known, seen = robbins_monro(schedule), robbins_monro(lambda t: schedule(t), horizon=20_000)
    assert seen.sum_diverges in (known.sum_diverges, None)
    assert seen.squares_converge in (known.squares_converge, None)


def test_a_function_inside_a_known_form_is_evaluated():
    verdict = robbins_monro(schedules.warmup(lambda t: 1.0 / (t + 1.0), steps=10))
    assert verdict.converges
    assert "seen up to" in verdict.reasons[0]


def test_a_number_is_a_constant_rate():
    assert robbins_monro(0.1).converges is False


@pytest.mark.parametrize(("schedule", "diverges", "converge"), KNOWN[:3] + KNOWN[23:24])
def test_a_verdict_reads_as_a_verdict(schedule, diverges, converge):
    verdict = robbins_monro(schedule)
    head, first, second = repr(verdict).splitlines()
    assert head == f"Robbins-Monro, {schedule!r}: {WORDS[verdict.converges]}"
    assert f"Σα = ∞  {WORDS[diverges]}: {verdict.reasons[0]}" in first
    assert f"Σα² < ∞ {WORDS[converge]}: {verdict.reasons[1]}" in second
    assert bool(verdict) is (verdict.converges is True)


BAD = [
    (lambda: robbins_monro(lambda t: -0.1), r"gives the learning rate -0\.1 at t=0"),
    (lambda: robbins_monro(lambda t: math.nan if t == 77 else 0.1), "learning rate nan at t=77"),
    (lambda: robbins_monro(lambda t: 0.1, horizon=10), "horizon=10: a whole number of at least 10000"),
    (lambda: robbins_monro(-0.1), r"lr=-0\.1"),
    (lambda: robbins_monro("1/t"), "lr='1/t'"),
]


@pytest.mark.parametrize(("call", "text"), BAD)
def test_what_is_no_schedule_is_refused(call, text):
    with pytest.raises(SettingError, match=text):
        call()


def test_the_conditions_tell_a_noisy_quadratic_right():
    """Where both hold, the error at the end is smallest: a constant rate stalls, an exponential one freezes early."""
    error = {}
    for name, schedule in {
        "constant": schedules.constant(0.1),
        "1/t": schedules.inverse_time(0.5, decay=0.25),
        "frozen": schedules.exponential(0.05, factor=0.95),
    }.items():
        rng, w = np.random.default_rng(0), np.full(400, 5.0)  # E[w²/2] over 400 runs
        for rate in schedule.rates(0, 5000):
            w = w - rate * (w + rng.normal(size=400))
        error[name] = float(np.sqrt(np.mean(w * w)))
    assert error["1/t"] < 0.1 * error["constant"]
    assert error["1/t"] < 0.1 * error["frozen"]
    assert error["constant"] == pytest.approx(math.sqrt(0.1 / (2.0 - 0.1)), rel=0.15)  # α/(2 - α), the noise floor
