"""What a function asks the process for, and a profiler that runs meanwhile."""

import cProfile
import decimal
import os
import pstats
import random
import sys
import time

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import TraceError

X = np.array([1.0, 2.0])
RNG, OLD, OWN, BITS = np.random.default_rng(0), np.random.RandomState(1), random.Random(3), np.random.PCG64(5)


def number(state):
    return sum(map(ord, repr(state))) % 1009


def switch_division():
    np.seterr(divide="ignore" if np.geterr()["divide"] != "ignore" else "warn")


ARRAY = np.ones(2)
LOCKED = {"w": ARRAY}


def switch_writing():
    ARRAY.flags.writeable = not ARRAY.flags.writeable


SETTINGS = {  # (a function of x, what changes it)
    "a generator's state": (lambda x: x * number(RNG.bit_generator.state), RNG.random),
    "state of the bits": (lambda x: x * number(BITS.state), BITS.random_raw),
    "state of a RandomState": (lambda x: x * number(OLD.get_state()[1:3]), OLD.rand),
    "state of numpy.random": (lambda x: x * number(np.random.get_state()[1:3]), np.random.rand),
    "state of random": (lambda x: x * number(random.getstate()[1][-1]), random.random),
    "state of a Random": (lambda x: x * number(OWN.getstate()[1][-1]), OWN.random),
    "digits of decimal": (
        lambda x: x * float(decimal.Decimal(1) / 3),
        lambda: setattr(decimal.getcontext(), "prec", max(1, decimal.getcontext().prec - 2)),
    ),
    "context of decimal": (
        lambda x: x * decimal.getcontext().prec,
        lambda: setattr(decimal.getcontext(), "prec", decimal.getcontext().prec + 1),
    ),
    "np.geterr": (lambda x: x * (2.0 if np.geterr()["divide"] == "ignore" else 1.0), switch_division),
    "print options": (
        lambda x: x * np.get_printoptions()["precision"],
        lambda: np.set_printoptions(precision=np.get_printoptions()["precision"] + 1),
    ),
    "flags of an array": (lambda x: x * (2.0 if ARRAY.flags.writeable else 1.0), switch_writing),
    "flags of an entry": (lambda x: x * (2.0 if LOCKED["w"].flags["WRITEABLE"] else 1.0), switch_writing),
    "folder": (lambda x: x * len(os.getcwd()), lambda: os.chdir(os.path.dirname(os.getcwd()))),
    "depth": (lambda x: x * sys.getrecursionlimit(), lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 1)),
}


@pytest.fixture
def settings_kept():
    where, depth = os.getcwd(), sys.getrecursionlimit()
    np_random, own = np.random.get_state(), random.getstate()
    with decimal.localcontext() as context, np.errstate(), np.printoptions():
        context.prec = 7
        yield
    os.chdir(where)
    sys.setrecursionlimit(depth)
    np.random.set_state(np_random)
    random.setstate(own)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.usefixtures("settings_kept")
def test_a_setting_that_changes_between_two_calls(name):
    f, change = SETTINGS[name]
    jitted = tg.jit(f)
    with without_numba():
        for _ in range(3):
            np.testing.assert_array_equal(jitted(X), f(X))
            change()


def test_children_of_a_generator():
    with pytest.raises(TraceError, match="something else at each call"):
        tg.jit(lambda x: x * RNG.spawn(1)[0].random())(X)


ASKING = {
    "coin": lambda x: x * (1.0 if os.urandom(1)[0] % 2 else 2.0),
    "clock": lambda x: x * time.time(),
    "generator": lambda x: x * np.random.default_rng().random(),
}


@pytest.mark.parametrize("name", ASKING)
def test_a_profiler_hides_neither_coins_nor_clocks(name):
    calls = []

    def profiler(frame, event, x):
        calls.append(event)

    profile = cProfile.Profile()
    ways = [(lambda: sys.setprofile(profiler), lambda: sys.setprofile(None)), (profile.enable, profile.disable)]
    for begin, end in ways:
        begin()
        try:
            with pytest.raises(TraceError, match="it calls"):
                tg.jit(ASKING[name])(X)
            running = sys.getprofile()
        finally:
            end()
        assert running in (profiler, profile)  # it goes on
    assert {"call", "c_call"} <= set(calls)
    assert pstats.Stats(profile).total_calls


def test_one_that_is_in_the_way_is_said(monkeypatch):
    monkeypatch.setattr(sys, "getprofile", object)
    with pytest.raises(TraceError, match="what a profiler hides"):
        tg.jit(ASKING["clock"])(X)
