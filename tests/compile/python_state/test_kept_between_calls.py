"""What a function keeps in Python of what it computes: each call sets it again, none computes with an earlier one."""

from collections import deque
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
        self.text, self.queue, self.count = "", deque(maxlen=8), np.int64(0)

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


def length_of_list(s, x):
    s.history.append(s.n)
    return x * 2 if len(s.history) < 100 else x * 3


def length_of_new_list(s, x):
    s.history = [*s.history, 1.0]
    return x * 2 if len(s.history) < 100 else x * 3


def every_tenth_entry(s, x):
    s.history.append(0)
    return x * (3 if len(s.history) % 10 == 0 else 2)


def list_used_up(s, x):
    if s.numbers:
        s.numbers.pop()
        return x * 2
    return x * 3


def length_of_memo(s, x):
    s.memo[len(s.memo)] = 1.0
    return x * 2 if len(s.memo) < 50 else x * 3


def length_of_text(s, x):
    s.text += "."
    return x * 2 if len(s.text) < 50 else x * 3


def full_queue(s, x):
    s.queue.append(1)
    return x * 2 if len(s.queue) < s.queue.maxlen else x * 3


def schedule(s, x):
    s.last += 0.1
    return x * 2 if s.last < 1.0 else x * 3


def numbers_of_numpy(s, x):
    s.count += 1
    return x * 2 if s.count < 100 else x * 3


def looks_later(s, x):
    s.n += 1
    return x * 2 if s.n < 100 else x * float(np.max(x))


def counter(s, x):
    s.n += 1
    return x * 2


def log(s, x):
    s.history.append("called")
    return x * 2


def number_of_numpy(s, x):
    s.count = s.count + 1
    return x * 2


def losses(s, x):
    s.history.append(np.sum(x))
    return x * 2


def window(s, x):
    s.queue.append(x)
    return x * 2


RECORDS = [counter, losses, window, log, number_of_numpy]
COUNTING = [threshold, every_tenth, budget, length_of_list, length_of_new_list, every_tenth_entry, list_used_up]
COUNTING += [length_of_memo, length_of_text, full_queue, schedule, numbers_of_numpy, looks_later]
DEPENDING = [first_mean, set_default, once, first_flag, previous, momentum, popped, *COUNTING, *RECORDS]


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
    s.last, s.memo["seen"] = x * 2, {"x": [x + 1]}
    s.memo["sum"] = x.sum() if isinstance(x, np.ndarray) else x
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
    places["sums"] = np.cumsum(x)


NEWEST = None
PLACES = {
    in_a_slot: lambda places: places["slots"].last,
    in_a_class: lambda places: Shared.last,
    in_a_dict: lambda places: LAST["x"],
    in_a_global: lambda places: NEWEST,
    without_a_result: lambda places: places["sums"],
}


@pytest.mark.parametrize("body", PLACES)
def test_wherever_it_is_kept(body):
    places, look = {"slots": Slots(), "sums": None}, PLACES[body]
    places["slots"].last, Shared.last, LAST["x"] = None, None, None
    g = tg.jit(lambda x: body(x, places))
    for c in (1.0, 2.0):
        with without_numba():
            found, seen = g(c * X), look(places)
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


def test_nodes_of_another_function():
    kept = Kept()
    g = tg.jit(lambda x: (setattr(kept, "mean", np.tanh(x)), x * 2)[1])
    with without_numba():
        g(X)
        np.testing.assert_allclose(kept.mean, np.tanh(X))
        np.testing.assert_allclose(tg.jit(lambda z: z + kept.mean)(X), X + np.tanh(X))


def table(s, x):
    if "k" not in s.memo:
        s.memo["k"] = np.arange(2.0)
    return (x * s.memo["k"]).sum()


def same_each_time(s, x):
    s.first, s.memo["mode"] = False, "evaluation"
    return x * 2


def buffer(s, x):
    out = np.zeros(2)
    total = 0.0
    for i in range(2):
        out[:] = 0.0
        out[i] = s.numbers[i]
        total = total + (x * out).sum()
    return total


@pytest.mark.parametrize("body", [table, same_each_time, buffer])
def test_what_only_the_first_call_makes_is_kept(body):
    kept, expected = Kept(), Kept()
    g = tg.jit(lambda x: body(kept, x))
    with without_numba():
        for x in CALLS["arrays"]:
            np.testing.assert_array_equal(g(x), body(expected, x))
            assert str(vars(kept)) == str(vars(expected))
