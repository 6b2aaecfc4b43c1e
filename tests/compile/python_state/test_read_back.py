"""A function that asks what it has kept of an earlier call is refused: a program would ask only once."""

from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import TraceError

X = np.arange(1.0, 4.0)


def value_of(m):
    try:
        return m.last
    except AttributeError:
        return None


ASKED = {  # what is there before the first call, the question
    "is it None?": (np.zeros(3), lambda m, x: m.last is not None),
    "is it there?": (np.zeros(3), lambda m, x: hasattr(m, "last")),
    "is it there, in other words?": (np.zeros(3), lambda m, x: value_of(m) is not None),
    "a default": (np.zeros(3), lambda m, x: getattr(m, "last", None) is not None),
    "its class": (np.zeros(3), lambda m, x: isinstance(m.last, np.ndarray)),
    "its shape": (np.zeros(3), lambda m, x: m.last.shape == x.shape),
    "its length": ((np.zeros(3),), lambda m, x: len(m.last) == 3),
    "its axes": (np.zeros(3), lambda m, x: np.ndim(m.last) == 1),
}
KEPT = {"its length": lambda x: (x, x + 1.0, x + 2.0)}


@pytest.mark.parametrize("question", ASKED)
def test_asking_before_it_is_set(question):
    before, ask = ASKED[question]
    m = SimpleNamespace(last=before)

    def f(x):
        y = x * (2.0 if ask(m, x) else 1.0)
        m.last = KEPT.get(question, lambda x: x * 3.0)(x)
        return y

    g = tg.jit(f)
    for _ in range(2):
        with pytest.raises(TraceError, match=r"m.last|computes something else"):
            g(X)
        assert m.last is before


def two_results(m, x):
    m.last, m.table["k"] = x * 2.0, x + 1.0
    return m.last * m.table["k"]


def nested(m, x):
    m.last = {"a": x * 2.0, "b": (x * 3.0, x.sum())}
    return m.last["a"] + m.last["b"][0]


def asks_afterwards(m, x):
    m.last = x * 2.0
    return x if m.last is None or m.last.shape != x.shape else m.last * 3.0


@pytest.mark.parametrize("f", [two_results, nested, asks_afterwards])
@pytest.mark.parametrize("before", [None, np.zeros(3)], ids=["none", "array"])
def test_asking_afterwards(f, before):
    m, expected = SimpleNamespace(last=before, table={}), SimpleNamespace(last=before, table={})
    g = tg.jit(lambda x: f(m, x))
    for x in (X, 2.0 * X, np.ones(5), X):
        np.testing.assert_allclose(g(x), f(expected, x), rtol=1e-12)
        m.last = None  # set by the caller
    assert list(vars(m)) == list(vars(expected))
    assert list(m.table) == list(expected.table)
