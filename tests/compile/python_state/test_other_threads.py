"""What another thread does while a compiled function is traced and compared: it stays done."""

import threading

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.compile.writers import may_write


class Model:
    def __init__(self):
        self.w, self.n, self.log = np.ones(3), 0, []
        self.asked, self.done = threading.Semaphore(0), threading.Semaphore(0)

    def train(self):
        """One step, each time that the function runs."""
        while self.asked.acquire(timeout=5) and self.n >= 0:
            self.w[0] += 1
            self.n += 1
            self.log.append(self.n)
            self.done.release()


def test_a_function_that_only_reads():
    model = Model()

    def f(x):
        model.asked.release()
        model.done.acquire(timeout=5)
        return x * len(str(model.log is None)) + 0 * model.w[0]

    thread = threading.Thread(target=model.train)
    thread.start()
    try:
        with without_numba():
            tg.jit(f)(np.ones(3))
    except tg.errors.TraceError:
        pass  # the weights are not the same in two traces: also true
    steps, model.n = model.n, -1
    model.asked.release()
    thread.join()
    assert steps > 1
    assert (model.w[0], len(model.log)) == (1 + steps, steps)


def keep(o, x):
    o.last = x


def count():
    n = 0

    def inner(x):
        nonlocal n
        n += 1
        return x

    return inner


def make():
    local = {}
    return lambda x: x * len(local)


@pytest.mark.parametrize("f", [keep, count, count(), lambda a, x: a.append(x), lambda a, x: np.copyto(a, x)])
def test_code_that_writes(f):
    assert may_write(f.__code__)


@pytest.mark.parametrize("f", [make, lambda x: x + 1, lambda o, x: np.tanh(x @ o.w)[0], lambda x: [y + 1 for y in x]])
def test_code_that_does_not(f):
    assert not may_write(f.__code__)
