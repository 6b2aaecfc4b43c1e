"""Every operation on whole arrays: NumPy's values, right gradients of first and second order, lists of Values."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.special

import tinygrad_edu as tg
from tests import windows
from tests.examples import CALLS, COMPOSED, EXAMPLES, IDS, drawn
from tests.examples_linalg import LAPACK, NORMS, PACKED
from tinygrad_edu.core import operation
from tinygrad_edu.core.arrays.special_arrays import SCIPYS
from tinygrad_edu.errors import SettingError, ShapeError

each_call = pytest.mark.parametrize(("name", "call", "shapes"), CALLS, ids=IDS)
LOSSES = {
    "nll",
    "kl_div",
    "multi_margin",
    "mse",
    "mae",
    "huber",
    "bce",
    "bce_with_logits",
    "delta_rule",
    "hinge",
    "poisson",
    "cross_entropy",
}
ALONE = {"getitem", "put", "index_put", "softmax", "log_softmax", "logsumexp", "class_entropy"}
ALONE |= {*PACKED, *windows.FUNCTIONS} | LOSSES
OF_LOOPS = [call for calls in NORMS.values() for call, *_ in calls]  # norms that need no LAPACK


def put(x, index, shape):
    out = np.zeros(shape)
    np.add.at(out, index, x)
    return out


def bce_with_logits(z, t):
    p = 1.0 / (1.0 + np.exp(-z))
    return -np.mean(t * np.log(p) + (1.0 - t) * np.log1p(-p))


def cross_entropy(z, t):
    z, t = np.atleast_2d(z), np.eye(np.shape(z)[-1])[np.atleast_1d(t)] if np.asarray(t).dtype.kind == "i" else t
    return -np.mean(np.sum(t * scipy.special.log_softmax(z, axis=-1), axis=-1))


def class_entropy(z, index, divisor=1.0):
    return -np.sum(np.take_along_axis(scipy.special.log_softmax(z, axis=-1), index[..., None], -1)) / divisor


def nll(p, t, weight=None):
    w = np.ones(len(t)) if weight is None else weight[t]
    return -np.sum(w * p[np.arange(len(t)), t]) / np.sum(w)


def multi_margin(z, t, p=1, margin=1.0):
    each = [
        sum(max(0.0, margin - row[k] + x) ** p for j, x in enumerate(row) if j != k)
        for row, k in zip(z, t, strict=True)
    ]
    return np.mean(each) / z.shape[1]


def packed(u, s, v):
    return np.concatenate([u.T, s[:, None], v], axis=1)


def numpys(name):
    """NumPy's function, of linear algebra where that has one of the name alone."""
    return getattr(np, name, None) or getattr(np.linalg, name, None) or getattr(np.fft, name, None)


def index_put(x, value, index):
    y = x.copy()
    y[index] = value
    return y


class Reference:
    """NumPy and SciPy, and our own formula where they have none."""

    put, bce_with_logits, cross_entropy = map(staticmethod, (put, bce_with_logits, cross_entropy))
    delta_rule, bce = bce_with_logits, staticmethod(lambda p, t: bce_with_logits(np.log(p / (1.0 - p)), t))
    mae = staticmethod(lambda p, t: np.mean(np.abs(p - t)))
    huber = staticmethod(lambda p, t, delta=1.0: np.mean(scipy.special.huber(delta, p - t)))
    hinge = staticmethod(lambda p, t: np.mean(np.where(p * t < 1.0, 1.0 - p * t, 0.0)))
    poisson = staticmethod(lambda z, t: np.mean(np.exp(z) - t * z))
    softmax = staticmethod(lambda x, axis=-1: scipy.special.softmax(x, axis=axis))
    log_softmax = staticmethod(lambda x, axis=-1: scipy.special.log_softmax(x, axis=axis))
    logsumexp = staticmethod(scipy.special.logsumexp)
    entries_along, index_put = staticmethod(np.take_along_axis), staticmethod(index_put)
    log_abs_det = staticmethod(lambda x: np.linalg.slogdet(x)[1])
    lower_factor = staticmethod(np.linalg.cholesky)
    eigen_columns = staticmethod(lambda x: np.concatenate([np.linalg.eigh(x)[0][None], np.linalg.eigh(x)[1]]))
    singular_rows = staticmethod(lambda x: packed(*np.linalg.svd(x, full_matrices=False)))
    qr_rows = staticmethod(lambda x: np.concatenate(np.linalg.qr(x)))
    mse = staticmethod(lambda p, t: np.mean((p - t) ** 2))
    kl_div = staticmethod(lambda p, t: np.mean(t * (np.log(t) - p)))
    nll, multi_margin, class_entropy = map(staticmethod, (nll, multi_margin, class_entropy))

    def __getattr__(self, name):
        return windows.FUNCTIONS.get(name) or numpys(name)


