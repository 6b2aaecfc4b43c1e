"""jit of a function that changes, for some arguments, what it reads for others: as without jit, whatever the order."""

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg

A, B, C = np.ones(3), np.ones((2, 3)), np.ones((1, 2, 3))
ORDERS = [[A, B, A, B, A], [A, C, B, C, A, B, B, C, A], [C, B, C, A, C]]


class Kept:
    def __init__(self):
        self.mode, self.scales, self.table, self.last = 7.0, [1.0], {"k": 3.0}, None


def sets_attribute(kept, x):
    if x.ndim == 2:
        kept.mode = 2.0
    return np.sum(x) * kept.mode


def each_sets_it(kept, x):
    if x.ndim < 3:
        kept.mode = float(x.ndim)
    return np.sum(x) * kept.mode


def sets_an_item(kept, x):
    kept.scales[0] = 5.0 if x.ndim == 2 else kept.scales[0]
    return np.sum(x) * kept.scales[0]


def sets_an_entry(kept, x):
    if x.ndim == 1:
        kept.table["k"] = 4.0
    return np.sum(x) * kept.table["k"]


def makes_an_attribute(kept, x):
    if x.ndim == 2:
        kept.extra = 3.0
    return np.sum(x) * getattr(kept, "extra", 1.0)


@pytest.mark.slow
@pytest.mark.parametrize("f", [sets_attribute, each_sets_it, sets_an_item, sets_an_entry, makes_an_attribute])
def test_programs_for_other_arguments_notice_it(f):
    for order in ORDERS:
        plain, compiled = Kept(), Kept()
        g = tg.jit(lambda x, kept=compiled: f(kept, x))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = [float(g(x)) for x in order]
            slopes = [float(g.value_and_grad(x)[1].flat[0]) for x in order[:4]]
        assert found == [float(f(plain, x)) for x in order]
        assert slopes == [float(tg.grad(lambda x, kept=plain: f(kept, x))(x).flat[0]) for x in order[:4]]


def test_it_says_why_it_runs_without_jit():
    kept = Kept()
    g = tg.jit(lambda x: sets_attribute(kept, x))
    assert g(A) == 21.0
    with pytest.warns(UserWarning, match=r"changes .*mode, which it reads for other arguments.*without jit"):
        assert g(B) == 12.0
    assert g(A) == 6.0
