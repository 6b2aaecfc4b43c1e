"""jit of functions of arrays: arguments, results and errors of all kinds, the source, threads and memory."""

import functools
import gc
import re
import threading
import tracemalloc

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import agree, checked, eager, normal, plain, shifted, without_numba
from tests.threads import at_once
from tinygrad_edu import Tensor, jit, nn, ops
from tinygrad_edu.core.operation import ArrayOperation
from tinygrad_edu.errors import NonScalarBackwardError, ShapeError, TraceError

# Arguments


@pytest.mark.parametrize("order", [np.asfortranarray, lambda x: x[::-1, ::-1], lambda x: np.repeat(x, 2, 1)[:, ::2]])
def test_arrays_may_lie_in_memory_as_they_like(order):
    x, y = order(normal(4, 3)), order(normal(4, 3))
    x.flags.writeable = False
    checked(shifted, x, y)


def test_arguments_of_many_kinds():
    f = lambda p, s: ops.sum(p["W"] * s + p["b"][0]) * p["b"][1]  # noqa: E731
    p = {"W": normal(3, 2), "b": [normal(2), 3.0]}
    with without_numba():
        y, (gp, gs) = jit(f).value_and_grad(p, 2, argnum=(0, 1))
        wanted, (wp, ws) = tg.value_and_grad(f, (0, 1))(p, 2.0)
        assert y == pytest.approx(wanted.item() if hasattr(wanted, "item") else wanted)
        assert np.allclose(gp["W"], wp["W"])
        assert np.allclose(gp["b"][0], wp["b"][0])
        assert (gp["b"][1], gs) == pytest.approx((float(wp["b"][1]), float(ws)))
        for s in (2, 2.0, np.float32(2.0), np.array(2.0), Tensor(2.0), True + 1):
            assert jit(f)(p, s) == y
        assert jit(f)({"W": Tensor(p["W"]), "b": p["b"]}, 2) == y


def test_integers_and_booleans_are_numbers():
    x, y = np.arange(6).reshape(2, 3), np.array([[True, False, True]] * 2)
    with without_numba():
        assert jit(shifted)(x, y) == pytest.approx((np.tanh(x) * y).sum())


@pytest.mark.parametrize(
    "name", ["exp", "tanh", "np", "t1", "i0", "x_0", "result", "d_x", "results", "n", "W", "input"]
)
def test_arguments_may_have_any_name(name):
    space = {"ops": ops}
    exec(f"def f({name}, x): return ops.sum(ops.tanh({name}) * x) + ops.sum(ops.exp(x))", space)
    with without_numba():
        checked(space["f"], normal(3, 2), normal(2))


def test_labels_name_results_in_the_source():
    def f(x):
        h = ops.tanh(x)
        h.label = "hidden"
        return ops.sum(h * h + ops.exp(h))

    with without_numba():
        g = jit(f)
        g(normal(3))
        assert "hidden = tanh(x[i0])" in g.source
        assert "# x (x_0)" in g.source


# Results


def test_results_keep_their_nesting_and_may_be_anything_that_was_computed():
    def f(x, a):
        return {
            "x": x,
            "twice": [x * 2.0, x * 2.0],
            "T": (x.T, x.T),
            "a": a,
            "sums": ops.sum(x, axis=0),
            "one": ops.sum(x),
        }

    x = normal(3, 2)
    with without_numba():
        found = jit(f)(x, 3.0)
    assert np.array_equal(found["x"], x)
    assert found["x"] is not x
    assert np.array_equal(found["twice"], [x * 2, x * 2])
    assert found["twice"][0] is not found["twice"][1]
    assert all(np.array_equal(each, x.T) for each in found["T"])
    assert found["a"] == 3.0
    assert np.allclose(found["sums"], x.sum(0))
    assert found["one"] == pytest.approx(x.sum())


def test_gradients_that_are_the_same_node():
    with without_numba():
        checked(lambda x, y: ops.sum(ops.tanh(x + y)), normal(3), normal(3))
        checked(lambda x, y: ops.sum(x + y), normal(3), normal(3))
        checked(lambda x, y: ops.sum(x), normal(3), normal(2))
        checked(lambda x, y: ops.sum(x * 0.0) + ops.sum(y) * 1.0, normal(3), normal(2))


@pytest.mark.parametrize("f", [lambda x: 1.0, lambda x: None, lambda x: [x, {1.0}], lambda x: []])
def test_a_result_that_was_not_computed_is_refused(f):
    with pytest.raises(TraceError, match="returns what it computes from its arguments"):
        jit(f)(normal(3))


def test_a_gradient_needs_one_number():
    with pytest.raises(NonScalarBackwardError, match=r"loss\.sum\(\)"):
        jit(lambda x: x * 2.0).value_and_grad(normal(3))


# Edges


