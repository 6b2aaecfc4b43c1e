"""What user's code asks of x.shape[0] and x.size in a compiled function: whole numbers, as without `jit`."""

import numbers

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba

QUESTIONS = {
    "type": lambda x: type(x.shape[0]) is int,
    "type of a sum": lambda x: type(x.shape[0] + x.shape[1]) is int,
    "__class__": lambda x: x.shape[0].__class__ is int,
    "isinstance": lambda x: isinstance(x.shape[0], int),
    "of several": lambda x: isinstance(x.shape[0], (str, int)),
    "of another": lambda x: isinstance(x.shape[0], (float, np.ndarray)),
    "Integral": lambda x: isinstance(x.shape[0], numbers.Integral),
    "all lengths": lambda x: all(isinstance(n, int) for n in x.shape),
    "size": lambda x: isinstance(x.size, int),
    "size and Real": lambda x: isinstance(x.size, numbers.Real),
    "product": lambda x: isinstance(x.shape[0] * x.shape[1], int),
    "len": lambda x: isinstance(len(x), int),
}


@pytest.mark.parametrize("kind", [np.asarray, tg.Tensor])
@pytest.mark.parametrize("name", QUESTIONS)
def test_as_without_jit(name, kind):
    def f(x):
        return x * (2.0 if QUESTIONS[name](x) else 3.0)

    compiled = tg.jit(f)
    for rows in (3, 4):  # one program serves both
        x = kind(np.ones((rows, 2)))
        with without_numba():
            np.testing.assert_array_equal(np.asarray(compiled(x).data), np.asarray(f(x).data))


BY_TEXT = {"(3,)": 2.0, "(40,)": 3.0}


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x * BY_TEXT[str(x.shape)],
        lambda x: x * BY_TEXT[f"{x.shape}"],
        lambda x: x * BY_TEXT[repr(x.shape)],
        lambda x: x * len([0] * x.shape[0]),
        lambda x: x * len(x.shape[0] * (0,)),
    ],
)
def test_the_text_of_a_shape_decides_and_lists_are_as_long(f):
    g = tg.jit(f)
    with without_numba():
        for n in (3, 40, 3):
            np.testing.assert_array_equal(g(np.ones(n)), f(np.ones(n)))
