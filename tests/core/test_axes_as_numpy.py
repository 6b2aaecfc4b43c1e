"""What NumPy refuses is refused, eagerly and compiled: axes that are not there, truth values as axes, a lost "..."."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import Tensor
from tinygrad_edu.errors import OperandError, SettingError, ShapeError

X, V, M, T = (
    np.array(2.0), np.array([1.0, 2.0, 3.0]), np.arange(9.0).reshape(3, 3) + 0.5, np.arange(24.0).reshape(2, 3, 4),
)  # fmt: skip
REFUSED = {
    "mean of a number": (lambda x: np.mean(x, axis=0), X),
    "var": (lambda x: np.var(x, axis=0), X),
    "std": (lambda x: np.std(x, axis=-1), X),
    "average": (lambda x: np.average(x, axis=0), X),
    "median": (lambda x: np.median(x, axis=0), X),
    "quantile": (lambda x: np.quantile(x, 0.5, axis=(0,)), X),
    "sum": (lambda x: np.sum(x, axis=(0,)), X),
    "gradient": (lambda x: np.gradient(x, axis=0), X),
    "norm": (lambda x: np.linalg.norm(x, axis=0), X),
    "moveaxis": (lambda x: np.moveaxis(x, 0, 0), X),
    "squeeze": (lambda x: np.squeeze(x, axis=1), X),
    "swapaxes": (lambda x: np.swapaxes(x, 0, 0), X),
    "swapaxes of a third": (lambda x: np.swapaxes(x, 0, 2), M),
    "add.accumulate": (lambda x: np.add.accumulate(x), X),
    "maximum.accumulate": (lambda x: np.maximum.accumulate(x), X),
    "accumulate along all": (lambda x: np.multiply.accumulate(x, axis=None), M),
    "moveaxis of none": (lambda x: np.moveaxis(x, None, 0), M),
    "norm along none": (lambda x: np.linalg.norm(x, axis=()), M),
    "norm along three": (lambda x: np.linalg.norm(x, axis=(0, 1, 2)), T),
    "vecdot": (lambda x: np.vecdot(x, x, axis=None), M),
    "take_along_axis": (lambda x: np.take_along_axis(x, np.zeros((1, 1), int), axis=None), M),
    **{
        f"{name} axis=True": (lambda x, name=name: getattr(np, name)(x, axis=True), M)
        for name in ("sum", "mean", "prod", "max", "min", "std", "cumsum", "cumprod", "ptp", "nansum", "any")
    },
    "cumsum axis=1.0": (lambda x: np.cumsum(x, axis=1.0), M),
    "add.reduce axis=True": (lambda x: np.add.reduce(x, axis=True), M),
    "maximum.accumulate axis=True": (lambda x: np.maximum.accumulate(x, axis=True), M),
    "take axis=False": (lambda x: np.take(x, 0, axis=False), M),
    **{
        f"einsum {text}": (lambda x, text=text: np.einsum(text, x), x)
        for text, x in (("...->", V), ("...i->i", M), ("i...->i", M), ("...ij->ij", T), ("...ij->i", T))
    },
    "einsum of two": (lambda x: np.einsum("...i,...i->i", x, x), M),
}
ERRORS = (ShapeError, OperandError, TypeError)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_numpy_refuses(name):
    f, x = REFUSED[name]
    with pytest.raises((ValueError, TypeError)):
        f(x)
    with pytest.raises(ERRORS):
        f(Tensor(x))
    with without_numba(), pytest.raises((*ERRORS, tg.errors.TraceError)):
        tg.jit(f)(Tensor(x))


ALLOWED = {
    "sum of a number": (lambda x: np.sum(x, axis=0), X),
    "max of a number": (lambda x: np.max(x, axis=-1), X),
    "cumsum of a number": (lambda x: np.cumsum(x, axis=0), X),
    "squeeze of a number": (lambda x: np.squeeze(x, axis=-1), X),
    "mean of all": (lambda x: np.mean(x), X),
    "accumulate of a row": (lambda x: np.maximum.accumulate(x[::-1], axis=None), V),
    "einsum": (lambda x: np.einsum("...i->...", x), T),
    "einsum without arrow": (lambda x: np.einsum("...ii", x), M),
    "an ellipsis of no axes": (lambda x: np.einsum("...i->i", x), V),
    "axis of int64": (lambda x: np.sum(x, axis=np.int64(1)), M),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_what_numpy_allows(name):
    f, x = ALLOWED[name]
    np.testing.assert_allclose(np.asarray(f(Tensor(x)).data), f(x), rtol=1e-15)
    with without_numba():
        np.testing.assert_allclose(np.asarray(getattr(tg.jit(f)(Tensor(x)), "data", f(x))), f(x), rtol=1e-15)


@pytest.mark.parametrize("weights", [[1, -2, 1], [0, 0, 0], [1.5, -1.5, 0.0]])
@pytest.mark.parametrize("axis", [None, 0])
def test_weights_that_sum_to_zero(weights, axis):
    with pytest.raises(ZeroDivisionError):
        np.average(V, axis=axis, weights=weights)
    for given in (weights, Tensor(np.array(weights, float))):
        with pytest.raises(SettingError, match="the weights sum to 0"):
            np.average(Tensor(V), axis=axis, weights=given)
    with without_numba(), pytest.raises(SettingError, match="the weights sum to 0"):
        tg.jit(lambda x: np.average(x, axis=axis, weights=weights))(V)


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("n", range(1, 6))
@pytest.mark.parametrize("m", range(1, 6))
def test_correlate_of_all_sizes(n, m, mode):
    rng = np.random.default_rng(n + 10 * m)
    a, v = rng.normal(size=n), rng.normal(size=m)
    for f in (np.correlate, np.convolve):
        for given in ((Tensor(a), v), (a, Tensor(v)), (Tensor(a), Tensor(v))):
            np.testing.assert_allclose(f(*given, mode=mode).data, f(a, v, mode=mode), rtol=1e-12)
    g = rng.normal(size=np.correlate(a, v, mode).size)
    found = tg.grad(lambda v: np.sum(np.correlate(a, v, mode) * g))(v)
    steps = [np.sum((np.correlate(a, v + e, mode) - np.correlate(a, v - e, mode)) * g) / 2e-3 for e in 1e-3 * np.eye(m)]
    np.testing.assert_allclose(found, steps, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(("start", "length", "rows"), [(0, 2, [0, 1]), (-1, 1, [2]), (-3, 3, [0, 1, 2]), (3, 0, [])])
def test_narrow_as_pytorch(start, length, rows):
    assert np.array_equal(Tensor(M).narrow(0, start, length).data, M[rows])


@pytest.mark.parametrize("call", [
    lambda x: x.narrow(0, 3, 1), lambda x: x.narrow(0, -4, 1), lambda x: x.narrow(0, 2, 2),
    lambda x: x.narrow(0, 0, -1), lambda x: x.narrow(2, 0, 1), lambda x: x.select(2, 0), lambda x: x.unfold(2, 1, 1),
])  # fmt: skip
def test_parts_that_pytorch_refuses(call):
    with pytest.raises(ShapeError):
        call(Tensor(M))


@pytest.mark.parametrize("f", [lambda x, i: np.delete(x, i), lambda x, i: np.insert(x, i, 1.0)])
def test_places_that_a_trace_does_not_know(f):
    with without_numba(), pytest.raises((OperandError, tg.errors.TraceError), match="places are plain whole numbers"):
        tg.jit(f)(V, np.array([0, 1]))


@pytest.mark.parametrize("bad", [3, -4])
@pytest.mark.parametrize("put", [
    lambda x, i: tg.ops.put(Tensor(x), (np.array([0, 1]), i), shape=(2, 3)),
    lambda x, i: tg.ops.put(Tensor(x), (i, np.array([0, 1])), shape=(3, 2)),
    lambda x, i: tg.vmap(lambda i: tg.ops.put(Tensor(x), i, shape=(3,)))(i[None]),
    lambda x, i: tg.jit(lambda x, i: tg.ops.put(x, (np.array([0, 1]), i), shape=(2, 3)))(x, i),
])  # fmt: skip
def test_a_place_outside_of_the_zeros(put, bad):
    with without_numba():
        assert np.sum(put(np.array([2.0, 3.0]), np.array([0, 2]))).item() == 5.0
        with pytest.raises(ShapeError, match="out of"):
            put(np.array([2.0, 3.0]), np.array([0, bad]))
