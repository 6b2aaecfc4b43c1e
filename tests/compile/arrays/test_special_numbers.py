"""Every row of the table at zeros, infinities, NaN and large numbers: Values, the tape and programs give the Tensor's.

Of a zero the sign counts too, but for a choice between -0 and 0 and the rows below, which add to it on their way.
"""

import itertools

import numpy as np
import pytest

from tests.compile.programs import without_numba
from tests.core.operations.test_table import ROWS
from tinygrad_edu import Tensor, Value, jit, ops
from tinygrad_edu.core.backward import flat_inputs

NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0, np.inf, -np.inf, np.nan, 1e9, -1e9, 3.7, -3.7, 1e-300, -1e-300]
MORE = [*NUMBERS, 0.25, 30.0, -30.0, 89.0, 710.0, -745.0]
DIFFERENTIABLE = sorted(name for name, row in ROWS.items() if row.partials is not None and len(row.parameters) <= 2)
SPECIAL_POLES = ("betaln", "polygamma")  # near the poles SciPy has values of its own
EITHER_ZERO = {
    "maximum", "minimum", "fmax", "fmin", "relu", "elu", "selu", "celu", "sign", "floor", "ceil", "trunc", "erfinv",
    "entr", "log_sigmoid", "expm1", "log1p", "log_ndtr", "xlog1py",
}  # fmt: skip


def points(name):
    count = len(ROWS[name].parameters)
    found = itertools.product(MORE if count == 1 else NUMBERS, repeat=count)
    if name == "pow":  # NumPy computes x^0.5 as √x, which differs at -∞ and -0; programs do as Python does
        found = [x for x in found if x[1] != 0.5 or x[0] not in (-np.inf, 0.0)]
    return [np.array(x) for x in zip(*found, strict=True)]


def by_numbers(f, given):
    return np.array([float(getattr(y, "data", y)) for y in (f(*x) for x in zip(*given, strict=True))])


WAYS = {
    "program": lambda row, given: jit(lambda *x: row(*x))(*given),
    "tape": lambda row, given: by_numbers(jit(lambda *x: row(*x)), [x.tolist() for x in given]),
    "Value": lambda row, given: by_numbers(lambda *x: row(*map(Value, x)), [x.tolist() for x in given]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if name not in SPECIAL_POLES])
def test_a_row_at_special_numbers(name, way):
    given = points(name)
    with np.errstate(all="ignore"), without_numba():
        expected, found = ROWS[name](*map(Tensor, given)).data, np.asarray(WAYS[way](ROWS[name], given))
    assert np.allclose(found, expected, rtol=1e-9, atol=1e-300, equal_nan=True)
    if name not in EITHER_ZERO:
        zero = expected == 0.0
        assert np.array_equal(np.signbit(found[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("name", [name for name in DIFFERENTIABLE if flat_inputs(ROWS[name])])
def test_an_infinite_gradient_ends_at_a_step(name):
    """Where the derivative is the number 0 it is no product with infinity: in programs and eagerly."""
    row = ROWS[name]
    given = [np.array([1.0, 2.0, 3.0]) for _ in row.parameters]

    def f(*x):
        return np.sum(row(*x) * np.inf)

    leaves = [Tensor(x, requires_grad=True) for x in given]
    with np.errstate(all="ignore"), without_numba():
        f(*leaves).backward()
        _, gradients = jit(f).value_and_grad(*given, argnum=range(len(given)))
    for i in flat_inputs(row):
        assert np.array_equal(leaves[i].grad, np.zeros(3))
        assert np.array_equal(gradients[i], np.zeros(3))


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2, 1), ()])
def test_the_sum_of_one_zero(shape):
    """NumPy's sum begins with 0, and 0 + (-0) is 0."""
    x = np.full(shape, -0.0)
    with without_numba():
        for f in (np.sum, lambda x: np.sum(x, axis=-1), lambda x: np.sum(x, axis=0, keepdims=True)):
            assert not np.signbit(jit(f)(x)).any()
            assert not np.signbit(f(x)).any()


@pytest.mark.parametrize(("dtype", "within"), [(np.float64, 4.5e-16), (np.float32, 4e-7)])
@pytest.mark.parametrize("size", [1e3, 1e6, 1e9, 1e15, 1e30])
def test_tan_of_large_numbers(dtype, within, size):
    """Measured: 2.2e-16 in float64 up to 1e300, 2.4e-7 in float32 up to 1e30, of the result; limits of twice that."""
    x = np.random.default_rng(0).uniform(size / 2, size, 2000).astype(dtype)
    expected = ops.tan(Tensor(x)).data
    assert np.max(np.abs(jit(lambda x: ops.tan(x))(x) / expected - 1.0)) < within
