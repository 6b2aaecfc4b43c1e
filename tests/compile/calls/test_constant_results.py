"""A compiled function may return whole numbers, text, flags and None beside what it computes, as in JAX."""

from collections import OrderedDict, namedtuple
from contextlib import nullcontext

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import NonScalarBackwardError, TraceError

X = np.array([1.0, 2.0, 3.0])
Point = namedtuple("Point", "p q")


class Settings:
    k = 2


def increase(x):
    x += 1


RETURNS = {
    "dict": lambda x: {"y": x * 2, "n": 3, "name": "hi", "none": None, "flag": True},
    "list": lambda x: [(i, row * 2) for i, row in enumerate(np.reshape(x, (-1, 1)))],
    "shape": lambda x: (x.shape, x * 2, len(x)),
    "named tuple": lambda x: Point(x * 2, "q"),
    "whole arrays": lambda x: (x * 2, np.arange(len(x))),
    "ordered": lambda x: OrderedDict(b=x * 2, a=1),
    "nothing": lambda x: (x * 2, []),
    "NumPy's": lambda x: (x * 2, np.int64(3), np.argmax(np.array([1, 5, 2]))),
    "what is closed over": lambda x: (x * Settings.k, Settings.k),
    "what it writes alone": increase,
}


@pytest.mark.parametrize(
    ("name", "way"),
    [*((name, without_numba) for name in RETURNS), ("dict", nullcontext), ("what it writes alone", nullcontext)],
)
def test_it_is_what_the_function_returns(name, way):
    f, by_function, by_program = RETURNS[name], X.copy(), X.copy()
    with way():
        compiled = tg.jit(f)
        for _ in range(2):
            assert repr(compiled(by_program)) == repr(f(by_function))
    np.testing.assert_array_equal(by_program, by_function)
    if name in ("shape", "whole arrays"):
        with way():
            assert repr(compiled(np.ones(5))) == repr(f(np.ones(5)))


def test_it_follows_what_the_function_reads(monkeypatch):
    with without_numba():
        compiled = tg.jit(RETURNS["what is closed over"])
        assert compiled(X)[1] == 2
        monkeypatch.setattr(Settings, "k", 5)
        assert compiled(X)[1] == 5
        option = tg.jit(lambda x, k: (x, k))
        assert [option(X, "a")[1], option(X, "b")[1], option(X, True)[1]] == ["a", "b", True]


def test_beside_a_graph_and_in_transforms():
    w = tg.Tensor(X, requires_grad=True)
    with without_numba():
        found = tg.jit(lambda x: {"loss": np.sum(w * x), "n": 3})(X)
        found["loss"].backward()
        assert (found["n"], w.grad.tolist()) == (3, X.tolist())
        aux = tg.jit(tg.value_and_grad(lambda x: (np.sum(x * x), {"n": 3}), has_aux=True))(X)
        assert aux[0][1] == {"n": 3}
        assert tg.jit(lambda x: {"y": x * 2, "n": 3})(2.0) == {"y": 4.0, "n": 3}


def test_what_is_refused():
    count = [0]

    def counted(x):
        count[0] += 1
        return x * 2, count[0]

    with without_numba():
        with pytest.raises(TraceError, match="computes something else at each call"):
            tg.jit(counted)(X)
        for f in (lambda x: None, lambda x: 3, lambda x: (x, {1}), lambda x: (x, print)):
            with pytest.raises(TraceError, match="returns what it computes from its arguments"):
                tg.jit(f)(X)
        with pytest.raises(NonScalarBackwardError, match="'n': 3"):
            tg.jit(lambda x: {"loss": np.sum(x), "n": 3}).value_and_grad(X)
