"""jit: what is refused while a function is traced, and what a call finds out anew, checks and keeps."""

import gc
import tracemalloc

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import normal, without_numba
from tests.core.operations.test_table import ROWS
from tinygrad_edu import Tensor, Value, jit, ops
from tinygrad_edu.errors import DtypeError, OperandError, ShapeError, TraceError

# decisions that depend on numbers

W, V = Tensor(normal(3), requires_grad=True), Value(1.0)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if V > 0.0 else -x,
        lambda x: x if ops.maximum(V, x) > 0.0 else -x,
        lambda x: x if V * 2.0 > 1.0 else -x,
        lambda x: x if V else -x,
        lambda x: x and V,
        lambda x: x if x.data > 0.0 else -x,
        lambda x: x * (x * V).data,
        lambda x: x * (V + 1.0).item(),
    ],
)
def test_a_decision_by_a_value_is_refused(f):
    with pytest.raises(TraceError, match=r"tg\.ops\.where\(condition, a, b\)"):
        jit(f)(1.0)
    assert V.data == 1.0
    assert V


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if W[0] > 0.0 else -x,
        lambda x: x if ops.sum(W) else -x,
        lambda x: x if ops.sum(W * x) else -x,
        lambda x: x if Tensor(1.0) else -x,
    ],
)
def test_a_decision_by_a_tensor_is_refused(f):
    with pytest.raises(TraceError, match=r"tg\.ops\.where\(condition, a, b\)"):
        jit(f)(normal(3))
    assert Tensor(1.0)


def test_the_shape_of_a_value_may_be_asked_for():
    f = jit(lambda x: x * (1.0 + np.ndim(x)) * np.size(x) + len(np.shape(x)))
    assert f(3.0) == 3.0
    assert np.shape(Value(2.0)) == ()


# The source of functions of numbers


def test_a_gradient_of_zero_stays_zero_in_the_source_too():
    f = jit(lambda x: ops.where(x > 0.0, ops.log(x), 0.0) + ops.where(x > 0.0, x**0.5, 0.0) + x * 3.0)
    assert f.value_and_grad(0.0) == (0.0, 3.0)
    space = {name: lambda *x, row=row: row.on_floats(*map(np.float64, x)) for name, row in ROWS.items()}
    exec(f.source, space)
    for x in (0.0, 4.0, -1.0):
        with np.errstate(all="ignore"):
            (y,), (gradient,) = space["program"](np.float64(x))
        wanted, wanted_gradient = f.value_and_grad(x)
        assert (y, gradient) == pytest.approx((wanted, wanted_gradient))


def test_only_what_may_be_infinite_is_guarded():
    f = jit(lambda x: (x * x).tanh())
    f(1.0)
    assert "!= 0.0" not in f.source
    g = jit(lambda x: ops.log(x * x))
    g(1.0)
    assert g.source.count("!= 0.0:") == 1


# The source of functions of arrays


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_multiplied_by_one(dtype):
    f = jit(lambda x, y: ops.sum(ops.tanh(x) * y) + ops.sum(ops.max(x, axis=0)) + ops.sum(x / 1.0 - 0.0))
    with without_numba():
        f.value_and_grad(*[normal(4, 3).astype(dtype)] * 2, argnum=(0, 1))
    for one in ("1.0 *", "* 1.0", "np.float32(1.0) *", "* np.float32(1.0)", "+ 0.0"):
        assert one not in f.source.partition("# The operations")[0]


def test_constants_of_whole_shapes():
    twice = lambda x: ops.broadcast_to(x.sum() * 0.0 + 3.0, x.shape) * 2.0  # noqa: E731
    fixed = lambda x: x * 0.0 + ops.broadcast_to(ops.tanh(x)[:0].sum() * 1.0, x.shape)  # noqa: E731
    with without_numba():
        assert np.array_equal(jit(twice)(normal(3)), np.full(3, 6.0))
        assert np.array_equal(jit(fixed)(normal(3)), np.zeros(3))


# Calls


