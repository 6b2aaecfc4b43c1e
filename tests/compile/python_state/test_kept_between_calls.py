"""What a function keeps in Python from call to call: no node of a trace stays there, or is computed with."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
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
def test_records_hold_no_nodes_afterwards(kind):
    kept = Kept()
    g = tg.jit(lambda x: record(kept, x))
    with without_numba():
        for x in CALLS[kind]:
            np.testing.assert_allclose(g(x), record(Kept(), x))
    assert (kept.last, kept.memo, kept.history) == (0.0, {"old": 1.0}, [1.0])


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
    assert kept.mean is None


def test_samples_of_vmap_that_were_kept():
    """Used later, the error is about what was kept, too, not about threads alone."""
    kept = Kept()
    tg.vmap(lambda x: (setattr(kept, "mean", x * 2), x)[1])(np.ones((2, 3)))
    with pytest.raises(TraceError, match="do not keep it"):
        kept.mean + 1.0
