"""What an error says to write instead works; arguments nested too deep for the stack are refused by name."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import OperandError, TraceError

X = np.array([0.5, -1.0, 2.0])
SLIPS = {  # (what has no number in a trace, what the error advises)
    "math": (lambda x: x * math.tanh(x[0]), lambda x: x * np.tanh(x[0])),
    "int": (lambda x: x * int(x[2]), lambda x: x * np.trunc(x[2])),
    "float": (lambda x: x * (1.0 if float(x[0]) > 0.0 else 2.0), lambda x: x * np.where(x[0] > 0.0, 1.0, 2.0)),
}


@pytest.mark.parametrize("name", SLIPS)
def test_numbers_of_a_trace(name):
    slip, advised = SLIPS[name]
    for way in (tg.jit(slip), tg.jit(tg.grad(lambda x: np.sum(slip(x))))):
        with pytest.raises(TraceError, match=r"no numbers while it is traced.*np\.tanh.*np\.trunc.*np\.where") as error:
            way(X)
        assert "item()" not in str(error.value)
    with without_numba():
        np.testing.assert_allclose(tg.jit(advised)(X), slip(X))


def test_numbers_that_decide_how_often():
    def f(x, n):
        return sum(x * k for k in range(int(n)))

    with without_numba():
        np.testing.assert_allclose(tg.jit(f, static_argnums=1)(X, 3), f(X, 3))


def nested(depth):
    tree = 1.0
    for _ in range(depth):
        tree = [tree]
    return tree


ITSELF = []
ITSELF.append(ITSELF)


@pytest.mark.parametrize("deep", [nested(3000), {"a": (nested(3000), 1.0)}, ITSELF], ids=["list", "dict", "itself"])
def test_arguments_nested_without_end(deep):
    def f(tree):
        return 1.0

    jitted = tg.jit(lambda x: x * 2.0)
    assert jitted(1.0) == 2.0
    for way in (tg.jit(f), jitted, tg.jit(f).value_and_grad, tg.grad(f), tg.vmap(f), tg.jacobian(f)):
        with pytest.raises(OperandError, match=r"nested (\d{4} deep|in itself)"):
            way(deep)


def test_a_function_that_calls_itself_without_end():
    def f(x):
        return f(x)

    for way in (tg.jit(f), tg.grad(f)):
        with pytest.raises(RecursionError):
            way(1.0)
