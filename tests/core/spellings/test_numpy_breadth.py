"""149 functions and idioms of NumPy that people differentiate, on one matrix: which work, and what the others say.

Each is held against central differences, once and for its gradient again, and compiled where that is not refused by
name. The list is the one that autograd libraries are compared by: 114 of it work in HIPS autograd, 70 in MyGrad.
"""

import contextlib

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import DetachedError, TraceError, UnsupportedNumpyError

A = np.array([[0.9, 0.2, 0.1], [0.2, 0.8, 0.3], [0.1, 0.3, 0.7]])
B = np.array([[0.5, -0.3, 0.7], [0.1, 0.6, -0.2], [0.4, 0.3, 0.8]])
UNARY = [
    "absolute",
    "abs",
    "negative",
    "positive",
    "exp",
    "exp2",
    "expm1",
    "log",
    "log2",
    "log10",
    "log1p",
    "sqrt",
    "cbrt",
    "square",
    "reciprocal",
    "sin",
    "cos",
    "tan",
    "arcsin",
    "arccos",
    "arctan",
    "sinh",
    "cosh",
    "tanh",
    "arcsinh",
    "arctanh",
    "deg2rad",
    "rad2deg",
    "degrees",
    "radians",
    "sign",
    "sinc",
    "fabs",
    "real",
    "nan_to_num",
    "sum",
    "mean",
    "max",
    "min",
    "amax",
    "amin",
    "prod",
    "var",
    "std",
    "cumsum",
    "cumprod",
    "median",
    "ptp",
    "sort",
    "diff",
    "gradient",
    "ravel",
    "squeeze",
    "transpose",
    "flip",
    "fliplr",
    "flipud",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "trace",
    "diag",
    "diagonal",
    "tril",
    "triu",
    "linalg.norm",
    "linalg.inv",
    "linalg.det",
    "linalg.slogdet",
    "linalg.pinv",
    "linalg.cholesky",
    "linalg.eigvalsh",
]
BINARY = [
    "add",
    "subtract",
    "multiply",
    "divide",
    "true_divide",
    "power",
    "maximum",
    "minimum",
    "fmax",
    "fmin",
    "arctan2",
    "hypot",
    "logaddexp",
    "logaddexp2",
    "mod",
    "remainder",
    "dot",
    "matmul",
    "inner",
    "outer",
    "vdot",
    "tensordot",
    "kron",
    "cross",
    "linalg.solve",
    "heaviside",
    "copysign",
]


def found(name):
    place = np
    for part in name.split("."):
        place = getattr(place, part)
    return place


def unary(name):
    return lambda x: found(name)(x)


def binary(name):
    return lambda x: found(name)(x, B if name != "power" else np.abs(B))


