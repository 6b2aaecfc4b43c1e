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
from tinygrad_edu.core.numpy_names import differentiable
from tinygrad_edu.errors import TinygradError

X = np.array([[1.0, -2.0, 0.5], [3.0, 0.0, -1.0], [0.3, 0.0, 2.0]])
OPERANDS = {
    "b": [X > 0.4, np.array([[True, False, True], [False, False, True], [True, True, True]]), X < 0.0],
    "i": [np.array([[3, 0, -2], [1, 2, 0], [-1, 2, 5]]), np.array([[2, 0, 1], [0, -3, 4], [1, 1, -2]]), np.eye(3, dtype=int)],
    "u": [np.array([[200, 3, 0], [255, 7, 128], [100, 1, 2]], np.uint8)] * 3,
    "f": [X, X.T, X + 1.0],
}  # fmt: skip
KINDS = ["b", "i", "u", "bb", "ii", "ib", "uf", "bbb", "fbb"]
NAMES = sorted({f.__name__: f for f in differentiable()}.items())
# Coordinates that are truth values, -inf beside nan, rounding at a step, int8 of a mask, float16 that overflows.
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
            except Exception:  # NumPy does not take these
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
    assert tried > 20 and refused < 0.6 * tried
