"""Whole numbers that NumPy wraps round or keeps to the last digit, where floats do neither: refused, never rounded."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import DtypeError, TinygradError

X = np.array([0.5, 1.5, 2.5])
FUNCTIONS = {
    "product": lambda x, n: x * (n * n),
    "power": lambda x, n: x * n**3,
    "square": lambda x, n: x * np.square(n),
    "sum": lambda x, n: x * np.sum(n * 3),
    "prod": lambda x, n: x * np.prod(n),
    "cumsum": lambda x, n: x * np.cumsum(n),
    "dot": lambda x, n: x * np.dot(n, n),
    "einsum": lambda x, n: x * np.einsum("i,i", n, n),
    "dot with a number": lambda x, n: x * np.dot(n, 1000),
    "chosen": lambda x, n: x * np.where(n > 1, n * n, 0),
    "difference": lambda x, n: x * (n * n - n),
    "remainder": lambda x, n: x * ((n * n) % 1003),
    "comparison": lambda x, n: np.where(n * n == n * n - 1, x, 2.0 * x),
    "cast": lambda x, n: x * (n.astype(np.int64) + 2**20).astype(np.int32),
    "loop": lambda x, n: x * tg.scan(lambda s, r: (s * r, None), n[0], n)[0],
}
HELD = {
    "small": (np.array([3, 2, 1]), np.float64),
    "of 16 bits": (np.array([181, 5001, 7], np.int16), np.float32),
    "near 2**31": (np.array([2**31 - 1, 46341, -70000], np.int32), np.float64),
    "no sign": (np.array([65000, 5000, 2], np.uint32), np.float32),
    "near 2**40": (np.array([2**40, 3, -(2**33)]), np.float64),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays(name):
    f, agree = FUNCTIONS[name], 0
    for held, (n, dtype) in HELD.items():
        with without_numba():
            expected = f(X, n)
            try:
                found = tg.jit(f)(X.astype(dtype), n)
            except TinygradError:
                assert held != "small"
                continue
        np.testing.assert_allclose(found, expected, rtol=1e-6, err_msg=held)
        agree += 1
    assert agree


NUMBERS = {
    "product": (lambda x, n: x * (n * n), np.int64(2**33), np.int32(10**5), np.array(2**33), np.int8(100)),
    "remainder": (lambda x, n: x * ((n * n) % 1003), 10**9 + 7, np.int64(10**9)),
    "power": (lambda x, n: x * ((3**n) % 7), 50),
    "itself": (lambda x, n: x * (n % 7), 2**60 + 1),
}
AS_NUMPY = {("product", np.int8), ("power", int)}  # beside an array computed to the last digit: int8 wraps round, 3**50


@pytest.mark.parametrize("x", [0.5, X], ids=["number", "array"])
@pytest.mark.parametrize("name", NUMBERS)
def test_single_numbers(name, x):
    f, *given = NUMBERS[name]
    with without_numba():
        for n in given if x is X else [n for n in given if isinstance(n, int)]:
            if x is X and (name, type(n)) in AS_NUMPY:
                with np.errstate(over="ignore"):
                    np.testing.assert_array_equal(tg.jit(f)(x, n), f(x, n))
                continue
            with pytest.raises(DtypeError, match="whole numbers"):
                tg.jit(f)(x, n)
        np.testing.assert_allclose(tg.jit(f)(x, 3), f(x, 3))


def test_powers_of_a_number_that_happens_to_be_whole():
    f = tg.jit(lambda x: x**3 - 2 * x)
    with pytest.raises(DtypeError, match="too large"):  # Python's result is a whole number of 18 digits
        f(10**6)
    assert f(1e6) == 1e18 - 2e6
    assert f.value_and_grad(10**6) == (1e18 - 2e6, 3e12 - 2.0)


def test_a_loop_that_begins_with_whole_numbers():
    """Compiled: the state of a loop is kept as floats, and 5 as an int64 has the bytes of 2.5e-323."""

    def f(x, n):
        y, s = n, n
        for _ in range(60):
            y, s = np.tanh(y) * x + y * 0.1, (s * 3) % 1003
        return x * s + y

    n = np.array([5, 2, 3])
    np.testing.assert_allclose(tg.jit(f)(X, n), f(X, n))


ROUNDS = {  # (state, entry) -> (new state, what the round gives)
    "generator": lambda s, r: ((s * 1103515 + r) % (10**9 + 7), s % 7),
    "product": lambda s, r: ((s * r) % 1003, s * r % 10),
    "difference": lambda s, r: (s * r - s, s - r),
    "comparison": lambda s, r: (np.where(s * r == s * r - 1, s + r, s + 1), s),
    "small": lambda s, r: ((s * 3 + r) % 101, s),
    "becomes a float": lambda s, r: ((s * r) % 1003 * 0.5, s * 1.0),
}
WAYS = {  # body -> function of x, n and the entries
    "scan": lambda body: lambda x, n, r: join(x, *tg.scan(body, n, r)),
    "scan in scan": lambda body: lambda x, n, r: join(x, *tg.scan(lambda s, q: (tg.scan(body, s, r)[0], s), n, r)),
    "Python's loop": lambda body: lambda x, n, r: join(x, repeat(body, n, r[0]), n),
}


def join(x, state, outputs):
    return np.sum(x * state) + np.sum(x * np.sum(outputs, axis=0))


def repeat(body, state, entry):
    for _ in range(34):  # enough nodes to become a loop
        state = body(state, entry)[0]
    return state


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ROUNDS)
def test_inside_the_rounds_of_a_loop(name, way):
    """The states that leave the range in a round are back in it by the next: the result does not tell."""
    f, agree = WAYS[way](ROUNDS[name]), 0
    for n, r in [([1, 2, 3], [2, 3, 1, 2]), ([70001, 5, 3], [50021, 3, 2**40, 5]), ([2**40, 3, 5], [2**33, 7, 6, 5])]:
        for dtype in (np.float64, np.float32):
            x, given = X.astype(dtype), (np.array(n), np.array(r))
            with without_numba(), np.errstate(all="ignore"):
                try:
                    found, slope = tg.jit(f).value_and_grad(x, *given)
                except DtypeError:
                    continue
            np.testing.assert_allclose(found, f(x, *given), rtol=1e-5)
            np.testing.assert_allclose(slope, tg.grad(f)(x, *given), rtol=1e-5)
            agree += 1
    assert agree


def test_a_loop_of_whole_numbers_stays_a_loop():
    """Its numbers are counted round by round in one loop, not in as many lines as Python has made rounds."""

    def f(x, n):
        for _ in range(200):
            n = (n * 3 + 1) % 1003
        return x * n

    jitted, n = tg.jit(f), np.array([5, 2, 3])
    with without_numba():
        np.testing.assert_allclose(jitted(X, n), f(X, n))
    assert jitted.source.count("\n") < 100


WITHOUT_AXES = {
    "an array": lambda x, k: x * k,
    "made of numbers": lambda x, k: x * np.where(True, 2, k),
    "of an axis of length 1": lambda x, k: x * k.reshape(1).squeeze(),
    "power": lambda x, k: x**k,
    "maximum": lambda x, k: np.maximum(x, k),
    "clip": lambda x, k: np.clip(x, np.array(0), k),
}


@pytest.mark.parametrize("name", WITHOUT_AXES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_array_without_axes_is_a_number(name, dtype):
    x, k = X.astype(dtype), np.array(3)
    f = lambda x: WITHOUT_AXES[name](x, k)  # noqa: E731
    with without_numba():
        np.testing.assert_allclose(tg.jit(f)(x), f(x), rtol=1e-6)


def test_a_result_of_whole_numbers_is_exact_or_refused():
    made = lambda i: (i * 1103515245 + 12345) * 1103515245  # noqa: E731
    with without_numba():
        for f, x in ((made, np.ones(3, bool)), (lambda i: np.where(i > 0, 2**53 + 1, 0), np.ones(3))):
            with pytest.raises(TinygradError):
                tg.jit(f)(x)
        with pytest.raises(DtypeError, match="too large"):
            tg.jit(lambda x: x * x + 1)(2**30 + 1)
        assert repr(tg.jit(lambda x: x * x + 1)(2**20 + 1)) == repr((2**20 + 1) ** 2 + 1)
