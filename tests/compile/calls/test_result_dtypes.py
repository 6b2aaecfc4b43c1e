"""Results of compiled functions have NumPy's dtypes: truth values are truth values, whole numbers whole numbers."""

from __future__ import annotations

import numpy as np
import pytest

import tinygrad_edu as tg

OF_FLOATS = {
    "comparison": lambda x: x > 1,
    "and": lambda x: (x > 1) & (x < 3),
    "not": lambda x: ~(x > 1),
    "isnan": np.isnan,
    "any": lambda x: np.any(x > 1),
    "count": lambda x: (x > 1).sum(),
    "where": lambda x: np.where(x > 1, 1, 0),
    "astype": lambda x: x.astype(bool),
    "one entry": lambda x: x[0] > 1,
    "floats": lambda x: x * 2,
    "mean": lambda x: (x > 1).mean(),
}
OF_WHOLE_NUMBERS = {
    "add": lambda n: n + 1,
    "half": lambda n: n * 0.5,
    "quotient": lambda n: n / 1,
    "floor": lambda n: n // 2,
    "sum": lambda n: n.sum(),
    "largest": lambda n: n.max(),
    "sign": np.sign,
    "abs": lambda n: np.abs(-n),
    "cumsum": np.cumsum,
    "product": lambda n: n @ n,
    "shape": lambda n: n[:, None],
    "stack": lambda n: np.stack([n, n]),
    "with floats": lambda n: np.concatenate([n, [1.5]]),
    "clip": lambda n: np.clip(n, 1, 2),
    "square": lambda n: n**2,
    "comparison": lambda n: n == 2,
}


def all_of(functions):
    return lambda x: {name: f(x) for name, f in functions.items()}


def refuse_differences(found, want):
    """The same numbers in the same dtypes; a single float may be Python's."""
    assert found.keys() == want.keys()
    for name, y in want.items():
        np.testing.assert_array_equal(found[name], y, err_msg=name)
        assert np.asarray(found[name]).dtype == np.asarray(y).dtype, name


@pytest.mark.parametrize(
    ("functions", "x"),
    [
        (OF_FLOATS, np.array([0.0, 2.0, 4.0])),
        (OF_FLOATS, np.array([0.0, 2.0], np.float32)),
        (OF_WHOLE_NUMBERS, np.array([1, 2, 3])),
        (OF_WHOLE_NUMBERS, np.array([3, 250], np.int32)),
    ],
    ids=["float64", "float32", "int64", "int32"],
)
def test_dtypes_of_results(functions, x):
    f = tg.jit(all_of(functions))
    for _ in range(2):
        refuse_differences(f(x), all_of(functions)(x))


def test_one_result_each_time():
    f = tg.jit(lambda x: x > 1)
    for x in np.array([[0.0, 2.0], [3.0, 1.0]]):
        assert f(x).dtype == bool
        np.testing.assert_array_equal(x[f(x)], x[x > 1])  # it is a mask


def test_a_comparison_of_closed_over_tensors_is_plain():
    W = tg.Tensor([1.0, 2.0], requires_grad=True)
    found = tg.jit(lambda x: x > W)(np.array([0.0, 3.0]))
    assert type(found) is np.ndarray
    assert found.tolist() == [False, True]


NUMBERS_BESIDE_ARRAYS = {
    "a double": (np.float64(1e-9), np.ones(2, np.float32)),
    "a single": (np.float32(1e-3), np.ones(2, np.float32)),
    "Python's float": (1e-9, np.ones(2, np.float32)),
    "a double without axes": (np.array(1e-9), np.ones(2, np.float32)),
    "Python's int": (2, np.arange(3)),
    "Python's int beside floats": (2, np.ones(2, np.float32)),
    "an int64": (np.int64(2), np.arange(3)),
    "a uint8": (np.uint8(10), np.array([250, 3], np.uint8)),
    "Python's int beside uint8": (10, np.array([250, 3], np.uint8)),
    "a truth value": (np.bool_(True), np.arange(3)),
    "0": (0, np.array([1, 0, 3])),
    "an int64 0": (np.int64(0), np.array([1, 0, 3])),
    "beside truth values": (3, np.array([True, False])),
}


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize(("number", "x"), list(NUMBERS_BESIDE_ARRAYS.values()), ids=list(NUMBERS_BESIDE_ARRAYS))
def test_a_number_beside_an_array_counts_as_in_numpy(number, x):
    """By its dtype, or as Python's: so 1 // 0 of whole numbers is 0, and a double beside singles keeps its digits."""

    def f(a, b):
        return {"sum": a + b - 1, "product": a * b, "less": a < b, "floor": b // a, "rest": b % a, "other": a // b}

    refuse_differences(tg.jit(f)(number, x), f(number, x))


def test_other_kinds_of_numbers_have_programs_of_their_own():
    f, x = tg.jit(lambda a, b: a * b), np.arange(3)
    for number in (2, 2.0, np.int64(2), np.float32(2.0), np.array(2), 2):
        refuse_differences({"y": f(number, x)}, {"y": number * x})


def test_numbers_that_do_not_fit_are_refused_as_by_numpy():
    f, x = tg.jit(lambda a, b: a + b), np.array([200, 3], np.uint8)
    refuse_differences({"y": f(x, 5)}, {"y": x + 5})
    for number in (-2, 300):
        with pytest.raises(tg.errors.TraceError, match="out of its bounds"):
            f(x, number)
    power, n = tg.jit(lambda a, b: a**b), np.arange(1, 4)
    refuse_differences({"y": power(n, 2)}, {"y": n**2})
    with pytest.raises(tg.errors.TraceError, match="below 0"):
        power(n, -1)
