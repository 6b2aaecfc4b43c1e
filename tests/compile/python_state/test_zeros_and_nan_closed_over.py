"""A number that a function reads and that becomes NaN, or 0.0 and -0.0 in turn, is another number."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.compile.user_code import same

X = np.array([0.5, 1.0, 2.0])
NUMBERS = [1.0, math.nan, -0.0, 0.0, math.nan, math.inf, -0.0]
PLACE = {"it": 0.0}


def in_a_list(items):
    return lambda x: np.copysign(x, items[0]) * items[0], lambda k: items.__setitem__(0, k)


def in_an_attribute(thing):
    return lambda x: np.copysign(x, thing.k) * thing.k, lambda k: setattr(thing, "k", k)


def in_a_cell():
    number = 0.0

    def set_number(k):
        nonlocal number
        number = k

    return lambda x: np.copysign(x, number) * number, set_number


def in_a_default():
    def f(x, k=(0.0,)):
        return np.copysign(x, k[0]) * k[0]

    return f, lambda k: setattr(f, "__defaults__", ((k,),))


def in_a_value():
    v = tg.Value(0.0)
    return lambda x: np.copysign(x, v.data) * v.data, lambda k: setattr(v, "data", k)


PLACES = {
    "global dict": lambda: (lambda x: np.copysign(x, PLACE["it"]) * PLACE["it"], lambda k: PLACE.update(it=k)),
    "list": lambda: in_a_list([0.0]),
    "attribute": lambda: in_an_attribute(SimpleNamespace(k=0.0)),
    "float32 in an attribute": lambda: in_an_attribute(SimpleNamespace(k=np.float32(0.0))),
    "cell": in_a_cell,
    "default": in_a_default,
    "Value": in_a_value,
}


@pytest.mark.parametrize("place", PLACES)
def test_it_is_noticed(place):
    f, change = PLACES[place]()
    with without_numba():
        compiled = tg.jit(f)
        for k in NUMBERS:
            change(k)
            found, expected = compiled(X), f(X)
            np.testing.assert_array_equal(found, expected)
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_static_arguments_that_are_equal_as_keys():
    f = tg.jit(lambda x, k: np.copysign(x, k[0]) * len(str(k)), static_argnums=1)
    with without_numba():
        for k in ((0.0,), (-0.0,), (0,), (False,), (0.0,)):
            np.testing.assert_array_equal(f(X, k), np.copysign(X, k[0]) * len(str(k)))


def test_same():
    numbers = [0, False, 0.0, -0.0, math.nan, 1.0, 1, True, None, "", "nan", 0j, np.float32(0.0), np.float64(math.nan)]
    for i, a in enumerate(numbers):
        assert [j for j, b in enumerate(numbers) if same(a, b) and same([a], [b]) and same({"k": a}, {"k": b})] == [i]
    assert same(math.nan, float("nan"))
