"""A compiled function gives Tensors where the function itself does, also under no_grad and without Numba."""

from contextlib import nullcontext

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba

W = tg.Tensor([1.0, 2.0], requires_grad=True)
FROZEN = tg.Tensor(np.array([1.0, 2.0], np.float32))
NET = tg.nn.Linear(2, 1)
X = np.array([0.5, 0.25])

FUNCTIONS = {
    "a number": lambda x: np.sum(x * W),
    "an array": lambda x: x * W,
    "of a Tensor without a gradient": lambda x: np.sum(x * FROZEN),
    "of a model": lambda x: np.mean(NET(x[None]) ** 2),
    "some of several": lambda x: (np.sum(x * W), {"a": x * FROZEN, "b": x * 2.0}),
    "of arguments alone": lambda x: x * 2.0,
    "a Tensor is read and not used": lambda x: (x * W, x * 2.0)[1],
}
ARGUMENTS = {"an array": X, "a float32 array": X.astype(np.float32), "a Tensor": tg.Tensor(X)}


def kinds(result):
    """Tensor or not, dtype and shape of each leaf."""
    if isinstance(result, (tuple, dict)):
        return [kinds(x) for x in (result.values() if isinstance(result, dict) else result)]
    return isinstance(result, tg.Tensor), np.shape(result), getattr(result, "dtype", None) if np.ndim(result) else None


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("argument", ARGUMENTS)
def test_as_without_jit(name, argument):
    f, x = FUNCTIONS[name], ARGUMENTS[argument]
    compiled = tg.jit(f)
    for context in (tg.no_grad, nullcontext):
        with context(), without_numba():
            expected = kinds(f(x))
            assert [kinds(compiled(x)) for _ in range(2)] == [expected, expected]


def test_item_under_no_grad():
    with tg.no_grad(), without_numba():
        assert tg.jit(FUNCTIONS["a number"])(X).item() == 1.0
        assert tg.jit(lambda x: np.sum(x * x))(tg.Tensor(X)).item() == 0.3125
        assert isinstance(tg.jit(lambda x: np.sum(x * W > 1.0))(X), np.int64)
