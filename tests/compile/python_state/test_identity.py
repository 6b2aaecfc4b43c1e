"""Functions that ask whether two arguments are one object: a compiled function and the transforms answer as they do."""

import operator

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.core.tracing.askers import HERE, seen_in

X = np.array([1.0, 2.0, 3.0])
W = tg.Tensor(X, requires_grad=True)


def without_copies(p):
    seen, total = [], 0.0
    for a in p:
        if not any(a is b for b in seen):
            seen.append(a)
            total = total + (a**2).sum()
    return total


def counted(p):
    return p[0].sum() * len({id(a) for a in p})


def asks(p, is_one):
    return (p[0] * (2.0 if is_one(*p) else 3.0) * p[1]).sum()


ASKING = {
    "is": lambda p: asks(p, lambda a, b: a is b),
    "is not": lambda p: asks(p, lambda a, b: not (a is not b)),
    "id": lambda p: asks(p, lambda a, b: id(a) == id(b)),
    "operator.is_": lambda p: asks(p, operator.is_),
    "in a loop": without_copies,
    "a set of ids": counted,
}


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize("together_first", [True, False])
def test_jit_answers_as_the_function_does(name, together_first):
    f = ASKING[name]
    calls = [[X, X], [X, X.copy()]] if together_first else [[X, X.copy()], [X, X]]
    with without_numba():
        g = tg.jit(f)
        for p in [*calls, *calls]:
            np.testing.assert_allclose(g(p), f(p))


def test_two_arguments_of_a_function_of_dicts():
    def f(p, q):
        return p["W"] @ q["W"] * (1.0 if p["W"] is q["W"] else 10.0)

    with without_numba():
        g = tg.jit(f)
        for q in ({"W": X.copy()}, {"W": X}, {"W": X.copy()}):
            np.testing.assert_allclose(g({"W": X}, q), f({"W": X}, q))


def test_tensors_as_keys():
    """No name in the code says that it asks: the trace sees it."""

    def f(p):
        return sum((w**2).sum() for w in dict.fromkeys(p))

    other = tg.Tensor(X + 1)
    with without_numba():
        g = tg.jit(f)
        for p in ([W, other], [W, W], [W, other]):
            np.testing.assert_allclose(g(p).array, f(p).array)


@pytest.mark.parametrize("argnum", [0, 1, (0, 1)])
def test_gradients(argnum):
    """By an array that is given twice: at each of its places, as in PyTorch."""

    def f(a, b):
        return ((a if a is b else 3.0 * a) * a).sum()

    for way in (tg.value_and_grad, lambda f, argnum: lambda *x: tg.jit(f).value_and_grad(*x, argnum=argnum)):
        y, found = way(f, argnum)(X, X)
        np.testing.assert_allclose(y, f(X, X))
        for g in found if isinstance(found, tuple) else (found,):
            np.testing.assert_allclose(g, 2 * X)
        np.testing.assert_allclose(way(f, argnum)(X, X.copy())[0], f(X, X.copy()))


def test_others_are_differentiated_place_by_place():
    for way in (tg.grad, lambda f: lambda *x: tg.jit(f).value_and_grad(*x)[1]):
        np.testing.assert_allclose(way(lambda a, b: (a * b**2).sum())(X, X), X**2)


class Mode:
    fast = None


@pytest.mark.parametrize(
    "f",
    [
        lambda x, y: x if y is None else x * 2,
        lambda x, y: x * (2 if type(x) is np.ndarray else 3),
        lambda x, y: x * (2 if x.__class__ is Mode else 3),
        lambda x, y: x * (2 if Mode.fast is not None else 3),
    ],
)
def test_classes_and_none_are_no_arrays(f):
    """They keep the quick path."""
    with seen_in(f):
        assert not HERE.identity
