"""Every NumPy function of the tables on truth values and whole numbers: compiled, and over a batch, as NumPy has it.

What comes out is added to itself, multiplied, divided with a remainder: True + True is True, 200 + 100 of uint8 is 44.
NumPy's float16 (np.sqrt of a mask) is not imitated: those results are compared to three digits. What NumPy does and a
program cannot is refused by name.
"""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.core.numpy_protocol.names import differentiable
from tinygrad_edu.errors import DtypeError, TinygradError, TraceError

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0], [0.3, 0.0, 2.0]])
OPERANDS = {
    "b": [X > 0.4, np.array([[True, False, True], [False, False, True], [True, True, True]]), X < 0.0],
    "i": [np.array([[3, 0, -2], [1, 2, 0], [-1, 2, 5]]), np.array([[2, 0, 1], [0, -3, 4], [1, 1, -2]]), X.astype(int)],
    "u": [np.array([[200, 3, 0], [255, 7, 128], [100, 1, 2]], np.uint8)] * 3,
    "f": [X, X.T, X + 1.0],
}  # fmt: skip
KINDS = ["b", "i", "u", "bb", "ii", "ib", "uf", "bbb", "fbb"]
NAMES = sorted({f.__name__: f for f in differentiable()}.items())
# These differ: boolean coordinates, -inf beside nan, rounding at a jump, int8 from a mask, float16 that overflows.
LEFT = {"gradient", "linspace", "conjugate", "exp", "exp2", "expm1", "cosh", "sinh", "rad2deg", "degrees", "hypot"}


