"""What a function keeps in Python of what it computes: each call sets it again, none computes with an earlier one."""

from contextlib import nullcontext

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.compile.differences import containers
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.errors import TraceError

X = np.array([1.0, 2.0])
CALLS = {"arrays": (X, 10 * X, 7 * X), "numbers": (2.0, 3.0, 4.0)}


class Kept:
    def __init__(self):
        self.mean, self.last, self.n, self.first = None, 0.0, 0, True
        self.memo, self.history, self.numbers = {"old": 1.0}, [1.0], [1.0, 2.0, 3.0]

    def __eq__(self, other):
        return vars(self) == vars(other)

    __hash__ = None


def first_mean(s, x):
    if s.mean is None:
        s.mean = x * 0.5
    return x - s.mean


def set_default(s, x):
    s.memo.setdefault("k", x * 2)
    return x + s.memo["k"]


def once(s, x):
    if len(s.history) < 2:
        s.history.append(x * 2)
    return x + s.history[1]


def first_flag(s, x):
    if s.first:
        s.first, s.mean = False, x * 2
        return x * 0
    return x + s.mean


def previous(s, x):
    change, s.last = x - s.last, x
    return change


def momentum(s, x):
    s.last = 0.9 * s.last + x
    return s.last * 1


def popped(s, x):
    return x * s.numbers.pop()


def threshold(s, x):
    s.n += 1
    return x * 2 if s.n < 3 else x * 3


def every_tenth(s, x):
    s.n += 1
    return x * 2 if s.n % 10 else x * 3


def budget(s, x):
    s.n -= 1
    return x * 2 if s.n > -5 else x * 3


DEPENDING = [first_mean, set_default, once, first_flag, previous, momentum, popped, threshold, every_tenth, budget]


@pytest.mark.parametrize("kind", CALLS)
@pytest.mark.parametrize("body", DEPENDING)
def test_what_later_calls_depend_on_is_refused(body, kind):
    """Refused each time, and what the function keeps is as it was: without jit it can go on."""
    kept = Kept()

    def f(x):
        return body(kept, x)

    g = tg.jit(f)
    with without_numba():
        for x in CALLS[kind]:
            with pytest.raises(TraceError):
                g(x)
            assert kept == Kept()


def record(s, x):
    s.last, s.memo["seen"], s.n = x * 2, {"x": [x + 1]}, s.n + 1
    s.history.append(x.sum() if isinstance(x, np.ndarray) else x)
    return s.last + 1


@pytest.mark.parametrize("kind", CALLS)
def test_records_hold_the_numbers_of_each_call(kind):
    """They held nodes of the trace once, and then what had been there before the first call."""
    kept, eager = Kept(), Kept()
    g = tg.jit(lambda x: record(kept, x))
    for x in CALLS[kind]:
        with without_numba():
            np.testing.assert_allclose(g(x), record(eager, x))
        for name in ("last", "memo", "history"):
            assert_same(getattr(kept, name), getattr(eager, name))
    assert kept.n == 1  # a counter moves once
    assert len(g.known) == 1


def assert_same(found, expected):
    assert containers(found) == containers(expected)
    for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(np.asarray(a, float), np.asarray(b, float), rtol=1e-12)


class Slots:
    __slots__ = ("last",)


class Shared:
    last = None


LAST = {"x": None}


def in_a_slot(x, places):
    places["slots"].last = np.tanh(x)
    return x * 2


def in_a_class(x, places):
    Shared.last = [np.tanh(x), None, x > 1]
    return x * 2


def in_a_dict(x, places):
    LAST["x"] = {"sum": x.sum(), "whole": x.astype(np.float32)}
    return x + 1


def in_a_global(x, places):
    global NEWEST
    NEWEST = (x, 1)
    return x * x


def without_a_result(x, places):
    places["list"].append(np.cumsum(x))


NEWEST = None
PLACES = {
    in_a_slot: lambda places: places["slots"].last,
    in_a_class: lambda places: Shared.last,
    in_a_dict: lambda places: LAST["x"],
    in_a_global: lambda places: NEWEST,
    without_a_result: lambda places: places["list"],
}


@pytest.mark.parametrize("body", PLACES)
def test_wherever_it_is_kept(body):
    places, look = {"slots": Slots(), "list": []}, PLACES[body]
    places["slots"].last, Shared.last, LAST["x"] = None, None, None
    g = tg.jit(lambda x: body(x, places))
    for c in (1.0, 2.0):
        with without_numba():
            found, seen = g(c * X), look(places)
        seen = seen[:] if type(seen) is list else seen
        places["list"][:] = places["list"][:-1]
        expected = body(c * X, places)
        assert_same(found, expected)
        assert_same(seen, look(places))
    assert len(g.known) == 1


def test_a_gradient_keeps_too():
    kept, W = Kept(), tg.Tensor(X.copy(), requires_grad=True)

    def loss(x):
        kept.mean = np.tanh(x)
        return np.sum(kept.mean**2)

    def beside(x):
        kept.last = x * W
        return np.sum(kept.last**2)

    for g, look in ((tg.jit(loss).value_and_grad, "mean"), (tg.jit(beside).backward, "last")):
        for c in (1.0, 2.0):
            g(c * X)
            np.testing.assert_allclose(np.asarray(getattr(kept, look)), np.tanh(c * X) if look == "mean" else c * X * X)
    gradient = tg.jit(tg.grad(loss))
    np.testing.assert_allclose(gradient(3 * X), tg.grad(loss)(3 * X))
    gradient(X)
    np.testing.assert_allclose(kept.mean, np.tanh(X))


class Attention(tg.nn.Module):
    def __init__(self):
        self.score = tg.nn.Linear(3, 3)

    def forward(self, x):
        self.weights = tg.ops.softmax(self.score(x))
        return self.weights @ np.ones((3, 1))


def test_a_model_that_keeps_its_attention():
    model, rows = Attention(), np.random.default_rng(0).normal(size=(4, 3))
    g = tg.jit(model)
    for recorded in (True, False):
        with nullcontext() if recorded else tg.no_grad():
            for c in (1.0, 2.0):
                g(c * rows)
                seen = model.weights
                model(c * rows)
                assert type(seen) is tg.Tensor
                np.testing.assert_allclose(seen.data, model.weights.data, rtol=1e-12)


def test_a_limit_of_calls_is_no_difference():
    kept = Kept()

    def f(x):
        kept.n += 1
        if kept.n > 1000:
            raise ValueError(kept.n)
        return x * 2

    with without_numba():
        np.testing.assert_array_equal(tg.jit(f)(X), 2 * X)
    assert kept.n == 1


def test_nodes_of_another_function():
    kept = Kept()
    g = tg.jit(lambda x: (setattr(kept, "mean", np.tanh(x)), x * 2)[1])
    with without_numba():
        g(X)
        np.testing.assert_allclose(kept.mean, np.tanh(X))
        np.testing.assert_allclose(tg.jit(lambda z: z + kept.mean)(X), X + np.tanh(X))
