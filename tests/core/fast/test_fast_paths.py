"""The operators and methods that are written out for speed: bit for bit what the general form computes."""

import math
import operator

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.methods.torch_arguments import OTHER_ARGUMENTS
from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.ops import TABLE

INF, NAN = math.inf, math.nan
NUMBERS = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -2.5, 3.0, 1e-300, 1e200, -1e200, 5e-324, 710.0, INF, -INF, NAN]
BINARY = {"add": tg.ops.add, "sub": tg.ops.sub, "mul": tg.ops.mul, "truediv": tg.ops.div, "pow": tg.ops.pow,
          "mod": tg.ops.mod, "floordiv": tg.ops.floor_divide}  # fmt: skip
UNARY = [x for x in TABLE.values() if len(x.parameters) == 1]


def same(a, b):
    """The same bits, but that one NaN is as good as another."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return a.shape == b.shape and bool(np.all((a == b) & (np.signbit(a) == np.signbit(b)) | ((a != a) & (b != b))))


def parts(y):
    return [y.data, [p.data for p in y.parents], list(y.partials)]


def agree(fast, general):
    for f, g in zip(parts(fast), parts(general), strict=True):
        assert same(f, g), (parts(fast), parts(general))
    assert fast.op is general.op


def square_or(operation, a, b):
    """x ** 2 is spelled square."""
    plain = b.__class__ in (int, float)
    return (tg.ops.square, (a,)) if operation is tg.ops.pow and plain and b == 2 else (operation, (a, b))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", BINARY)
def test_operators_of_values(name):
    fast, operation = getattr(operator, name), BINARY[name]
    for a in NUMBERS:
        for b in [*NUMBERS, 2, -3, 0, True]:
            x, z = tg.Value(a), tg.Value(float(b))
            agree(fast(x, z), tg.Value.__apply__(operation, (x, z)))
            agree(fast(x, b), tg.Value.__apply__(*square_or(operation, x, b)))
            agree(fast(b, x), tg.Value.__apply__(operation, (b, x)))


@pytest.mark.parametrize("row", UNARY, ids=lambda row: row.name)
def test_methods_of_values(row):
    for a in NUMBERS:
        x = tg.Value(a)
        fast = getattr(x, row.name)()
        if row.partials:
            agree(fast, tg.Value.__apply__(row, (x,)))


@pytest.mark.parametrize("name", BINARY)
def test_operators_of_tensors(name):
    fast, operation = getattr(operator, name), BINARY[name]
    a = np.array(NUMBERS)
    with np.errstate(all="ignore"):
        for other in [tg.Tensor(a[::-1].copy(), requires_grad=True), 2.0, 2, 0, -0.5, 3, True, a[::-1].copy()]:
            x = tg.Tensor(a, requires_grad=True)
            for y, (row, arguments) in [
                (fast(x, other), square_or(operation, x, other)),
                (fast(other, x), (operation, (other, x))),
            ]:
                expected = tg.Tensor.__apply__(row, arguments)
                assert same(y.data, expected.data)
                assert y.op is expected.op
                results = []
                for z in (y, expected):
                    x.grad = None
                    z.backward(np.ones_like(a))
                    results.append(x.grad)
                assert same(*results)


@pytest.mark.parametrize("x", [tg.Value(1.5), tg.Tensor([1.5])], ids=["Value", "Tensor"])
def test_a_name_of_the_table_is_a_method_with_its_formula(x):
    for row in TABLE.values():
        for name in (row.name, row.numpy_name):
            assert getattr(type(x), name).__doc__
            assert getattr(Operators, name).__doc__ == row.__doc__ or name in OTHER_ARGUMENTS


@pytest.mark.parametrize("mode", [tg.no_grad, tg.detect_anomaly])
def test_the_fast_forms_ask_for_the_mode(mode):
    for x in (tg.Value(0.5), tg.Tensor([0.5], requires_grad=True)):
        with mode():
            for y in (x + x, 2.0 * x, x / 2.0, x - 1, x**2, x**0.5, x.tanh(), -x, 1 / x):
                assert bool(y.parents) == (mode is not tg.no_grad)
        assert (x * 2.0).parents
    with pytest.raises(tg.errors.AnomalyError), tg.detect_anomaly():
        tg.Value(1.0) / 0.0


def test_modes_of_one_thread_do_not_last():
    from tinygrad_edu.core.modes import UNUSUAL

    with tg.no_grad(), tg.no_grad(), tg.detect_anomaly():
        assert UNUSUAL
    assert not UNUSUAL
    tg.grad(tg.grad(lambda x: x**3))(2.0)
    with pytest.raises(ZeroDivisionError), tg.no_grad():
        raise ZeroDivisionError
    assert not UNUSUAL


def test_a_whole_number_too_large_for_a_float_is_refused_in_words():
    for f in (lambda x: x * 10**400, lambda x: 10**400 - x, lambda x: x ** (10**400)):
        with pytest.raises(tg.errors.OperandError, match="larger"):
            f(tg.Value(1.0))


@pytest.mark.parametrize("x", [tg.Value(7.5), tg.Tensor([7.5, -7.5], requires_grad=True)], ids=["Value", "Tensor"])
def test_remainders(x):
    for divisor in (2, 2.0, -3.0):
        quotient, rest = divmod(x, divisor)
        np.testing.assert_allclose(quotient.data * divisor + rest.data, x.data)
        np.testing.assert_array_equal(quotient.data, np.floor_divide(x.data, divisor))
        np.testing.assert_array_equal((x % divisor).data, np.mod(x.data, divisor))
    np.testing.assert_allclose((20.0 % x).data, np.mod(20.0, x.data))
    np.testing.assert_allclose((20.0 // x).data, np.floor_divide(20.0, x.data))