def afterwards(found):
    """What a program does next with truth values, whole numbers or floats."""
    results = []
    for r in found if isinstance(found, (tuple, list)) else [found]:
        results += [r + r, r * 1.0 + r, r / 2 + r * r, np.where(r > 0, r, r) * 3 // 2]
    return tuple(results)


def cases(names):
    """Matrices, or rows for what takes no matrices; of the kinds every other one, in turn."""
    for (n, (name, f)), (k, kinds) in itertools.product(enumerate(names), enumerate(KINDS)):
        if (n + k) % 2:
            continue
        matrices = [OPERANDS[k][i] for i, k in enumerate(kinds)]
        for operands in (matrices, [x[0] for x in matrices]) if name not in LEFT else ():
            try:
                expected = afterwards(f(*[x.copy() for x in operands]))
            except Exception:  # NumPy refuses these operands
                continue
            yield name, f, operands, expected
            break


def compare(name, kinds, found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        narrow = np.asarray(b).dtype in (np.float16, np.float32)
        np.testing.assert_allclose(
            np.asarray(a, float), np.asarray(b, float), rtol=5e-3 if narrow else 1e-9, atol=5e-3 if narrow else 1e-9,
            err_msg=f"{name} of {kinds}",
        )  # fmt: skip


@pytest.mark.parametrize("part", [pytest.param(i, marks=[pytest.mark.slow] if i else []) for i in range(6)])
def test_compiled_functions(part):
    tried = refused = 0
    for name, f, operands, expected in cases(NAMES[part::6]):
        tried += 1
        try:
            with without_numba():
                found = tg.jit(lambda *xs, f=f: afterwards(f(*xs)))(*operands)
        except TinygradError:
            refused += 1
            continue
        compare(name, [x.dtype for x in operands], found, expected)
    assert tried > 20
    assert refused < 0.6 * tried


WHOLE = np.array([3, 2, 0, -5])
MORE = {
    "a quotient and a half": lambda i, x: (i // 2 + i / 2) * x,
    "a remainder": lambda i, x: i % 3 * x + np.fmod(i, 3) + divmod(i, -2)[0],
    "by 0": lambda i, x: (7 // i + 7 % i) * x,
    "squares": lambda i, x: i**2 / 3 + 2 ** np.abs(i) * x,
    "truth values as whole numbers": lambda i, x: (
        (x > 0).astype(int) + (i > 0).astype(np.int64) + (i > 2).astype(float)
    ),
    "whole numbers as truth values": lambda i, x: (i.astype(bool) + i.astype(bool)) * x,
    "cut to 8 bits": lambda i, x: (i.astype(np.uint8) + np.uint8(3)) * x,
    "in a loop": lambda i, x: tg.scan(lambda s, e: (s + e // 2, s % 2), 0, i * 3)[0] * x,
    "a state that becomes a float": lambda i, x: tg.scan(lambda s, e: (s / 2 + e, s), 1, i)[1] + x,
    "stacked": lambda i, x: np.stack([i // 2, i > 0]).max(axis=0) / 2 + np.concatenate([i, x > 0])[:4] // 2 * x,
    "chosen": lambda i, x: np.where(x > 0, i, x > 1) // 2 + np.where(i > 0, x > 0, i > 1) * 1.0,
    "a gradient": lambda i, x: tg.grad(lambda w: ((i // 2 + (w > 0)) * w**2 / (i * i + 1)).sum())(x),
    "over a batch": lambda i, x: tg.vmap(lambda k, v: (k // 2 + k / 2) * v + (v > 0) + (k > 0))(i, x),
}


@pytest.mark.parametrize("name", MORE)
def test_programs(name):
    x = np.array([0.5, -1.0, 2.0, 0.0])
    with np.errstate(all="ignore"), without_numba():
        expected, found = MORE[name](WHOLE, x), tg.jit(MORE[name])(WHOLE, x)
    np.testing.assert_allclose(np.asarray(found, float), np.asarray(expected, float))


@pytest.mark.parametrize(
    "f",
    [
        lambda i: -(i > 0) * 1.0,
        lambda i: (i > 0) - (i > 1),
        lambda i: i**-1,
        lambda i: np.reciprocal(i),
        lambda i: i << 1,
        lambda i: i.astype(np.uint32) - 1,
        lambda i: i.astype(np.uint8) @ i.astype(np.uint8),
        lambda i: (i / 2).astype(int),
    ],
)
def test_what_numpy_refuses_or_cuts_off_is_refused(f):
    with without_numba(), pytest.raises(TraceError):
        tg.jit(f)(WHOLE)


ONES = np.ones(2, np.float32)


# int64 beside an array of float32 is float64, beside a Tensor it is float32
@pytest.mark.parametrize(("x", "limit"), [(np.ones(2), 2**53), (ONES, 2**53), (tg.Tensor(ONES), 2**24)])
def test_whole_numbers_that_floats_would_round(x, limit):
    most = np.array([limit, -limit])
    with without_numba():
        f = tg.jit(lambda x, i: x * (i - i // 2 + 1))
        assert f(x, most).tolist() == [limit // 2 + 1, 1 - limit // 2]
        with pytest.raises(DtypeError, match="whole numbers from"):
            f(x, most * 2 + 1)
        with pytest.raises(DtypeError, match="whole numbers from"):
            tg.jit(lambda x: x * (most * 2 + 1))(x)
        with pytest.raises(DtypeError, match="whole numbers from"):
            tg.jit(lambda x, n: x * (n % 10))(x, 2**53 + 1)
        tg.jit(lambda x, i: x[i])(x, np.array([0, 1]))  # an index


BESIDE = {
    "the largest": lambda x: (x * np.max(x > 0.2, axis=0)).sum(),
    "a size": lambda x: (x * np.abs(x > 0.2) ** 2).sum(),
    "a mean": lambda x: (x * np.mean(x > 0.2) + np.cumsum(x > 0.0)).sum(),
    "a product": lambda x: (x * ((x > 0.2) @ (x > 0.0))).sum(),
    "no number": lambda x: np.sum(np.where(np.any(x > 3.0), x, 2.0 * x) * np.prod(x > -9.0)),
}


@pytest.mark.parametrize("name", BESIDE)
def test_no_gradient_flows_through_truth_values(name):
    f, rows = BESIDE[name], X
    expected = np.stack([tg.grad(f)(row) for row in rows])
    with without_numba():
        for way in (tg.vmap(tg.grad(f)), tg.jit(tg.vmap(tg.grad(f))), tg.vmap(tg.jit(tg.grad(f)))):
            np.testing.assert_allclose(way(rows), expected)
        np.testing.assert_allclose(tg.jit(tg.grad(f))(rows[0]), expected[0])
