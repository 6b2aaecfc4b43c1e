"""Arguments given by place, by name or left at their default: jit takes them as Python does, in every order.

For each signature the calls of its row run one after another through one compiled function, twice, so that a form
made for one call meets all the others.
"""

import copy
import itertools
import pickle
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import jit, nn
from tinygrad_edu.errors import AnomalyError

X = np.array([1.0, -2.0, 0.5])


def call(*arguments, **named):
    return arguments, named


ROWS = {
    "a default": (
        lambda x, y=2.0: x * y,
        [call(3.0), call(3.0, y=5.0), call(3.0, 4.0), call(x=3.0, y=7.0), call(y=2.0, x=1.0), call(X[0], y=2)],
    ),
    "names only": (
        lambda x, *, k=2.0, m=3.0: x * k - m,
        [call(3.0), call(3.0, k=1.0), call(3.0, m=1.0), call(3.0, m=1.0, k=2.0), call(3.0, k=2.0, m=1.0)],
    ),
    "any names": (
        lambda x, **k: x * sum(k.values()),
        [call(3.0, a=2.0), call(3.0, a=2.0, b=4.0), call(3.0, b=2.0, a=1.0), call(3.0, c=1.0)],
    ),
    "their order": (lambda x, **k: x * next(iter(k.values())), [call(3.0, a=2.0, b=4.0), call(3.0, b=5.0, a=1.0)]),
    "any number": (lambda *a: a[0] * sum(a), [call(3.0), call(3.0, 2.0), call(3.0, 2.0, 1.0)]),
    "all by name": (lambda a, b: a - 2.0 * b, [call(a=1.0, b=2.0), call(b=1.0, a=2.0), call(1.0, b=3.0)]),
    "None": (
        lambda x, b=None: x * 2.0 if b is None else x * b,
        [call(3.0), call(3.0, b=4.0), call(3.0, 4.0), call(3.0, None), call(3.0, b=None)],
    ),
    "a flag": (
        lambda x, t=False: x * 2.0 if t else x,
        [call(3.0), call(3.0, t=True), call(3.0, True), call(3.0, False), call(3.0, t=False)],
    ),
    "text": (lambda x, mode="a": x * len(mode), [call(3.0), call(3.0, mode="bb"), call(3.0, "ccc")]),
    "a nesting": (
        lambda d, s=1.0: d["a"] * d["b"][0] * s,
        [call({"a": 2.0, "b": [3.0]}), call({"a": 2.0, "b": [3.0]}, s=4.0), call({"b": [3.0], "a": 2.0}, 4.0)],
    ),
    "a count": (
        lambda x, n=2: sum([x * x for _ in range(n)]),
        [call(3.0), call(4.0, n=3), call(3.0, n=1), call(3.0, 4), call(2.0)],
    ),
    "an array": (
        lambda x, y=2.0, power=1: np.sum(x**power * y),
        [call(X), call(X, y=5.0), call(X, 5.0), call(X, power=2), call(X[:2], power=2, y=X[:2]), call(x=X, y=X)],
    ),
}  # fmt: skip


def plain_numbers(tree):
    return np.asarray(getattr(tree, "data", tree), float).tolist()


@pytest.mark.parametrize("name", ROWS)
def test_calls_of_one_function(name):
    f, calls = ROWS[name]
    with without_numba():
        compiled = jit(f)
        for given, named in itertools.chain(calls, reversed(calls)):
            assert plain_numbers(compiled(*given, **named)) == pytest.approx(plain_numbers(f(*given, **named)))
            if given and isinstance(given[0], (float, np.ndarray)):
                y, slope = compiled.value_and_grad(*given, **named)
                wanted, right = tg.value_and_grad(f)(*given, **named)
                assert y == pytest.approx(plain_numbers(wanted))
                assert np.allclose(plain_numbers(slope), plain_numbers(right))


@pytest.mark.parametrize("given", [1.0, X])
def test_names_that_the_function_does_not_have(given):
    compiled = jit(lambda x, y: np.sum(x * y))
    with without_numba():
        compiled(given, given)
        for named in ({"bogus": 1.0}, {"x": 1.0}, {"argnums": 1}):
            for way in (compiled, compiled.value_and_grad, compiled.backward):
                with pytest.raises(TypeError):
                    way(given, given, **named)


@jit
def decorated(x):
    return np.sum(x**2)


