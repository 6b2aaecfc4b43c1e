"""Calls that go straight to the machine code: the numbers, errors and seams of the long way."""

import functools

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.threads import at_once
from tinygrad_edu.compile.backend import compiler
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.errors import AnomalyError, ShapeError

pytestmark = pytest.mark.skipif(bool(compiler.missing()), reason="no compiler: NumPy runs the function")

RNG = np.random.default_rng(0)
W = RNG.normal(size=(3, 2))
ARRAYS = {
    "as before": W,
    "others": RNG.normal(size=(3, 2)),
    "by columns": np.asfortranarray(W),
    "every second": np.repeat(W, 2, axis=0)[::2],
    "read only": np.frombuffer(W.tobytes()).reshape(3, 2),
    "float32": W.astype(np.float32),
    "whole numbers": np.arange(6).reshape(3, 2),
    "big-endian": W.astype(">f8"),
    "nested": W.tolist(),
    "longer": RNG.normal(size=(5, 2)),
    "empty": np.zeros((0, 2)),
    "a Tensor": tg.Tensor(W),
    "its data": tg.Tensor(W).data,
}


def made():
    @tg.jit
    def f(w, k):
        return np.sum(np.tanh(w) * k) + np.sum(w)

    return f


def warm(f, *arguments):
    """After these, calls of that signature are quick."""
    f(*arguments)
    f.value_and_grad(*arguments)
    assert len(f.arrays.quick.known) == 2


def same(found, expected):
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found, expected)
    assert np.asarray(found).dtype == np.asarray(expected).dtype


@pytest.mark.parametrize("name", ARRAYS)
def test_every_kind_of_array_gives_what_the_long_way_gives(name):
    quick, slow = made(), made()
    by = 1 if name == "whole numbers" else 0  # these have no gradient of their own
    warm(quick, W, 2.0)
    for _ in range(2):
        slow.arrays.quick.known.clear()
        same(quick(ARRAYS[name], 2.0), slow(ARRAYS[name], 2.0))
        slow.arrays.quick.known.clear()
        for found, expected in zip(
            quick.value_and_grad(ARRAYS[name], 2.0, argnum=by),
            slow.value_and_grad(ARRAYS[name], 2.0, argnum=by),
            strict=True,
        ):
            same(found, expected)


def test_results_are_new_arrays():
    f = tg.jit(lambda w: np.tanh(w))
    first = [f(W) for _ in range(3)]
    assert len(f.arrays.quick.known) == 1
    assert len({x.ctypes.data for x in first}) == 3
    _, g = made().value_and_grad(W, 1.0)
    assert g is not made().value_and_grad(W, 1.0)[1]


@pytest.mark.filterwarnings("ignore:divide by zero")  # while it is traced again
def test_nan_in_a_gradient_is_computed_with_care():
    f = tg.jit(lambda x: np.sum(np.where(x > 0.0, np.log(x), 0.0)))
    good, bad = np.array([1.0, 2.0]), np.array([0.0, 2.0])
    warm(f, good)
    assert (
        f.value_and_grad(bad)[1].tolist() == tg.grad(lambda x: np.sum(np.where(x > 0.0, np.log(x), 0.0)))(bad).tolist()
    )


def test_an_error_is_told_as_on_the_long_way():
    f = tg.jit(lambda x, i: np.sum(x[i]))
    x, inside, outside = np.arange(4.0), np.array([0, 3]), np.array([0, 4])
    f(x, inside)
    for _ in range(2):
        with pytest.raises(ShapeError, match="out of range for its axis"):
            f(x, outside)


def test_in_a_graph_a_trace_and_under_other_modes_it_is_the_function():
    f, x = made(), np.ones((3, 2))
    warm(f, x, 2.0)
    assert tg.grad(lambda w: f(w, 2.0))(x).tolist() == f.value_and_grad(x, 2.0)[1].tolist()
    inner = tg.jit(lambda w: f(w, 2.0) * 3.0)
    assert inner(x) == pytest.approx(3.0 * f(x, 2.0), rel=1e-14)
    with tg.no_grad():
        assert f(x, 2.0) == made()(x, 2.0)
    w = tg.Tensor(x, requires_grad=True)
    f(w, 2.0).backward()
    np.testing.assert_allclose(w.grad, f.value_and_grad(x, 2.0)[1], rtol=1e-14)
    with tg.detect_anomaly(), pytest.raises(AnomalyError):
        f(tg.Tensor(np.full((3, 2), np.nan)), 2.0)


def test_what_is_closed_over_is_read_anew():
    w = tg.Tensor(np.ones(2))
    f = tg.jit(lambda x: np.sum(w * x))
    assert [f(np.ones(2)), f(np.ones(2))] == [2.0, 2.0]
    w.data = np.full(2, 3.0)
    assert f(np.ones(2)) == 6.0
    assert not f.arrays.quick.known


def test_the_gradient_by_each_argument_and_by_several():
    f = tg.jit(lambda a, b: np.sum(a * b))
    a, b = np.array([1.0, 2.0]), np.array([3.0, 5.0])
    for _ in range(2):
        assert f.value_and_grad(a, b)[1].tolist() == [3.0, 5.0]
        assert f.value_and_grad(a, b, argnum=1)[1].tolist() == [1.0, 2.0]
        assert f.value_and_grad(a, b, argnum=-1)[1].tolist() == [1.0, 2.0]
        assert [g.tolist() for g in f.value_and_grad(a, b, argnum=(1, 0))[1]] == [[1.0, 2.0], [3.0, 5.0]]
        assert f.value_and_grad(a, b=b)[1].tolist() == [3.0, 5.0]


