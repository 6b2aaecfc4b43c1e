"""jit of functions of numbers: the tape against Value, bit by bit where both call the same C library."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.compile.programs import recorder
from tests.core.operations.test_table import ROWS, SMOOTH, points
from tinygrad_edu import Value, jit, ops
from tinygrad_edu.compile.scalar.function import TracedValue
from tinygrad_edu.core.graph import topological
from tinygrad_edu.errors import NonScalarBackwardError, TraceError

EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -300.0, 800.0, math.inf, -math.inf, math.nan]
ULP = np.finfo(float).eps
LIBM = 4 * ULP  # Numba calls LLVM's pow, tanh, ..., which may come from another library than Python's


OWN_LIBRARY = ("gammaln", "betaln")  # Python has its own log Γ, which differs visibly near its roots 1 and 2


def close(a, b, tolerance=LIBM):
    return np.allclose(a, b, rtol=tolerance, atol=1e-300, equal_nan=True)


def eager(f, *numbers):
    """Value and gradients by Value itself."""
    leaves = [Value(x) for x in numbers]
    y = f(*leaves)
    if not isinstance(y, Value):  # a comparison, or a constant
        return float(y), [0.0] * len(leaves)
    y.backward()
    return y.data, [x.grad for x in leaves]


def compiled(f, *numbers):
    return jit(f).value_and_grad(*numbers, argnum=range(len(numbers)))


# Every operation


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_every_operation_is_the_same_on_the_tape(row):
    f = jit(lambda *x: row(*x))
    for point in [*points(row), *([x] * len(row.parameters) for x in EDGES)]:
        y, gradients = f.value_and_grad(*point, argnum=range(len(point)))
        expected, wanted = eager(row, *point)
        assert y != 0.0 or math.copysign(1.0, y) == math.copysign(1.0, expected), point
        assert close(y, expected) or (row.name in OWN_LIBRARY and np.isclose(y, expected, 1e-14, 1e-15)), point
        assert close(gradients, wanted), point


EXACT = ["add", "sub", "mul", "div", "neg", "abs", "square", "sqrt", "reciprocal", "relu", "maximum", "where", "clip"]


@pytest.mark.parametrize("row", [SMOOTH[name] for name in EXACT], ids=EXACT)
def test_arithmetic_is_the_same_to_the_last_bit(row):
    for point in points(row, seed=3):
        y, gradients = compiled(lambda *x: row(*x), *point)
        assert (y, list(gradients)) == eager(row, *point)


# Random graphs


@st.composite
def graphs(draw):
    """A list of (operation, rows of its inputs), as a function of three numbers."""
    overflow = {"tan", "sinh", "cosh", "exp", "expm1", "pow"}
    names = st.sampled_from(sorted(set(ROWS) - overflow - {"copysign"}))  # the sign of log(-1.0) is anybody's
    steps = []
    for i in range(3, 3 + draw(st.integers(1, 12))):
        row = ROWS[draw(names)]
        steps.append((row, [draw(st.integers(0, i - 1)) for _ in row.parameters]))
    return steps


def run(steps, *inputs):
    """The sum of all nodes: each one matters. Comparisons enter as a choice."""
    nodes = list(inputs)
    for row, at in steps:
        y = row(*[nodes[i] for i in at])
        nodes.append(y if row.partials else ops.where(y, nodes[0], nodes[1]))
    return sum(nodes[1:], nodes[0])


def largest_share(f, *numbers):
    """The largest number that any node hands to a parent: shares of 1e302 may cancel, and what they were added to."""
    leaves = [Value(x) for x in numbers]
    y = f(*leaves)
    y.backward()
    shares = [node.grad * d for node in topological(y, lambda x: x.parents) for d in node.partials]
    return max([1.0, *(abs(share) for share in shares if math.isfinite(share))])


@pytest.mark.slow
@given(graphs(), st.lists(st.tuples(*[st.floats(-2.5, 2.5)] * 3), min_size=2, max_size=4))
@example([(ops.div, [1, 1]), *[(ops.abs, [0])] * 3], [(0.0, 6.058577963043035e-303, 0.0)])
@example([(ops.rint, [0]), (ops.floor, [3]), (ops.celu, [0, 4])], [(-0.5, 0.0, 0.0)])  # floor(-0.0) is -0.0
@settings(max_examples=150, deadline=None)
def test_random_graphs(steps, inputs):
    f = jit(lambda a, b, c: run(steps, a, b, c))
    with np.errstate(all="ignore"):
        for numbers in inputs:
            y, gradients = f.value_and_grad(*numbers, argnum=(0, 1, 2))
            expected, wanted = eager(lambda *x: run(steps, *x), *numbers)
            scale = largest_share(lambda *x: run(steps, *x), *numbers)
            assert close(y, expected, 1e-9)
            if math.isfinite(expected):
                assert np.allclose(gradients, wanted, rtol=1e-7, atol=1e-9 * scale, equal_nan=True)


# what is read again, and what is traced again


def test_arguments_and_closed_over_values_are_read_anew_without_a_new_trace():
    w, (note, traces) = Value(2.0), recorder()

    @jit
    def f(x):
        note(x)
        return w * x + w**2

    assert [f(1.0), f(3.0)] == [6.0, 10.0]
    w.data = 10.0
    assert f.value_and_grad(3.0) == (130.0, 10.0)
    assert len([x for x in traces if type(x) is TracedValue]) == 1


def test_backward_adds_to_the_gradients_of_closed_over_values():
    w, b = Value(2.0), Value(1.0)
    f = jit(lambda x: (w * x + b) ** 2)
    assert f.backward(3.0) == f(3.0) == 49.0
    assert (w.grad, b.grad) == (42.0, 14.0)
    f.backward(3.0)
    assert (w.grad, b.grad) == (84.0, 28.0)


def test_containers_keep_their_nesting_and_another_one_is_traced_anew():
    note, traces = recorder()

    @jit
    def f(p):
        note(len(p["w"]))
        return {"sum": sum(p["w"]), "all": [p["b"] * x for x in p["w"]]}

    assert f({"w": [1.0, 2.0], "b": 3.0}) == {"sum": 3.0, "all": [3.0, 6.0]}
    assert f({"w": [2.0, 2.0], "b": 1.0}) == {"sum": 4.0, "all": [2.0, 2.0]}
    assert traces == [2, 2]  # the trace, and the function itself beside the first run
    assert f({"w": [1.0, 2.0, 3.0], "b": 1.0})["sum"] == 6.0
    assert traces == [2, 2, 3, 3]
    y, gradient = jit(lambda p: sum(p["w"]) * p["b"]).value_and_grad({"w": [1.0, 2.0], "b": 3.0})
    assert (y, gradient) == (9.0, {"w": [3.0, 3.0], "b": 3.0})


def test_several_outputs():
    f = jit(lambda a, b: (a * b, a + b, a))
    assert f(2.0, 3.0) == (6.0, 5.0, 2.0)
    with pytest.raises(NonScalarBackwardError, match="there are 3"):
        f.value_and_grad(2.0, 3.0)


def test_a_node_used_twice_and_an_argument_that_is_not_used():
    assert compiled(lambda x, y: x * x + x, 3.0, 5.0) == (12.0, (7.0, 0.0))
    assert compiled(lambda x: x, 3.0) == (3.0, (1.0,))


# Branches


def test_if_on_a_traced_value_is_refused_with_the_alternative():
    for f in (lambda x: x if x > 0.0 else -x, lambda x: x if x else -x, lambda x: max(x, 0.0)):
        with pytest.raises(TraceError, match=r"tg\.ops\.where\(condition, a, b\)"):
            jit(f)(1.0)


def test_comparisons_and_where_follow_the_numbers():
    w = Value(0.0)
    f = jit(lambda x: ops.where(x > w, x * 2.0, -x))
    assert [f.value_and_grad(x) for x in (3.0, -3.0)] == [(6.0, 2.0), (3.0, -1.0)]
    w.data = 5.0
    assert f.value_and_grad(3.0) == (-3.0, -1.0)
    assert jit(lambda x: x > 1.0)(2.0) == 1.0


def test_a_gradient_of_zero_stays_zero_through_an_infinite_derivative():
    f = jit(lambda x: ops.where(x > 0.0, ops.log(x), 0.0) + ops.where(x > 0.0, x**0.5, 0.0))
    assert f.value_and_grad(0.0) == (0.0, 0.0)
    assert f.value_and_grad(4.0) == (math.log(4.0) + 2.0, 0.5)


def test_a_trace_leaves_the_thread_as_it_was():
    with pytest.raises(TraceError):
        jit(lambda x: x if x > 0 else -x)(1.0)
    assert (Value(2.0) > 1.0) is True
    with tg.no_grad():
        assert jit(lambda x: x * x).value_and_grad(3.0) == (9.0, 6.0)
        assert (Value(2.0) * 1.0).parents == ()


# Compiled functions in compiled functions, and in transforms


def test_a_compiled_function_inside_another_is_part_of_its_trace():
    w = Value(2.0)
    inner = jit(lambda x: w * x)
    outer = jit(lambda x: inner(x) + inner(1.0))
    assert outer(3.0) == 8.0
    w.data = 3.0
    assert outer.value_and_grad(3.0) == (12.0, 3.0)
    assert jit(lambda x: inner.value_and_grad(x)[1] * x)(4.0).data == 12.0
    with pytest.raises(TraceError, match=r"added to \.grad"):
        jit(lambda x: inner.backward(x))(1.0)


def test_what_is_no_number_is_refused():
    for f in (lambda x: "text", lambda x: None, lambda x: [x, {1.0}]):
        with pytest.raises(TraceError, match="returns numbers that it computes"):
            jit(f)(1.0)
    with pytest.raises(TraceError, match=r"no numbers while it is traced. Write np\.tanh\(x\)"):
        jit(lambda x: math.tanh(x))(1.0)
    with pytest.raises(TraceError, match="call the function once"):
        jit(lambda x: x).source  # noqa: B018
