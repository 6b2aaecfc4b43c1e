"""Rows that are flat in an input let no gradient through, not even an infinite one, on any back end."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, Value, ops
from tinygrad_edu.core.flat_rows import flat_inputs
from tinygrad_edu.core.operation import TABLE

STEEP = {"sqrt": lambda y: ops.sqrt(y * 0.0), "log": lambda y: ops.log(y * 0.0), "1/x": lambda y: 1.0 / (y * 0.0)}
FLAT = [(name, i) for name, row in TABLE.items() for i in flat_inputs(row)]
WITH_DERIVATIVES = [name for name, row in TABLE.items() if row.partials]


@pytest.mark.parametrize("name", WITH_DERIVATIVES)
def test_flat_rows_are_those_whose_derivative_is_no_array(name):
    row, some = TABLE[name], np.array([0.5, 0.25])
    with np.errstate(all="ignore"):
        found = row.partials(some, *[some] * len(row.parameters))
    assert flat_inputs(row) == {i for i, d in enumerate(found) if isinstance(d, float) and d == 0.0}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("steep", STEEP)
@pytest.mark.parametrize(("name", "place"), FLAT)
def test_an_infinite_gradient_ends_there(name, place, steep):
    row = TABLE[name]
    others = [1.5] * len(row.parameters)

    def f(x):
        return STEEP[steep](row(*[x if i == place else others[i] for i in range(len(others))]))

    at = 2.0 if name == "polygamma" else 0.5
    value, tensor = Value(at), Tensor(at, requires_grad=True)
    f(value).backward()
    f(tensor).backward()
    assert value.grad == 0.0
    assert tensor.grad is None or tensor.grad == 0.0
    assert tg.grad(f)(at) == 0.0
