"""Options and idioms of NumPy that are made of operations: where=, initial=, dtype=, modes, running maxima, divmod."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import DetachedError, DtypeError, OperandError, UnsupportedNumpyError

A = np.random.default_rng(0).uniform(-2.0, 2.0, (3, 4))
B = A[0, :3].copy()
MASK = A > -0.7

IDIOMS = {
    "sum dtype": lambda x: np.sum(x, dtype=np.float64),
    "mean dtype": lambda x: np.mean(x, axis=0, dtype="f8"),
    "cumsum dtype": lambda x: x.cumsum(axis=0, dtype=float),
    "sum where": lambda x: np.sum(x, axis=1, where=MASK),
    "sum where, positions": lambda x: np.sum(x, 0, None, None, True, 0.5, MASK),
    "sum of one condition a column": lambda x: x.sum(where=MASK[0]),
    "prod where": lambda x: np.prod(x, axis=0, where=MASK, initial=2.0),
    "mean where": lambda x: np.mean(x, axis=0, where=MASK, keepdims=True),
    "mean where, method": lambda x: x.mean(where=MASK),
    "var where": lambda x: np.var(x, axis=1, where=MASK, ddof=0.5),
    "var correction": lambda x: np.var(x, axis=0, where=MASK, correction=0.5),
    "std where": lambda x: x.std(where=MASK),
    "max initial": lambda x: np.max(x, axis=0, initial=0.25),
    "max where": lambda x: x.max(axis=1, where=MASK, initial=-9.0),
    "min where": lambda x: np.min(x, where=MASK, initial=9.0),
    "sum initial": lambda x: x.sum(axis=0, initial=2.0),
    **{
        f"pad {mode}": lambda x, mode=mode: np.pad(x, ((1, 2), (0, 3)), mode)
        for mode in ("edge", "reflect", "symmetric", "wrap")
    },
    "pad 1": lambda x: np.pad(x, 1, mode="reflect"),
    "take wrap": lambda x: np.take(x, [5, -1, 2], axis=1, mode="wrap"),
    "take clip": lambda x: x.take([50, -1, 2], mode="clip"),
    "maximum.accumulate": lambda x: np.maximum.accumulate(x),
    "minimum.accumulate": lambda x: np.minimum.accumulate(x, axis=1),
    "divmod": lambda x: divmod(x, 0.75)[1],
    "np.divmod": lambda x: np.divmod(x, 0.75)[0] + np.divmod(x, 0.75)[1],
    "cumulative_sum": lambda x: np.cumulative_sum(x, axis=1, include_initial=True),
    "compress": lambda x: np.compress([True, False, True], x, axis=0),
    "extract": lambda x: np.extract(MASK, x),
    "logspace": lambda x: np.logspace(x[0], x[1], 5, base=2.0),
    "astype": lambda x: x.astype(float, order="C", casting="safe", copy=False),
    "reshape": lambda x: x.reshape(np.array([4, 3])),
    "np.reshape": lambda x: np.reshape(x, np.array([2, -1])),
    "view": lambda x: x.view(),
}


@pytest.mark.parametrize("name", IDIOMS)
def test_values_and_gradients(name):
    f = IDIOMS[name]
    weights = np.linspace(0.5, 1.5, np.size(f(A))).reshape(np.shape(f(A)))
    loss = lambda x: np.sum(f(x) * weights)  # noqa: E731
    with without_numba():
        compiled = tg.jit(f)(A)
    for found in (f(tg.Tensor(A)).data, compiled, tg.vmap(f)(np.stack([A, A]))[1]):
        np.testing.assert_allclose(found, f(A), rtol=1e-12)
    steps = np.eye(A.size).reshape(-1, *A.shape) * 1e-6
    slopes = np.reshape([(loss(A + step) - loss(A - step)) / 2e-6 for step in steps], A.shape)
    np.testing.assert_allclose(tg.grad(loss)(A), slopes, rtol=1e-6, atol=1e-7)
    with without_numba():
        np.testing.assert_allclose(tg.jit(loss).value_and_grad(A)[1], slopes, rtol=1e-6, atol=1e-7)


def test_i0():
    np.testing.assert_allclose(np.i0(tg.Tensor(A)).data, np.i0(A), rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sum where", "mean where", "max initial", "pad edge", "cumulative_sum", "std where"])
def test_the_dtype_is_kept(name, dtype):
    x = A.astype(dtype)
    assert tg.Tensor(x).dtype == IDIOMS[name](tg.Tensor(x)).dtype == dtype


def test_what_is_refused_says_what_to_write():
    x = tg.Tensor(A, requires_grad=True)
    refused = {
        "without dtype it has one": (UnsupportedNumpyError, lambda: np.sum(x, dtype=int)),
        "needs initial=": (OperandError, lambda: np.max(x, where=MASK)),
        r"use y = x.clip\(...\)": (DetachedError, lambda: x.clip(0.0, 1.0, out=A)),
        r"use y = x.round\(...\)": (DetachedError, lambda: x.round(1, out=A)),
        r"np.pad\(mode='reflect'\) has no derivative": (
            UnsupportedNumpyError,
            lambda: np.pad(x, 1, mode="reflect", reflect_type="odd"),
        ),
        r"np.var\(where=": (UnsupportedNumpyError, lambda: np.var(x, where=MASK, mean=0.0)),
        "V = np.vander": (UnsupportedNumpyError, lambda: np.polyfit(A[0], x[0], 2)),
        r"write np.sort\(x\)": (OperandError, lambda: x.sort(kind="stable")),
        "that rule does not allow it": (DtypeError, lambda: x.astype("float32", casting="safe")),
    }
    for words, (kind, call) in refused.items():
        with pytest.raises(kind, match=words):
            call()
    assert (x.item(3), x.item(1, 1)) == (A.item(3), A.item(1, 1))


@pytest.mark.parametrize("name", ["flat", "real", "conj", "compress", "searchsorted"])
def test_a_compiled_function_gives_the_same_hint(name):
    with pytest.raises(AttributeError, match=r"Write .*") as eager:
        getattr(tg.Tensor(A), name)
    with without_numba(), pytest.raises(tg.errors.TraceError) as compiled:
        tg.jit(lambda x: getattr(x, name))(A)
    assert str(eager.value).partition(". Write ")[2] in str(compiled.value)
