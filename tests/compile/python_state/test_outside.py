"""The clock and the system's random numbers: no state tells what they answer next, so fit and jit see the calls."""

import datetime
import gc
import logging
import os
import random
import secrets
import sys
import time
import uuid
from os import urandom as renamed
from secrets import token_bytes as make_token
from time import perf_counter
from uuid import uuid4 as new_id

import numpy as np
import pytest
from numpy.random import RandomState as State

import tinygrad_edu as tg
from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train import choose

X = np.random.default_rng(0).normal(size=(12, 3))
SYSTEM = random.SystemRandom()
LOG = logging.getLogger("tests.outside")


def imported_inside():
    import uuid as made

    return made.uuid4().int


def of_closure():
    draw = SYSTEM.random
    return lambda: int(9.0 * draw())


ASKING = {
    "uuid4": lambda: uuid.uuid4().int,
    "uuid1": lambda: uuid.uuid1().int,
    "urandom": lambda: os.urandom(1)[0],
    "renamed": lambda: renamed(1)[0],
    "randbelow": lambda: secrets.randbelow(2),
    "choice": lambda: secrets.choice([0, 1]),
    "SystemRandom": lambda: SYSTEM.getrandbits(1),
    "its method": of_closure(),
    "imported inside": imported_inside,
    "default_rng": lambda: np.random.default_rng().integers(2),
    "RandomState": lambda: np.random.RandomState().randint(2),
    "Random": lambda: random.Random().getrandbits(1),
    "time_ns": lambda: time.time_ns(),
    "perf_counter": lambda: int(1e9 * perf_counter()),
    "generator of bits": lambda: np.random.Generator(np.random.PCG64()).integers(2),
    "another name": lambda: new_id().int,
    "another name of NumPy's": lambda: State().randint(2),
    "token": lambda: make_token(1)[0],
    "strftime": lambda: int(time.strftime("%S")),
    "datetime": lambda: datetime.datetime.now().microsecond,
}
HARMLESS = {
    "seeds": lambda: np.random.default_rng(3).integers(2) + random.Random(3).getrandbits(1),
    "RandomState with a seed": lambda: np.random.RandomState(3).randint(2),  # draws one of its own before
    "it under another name": lambda: State(seed=3).randint(2),
    "a record of logging": lambda: LOG.info("seen") or 0,
    "a given time": lambda: datetime.datetime(2026, 1, 1).day + int(time.mktime((2026, 1, 1, 0, 0, 0, 0, 0, 0)) > 0),
}


def train(ask, compiled):
    model = nn.MLP([3, 4, 1], seed=0)
    return fit(
        model, X, X[:, :1], loss=lambda z, t: np.mean((z - t) ** 2) * (1.0 + 0.0 * (ask() % 2)), epochs=3, batch_size=5,
        optimizer=optim.SGD(model.parameters(), lr=0.01), compiled=compiled,
    )  # fmt: skip


@pytest.mark.parametrize("name", ASKING)
def test_a_coin_is_not_frozen_even_if_it_shows_the_same_side_each_time(name, monkeypatch):
    ask = ASKING[name]
    with pytest.raises(TraceError, match="which answers otherwise at each call"):
        train(ask, True)
    monkeypatch.setattr(choose, "LOAD_SECONDS", 0.0)
    assert train(ask, "auto").how.startswith("eager: forward or the loss calls ")
    with pytest.raises(TraceError, match=r"something else at each call.*it calls "):
        tg.jit(lambda x: x * (1.0 + 0.0 * (ask() % 2)))(np.ones(3))
    assert sys.getprofile() is None


@pytest.mark.parametrize("name", HARMLESS)
def test_what_always_answers_the_same_is_compiled(name, monkeypatch):
    monkeypatch.setattr(LOG, "level", logging.INFO)
    monkeypatch.setattr(LOG, "handlers", [logging.NullHandler()])
    monkeypatch.setattr(LOG, "propagate", False)
    assert train(HARMLESS[name], True).compiled


def test_a_profiler_that_is_there_is_left_alone():
    seen = []
    sys.setprofile(lambda frame, event, x: seen.append(event))
    try:
        train(HARMLESS["seeds"], True)
        assert sys.getprofile() is not None
    finally:
        sys.setprofile(None)
    assert seen


def test_the_clock_of_somebody_who_watches_the_garbage_collector_is_not_the_functions():
    """hypothesis measures how long it takes: a long trace was refused in a process with it."""
    told = []

    def note(phase, info):
        told.append(perf_counter())

    gc.callbacks.append(note)
    try:
        f = tg.jit(lambda x: (gc.collect(), time, x * 2.0)[2])
        assert f(3.0) == 6.0
    finally:
        gc.callbacks.remove(note)
    assert told
