"""NumPy's functions of two and three arrays, some of them lists: the same as of arrays, whatever stands where."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.numpy_protocol.names import differentiable
from tinygrad_edu.errors import TinygradError

DRAW = np.random.default_rng(5)
ARRAYS = [0.5 + DRAW.random((3, 3)) for _ in range(3)]
OTHERS = ("linspace", "gradient", "roll")  # steps of 0, and a number of places that is no integer


def calls():
    """(function, arrays) that NumPy takes; a third array that is the place of a result is left out."""
    for function, rank, count in itertools.product(differentiable(), (1, 2), (2, 3)):
        arrays = [x if rank == 2 else x[0] for x in ARRAYS[:count]]
        try:
            if not isinstance(function, np.ufunc) or function.nin == count:
                yield function, arrays, function(*[x.copy() for x in arrays])
        except Exception:
            continue


def leaves(x):
    return [np.asarray(getattr(each, "array", each)) for each in (x if isinstance(x, (tuple, list)) else [x])]


def test_lists_beside_tensors():
    tried = 0
    for function, arrays, expected in calls():
        if function.__name__ in OTHERS:
            continue
        for lists in itertools.product((True, False), repeat=len(arrays)):
            given = [
                x.tolist() if as_list else tg.Tensor(x, requires_grad=True)
                for x, as_list in zip(arrays, lists, strict=True)
            ]
            if all(lists):
                continue
            try:
                found = leaves(function(*given))
            except TinygradError:  # refused by name: an option, or an output array
                continue
            tried += 1
            for a, b in zip(leaves(expected), found, strict=True):
                np.testing.assert_allclose(b, a, err_msg=f"{function.__name__} {lists}")
    assert tried > 300


@pytest.mark.parametrize("function", [np.atleast_1d, np.atleast_2d, np.atleast_3d])
def test_several_at_least(function):
    found = function(tg.Tensor(2.0), [1.0, 2.0], np.eye(2))
    assert [np.shape(x) for x in found] == [np.shape(x) for x in function(2.0, [1.0, 2.0], np.eye(2))]