def test_threads_do_not_share_their_intermediate_results():
    f = tg.jit(lambda w: np.sum(np.tanh(w @ w.T) @ np.tanh(w @ w.T)))
    inputs = [RNG.normal(size=(40, 40)) for _ in range(4)]
    warm(f, inputs[0])
    expected, found = [f(x) for x in inputs], [set() for _ in inputs]

    def work(i):
        for _ in range(200):
            found[i].add(f(inputs[i]))

    assert not at_once(*(functools.partial(work, i) for i in range(4)))
    assert found == [{y} for y in expected]


def test_memory_does_not_grow_with_the_number_of_sizes():
    f = tg.jit(lambda w: np.sum(w))
    for n in range(2, 200):
        f(np.ones(n))
    assert len(f.arrays.quick.known) <= 64


NESTED = {
    "a list": lambda W, b: [W, b],
    "a tuple": lambda W, b: (W, b),
    "a dict": lambda W, b: {"W": W, "b": b},
    "layers": lambda W, b: [{"W": W, "b": b}, (0.5,)],
    "nothing": lambda W, b: [W, b, [], {}],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NESTED)
def test_nested_arguments_are_quick_too(name):
    def layer(p, x):
        W, b = list(tree_leaves(p))[:2]
        return np.sum(np.tanh(x @ W + b))

    f, slow = tg.jit(layer), tg.jit(layer)
    x, given = RNG.normal(size=(5, 3)), NESTED[name](RNG.normal(size=(3, 2)), RNG.normal(size=2))
    for argnum in (0, 1, (0, 1), (1, 0)):
        for _ in range(2):
            slow.arrays.quick.known.clear()
            found, expected = (g.value_and_grad(given, x, argnum=argnum) for g in (f, slow))
            tree_map(same, found, expected)
    assert len(f.arrays.quick.known) == 3


def test_data_of_a_tensor_is_as_quick_as_its_array():
    f = made()
    warm(f, tg.Tensor(W).data, 2.0)
    leaves = []
    assert f.again((), (W, 2.0), leaves) is not None
    assert f.again((), (tg.Tensor(W).data, 2.0), leaves) is f.again((), (W, 2.0), [])


COUNT = 30  # arrays; this many are passed by address (packed.py)
SAME_PROGRAM = ("as before", "others", "by columns", "every second", "read only", "its data", "longer")


def many():
    @tg.jit
    def f(ws, k):
        return functools.reduce(lambda total, w: total + np.sum(np.tanh(w) * k), ws, 0.0)

    return f


@pytest.fixture(scope="module")
def of_many():
    """A function of many arrays whose calls are quick, and one that takes the long way."""
    quick, slow = many(), many()
    warm(quick, [W] * COUNT, 2.0)
    assert all(call.program.by_address for call in quick.arrays.quick.known.values())
    return quick, slow


@pytest.mark.parametrize("name", SAME_PROGRAM)
def test_of_many_arrays_every_kind_gives_what_the_long_way_gives(of_many, name):
    quick, slow = of_many
    ws = [*[W * i for i in range(COUNT - 1)], ARRAYS[name]] if name != "longer" else [ARRAYS[name]] * COUNT
    for _ in range(3):
        for way in ("__call__", "value_and_grad"):
            slow.arrays.quick.known.clear()
            found, expected = getattr(quick, way)(ws, 2.0), getattr(slow, way)(ws, 2.0)
            for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
                same(a, b)
        ws[0] = ws[0] + 1.0
        ws[1] *= 0.5  # in place


def test_of_many_arrays_results_are_new_and_threads_do_not_share_them(of_many):
    quick, _ = of_many
    inputs = [[W * i + j for j in range(COUNT)] for i in range(3)]
    expected = [quick.value_and_grad(ws, 1.0) for ws in inputs]
    for ws, (y, gradients) in zip(inputs, expected, strict=True):
        assert y == pytest.approx(sum(float(np.sum(np.tanh(w))) for w in ws), rel=1e-12)
        np.testing.assert_allclose(np.array(gradients), 1.0 - np.tanh(np.array(ws)) ** 2, rtol=1e-9, atol=1e-15)
    wrong = []

    def work(i):
        for _ in range(100):
            y, gradients = quick.value_and_grad(inputs[i], 1.0)
            if y != expected[i][0] or not np.array_equal(gradients, expected[i][1]):
                wrong.append(i)

    assert not at_once(*(functools.partial(work, i) for i in range(3)))
    assert not wrong


def test_of_many_arrays_nan_in_a_gradient_is_computed_with_care():
    f = tg.jit(lambda ws: functools.reduce(lambda y, w: y + np.sum(np.where(w > 0.0, np.sqrt(w), 0.0)), ws, 0.0))
    good, bad = [np.array([1.0, 4.0])] * COUNT, [np.array([0.0, 4.0])] * COUNT
    warm(f, good)
    for ws, first in ((good, 0.5), (bad, 0.0), (good, 0.5)):
        assert np.array(f.value_and_grad(ws)[1]).tolist() == [[first, 0.25]] * COUNT
