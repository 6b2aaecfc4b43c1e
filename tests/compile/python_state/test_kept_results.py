"""What a function keeps in Python of its results: each call sets it again, as without jit."""

from contextlib import nullcontext

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tests.compile.python_state.test_kept_between_calls import CALLS, Kept, X
from tinygrad_edu.compile.differences import containers
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.errors import TraceError


def record(s, x):
    s.last, s.memo["seen"], s.memo["count"] = x * 2, {"x": [x + 1]}, 1.0
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


def test_what_is_kept_of_a_weight_is_part_of_the_graph():
    kept, W = Kept(), tg.Tensor(X.copy(), requires_grad=True)

    def f(x):
        kept.last = W * 2.0
        return np.sum(x)

    with without_numba():
        g = tg.jit(f)
        for c in (1.0, 2.0):
            assert g(c * X) == f(c * X)
            assert (type(kept.last), kept.last.requires_grad) == (tg.Tensor, True)


def test_a_weight_on_which_no_result_depends_makes_no_graph():
    kept, W = Kept(), tg.Tensor(X.copy(), requires_grad=True)

    def f(x):
        kept.last = W * 2.0
        return np.sum(x * x)

    with without_numba():
        found, expected = tg.jit(f).value_and_grad(X), tg.value_and_grad(f)(X)
    assert list(map(type, found)) == list(map(type, expected))


class Renaming:
    def __init__(self):
        self.last = None

    def __setattr__(self, name, x):
        self.__dict__["_" + name] = x


def test_a_class_that_sets_its_attributes_otherwise():
    kept, expected = Renaming(), Renaming()

    def f(x, s):
        s.last = x * 2.0
        return np.sum(x)

    with without_numba():
        g = tg.jit(lambda x: f(x, kept))
        for c in (1.0, 2.0):
            assert g(c * X) == f(c * X, expected)
            assert str(vars(kept)) == str(vars(expected))


def test_what_is_kept_and_then_written_to_is_refused():
    """Without jit the array that is kept holds what was written."""
    kept = Kept()

    def f(x):
        y = x * 2.0
        kept.last = {"y": y}
        y += 1.0
        return np.sum(x)

    with without_numba(), pytest.raises(TraceError, match="under one name after"):
        tg.jit(f)(X)
    assert kept.last == 0.0