IDIOMS = {
    "arccosh": None,
    "reshape": lambda x: np.reshape(x, (9,)),
    "swapaxes": lambda x: np.swapaxes(x, 0, 1),
    "moveaxis": lambda x: np.moveaxis(x, 0, 1),
    "rollaxis": lambda x: np.rollaxis(x, 1),
    "roll": lambda x: np.roll(x, 1, axis=0),
    "rot90": lambda x: np.rot90(x),
    "expand_dims": lambda x: np.expand_dims(x, 1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 3, 3)),
    "repeat": lambda x: np.repeat(x, 2, axis=0),
    "tile": lambda x: np.tile(x, (2, 1)),
    "concatenate": lambda x: np.concatenate([x, B]),
    "stack": lambda x: np.stack([x, B]),
    "hstack": lambda x: np.hstack([x, B]),
    "vstack": lambda x: np.vstack([x, B]),
    "dstack": lambda x: np.dstack([x, B]),
    "column_stack": lambda x: np.column_stack([x, B]),
    "append": lambda x: np.append(x, B, axis=0),
    "split": lambda x: np.split(x, 3)[1],
    "array_split": lambda x: np.array_split(x, 2)[0],
    "hsplit": lambda x: np.hsplit(x, 3)[1],
    "vsplit": lambda x: np.vsplit(x, 3)[1],
    "where": lambda x: np.where(B > 0.2, x, 2.0 * x),
    "clip": lambda x: np.clip(x, 0.15, 0.85),
    "pad": lambda x: np.pad(x, 1),
    "take": lambda x: np.take(x, [0, 2], axis=1),
    "take_along_axis": lambda x: np.take_along_axis(x, np.array([[0, 1, 2]]), axis=0),
    "x[i, j]": lambda x: x[1, 2],
    "x[::2]": lambda x: x[::2],
    "einsum": lambda x: np.einsum("ij,kj->ik", x, B),
    "average": lambda x: np.average(x, axis=0, weights=np.array([1.0, 2.0, 3.0])),
    "linalg.multi_dot": lambda x: np.linalg.multi_dot([x, B, x]),
    "linalg.matrix_power": lambda x: np.linalg.matrix_power(x, 3),
    "partition": lambda x: np.partition(x, 1),
    "interp": lambda x: np.interp(x, np.array([0.0, 0.5, 1.0]), np.array([1.0, 3.0, 2.0])),
    "trapezoid": lambda x: np.trapezoid(x, dx=0.5),
    "convolve": lambda x: np.convolve(x[0], B[0]),
    "quantile": lambda x: np.quantile(x, 0.3, axis=0),
    "nansum": lambda x: np.nansum(x, axis=0),
    "nanmean": lambda x: np.nanmean(x, axis=0),
    "unstack": lambda x: np.unstack(x)[1],
    "matrix_transpose": lambda x: np.matrix_transpose(x),
    "vecdot": lambda x: np.vecdot(x, B),
    "cov": lambda x: np.cov(x),
    "meshgrid": lambda x: np.meshgrid(x[0], x[1])[0],
    "apply_along_axis": lambda x: np.apply_along_axis(lambda row: row * np.sum(row), 1, x),
    "select": lambda x: np.select([B > 0.5, B > 0.0], [x, 2.0 * x], 0.0),
    "add.reduce": lambda x: np.add.reduce(x),
    "add.outer": lambda x: np.add.outer(x[0], x[1]),
    "fft.fft": lambda x: np.fft.fft(x),
    "array([..])": lambda x: np.array([x[0, 0], x[1, 1]]),
}
del IDIOMS["arccosh"]
CALLS = {n: unary(n) for n in UNARY} | {n: binary(n) for n in BINARY} | IDIOMS
REFUSED = {  # NumPy converts a list to an array without asking its entries; Fourier transforms are complex
    "fft.fft": (UnsupportedNumpyError, "np.fft.fft has no derivative here. Use products with np.cos and np.sin"),
    "array([..])": (DetachedError, "np.stack"),
}
RANDOM = np.random.default_rng(0).uniform(-0.02, 0.02, (3, 3))  # moves the symmetric matrix away from ties
POINT = A + RANDOM


def one_number(name):
    call = CALLS[name]  # by itself: all functions of a table that a compiled function names are searched for state

    def f(x):
        y = call(x)
        parts = y if isinstance(y, (tuple, list)) else [y]
        return sum(np.sum(np.sin(part)) for part in parts)

    return f


def test_there_are_149():
    assert len(CALLS) == 149
    assert len(CALLS) - len(REFUSED) == 147


@pytest.mark.parametrize("name", sorted(CALLS.keys() - REFUSED.keys()))
def test_both_orders_of_derivative_are_right(name):
    f = one_number(name)
    assert tg.gradcheck(f, POINT)
    assert tg.gradcheck(tg.grad(f), POINT)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_names_what_to_use(name):
    error, message = REFUSED[name]
    with pytest.raises(error) as raised:
        CALLS[name](tg.Tensor(A, requires_grad=True))
    assert message in str(raised.value)


TAKEN = sorted(CALLS.keys() - REFUSED.keys())


@pytest.mark.parametrize("name", TAKEN)
def test_compiled_they_are_the_same_or_refused_by_name(name):
    """Every eighth as machine code: they are made of a few primitives, each of which tests/compile compiles."""
    f = one_number(name)
    try:
        with contextlib.nullcontext() if TAKEN.index(name) % 8 == 0 else without_numba():
            y, gradient = tg.jit(f, accurate=True).value_and_grad(POINT)
    except TraceError as error:
        refusal = str(error)
        y, gradient = None, None
    if y is None:
        assert "cannot be compiled" in refusal
        return
    expected = tg.value_and_grad(f)(POINT)
    np.testing.assert_allclose(y, expected[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["logaddexp", "logaddexp2"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1.0, 1e6, 3e7, 1e17, 1e30])
def test_the_weights_of_logaddexp_do_not_depend_on_the_size_of_both(name, dtype, size):
    """e^(a-y) of a rounded y was 1 for each of two equal numbers where eps·|a| > log 2."""
    f = getattr(np, name)
    x = np.array([size, size], dtype)
    for way in (tg.grad, lambda f: tg.jit(tg.grad(f))):
        np.testing.assert_array_equal(np.asarray(way(lambda x: f(x[0], x[1]))(x)), [0.5, 0.5])
