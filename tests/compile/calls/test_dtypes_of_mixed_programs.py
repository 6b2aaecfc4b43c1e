"""Random programs of NumPy's dtypes: the compiled function gives NumPy's numbers in NumPy's dtypes, or refuses by name.

Truth values, whole numbers of 8 to 64 bits, float32 and float64 meet as arrays, as arrays and numbers without axes, and
as Python's numbers, given and closed over. With a number on the command line, this file runs as many programs.
"""

import random
import sys
import warnings
from unittest import mock

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.compile.backend import compiler

DTYPES = (np.bool_, np.uint8, np.int32, np.int64, np.float32, np.float32, np.float64)
LITERALS = (
    "2",
    "-3",
    "0.5",
    "1.1",
    "np.float64(1.1)",
    "np.float32(0.3)",
    "np.int64(3)",
    "np.sqrt(64)",
    "np.array(0.7)",
)
UNARY = """-{a}|np.abs({a})|{a} * 1.1|{a} / 3|{a} // 2|{a} % 2|{a} ** 2|{a} ** np.float64(2.0)|{a} / np.sqrt(64)
np.sqrt(np.abs({a}) + 1)|np.exp({a} * 0.1)|np.sum({a})|np.mean({a})|np.max({a})|np.cumsum({a})|{a} * np.float64(1.0)
{a}.astype(np.float32)|{a}.astype(np.float64)|{a} > 0.1|{a} == 0.1|np.where({a} > 1, 2, {a})|np.clip({a}, 0, 1)
np.zeros_like({a}) + 1|{a} * len(x)|np.stack([{a}, {a}])|np.var({a})"""
BINARY = """{a} + {b}|{a} - {b}|{a} * {b}|{a} / {b}|{a} // {b}|{a} % {b}|{a} < {b}|{a} == {b}|np.maximum({a}, {b})
np.where({a} > {b}, {a}, {b})|np.where({a} > 0, {b}, np.float32(0))|np.dot({a}, {b})|{a} ** {b}|np.hypot({a}, {b})"""


def numbers(draw, dtype, shape):
    whole = np.array([draw.randint(0 if dtype in (np.bool_, np.uint8) else -4, 6) for _ in range(3)])
    values = whole if np.dtype(dtype).kind != "f" else whole / 3 + 0.1
    return values.astype(dtype) if shape else np.array(values[0], dtype)


def operand(draw):
    """An array, an array without axes, a number of NumPy's, or one of Python's."""
    x = numbers(draw, draw.choice(DTYPES), draw.random() < 0.5)
    return x if draw.random() < 0.6 else x[()] if draw.random() < 0.7 else draw.choice([2, -1, 0.3])


def program(seed):
    """The function, its text and its arguments."""
    draw = random.Random(seed)
    names, lines = ["x", "y", "c", "d"], []
    for i in range(draw.randint(1, 4)):
        form = draw.choice([line for text in (UNARY, BINARY) for line in text.replace("\n", "|").split("|")])
        a, b = f"v{i - 1}" if i else "x", draw.choice([*names, *LITERALS])
        a, b = (a, b) if draw.random() < 0.5 or "{b}" not in form else (b, a)
        lines.append(f"    v{i} = {form.format(a=f'({a})', b=f'({b})')}")
        names.append(f"v{i}")
    text = "\n".join(["def f(x, y):", *lines, f"    return v{len(lines) - 1}"])
    space = {"np": np, "c": operand(draw), "d": operand(draw)}
    exec(text, space)
    return space["f"], text, (numbers(draw, draw.choice(DTYPES), True), operand(draw))


def outcome(f, arguments):
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            return f(*[np.array(x) if isinstance(x, np.ndarray) else x for x in arguments])
        except Exception as error:
            return error