NUMPY = Reference()


def results(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


def bent(call):
    """One number of a call, through a curve, so that linear operations have a second derivative too."""

    def f(*arrays):
        return sum(tg.ops.sum(tg.ops.sin(y)) for y in results(call(tg.ops, *arrays)))

    return f


def plain(y):
    return y.data if isinstance(y, (tg.Tensor, tg.Value)) else y


# Every entry of the tables


def test_no_operation_lacks_an_example():
    of_scipy = set(SCIPYS.values())  # tested in test_special_arrays.py
    assert tg.ops.array_operations().keys() - of_scipy == EXAMPLES.keys()
    assert operation.COMPOSED.keys() >= COMPOSED.keys()


@each_call
def test_values_are_numpys(name, call, shapes):
    arrays = drawn(shapes)
    expected = results(call(NUMPY, *arrays))
    for inputs in (arrays, list(map(tg.Tensor, arrays))):
        for y, e in zip(results(call(tg.ops, *inputs)), expected, strict=True):
            assert np.shape(y) == np.shape(e)
            np.testing.assert_allclose(plain(y), e, rtol=1e-13, atol=1e-15)


@each_call
def test_gradients_agree_with_central_differences(name, call, shapes):
    assert tg.gradcheck(bent(call), *drawn(shapes))


@each_call
def test_taylor_slope_is_two(name, call, shapes):
    assert tg.taylor_slope(bent(call), *drawn(shapes, seed=1)) >= 1.8


@each_call
def test_taylor_slope_of_the_derivative_is_two(name, call, shapes):
    arrays = drawn(shapes, seed=2)
    for i in range(len(arrays)):
        assert tg.taylor_slope(tg.grad(bent(call), i), *arrays) >= 1.8


@each_call
def test_float32_stays_float32(name, call, shapes):
    tensors = [tg.Tensor(x, requires_grad=True, dtype=np.float32) for x in drawn(shapes)]
    bent(call)(*tensors).backward()
    assert all(y.dtype == np.float32 for y in results(call(tg.ops, *tensors)))
    assert all(x.grad.dtype == np.float32 and x.grad.shape == x.shape for x in tensors)


@pytest.mark.parametrize(
    ("name", "call", "shapes"),
    [x for x in CALLS if x[0] not in LAPACK or x[1] in OF_LOOPS],
)
def test_arrays_of_values_give_the_same(name, call, shapes):
    """The functions run as ordinary NumPy code over Values: result and gradient of the tensor back end."""
    arrays = drawn(shapes, seed=3)
    tensors = [tg.Tensor(x, requires_grad=True) for x in arrays]
    values = [np.frompyfunc(tg.Value, 1, 1)(x) for x in arrays]  # for a 0-d array, the single Value
    outputs = [v for y in results(call(tg.ops, *values)) for v in (y.flat if isinstance(y, np.ndarray) else [y])]
    total = sum(map(tg.ops.sin, outputs), start=tg.Value(0.0))
    expected = bent(call)(*tensors)
    total.backward()
    expected.backward()
    assert total.data == pytest.approx(expected.item(), rel=1e-12)
    for v, t in zip(values, tensors, strict=True):
        np.testing.assert_allclose(
            [x.grad for x in np.atleast_1d(np.array(v, dtype=object)).flat], t.grad.ravel(), rtol=1e-10, atol=1e-13
        )


@pytest.mark.parametrize(("name", "call", "shapes"), [c for c in CALLS if c[0] not in ALONE])
def test_numpys_own_name_is_differentiable(name, call, shapes):
    numpy = SimpleNamespace(**{n: numpys(n) for n in (name, "where", "matrix_transpose", "tril", "diag")})
    tensors = [tg.Tensor(x, requires_grad=True) for x in drawn(shapes)]
    for y, e in zip(results(call(numpy, *tensors)), results(call(tg.ops, *tensors)), strict=True):
        assert isinstance(y, tg.Tensor) or name == "slogdet"  # the sign of slogdet is a plain number
        np.testing.assert_array_equal(plain(y), plain(e))


def test_lists_of_values_are_arrays_too():
    a, b = tg.Value(1.0), tg.Value(2.0)
    y = tg.ops.logsumexp([a, b])
    y.backward()
    assert type(y) is tg.Value
    assert a.grad == pytest.approx(1.0 / (1.0 + np.e))
    assert tg.ops.mean([[a, 1.0], [b, 2]]).data == 1.5
    assert tg.ops.cross_entropy([[a, b]], [1]).data == pytest.approx(np.log1p(np.exp(-1.0)))


# Shapes

PAIRS = [
    ((3, 1), (1, 4)),
    ((), (2, 3)),
    ((2, 3), ()),
    ((3,), (2, 3)),
    ((2, 1, 3), (4, 1)),
    ((1,), (5,)),
    ((1, 1), (3,)),
    ((0, 3), (1, 3)),
    ((0,), ()),
    ((2, 0), (2, 1)),
]


@pytest.mark.parametrize(("a", "b"), PAIRS)
@pytest.mark.parametrize("name", ["add", "sub", "mul", "div", "maximum"])
def test_broadcasting_is_undone_backward(name, a, b):
    x, y = drawn([a, b])
    f = getattr(tg.ops, name)
    p, q = tg.Tensor(x, requires_grad=True), tg.Tensor(y, requires_grad=True)
    f(p, q).sum().backward()
    assert (p.grad.shape, q.grad.shape) == (a, b)
    assert tg.gradcheck(lambda x, y: f(x, y).sin().sum(), x, y)
    assert tg.taylor_slope(tg.grad(lambda x, y: f(x, y).sin().sum()), x, y) >= 1.8


EMPTY = [
    (lambda x: x.sum(), (0, 3), ()),
    (lambda x: x.sum(axis=0), (0, 3), (3,)),
    (lambda x: x.prod(axis=0), (0, 3), (3,)),
    (lambda x: x.max(axis=1), (0, 3), (0,)),
    (lambda x: x.softmax(), (0, 3), (0, 3)),
    (lambda x: x.logsumexp(axis=1), (0, 3), (0,)),
    (lambda x: x.mean(axis=1), (0, 3), (0,)),
    (lambda x: x[:0], (2, 3), (0, 3)),
    (lambda x: x[np.zeros(2, dtype=bool)], (2, 3), (0, 3)),
    (lambda x: x @ np.ones((3, 2)), (0, 3), (0, 2)),
    (lambda x: x @ np.ones((0, 4)), (2, 0), (2, 4)),
    (lambda x: x.cumsum(), (0,), (0,)),
    (lambda x: x.reshape(3, 0), (0, 3), (3, 0)),
    (lambda x: tg.ops.concatenate([x, np.ones((1, 3))]), (0, 3), (1, 3)),
]


@pytest.mark.parametrize(("f", "shape", "expected"), EMPTY)
def test_empty_arrays_pass_through(f, shape, expected):
    x = tg.Tensor(np.ones(shape), requires_grad=True)
    y = f(x)
    y.sum().backward()
    assert y.shape == expected
    assert x.grad.shape == shape


def test_the_largest_of_nothing_is_an_error_with_the_shape():
    with pytest.raises(ShapeError, match=r"max of x \(0, 3\).*zero-size"):
        tg.Tensor(np.ones((0, 3))).max()


ZEROS = [np.array([0.0, 2.0, 3.0]), np.array([0.0, 2.0, 0.0]), np.array([[1.0, 0.0, 2.0], [3.0, 4.0, 5.0]])]


@pytest.mark.parametrize("axis", [None, -1])
@pytest.mark.parametrize("x", ZEROS)
def test_prod_has_the_right_gradients_at_zeros(x, axis):
    def f(x):
        return x.prod(axis=axis).sum()

    expected = np.array([np.prod(np.delete(np.atleast_2d(row), i)) for row in rows(x, axis) for i in range(row.size)])
    np.testing.assert_allclose(tg.grad(f)(x).ravel(), expected)
    assert tg.gradcheck(f, x)
    assert tg.gradcheck(tg.grad(f), x)


def rows(x, axis):
    return [x.ravel()] if axis is None else np.atleast_2d(x)


def test_ties_of_max_and_min_share_the_gradient():
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(tg.grad(lambda x: x.max())(x), [[0, 0.5, 0.5], [0, 0, 0]])
    np.testing.assert_allclose(tg.grad(lambda x: x.max(axis=1).sum())(x), [[0, 0.5, 0.5], [1 / 3] * 3])
    np.testing.assert_allclose(tg.grad(lambda x: x.min(axis=0, keepdims=True).sum())(x), [[1, 0, 0], [0, 1, 1]])


def test_an_index_read_twice_gets_its_gradient_twice():
    x = np.arange(3.0)
    np.testing.assert_array_equal(tg.grad(lambda x: x[[0, 0, 2]].sum())(x), [2.0, 0.0, 1.0])
    np.testing.assert_array_equal(tg.grad(lambda x: x[x > 0.5].sum())(x), [0.0, 1.0, 1.0])
    np.testing.assert_array_equal(tg.grad(lambda x: tg.ops.take(x, [[1, 1], [1, 0]]).sum())(x), [1.0, 3.0, 0.0])


# Losses


@pytest.mark.parametrize("target", [np.array([0, 1]), np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1, 0], [0, 1]])])
def test_cross_entropy_survives_logits_of_1000(target):
    """The first row is right by 2000, the second wrong by 2000."""
    z = np.array([[1000.0, -1000.0], [1000.0, -1000.0]])
    loss, gradient = tg.value_and_grad(lambda z: tg.ops.cross_entropy(z, target))(z)
    assert loss == 1000.0
    np.testing.assert_allclose(gradient, [[0.0, 0.0], [0.5, -0.5]])
    np.testing.assert_array_equal(tg.hessian(lambda z: tg.ops.cross_entropy(z, target))(z), 0.0)


