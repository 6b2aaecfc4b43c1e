"""Every kind of thing in which Python code keeps numbers: fit notices it, and a trace leaves no mark on it."""

import argparse
import collections
import contextvars
import queue
import threading
from array import array
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.train import choose

X = np.random.default_rng(0).normal(size=(12, 3))


class Slots:
    __slots__ = ("n",)


class OwnDict(dict):
    pass


class OwnList(list):
    pass


def attribute(make):
    def begin():
        thing = make()
        thing.n = 0
        return lambda: setattr(thing, "n", thing.n + 1) or thing.n

    return begin


def entry(make, key):
    def begin():
        thing = make()
        return lambda: thing.__setitem__(key, thing[key] + 1) or thing[key]

    return begin


def growing(make, add, size=len):
    def begin():
        thing = make()
        return lambda: getattr(thing, add)(len(str(thing))) or size(thing)

    return begin


def variable():
    thing = contextvars.ContextVar("n", default=0)
    return lambda: thing.set(thing.get() + 1) and thing.get()


def of_torch():
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    return lambda: 1.0 + float(torch.rand(()))


KINDS = {
    "SimpleNamespace": attribute(SimpleNamespace),
    "argparse": attribute(argparse.Namespace),
    "thread": attribute(threading.local),
    "slots": attribute(Slots),
    "dict with attributes": attribute(OwnDict),
    "list with attributes": attribute(OwnList),
    "dict": entry(lambda: {"n": 0}, "n"),
    "defaultdict": entry(lambda: collections.defaultdict(int), "n"),
    "UserDict": entry(lambda: collections.UserDict(n=0), "n"),
    "ChainMap": entry(lambda: collections.ChainMap({"n": 0}, {}), "n"),
    "array": entry(lambda: array("d", [0]), 0),
    "bytearray": entry(lambda: bytearray([0]), 0),
    "ndarray": entry(lambda: np.zeros(1), 0),
    "list": growing(list, "append"),
    "deque": growing(collections.deque, "append"),
    "UserList": growing(collections.UserList, "append"),
    "Queue": growing(queue.Queue, "put", lambda x: x.qsize()),
    "ContextVar": variable,
    "torch": of_torch,
}


def run(kind, compiled):
    count, model = KINDS[kind](), nn.MLP([3, 4, 1], seed=0)
    with mock.patch.object(choose, "LOAD_SECONDS", 0.0):  # so that "auto" would compile
        return fit(
            model,
            X,
            X[:, :1],
            loss=lambda z, t: np.mean((z - t) ** 2) * (1.0 + 0.1 * count()),
            optimizer=optim.SGD(model.parameters(), lr=0.01),
            epochs=3,
            batch_size=5,
            compiled=compiled,
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_counter_gives_what_it_gives_eagerly(kind):
    eager, auto = run(kind, False), run(kind, "auto")
    assert np.array_equal(auto.loss_curve, eager.loss_curve)
    assert auto.how.startswith("eager: "), auto.how


class Weighed(nn.Module):
    def __init__(self, holder):
        self.layer, self.holder = nn.Linear(3, 1, rng=0), holder

    def forward(self, x):
        return self.layer(x) * self.holder.k


@pytest.mark.parametrize("make", [SimpleNamespace, argparse.Namespace, threading.local])
@pytest.mark.parametrize("compiled", [True, "auto"])
def test_what_a_callback_writes_there_is_used(make, compiled):
    curves = []
    for way in (False, compiled):
        holder = make()
        holder.k = 1.0
        model = Weighed(holder)

        def write(job, holder=holder):
            holder.k = 0.25 if len(job.losses) >= 2 else holder.k

        with mock.patch.object(choose, "LOAD_SECONDS", 0.0):
            run = fit(
                model, X, X[:, :1], loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=5,
                compiled=way, callbacks=[write],
            )  # fmt: skip
        curves.append(run.loss_curve)
    assert np.allclose(curves[0], curves[1], rtol=1e-12)
