"""Floats that never raise give what NumPy's scalars give, for every row of the table."""

import itertools
import math

import pytest

from tinygrad_edu.core import ops  # noqa: F401  (fills the table)
from tinygrad_edu.core.formulas.readings import ieee, without_numpy
from tinygrad_edu.core.operation import TABLE

POINTS = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 3.0, -2.5, 1e3, -1e3, 1e308, -1e308, 1e-308, math.inf, -math.inf, math.nan]
# At their poles, and where 0 meets infinity, these follow SciPy's own conventions.
SPECIAL = ("xlogy", "gammaln", "betaln", "digamma", "polygamma")
CORNERS = {("pow", (-math.inf, 0.5))}  # NumPy returns nan, C's pow inf
# 1
# 0 by the row's formula; NumPy has a function of its own
BY_FORMULA = ("floor_divide",)


def same(a, b):
    return (a != a and b != b) or a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(set(TABLE) - {*SPECIAL, *BY_FORMULA}))
def test_every_operation_and_its_derivatives_at_special_points(name):
    operation = TABLE[name]
    count = len(operation.parameters)
    for xs in itertools.product(POINTS if count < 3 else POINTS[::2], repeat=count):
        y = ieee(operation.on_arrays, xs)
        assert same(y, without_numpy(operation.on_arrays, xs)) or (name, xs) in CORNERS, (xs, y)
        if operation.partials:
            expected = ieee(operation.partials, (y, *xs))
            found = without_numpy(operation.partials, (y, *xs))
            assert all(map(same, map(float, expected), found)), (xs, expected, found)
