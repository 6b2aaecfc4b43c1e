"""NumPy's array functions on 0-d, empty and size-1 arrays along every axis, there or not: its values or a ShapeError.

Every call also runs backward: the gradient has the shape of the array, whatever it is.
"""

import dis
import itertools
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import DetachedError, TinygradError

SHAPES = [(), (1,), (3,), (0,), (1, 1), (2, 3), (3, 3), (0, 3), (3, 0), (1, 3), (2, 1, 3), (0, 2, 3)]
AXES = [None, 0, 1, 2, -1, -2, -3]
PAIR, FOUR = np.array([1.0, 2.0]), np.array([1.0, 2.0, 3.0, 4.0])
WHOLE = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "ravel",
    "squeeze",
    "trace",
    "diagonal",
    "diag",
    "tril",
    "triu",
    "diagflat",
    "ediff1d",
    "nansum",
    "nanprod",
    "nan_to_num",
    "matrix_transpose",
    "fliplr",
    "flipud",
    "cov",
    "corrcoef",
    "floor",
    "ceil",
    "rint",
    "trunc",
    "fix",
    "sign",
    "cbrt",
    "exp2",
    "sinc",
    "degrees",
]
ALONG = [
    "sort",
    "cumsum",
    "cumprod",
    "ptp",
    "nansum",
    "nanmax",
    "nanmin",
    "nanmean",
    "nanvar",
    "nanstd",
    "std",
    "var",
    "mean",
    "max",
    "min",
    "sum",
    "prod",
    "flip",
]
CALLS = {n: lambda x, a, n=n: getattr(np, n)(x) for n in WHOLE} | {
    f"{n} along": lambda x, a, n=n: getattr(np, n)(x, axis=a) for n in ALONG
}
CALLS |= {
    "repeat": lambda x, a: np.repeat(x, 2, axis=a),
    "repeat 0": lambda x, a: np.repeat(x, 0, axis=a),
    "tile": lambda x, a: np.tile(x, (2, 1)),
    "tile 0": lambda x, a: np.tile(x, 0),
    "roll": lambda x, a: np.roll(x, 5, axis=a),
    "rot90": lambda x, a: np.rot90(x, 3),
    "quantile": lambda x, a: np.quantile(x, [0.0, 0.3, 1.0], axis=a),
    "median": lambda x, a: np.median(x, axis=a, keepdims=True),
    "partition": lambda x, a: np.partition(x, 0, axis=a),
    "diff": lambda x, a: np.diff(x, axis=-1 if a is None else a),
    "diff 2": lambda x, a: np.diff(x, 2, axis=-1 if a is None else a, prepend=1.0),
    "gradient": lambda x, a: np.gradient(x, axis=a),
    "trapezoid": lambda x, a: np.trapezoid(x, axis=-1 if a is None else a),
    "average": lambda x, a: np.average(x, axis=a),
    "expand_dims": lambda x, a: np.expand_dims(x, 0 if a is None else a),
    "rollaxis": lambda x, a: np.rollaxis(x, -1),
    "dstack": lambda x, a: np.dstack([x, x]),
    "column_stack": lambda x, a: np.column_stack([x, x]),
    "hstack": lambda x, a: np.hstack([x, x]),
    "vstack": lambda x, a: np.vstack([x, x]),
    "stack": lambda x, a: np.stack([x, x], axis=0 if a is None else a),
    "concatenate": lambda x, a: np.concatenate([x, x], axis=a),
    "append": lambda x, a: np.append(x, x, axis=a),
    "delete": lambda x, a: np.delete(x, [0, -1], axis=a),
    "insert": lambda x, a: np.insert(x, 1, 7.0, axis=a),
    "insert two": lambda x, a: np.insert(x, [0, 1], 7.0, axis=a),
    "array_split": lambda x, a: np.array_split(x, 2, axis=0 if a is None else a),
    "split": lambda x, a: np.split(x, [1], axis=0 if a is None else a),
    "hsplit": lambda x, a: np.hsplit(x, 1),
    "vsplit": lambda x, a: np.vsplit(x, 1),
    "dsplit": lambda x, a: np.dsplit(x, 1),
    "unstack": lambda x, a: np.unstack(x, axis=0 if a is None else a),
    "take": lambda x, a: np.take(x, [0, -1], axis=a),
    "meshgrid": lambda x, a: np.meshgrid(x, x),
    "broadcast_arrays": lambda x, a: np.broadcast_arrays(x, FOUR[:3]),
    "tensordot": lambda x, a: np.tensordot(x, x, 1),
    "tensordot 0": lambda x, a: np.tensordot(x, x, 0),
    "kron": lambda x, a: np.kron(x, x),
    "outer": lambda x, a: np.outer(x, x),
    "inner": lambda x, a: np.inner(x, x),
    "dot": lambda x, a: np.dot(x, x),
    "matmul": lambda x, a: np.matmul(x, x),
    "cross": lambda x, a: np.cross(x, x),
    "convolve": lambda x, a: np.convolve(x, PAIR, "same"),
    "convolve valid": lambda x, a: np.convolve(x, FOUR, "valid"),
    "einsum ij->ji": lambda x, a: np.einsum("ij->ji", x),
    "einsum ...->...": lambda x, a: np.einsum("...->...", x),
    "einsum i...->...": lambda x, a: np.einsum("i...->...", x),
    "einsum ii->i": lambda x, a: np.einsum("ii->i", x),
    "einsum ...j,...j->...": lambda x, a: np.einsum("...j,...j->...", x, x),
    "inv": lambda x, a: np.linalg.inv(x),
    "det": lambda x, a: np.linalg.det(x),
    "eigvalsh": lambda x, a: np.linalg.eigvalsh(x),
    "svdvals": lambda x, a: np.linalg.svdvals(x),
    "matrix_power": lambda x, a: np.linalg.matrix_power(x, 0),
    "norm": lambda x, a: np.linalg.norm(x, axis=a),
    "norm 1": lambda x, a: np.linalg.norm(x, 1, axis=a),
    "norm nuc": lambda x, a: np.linalg.norm(x, "nuc", axis=a),
    "interp": lambda x, a: np.interp(x, [0.0, 1.0], [1.0, 2.0]),
    "select": lambda x, a: np.select([x > 0.0, x < -1.0], [x, 2.0 * x], 0.0),
    "block": lambda x, a: np.block([[x], [x]]),
    "add.outer": lambda x, a: np.add.outer(x, x),
    "multiply.reduce": lambda x, a: np.multiply.reduce(x, axis=0 if a is None else a),
    "hypot": lambda x, a: np.hypot(x, 0.7),
    "mod": lambda x, a: np.mod(x, 0.7),
}
# Some of NumPy's reductions accept axis 0 for a number, and all of ours do; a median of nothing is refused, not NaN.
NUMBER = ("std", "var", "mean", "median", "quantile", "gradient", "average", "norm", "repeat", "take", "convolve")
STRICT = ("median", "quantile", "norm 1", "einsum ii->i")