def test_bce_survives_logits_of_1000():
    z, t = np.array([1000.0, -1000.0, 1000.0, -1000.0]), np.array([1.0, 0.0, 0.0, 1.0])
    loss, gradient = tg.value_and_grad(lambda z: tg.ops.bce_with_logits(z, t))(z)
    assert loss == 500.0
    np.testing.assert_allclose(gradient, [0.0, 0.0, 0.25, -0.25])
    np.testing.assert_array_equal(tg.hessian(lambda z: tg.ops.bce_with_logits(z, t))(z), 0.0)


def test_softmaxes_survive_1000_and_minus_infinity():
    x = np.array([1000.0, 0.0, -np.inf])
    np.testing.assert_array_equal(tg.ops.softmax(tg.Tensor(x)).data, [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(tg.ops.log_softmax(x), [0.0, -1000.0, -np.inf])
    assert tg.ops.logsumexp(tg.Tensor([-np.inf, -np.inf, 0.0])).item() == 0.0
    np.testing.assert_array_equal(tg.grad(lambda x: x.logsumexp())(x), [1.0, 0.0, 0.0])


def test_bad_targets_are_named():
    z = tg.Tensor(np.zeros((2, 3)))
    with pytest.raises(SettingError, match=r"class 3 is outside 0\.\.2: the logits have 3 columns"):
        tg.ops.cross_entropy(z, [0, 3])
    with pytest.raises(SettingError, match="class -1 is outside"):
        tg.ops.cross_entropy(z, [0, -1])
    with pytest.raises(ShapeError, match=r"logits of shape \(2, 3\) need integer classes of shape \(2,\)"):
        tg.ops.cross_entropy(z, [[0], [1]])
    with pytest.raises(ShapeError, match=r"differ in shape. Did you mean target.reshape\(2, 1\)"):
        tg.ops.mse(tg.Tensor(np.zeros((2, 1))), np.zeros(2))