def compare(seed):
    """ "" where both agree, "refused" where the compiled function refuses by name; else what differs."""
    f, text, arguments = program(seed)
    expected, found = outcome(f, arguments), outcome(tg.jit(f), arguments)
    if isinstance(found, Exception):
        named = isinstance(found, tg.errors.TinygradError)
        return (
            ("refused" if named and not isinstance(expected, Exception) else "")
            if named or isinstance(expected, Exception)
            else f"{found!r}\n{text}"
        )
    if isinstance(expected, Exception):
        # Python's numbers among the arguments have more methods in a program, and np.concatenate takes them
        harmless = isinstance(expected, (AttributeError, np.exceptions.AxisError))
        return "" if harmless else f"{expected!r}, but {found!r}\n{text}"
    want, got = np.asarray(expected), np.asarray(found)
    if want.dtype != got.dtype or want.shape != got.shape:
        return f"{want.dtype}, but {got.dtype}\n{text}\n{arguments}"
    low = any(np.asarray(x).dtype == np.float32 for x in (got, *arguments)) or "float32" in text
    size = np.max(np.abs(want[np.isfinite(want)].astype(float)), initial=1.0)
    near = np.allclose(got, want, 1e-5 if low else 1e-12, size * (1e-5 if low else 1e-12), equal_nan=True)
    return "" if near else f"{want}, but {got}\n{text}\n{arguments}"


def differences(seeds):
    found = {seed: compare(seed) for seed in seeds}
    return {seed: what for seed, what in found.items() if what not in ("", "refused")}, list(found.values())


def test_as_numpy():
    with without_numba():
        wrong, found = differences(range(50))
    assert not wrong, next(iter(wrong.values()))
    assert found.count("refused") < 17


def test_without_a_compiler():
    """The NumPy form, which computes operation by operation where all arguments are floats."""
    with mock.patch.object(compiler, "missing", return_value="it is hidden"), without_numba():
        wrong, _ = differences(range(1000, 1020))
    assert not wrong, next(iter(wrong.values()))


N, REFUSED = np.array([-2, 0, 3]), (tg.errors.TraceError, tg.errors.DtypeError)


@pytest.mark.parametrize(
    ("f", "arguments", "error"),
    [
        (lambda n: n**n, (N,), REFUSED),
        (lambda n, m: n**m, (np.int64(2), np.int64(-1)), ValueError),  # of NumPy, as without jit
        (lambda n, m: n + m, (np.uint8(2), -1), OverflowError),
        (np.sqrt, (np.array([3], np.uint8),), REFUSED),
    ],
    ids=["exponents", "an exponent", "out of bounds", "float16"],
)
def test_what_is_refused(f, arguments, error):
    with without_numba(), pytest.raises(error):
        tg.jit(f)(*arguments)


def test_whole_numbers_have_one_zero():
    with without_numba():
        assert tg.jit(lambda n: np.arctan2(n % 2, -1))(N).tolist() == np.arctan2(N % 2, -1).tolist()


EXPONENTS = (2, 3, 1.0, 2.0, 3.0, 0.5, -1.0, np.int64(2), np.float64(2.0), np.float32(2.0))


@pytest.mark.parametrize("dtype", [np.bool_, np.int32, np.uint64])
@pytest.mark.parametrize("transform", [tg.jit, tg.vmap])
def test_powers_beside_float32_have_numpys_dtypes(transform, dtype):
    """b**2.0 of truth values was float32 in a program with a float32 array, and np.power(b, 2) was int8 as b**2 is."""

    def powers(n, x):
        return [power(n, k) for k in EXPONENTS for power in (np.power, lambda n, k: n**k)], x + 1

    n, x = np.array([1, 0, 1]).astype(dtype), np.ones(3, np.float32)
    with np.errstate(all="ignore"), without_numba():
        expected, found = powers(n, x), transform(powers)(n, x)
    assert [y.dtype for y in found[0]] == [y.dtype for y in expected[0]]
    np.testing.assert_array_equal(found[0], expected[0])


def test_whole_numbers_of_which_numpy_makes_floats():
    """NumPy's text about the dtype, "Invalid integer data type 'f'", was the error."""
    u = np.arange(5, dtype=np.uint8)
    f = lambda u: (np.int64(3) + np.sum(u), (np.sum(u) - np.int64(30)) % 7, np.cumsum(u) * np.int32(2))  # noqa: E731
    with without_numba():
        found = tg.jit(f)(u)
    for a, b in zip(found, f(u), strict=True):
        assert np.asarray(a).dtype == b.dtype
        np.testing.assert_array_equal(a, b)


if __name__ == "__main__":
    with without_numba():
        wrong, found = differences(range(int(sys.argv[1])))
    print(len(found), "programs,", found.count("refused"), "refused,", len(wrong), "differ")
    for seed, what in wrong.items():
        print("##", seed, what)
