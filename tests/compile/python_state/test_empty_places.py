"""State in places where there is nothing yet, in objects written in C, and of attempts at a trace that failed."""

import contextlib
import contextvars
import functools
import io
import random
from queue import SimpleQueue
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import TraceError

X = np.arange(1.0, 4.0)


class Slotted:
    __slots__ = ("last", "n")


def in_a_slot():
    m = Slotted()

    def f(x):
        m.last = x * 2.0
        return x

    return f, lambda: m.last


def in_a_variable():
    def f(x):
        nonlocal last
        last = x * 2.0
        return x

    def look():
        return last

    if not f:
        last = None  # it is assigned at the first call
    return f, look


def in_a_context_variable():
    variable = contextvars.ContextVar("last")

    def f(x):
        variable.set(x * 2.0)
        return x

    return f, variable.get


@pytest.mark.parametrize("make", [in_a_slot, in_a_variable, in_a_context_variable])
def test_results_go_where_there_was_nothing(make):
    f, look = make()
    g = tg.jit(f)
    for x in (X, X + 1.0):
        np.testing.assert_allclose(g(x), x)
        np.testing.assert_allclose(look(), 2.0 * x)


def test_a_refusal_leaves_a_slot_empty():
    m = Slotted()

    def f(x):
        m.n = getattr(m, "n", 0) + 1
        return x * m.n

    with pytest.raises(TraceError, match=r"it changes f\.n|it changes m\.n"):
        tg.jit(f)(X)
    assert not hasattr(m, "n")


def test_a_variable_that_is_assigned_later():
    def f(x):
        try:
            return x * scale
        except NameError:
            return x * 2.0

    def assign():
        nonlocal scale
        scale = 7.0

    g = tg.jit(f)
    assert g(X).tolist() == (2.0 * X).tolist()
    assign()
    assert g(X).tolist() == (7.0 * X).tolist()
    scale = 1.0
    assert g(X).tolist() == X.tolist()


def test_a_cache_that_is_cleared():
    settings = {"scale": 1.0}

    @functools.lru_cache
    def table(n):
        return settings["scale"] * np.arange(n)

    g = tg.jit(lambda x: x + table(len(x)))
    zeros = np.zeros(3)
    assert g(zeros).tolist() == [0.0, 1.0, 2.0]
    settings["scale"] = 2.0
    assert g(zeros).tolist() == [0.0, 1.0, 2.0]  # as without jit
    table.cache_clear()
    assert g(zeros).tolist() == [0.0, 2.0, 4.0]


TEXT, QUEUE, TWISTER = io.StringIO(), SimpleQueue(), random.Random(1)
EACH_CALL = {
    "print": lambda x: print(len(x), file=TEXT),
    "np.random.seed": lambda x: (np.random.seed(0), np.random.normal()),
    "Random.seed": lambda x: TWISTER.seed(3),
    "set_printoptions": lambda x: np.set_printoptions(precision=3),
    "seterr": lambda x: np.seterr(over="ignore"),
    "queue": lambda x: QUEUE.put(1) if QUEUE.qsize() else x,
}


@pytest.mark.parametrize("name", EACH_CALL)
def test_what_each_call_sets_in_objects_written_in_c(name):
    act, numpys = EACH_CALL[name], np.random.get_state()[1].tolist()
    before = np.get_printoptions(), np.geterr(), TWISTER.getstate(), TEXT.getvalue()
    QUEUE.put(1)

    def f(x):
        act(x)
        return x * (QUEUE.qsize() if name == "queue" else 2.0)

    with pytest.raises(TraceError, match=r"changes|does not show what it holds"):
        tg.jit(f)(X)
    assert (np.get_printoptions(), np.geterr(), TWISTER.getstate(), TEXT.getvalue()) == before
    assert np.random.get_state()[1].tolist() == numpys


def in_two_dtypes(x):
    return x / np.sqrt(64)


def by_hash(x):
    return x if {x} else None


def for_a_whole_number(x, n=3):
    return sum(x for _ in range(n))


ATTEMPTS = {  # each needs more than one attempt at its trace
    "two dtypes": (in_two_dtypes, (np.ones(2, np.float32),)),
    "hash": (by_hash, (tg.Tensor(np.ones(2)),)),
    "whole number": (for_a_whole_number, (1.5, 3)),
    "0-d array": (lambda x: x.T, (np.array(2.0),)),
    "int": (lambda x: x * 2.0, (2,)),
    "array": (lambda x: x * 2.0, (X,)),
}
CHANGES = {
    "first": lambda m: setattr(m, "first", False),
    "flips": lambda m: setattr(m, "first", not m.first),
    "sign": lambda m: setattr(m, "s", -m.s),
    "reverse": lambda m: m.items.reverse(),
    "count": lambda m: setattr(m, "s", m.s + 1.0),
    "in place": lambda m: np.negative(m.array, out=m.array),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ATTEMPTS)
def test_only_one_attempt_at_a_trace_is_the_first_call(kind, change):
    compute, arguments = ATTEMPTS[kind]

    def make():
        m = SimpleNamespace(first=True, s=1.0, items=[1.0, 2.0], array=np.array([1.0]))

        def f(*arguments):
            factor = (2.0 if m.first else 1.0) * m.s * m.items[0]
            CHANGES[change](m)
            return compute(*arguments) * factor

        return m, f

    m, f = make()
    with pytest.raises(TraceError):
        tg.jit(f)(*arguments)
    assert (m.first, m.s, m.items, m.array.tolist()) == (True, 1.0, [1.0, 2.0], [1.0])
    assert f(*arguments) == pytest.approx(make()[1](*arguments))


def test_numbers_of_a_weight_kept_by_the_first_call():
    w, m = tg.Tensor(np.ones(3), requires_grad=True), SimpleNamespace(start=None)

    def f(x):
        if m.start is None:
            m.start = w.data.copy()
        return (w * x).sum() + ((w - m.start) ** 2).sum()

    g = tg.jit(f)
    for _ in range(3):
        w.grad = None
        g(X).backward()
        np.testing.assert_allclose(w.grad, X)
        w.data = m.start.copy()
    assert len(g.known) == 1


class Before:
    def __call__(self, x):
        self.__class__, self.m = After, 2.0
        return x * 2.0


class After:
    def __call__(self, x):
        return x * 3.0


def test_a_refusal_puts_back_the_class_of_an_object():
    thing = Before()
    with pytest.raises(TraceError, match="changes"):
        tg.jit(lambda x: thing(x))(X)
    assert (type(thing), vars(thing)) == (Before, {})


def test_a_lazy_layer_can_be_called_after_a_refusal():
    layer, expected = tg.nn.LazyLinear(2, rng=0), tg.nn.LazyLinear(2, rng=0)
    with contextlib.suppress(TraceError):  # "call the model once"; beside other threads it may have been called by then
        tg.jit(layer)(X[None])
    for f in (layer, tg.jit(layer)):
        np.testing.assert_allclose(f(X[None]).data, expected(X[None]).data)
