"""Single results have the class that the function itself gives them: Python's, NumPy's, or an array without axes."""

import json

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.compile import first_run
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.errors import TinygradError

FUNCTIONS = {
    "double": lambda x: x * 2,
    "square": lambda x: x**2,
    "as it is": lambda x: x,
    "sum": np.sum,
    "power": lambda x: np.power(x, 2),
    "where": lambda x: np.where(x > 1, x, 0),
    "asarray": lambda x: np.asarray(x) * 2,
    "sine": np.sin,
    "greater": lambda x: x > 1,
    "isnan": np.isnan,
    "isinstance": lambda x: x * 2 if isinstance(x, float) else x * 3,
    "type": lambda x: x * 2 if type(x) is float else x + 3,
    "in a dict": lambda x: {"a": x * 2, "b": np.sum(x), "name": "a"},
    "beside an array": lambda x: (x * 2, np.ones(3) * x),
    "of an array": lambda x: np.where(x > 1, np.sum(np.ones(3) * x), 0.0),
}
NUMBERS = {
    "int": 3,
    "float": 2.5,
    "float64": np.float64(2.5),
    "float32": np.float32(1.5),
    "int64": np.int64(3),
    "int32": np.int32(3),
    "int8": np.int8(3),
    "array": np.array(2.5),
    "array of float32": np.array(2.5, np.float32),
    "array of int64": np.array(3),
}


def kinds(tree):
    """Class, and dtype of an array; float64 of a single number is Python's float in results of a program."""
    each = [(float if type(y) is np.float64 else type(y), getattr(y, "dtype", None)) for y in tree_leaves(tree)]
    return [(kind, dtype if kind is np.ndarray else None) for kind, dtype in each]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_without_jit(name):
    """In any order of classes: each one's results are those of its own first call, also at the second."""
    f, refused = FUNCTIONS[name], 0
    for order in (list(NUMBERS.values()), list(NUMBERS.values())[::-1]):
        compiled = tg.jit(f)
        for x in order + order:
            with without_numba():
                try:
                    found = compiled(x)
                except TinygradError:  # such as powers of int8
                    refused += 1
                    continue
            assert kinds(found) == kinds(f(x)), repr(x)
    assert refused <= 8


def test_ints_beside_arrays_can_be_written_to_a_file():
    with without_numba():
        found = tg.jit(lambda d: {k: v * 2 for k, v in d.items()})({"b": 2, "a": np.ones(3)})
    assert json.dumps(found["b"]) == "4"


GRADIENTS = {"float": (3.0, float), "float32": (np.float32(3.0), float), "int": (3, float)} | {
    f"array of {name}": (np.array(3.0, name), np.ndarray) for name in ("float32", "float64")
}


@pytest.mark.parametrize("name", GRADIENTS)
@pytest.mark.parametrize("other", [np.ones(2), 1.5], ids=["beside an array", "alone"])
def test_a_gradient_is_an_array_where_the_argument_is_one(name, other):
    def f(a, b):
        return np.sum(a * 2.0) * b["b"] ** 2

    x, kind = GRADIENTS[name]
    compiled, expected = tg.jit(f), tg.grad(f, 1)(other, {"b": x})["b"]
    with without_numba():
        ways = [
            compiled.value_and_grad(other, {"b": x}, argnum=1)[1]["b"],
            compiled.value_and_grad(other, {"b": x}, argnum=(0, 1))[1][1]["b"],
            tg.jit(tg.grad(f, 1))(other, {"b": x})["b"],
        ]
    for found in ways:
        assert type(found) is type(expected) is kind
        assert np.asarray(found).dtype == np.asarray(expected).dtype
        np.testing.assert_allclose(found, expected)


def test_quick_calls_give_the_same_class():
    f, x = tg.jit(lambda x: np.where(x[0] > 1.0, x[1], 0.0)), np.array([2.0, 3.0])
    with without_numba():
        results = [f(x * k) for k in (1.0, 1.0, 0.1)]
    assert len(f.arrays.quick.known) == 1
    assert [type(y) for y in results] == [np.ndarray] * 3
    assert [y[()] for y in results] == [3.0, 3.0, 0.0]


REFUSED = {
    "powers of int8": (lambda x: x**2, np.int8(100)),
    "powers of uint8, divided": (lambda x: x**2 // 100, np.uint8(3)),
    "an attribute of NumPy's numbers": (lambda x: x * 2 if not hasattr(x, "nbytes") else x.nbytes * x, np.int16(3)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_of_that_class_of_arguments_alone(name):
    """Other classes are computed as if nothing had been refused, and the refused one is not let through later."""
    f, refused = REFUSED[name]
    compiled = tg.jit(f)
    with without_numba():
        for x in (refused, np.float32(1.5), np.int32(3), refused, np.array(3), 2.5, type(refused)(2), np.int64(3), 3):
            try:
                found = compiled(x)
            except TinygradError:
                continue
            assert kinds(found) == kinds(f(x)), repr(x)
            assert found == f(x), repr(x)
        if name.startswith("powers"):
            with pytest.raises(TinygradError, match="wrap round"):
                compiled(type(refused)(2))


def test_pythons_numbers_are_known_where_the_function_itself_is_not_run(monkeypatch):
    """It is not where that takes long."""

    def f(n, x):
        return {"next": n + 1, "half": n // 2, "less": n < 5, "rest": -n % 2, "sum": np.sum(n), "x": n * x}

    monkeypatch.setattr(first_run, "MOST_WORK", -1)
    for n in (3, np.int64(3), 2.5, np.float64(2.5)):
        compiled = tg.jit(f)
        with without_numba():
            assert [kinds(compiled(n, np.ones(2))) for _ in range(2)] == [kinds(f(n, np.ones(2)))] * 2, repr(n)