def test_empty_batches():
    with without_numba():
        checked(lambda x, W: ops.sum(ops.tanh(x @ W) ** 2), normal(0, 3), normal(3, 2))
        checked(lambda x, W: ops.sum(ops.tanh(x @ W) ** 2) + ops.sum(W), normal(4, 0), normal(0, 2))
    f = jit(lambda x, W: ops.sum(ops.tanh(x @ W) ** 2))
    assert f(normal(5, 0), normal(0, 2)) == f(normal(0, 3), normal(3, 2)) == 0.0


@pytest.mark.parametrize("f", [lambda x: nn.losses.mse(x, x), lambda x: ops.max(x)])
def test_what_has_no_meaning_for_no_numbers_is_refused_at_any_call(f):
    with without_numba():
        g = jit(f)
        g(normal(3, 2))
        with pytest.raises(ShapeError, match="no numbers"):
            g(normal(0, 2))


def test_infinite_constants_and_bounds():
    with without_numba():
        checked(lambda x: ops.sum(ops.clip(x, 0.0) * x) + ops.sum(ops.where(x > -np.inf, x, np.inf)), normal(5))
    checked(lambda x: ops.sum(ops.clip(x, 0.0) * x) + ops.sum(ops.where(x > -np.inf, x, np.inf)), normal(5))


def test_nan_and_infinity_pass_through():
    x = np.array([[np.nan, 1.0], [np.inf, 2.0], [-np.inf, 0.0]])
    with np.errstate(all="ignore"):
        for f in (lambda x: ops.max(x, axis=1), lambda x: ops.logsumexp(x, axis=1), lambda x: ops.softmax(x * 0.0)):
            assert np.array_equal(jit(f)(x), f(Tensor(x)).data, equal_nan=True)


def test_a_gradient_of_zero_stays_zero_through_an_infinite_derivative():
    f = lambda x: ops.sum(ops.where(x > 0.0, ops.log(x) + x**0.5, 0.0))  # noqa: E731
    with without_numba():
        checked(f, np.array([0.0, -1.0, 2.0]))


def test_float32():
    f = lambda x, W, t: nn.losses.bce_with_logits(ops.gelu(x @ W) * 0.5 + 1.0 / x.shape[0], t)  # noqa: E731
    arrays = [np.abs(np.sin(normal(n, m, dtype=np.float32))) for n, m in ((6, 3), (3, 4), (6, 4))]
    g = jit(f)
    y, gradients = g.value_and_grad(*arrays, argnum=(0, 1, 2))
    assert {g.dtype for g in gradients} == {np.dtype(np.float32)}
    wanted, expected = eager(f, *[a.astype(float) for a in arrays])
    agree((y, gradients), (wanted, expected), 2e-6)
    with without_numba():
        other, same = jit(f).value_and_grad(*arrays, argnum=(0, 1, 2))
    agree((y, gradients), (other, same), 2e-6)
    assert all(g.dtype == np.float32 for g in same)


def test_one_float64_array_makes_the_program_float64():
    with without_numba():
        y = jit(lambda x, z: x * z)(normal(3, dtype=np.float32), normal(3))
    assert y.dtype == np.float64


# Errors


def test_shapes_that_do_not_meet_are_named():
    with pytest.raises(
        ShapeError, match=r"x @ W: shapes \(5, 4\) and \(3, 4\) do not match: 4 != 3\. Did you mean W\.T"
    ):
        jit(lambda x, W: x @ W)(normal(5, 4), normal(3, 4))
    with pytest.raises(ShapeError, match=r"x \+ b: shapes \(5, 4\) and \(5,\).*Did you mean b\.reshape\(5, 1\)"):
        jit(lambda x, b: x + b)(normal(5, 4), normal(5))
    with pytest.raises(ShapeError, match=r"prediction \(3,\) and target \(3, 1\) differ"):
        jit(lambda p, t: nn.losses.mse(p, t))(normal(3), normal(3, 1))
    with pytest.raises(ShapeError, match=r"cannot take the shape \(4, 2\)"):
        jit(lambda x: ops.reshape(x, (4, 2)))(normal(3, 2))


def test_a_shape_that_does_not_fit_later_is_named_and_the_program_still_works():
    f = jit(lambda x, W: x @ W)
    with without_numba():
        first = f(normal(5, 4), normal(4, 3))
        with pytest.raises(ShapeError, match=r"x @ W: shapes \(5, 4\) and \(3, 3\) do not match"):
            f(normal(5, 4), normal(3, 3))
        assert np.array_equal(f(normal(5, 4), normal(4, 3)), first)


def test_what_cannot_be_compiled_says_what_can():
    fourier = ArrayOperation(np.fft.fft, lambda g, _y, x: (g,), "-", False)
    with pytest.raises(TraceError, match=r"fft cannot be compiled: .*without jit"):
        jit(lambda x: Tensor.__apply_array__(fourier, (x,), {}))(normal(3, 2))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x if ops.sum(x) > 0.0 else -x,
        lambda x: x if x.data[0] > 0.0 else -x,
        lambda x: x * float(np.argmax(x)),
        lambda x: x[x > 0.0],
    ],
)
def test_a_decision_by_numbers_is_refused_with_the_alternative(f):
    with pytest.raises(TraceError, match=r"tg\.ops\.where"):
        jit(f)(normal(3))