class Squares(nn.Module):
    def __init__(self):
        self.w = tg.Tensor(X, requires_grad=True)
        self.total = jit(self.compute)

    def compute(self, x):
        return np.sum(x * self.w) ** 2


def test_copies():
    """A copy makes its own programs, and of a method it is the copied object's."""
    model = Squares()
    with without_numba():
        for f in (decorated, jit(lambda x: np.sum(x**3)), model.total):
            value = plain_numbers(f(X))
            assert plain_numbers(copy.deepcopy(f)(X)) == plain_numbers(copy.copy(f)(X)) == value
        other = copy.deepcopy(model)
        other.w.data = X * 3.0
        assert plain_numbers(other.total(X)) == pytest.approx(9.0 * plain_numbers(model.total(X)))
        assert pickle.loads(pickle.dumps(decorated)) is decorated
        assert pickle.loads(pickle.dumps(jit(np.square)))(X).tolist() == (X**2).tolist()


def test_the_search_for_nan_reaches_into_it():
    f = jit(lambda x: np.sum(np.log(x)))
    with without_numba(), np.errstate(all="ignore"):
        f.value_and_grad(X)
        with tg.detect_anomaly(), pytest.raises(AnomalyError, match="log gave nan"):
            f.value_and_grad(X)


def test_errors_name_the_arrays_of_a_dict_or_list_as_the_program_does():
    """They were p, p2, ... in the order of the dict."""
    p = {"W0": np.ones((2, 3)), "b": [np.ones(2), np.ones(4)]}
    with pytest.raises(tg.errors.ShapeError, match=r"p\['W0'\] @ p\['b'\]\[1\]: shapes \(2, 3\) and \(4,\)"):
        tg.jit(lambda p: np.sum(p["W0"] @ p["b"][1]))(p)


def test_a_gradient_has_the_dtype_of_its_argument():
    """It had the program's: float64 for a float32 argument beside one of float64."""
    p = {"a": np.ones(3, np.float32), "b": np.ones(3)}
    f = tg.jit(lambda p, x: np.sum(p["a"] * p["b"] * x))
    for x in (np.ones(3, np.float32), np.ones(3)):
        _, (of_p, of_x) = f.value_and_grad(p, x, argnum=(0, 1))
        assert [of_p["a"].dtype, of_p["b"].dtype, of_x.dtype] == [p["a"].dtype, p["b"].dtype, x.dtype]


@pytest.mark.parametrize(
    "call", [lambda x: x * 10**400, lambda x: np.where(x > 0.0, 10**400, x), lambda x: x < -(10**400)]
)
def test_whole_numbers_beyond_the_floats(call):
    for f in (call, tg.jit(call)):
        with pytest.raises(tg.errors.OperandError, match="a whole number of 1329 bits beside a Tensor"):
            f(tg.Tensor([1.0, 2.0]))


class Named:
    """Objects that are equal by name alone."""

    def __init__(self, k, name=""):
        self.k, self.name = k, name

    def __eq__(self, other):
        return self.name == other.name

    def __hash__(self):
        return hash(self.name)


@dataclass(frozen=True)
class Scale:
    k: float = field(compare=False)


class Slots:
    __slots__ = ("k",)
    __eq__ = Named.__eq__
    __hash__ = Named.__hash__
    name = ""

    def __init__(self, k):
        self.k = k


class Mode(IntEnum):
    SLOW = 1
    FAST = 2


@pytest.mark.parametrize("static", [(), (1,)])
@pytest.mark.parametrize("kind", [Named, Scale, Slots])
def test_options_that_are_equal_and_not_the_same(kind, static):
    f, x = jit(lambda x, c: x * c.k, static_argnums=static), np.ones(2)
    with without_numba():
        first = kind(2.0)
        assert [f(x, c)[0] for c in (first, kind(3.0), first, kind(2.0))] == [2.0, 3.0, 2.0, 2.0]
        if kind is not Scale:
            first.k = 5.0
            assert [f(x, c)[0] for c in (first, kind(2.0), kind(5.0))] == [5.0, 2.0, 5.0]


def test_members_of_an_enumeration_are_options():
    f = jit(lambda x, mode: x * (2.0 if mode is Mode.SLOW else 3.0 if mode is Mode.FAST else 5.0 * mode))
    with without_numba():
        assert [f(np.ones(1), mode)[0] for mode in (Mode.SLOW, Mode.FAST, 1, 2.0)] == [2.0, 3.0, 5.0, 10.0]
