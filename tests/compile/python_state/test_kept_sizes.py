"""Sizes of a first argument that a function keeps: numbers to later calls, and to the user."""

import itertools
import json
from dataclasses import dataclass

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import TraceError


@dataclass
class Settings:
    size: object
    shapes: list


class Kept:
    def __init__(self):
        self.n, self.sizes, self.seen, self.total = None, {}, [], 0


GLOBAL = None


def size(s, x):
    s.n = x.shape[0] if s.n is None else s.n
    return x.sum() * s.n


def whole_shape(s, x):
    s.n = x.shape if s.n is None else s.n
    return x.sum() * s.n[0] + np.zeros(s.n).sum()


def count(s, x):
    return x.sum() * s.sizes.setdefault("n", x.size)


def listed(s, x):
    if not s.seen:
        s.seen.append(x.shape)
    return x.sum() * s.seen[0][0]


def named(s, x):
    s.sizes = s.sizes or dict(zip("bc", x.shape, strict=True))
    return x.sum() * s.sizes["b"]


def in_object(s, x):
    s.n = s.n or Settings(x.shape[0], [x.shape])
    return x.sum() * s.n.size


def in_closure(s, x):
    n = x.shape[0]
    s.n = s.n or (lambda z: z * n)
    return s.n(x.sum())


def in_default(s, x):
    s.n = s.n or (lambda z, n=x.shape[0]: z * n)
    return s.n(x.sum())


def in_slice(s, x):
    s.n = s.n or slice(0, x.shape[0])
    return x[s.n].sum()


def repeated(s, x):
    s.n = s.n or itertools.repeat(x.shape[0])
    return x.sum() * next(s.n)


def formula(s, x):
    s.n = s.n or x.shape[0] * 2 + 1
    return x.sum() * s.n


def as_global(s, x):
    global GLOBAL
    GLOBAL = x.shape[0] if GLOBAL is None else GLOBAL
    return x.sum() * GLOBAL


def same_shape(s, x):
    s.n = x.shape if s.n is None else s.n
    if x.shape != s.n:
        raise ValueError(x.shape)
    return x.sum()


def same_batch(s, x):
    assert s.n in (None, x.shape[0])
    s.n = x.shape[0]
    return x.sum()


def other_batch(s, x):
    s.n = s.n or x.shape[0]
    return x.sum() * 0 if x.shape[0] != s.n else x.sum()


def in_layer(s, x):
    s.n = s.n or x.shape[1]
    return np.sum(x @ np.ones((x.shape[1], 2))) * s.n


DEPENDING = [size, whole_shape, count, listed, named, in_object, in_closure, in_default, in_slice, repeated, formula]
DEPENDING += [as_global, in_layer]
CHECKING = [same_shape, same_batch, other_batch]
WAYS = {
    "call": tg.jit,
    "value_and_grad": lambda f: lambda x: tg.jit(f).value_and_grad(x),
    "of grad": lambda f: tg.jit(tg.grad(f)),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("body", DEPENDING)
def test_what_later_calls_depend_on_is_refused(body, way):
    kept = Kept()
    g = WAYS[way](lambda x: body(kept, x))
    with without_numba():
        for rows in (2, 5):
            with pytest.raises(TraceError):
                g(np.ones((rows, 3)))
            assert vars(kept) == vars(Kept())


def outcome(f, x):
    try:
        return np.asarray(f(x)).tolist()
    except (ValueError, AssertionError) as error:
        return type(error).__name__


@pytest.mark.parametrize("body", CHECKING)
def test_checks_of_a_size_hold_for_later_calls(body):
    kept, expected = Kept(), Kept()
    g = tg.jit(lambda x: body(kept, x))
    with without_numba():
        for rows in (2, 2, 5, 2, 3):
            x = np.ones((rows, 3))
            assert outcome(g, x) == outcome(lambda x: body(expected, x), x)
            assert vars(kept) == vars(expected)


def new_dict(s, x):
    s.sizes = {"n": len(x), "shape": x.shape, "table": np.zeros(len(x))}
    return x.sum()


def new_dict_of_constants(s, x):
    s.sizes = {"n": 1, "inner": {"mode": "a"}}
    return x.sum()


def beside_a_result(s, x):
    s.n = (x.shape, x.mean())
    return x.sum()


@pytest.mark.filterwarnings("ignore:.*runs without jit:UserWarning")
@pytest.mark.parametrize("body", [new_dict, new_dict_of_constants, beside_a_result])
def test_what_is_made_anew_at_each_call(body):
    kept, expected = Kept(), Kept()
    g = tg.jit(lambda x: body(kept, x))
    with without_numba():
        for rows in (3, 4, 3, 3):
            x = np.ones((rows, 2))
            assert g(x) == body(expected, x)
            assert str(vars(kept)).replace("np.float64(1.0)", "1.0") == str(vars(expected)).replace(
                "np.float64(1.0)", "1.0"
            )
            assert kept.n is None or set(map(type, kept.n[0])) == {int}
        kept.sizes.clear()
        expected.sizes.clear()
        assert g(x) == body(expected, x)
        assert str(kept.sizes) == str(expected.sizes)


@pytest.mark.filterwarnings("ignore:.*runs without jit:UserWarning")
@pytest.mark.parametrize("way", WAYS)
def test_records_hold_numbers(way):
    """A later call computes with what they hold, and so does the user."""
    kept = Kept()
    kept.n = Settings(0, [])

    def f(x):
        kept.n.size, kept.n.shapes[:], kept.sizes["of"] = x.shape[0], [x.shape], x.size
        return x.sum()

    g = WAYS[way](f)
    with without_numba():
        for rows in (2, 4, 1, 3, 2):
            g(np.ones((rows, 3)))
            assert (type(kept.n.size), kept.n.shapes) == (int, [(rows, 3)])
            json.dumps([kept.n.size, kept.sizes])


def test_a_size_of_a_refused_call_is_not_left_behind():
    kept = Kept()

    def f(x):
        kept.n = x.shape[0]
        return x * 2 if str(type(x)) == "Tensor" else x * float(x[0])

    with without_numba(), pytest.raises(TraceError):
        tg.jit(f)(np.ones(3))
    assert kept.n is None
