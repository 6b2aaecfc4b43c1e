"""What a function keeps in Python of what it computes: each call sets it again, none computes with an earlier one."""

from collections import deque

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


def previous_one(s, x):
    s.first, s.last = s.last, x * 2
    return x * 2


def both(s, x):
    s.mean = (s.mean, x * 2)
    return x * 2


def by_index(s, x):
    s.numbers[0] = x * 2
    return x * 2


def last_two(s, x):
    s.history.append(x)
    s.history = s.history[-2:]
    return x * 2


def first_ones(s, x):
    if s.first:
        s.history.append(x)
        s.first = False
    return x * 2


RECORDS = [first_ones, previous_one, both, by_index, last_two, counter, losses, window, log, number_of_numpy]
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


def lazy_weights(s, x):
    if s.mean is None:
        s.mean = np.zeros((x.shape[-1], 2)) + 0.5
    return (x @ s.mean).sum()


def lazy_once(s, x):
    if s.first:
        s.mean, s.first = np.ones(x.shape[-1]), False
    return (x * s.mean).sum()


def mask_by_size(s, x):
    n = x.shape[0]
    if s.mean is None or s.mean.shape[0] != n:
        s.mean = np.tril(np.ones((n, n)))
    return (s.mean @ x).sum()


@pytest.mark.parametrize("body", [table, same_each_time, buffer, lazy_weights, lazy_once, mask_by_size])
def test_what_only_the_first_call_makes_is_kept(body):
    kept, expected = Kept(), Kept()
    g = tg.jit(lambda x: body(kept, x))
    with without_numba():
        for x in CALLS["arrays"]:
            np.testing.assert_array_equal(g(x), body(expected, x))
            assert str(vars(kept)) == str(vars(expected))