def each(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


def outcome(f):
    try:
        return each(f()), None
    except Exception as error:
        return None, error


@pytest.mark.parametrize("name", CALLS)
def test_edges(name):
    f = CALLS[name]
    for shape in SHAPES:
        for axis in AXES if reads_axis(f) else [None]:
            check(name, f, shape, axis)


def reads_axis(f):
    return any(step.argval == "a" for step in dis.get_instructions(f) if step.opname == "LOAD_FAST")


def check(name, f, shape, axis):
    x = np.random.default_rng(0).uniform(-2.0, 2.0, shape)
    where = f"{name} of {shape}, axis {axis}"
    tensor = tg.Tensor(x, requires_grad=True)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected, refused = outcome(lambda: f(x, axis))
        found, error = outcome(lambda: f(tensor, axis))
    plain = name.split(" along")[0].startswith(NUMBER) and shape == ()
    if error is not None:
        assert isinstance(error, TinygradError), (where, error)
        assert refused is not None or plain or name in STRICT, (where, error)
        return
    if refused is not None:
        assert plain or (name == "average" and not x.size), (where, refused)
        return
    assert len(found) == len(expected), where
    for y, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.asarray(getattr(y, "data", y)), e, rtol=1e-10, atol=1e-12, err_msg=where)
        assert np.shape(y) == np.shape(e), where
    total = sum(tg.ops.sum(y) for y in found if isinstance(y, tg.Tensor))
    if isinstance(total, tg.Tensor):
        with np.errstate(all="ignore"):
            total.backward()
        assert tensor.grad.shape == shape, where


@pytest.mark.parametrize("columns", [0, 1, 2])
@pytest.mark.parametrize("rows", [0, 1, 3])
@pytest.mark.parametrize("front", [(), (0,), (1,), (3,), (2, 3), (3, 1, 2)], ids=str)
def test_products_of_stacks_with_empty_axes(front, rows, columns):
    """As NumPy's, forward and backward, whichever axis has no entries."""
    rng = np.random.default_rng(0)
    for inner, other in itertools.product((0, 1, 4), [(), front, (1,) * len(front)]):
        a, b = rng.normal(size=(*front, rows, inner)), rng.normal(size=(*other, inner, columns))
        A, B = tg.Tensor(a, requires_grad=True), tg.Tensor(b, requires_grad=True)
        y = A @ B
        np.testing.assert_allclose(y.data, a @ b, atol=1e-14)
        (y * y).sum().backward()
        assert (A.grad.shape, B.grad.shape) == (a.shape, b.shape)
        first, second = tg.hvp(lambda s, t: ((s @ t) ** 2).sum(), (a, b), (a, b))
        assert (first.shape, second.shape) == (a.shape, b.shape)


@pytest.mark.parametrize("indices", [True, np.True_, [True, False], np.array([[True], [False]]), 1, np.int64(2)])
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_truths_that_take_takes_are_1_and_0(indices, axis):
    """As in NumPy; x[mask] is what takes the entries where a mask is True."""
    x = np.arange(12.0).reshape(3, 4)
    found = np.take(tg.Tensor(x, requires_grad=True), indices, axis=axis)
    np.testing.assert_array_equal(found.data, np.take(x, indices, axis=axis))


def test_a_plain_table_by_indices_of_a_trace_says_what_to_write():
    table = np.arange(5.0)
    with pytest.raises(DetachedError, match=r"np\.take\(tg\.Tensor\(table\), i\)"):
        tg.jit(lambda i: np.take(table, i))(np.array([1.0, 2.0]))
    np.testing.assert_array_equal(np.take(table, np.array([1, 2])), [1.0, 2.0])