def test_a_call_sees_every_change():
    """What an earlier call with these shapes has found out is not believed where it no longer holds."""
    w = Tensor(normal(3), requires_grad=True, label="w")
    f = jit(lambda x: ops.sum(x * w))
    x = normal(3)
    with without_numba(), tg.no_grad():
        assert f(x) == pytest.approx((x * w.data).sum())
        w.data = np.ones(1)
        assert f(x) == pytest.approx(x.sum())
        w.data = np.ones((2, 3))
        assert f(x) == pytest.approx(2.0 * x.sum())
        w.data = np.ones(4)
        with pytest.raises(ShapeError, match="do not match"):
            f(x)
        w.data = np.ones(3) * 2.0
        assert f(x) == pytest.approx(2.0 * x.sum())
        assert f(x[::-1]) == pytest.approx(2.0 * x.sum())
        assert f(x.astype(np.float32)) == pytest.approx(2.0 * x.sum(), rel=1e-6)
        assert f(np.array([1, 2, 3])) == 12.0


@pytest.mark.parametrize("bad", [np.array(["a"]), np.array([1j]), np.array([None])])
def test_a_bad_array_is_refused_after_good_ones_too(bad):
    f = jit(lambda x: ops.sum(x * 2.0))
    with without_numba():
        f(normal(1))
        with pytest.raises((DtypeError, OperandError)):
            f(bad)
        assert f(normal(1)) == 2.0 * normal(1)[0]


def test_a_shape_that_does_not_fit_is_refused_every_time():
    f = jit(lambda x, y: ops.sum(x * y))
    with without_numba():
        f(normal(3), normal(3))
        for _ in range(3):
            with pytest.raises(ShapeError, match="do not match"):
                f(normal(3), normal(4))
        assert f(normal(4), normal(4)) == pytest.approx((normal(4) ** 2).sum())


def test_results_of_two_calls_are_arrays_of_their_own():
    f, x = jit(lambda x: x * 2.0), normal(3)
    first = f(x)
    second = f(x + 1.0)
    assert np.array_equal(first, x * 2.0)
    assert np.array_equal(second, x * 2.0 + 2.0)


@pytest.mark.slow
def test_memory_stays_flat_over_many_calls():
    f = jit(lambda x: ops.sum(x * 2.0))
    batches = [normal(n) for n in range(2, 200)]  # more sizes than are cached

    def calls(count):
        for i in range(count):
            f(batches[i % 198 if i % 50 == 0 else 0])

    calls(2_000)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    calls(20_000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    # if each call left its smallest object behind, it would be 560,000
    assert grown < 50_000, f"{grown} bytes more after 20,000 calls"
    assert len(f.arrays.calls) <= 65


def test_a_gradient_inside_of_a_compiled_function_is_part_of_it():
    f = jit(lambda x: ops.sum(x * x * x))
    with without_numba():
        assert np.allclose(jit(lambda x: f.value_and_grad(x)[1])(normal(3)), 3 * normal(3) ** 2)
        assert np.allclose(jit(tg.grad(f))(normal(3)), 3 * normal(3) ** 2)


@pytest.mark.parametrize("given", [np.ones(3), 1.0], ids=["array", "number"])
def test_recursion_without_end_is_an_error(given):
    """It was traced anew at each depth, and never came to an end."""
    itself = tg.jit(lambda x: itself(x) * 2.0)
    one = tg.jit(lambda x: other(x) * 2.0)
    other = tg.jit(lambda x: one(x) + 1.0)
    for f in (itself, one):
        with pytest.raises(RecursionError):
            f(given)


def test_recursion_with_an_end():
    power = tg.jit(lambda x, n: x if n == 0 else power(x * 1.5, n - 1) + 1.0)
    for n in (3, 10, 3):
        assert power(np.ones(2), n) == pytest.approx(power.f(np.ones(2), n))


@pytest.mark.parametrize("first", [2, -1])
def test_an_option_that_the_function_itself_refuses(first):
    @tg.jit
    def repeated(x, n):
        if n <= 0:
            raise ValueError(f"n is {n}")
        return x * n

    for n in (first, 3, -1, -1):
        if n > 0:
            assert repeated(np.ones(2), n).tolist() == [n, n]
        else:
            with pytest.raises(ValueError, match="n is -1"):
                repeated(np.ones(2), n)