def test_an_error_leaves_no_trace_at_work():
    with pytest.raises(ZeroDivisionError):
        jit(lambda x: x * (1 / 0))(normal(3))
    assert isinstance(Tensor([1.0]) > 0.0, np.ndarray)
    assert Tensor([1.0]).sum().parents == ()


def test_a_compiled_function_inside_another_is_part_of_its_program():
    W = Tensor(normal(3), requires_grad=True)
    inner = jit(lambda x: ops.tanh(x * W))
    with without_numba():
        outer = jit(lambda x: ops.sum(inner(x) ** 2))
        x = normal(3)
        assert outer(x).item() == pytest.approx((np.tanh(x * W.data) ** 2).sum())
        W.data = W.data + 1.0
        assert outer(x).item() == pytest.approx((np.tanh(x * W.data) ** 2).sum())


# Source


@pytest.mark.slow
def test_the_source_runs_without_numba_and_gives_the_same_numbers():
    W, b = Tensor(normal(4, 3), requires_grad=True, label="W"), Tensor(normal(4), requires_grad=True, label="b")
    f = jit(lambda x, t: nn.losses.cross_entropy(ops.tanh(x @ W.T + b), t))
    x, t = normal(6, 3), np.eye(4)[[0, 1, 2, 3, 0, 1]]
    y, gradients = f.value_and_grad(x, t, argnum=(0, 1))
    call, inputs = f.arrays.prepare((x, t), by="arguments")
    program, sizes = call.program, call.sizes
    numbers, out = np.empty(len(program.scalars)), program.results(sizes)
    plain(program)(*inputs, *program.workspace(sizes), *out, numbers)
    agree((numbers[0], out), (y, gradients), 1e-14)
    assert list(program.shapes) == ["d_x", "d_t"]
    assert f.module_source == program.text
    assert re.search(r"# x \(\w+, \w+\); t \(", f.source)
    f.backward(x, t)
    assert "d_W, d_b, results" in f.source
    assert "d_x" not in f.source, "work that nobody asked for"


def test_the_source_is_what_a_student_could_have_written():
    f = jit(lambda x, y: ops.sum(ops.tanh(x) * y))
    with without_numba():
        f.value_and_grad(normal(3, 2), normal(3, 2), argnum=(0, 1))
    body = f.source.partition("# The operations")[0].splitlines()
    assert sum(line.strip().startswith("for ") for line in body) == 2  # one loop nest for everything
    assert max(map(len, body)) <= 120
    assert body[0] == "def program(", "the student's loops come first"
    below = f.source.partition("# The operations")[2]
    assert "def tanh(" in below
    assert "njit" not in f.source
    assert "@direct(" in f.module_source or "@njit" in f.module_source


# Threads and memory


def test_two_threads_get_their_own_numbers():
    f = jit(lambda x, W: ops.sum(ops.tanh(x @ W) ** 2, axis=1))
    jobs = [(normal(40, 5) + k, normal(5, 30)) for k in range(4)]
    expected = [f(*job) for job in jobs]
    wrong = []

    def work(k):
        wrong.extend(k for _ in range(300) if not np.array_equal(f(*jobs[k]), expected[k]))

    assert not at_once(*(functools.partial(work, k) for k in range(4)))
    assert not wrong


def test_two_threads_may_trace_at_once():
    found, meet = {}, threading.Barrier(2, timeout=30)

    def work(k):
        W = Tensor(normal(3, 2) + k, label=f"W{k}")

        def f(x):
            meet.wait()  # both threads are in the middle of their traces
            y = x @ W
            meet.wait()
            return ops.sum(y) / x.shape[0]

        found[k] = jit(f)(normal(4, 3)) - (normal(4, 3) @ W.data).sum() / 4

    with without_numba():
        threads = [threading.Thread(target=work, args=(k,)) for k in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert np.allclose([found[0], found[1]], 0.0)


@pytest.mark.slow
def test_memory_stays_flat_over_many_calls():
    W = Tensor(normal(5, 30), requires_grad=True)
    f = jit(lambda x: ops.sum(ops.tanh(x @ W) ** 2))
    batches = [normal(n, 5) for n in range(2, 40)]

    def calls(count):
        for i in range(count):
            W.grad = None
            f.backward(batches[i % len(batches)])

    calls(200)
    gc.collect()
    tracemalloc.start()
    calls(500)
    before = tracemalloc.get_traced_memory()[0]
    calls(3_000)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    # if each call left its smallest object behind, it would be 84,000
    assert grown < 50_000, f"{grown} bytes more after 3,000 calls"


@pytest.mark.parametrize("f", [
    lambda x: np.take(x, 2, axis=0), lambda x: np.take(x, 1), lambda x: np.take(x, -1, axis=1),
    lambda x: x.take(np.int64(1), axis=0),
])  # fmt: skip
def test_take_at_one_place(f):
    x = np.arange(12.0).reshape(4, 3)
    assert np.array_equal(jit(f)(x), f(x))
