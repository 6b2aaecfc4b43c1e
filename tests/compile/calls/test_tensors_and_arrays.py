"""One compiled function, called with Tensors and with arrays in turn, writes to each as it does without jit."""

from itertools import permutations

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba


def add(a, b):
    a += b
    return a.sum()


def center(a, b):
    a -= b.mean()
    return a * b


def scale_entry(a, b):
    a *= 2.0
    return (a * b)[0]


GIVEN = {"array": np.copy, "Tensor": tg.Tensor}
ORDERS = [[*order, order[0]] for order in permutations(GIVEN)]


def after(f, a, b):
    """(the result's class and numbers, what the argument holds afterwards)."""
    y = f(a, b)
    return isinstance(y, tg.Tensor), np.asarray(y).tolist(), np.asarray(a).tolist()


@pytest.mark.parametrize("f", [add, center, scale_entry])
@pytest.mark.parametrize("order", ORDERS, ids="-".join)
def test_each_call_writes_as_without_jit(f, order):
    """`+=` changes the caller's array; of a Tensor it makes a further node, and the Tensor stays as it was."""
    compiled, x, y = tg.jit(f), np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 4.0])
    with without_numba():
        for name in order:
            make = GIVEN[name]
            assert after(compiled, make(x), y) == after(f, make(x), y), name
