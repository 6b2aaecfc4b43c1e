"""Every operation on whole arrays compiled: the values and gradients of the tensor back end, or an error by name."""

import contextlib
import math
import re

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compile.programs import agree, checked, eager, normal, without_numba
from tests.examples import CALLS, IDS, drawn
from tests.examples_linalg import LAPACK, NORMS
from tinygrad_edu import Tensor, jit, nn, ops
from tinygrad_edu.compile.ir.dims import Size, evaluate, length, text_of
from tinygrad_edu.compile.ir.node import DECOMPOSITIONS
from tinygrad_edu.compile.ir.shape_rules import SHAPES
from tinygrad_edu.compile.ir.slices import span
from tinygrad_edu.core.operation import ARRAY_TABLE
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.errors import SettingError, ShapeError, TraceError

REFUSED = {"matrix_power-(2, 2)": "LAPACK"}


WRITES = {"index_put"}
QUANTILES = {"median", "percentile", "quantile", "nanmedian", "nanpercentile", "nanquantile"}
DECIDES = {"sort", "partition", "interp"} | QUANTILES  # operations that choose entries by their numbers


REFUSAL = "cannot be compiled: .* call the function without jit"


def needs_lapack(name, call):
    return name in LAPACK and call not in [c for calls in NORMS.values() for c, *_ in calls] and name != "matrix_power"


def made(f):
    """How many programs a compiled function has."""
    return sum(map(len, f.arrays.programs.values()))


def total(results):
    """One number of all results, in which every entry counts differently."""
    parts = [
        ops.tanh(y) * ops.cumsum(y * 0.0 + 1.0).reshape(y.shape) if np.ndim(y) else y for y in tree_leaves(results)
    ]
    return sum(ops.sum(part) if np.ndim(part) else part for part in parts)


def test_every_array_operation_is_a_primitive_or_says_what_it_is_made_of_or_what_to_use():
    primitives = SHAPES.keys() | DECOMPOSITIONS.keys()
    assert [n for n, row in ARRAY_TABLE.items() if not (n in primitives or row.made_of or row.instead)] == []
    assert [n for n in primitives & ARRAY_TABLE.keys() if ARRAY_TABLE[n].made_of] == []


IDENTIFIED = [(IDS[i] + str(sum(x == IDS[i] for x in IDS[:i]) or ""), *CALLS[i]) for i in range(len(CALLS))]


@pytest.mark.parametrize(("key", "name", "call", "shapes"), IDENTIFIED, ids=[key for key, *_ in IDENTIFIED])
def test_every_call_is_the_same_compiled(key, name, call, shapes):
    f = lambda *arrays: total(call(ops, *arrays))  # noqa: E731
    with without_numba():
        if key in REFUSED or name in DECIDES | WRITES or needs_lapack(name, call):
            with pytest.raises(TraceError, match=REFUSED.get(key, REFUSAL)):
                jit(f)(*drawn(shapes))
        else:
            checked(f, *drawn(shapes), g=jit(f, accurate=True))


def squares(y):
    return ops.sum(ops.tanh(y) ** 2)


AT_ALL_SIZES = {
    "cut": lambda x: squares(x[1:] * 2.0) + squares(x[:-1, 1:]),
    "neighbours": lambda x: squares(x[1:] - x[:-1]),
    "reversed": lambda x: ops.sum(ops.flip(x) * ops.tanh(x)) + squares(x[::-1, 1:] + x[:, :0:-1]),
    "steps": lambda x: squares(x[::2, ::-1]) + squares(x[-2::-2, 1::2]),
    "numbers": lambda x: ops.sum(x[0] * x[-1]) + x[1, 1] * x[-1, -2],
    "new axes": lambda x: ops.sum(x[None, ..., 1:] * x[:, None, :-1]) + squares(x[..., None, 1]),
    "sizes as bounds": lambda x: squares(ops.pad(x, 1)[: x.shape[0], x.shape[1] :]),
    "joined": lambda x: squares(ops.concatenate([x, x * 2.0, x[:2]])) + squares(ops.concatenate([x, x], axis=None)),
    "stacked": lambda x: squares(ops.stack([x, x * 2.0, ops.sin(x)], axis=1)) + squares(ops.hstack([x, x[:, :1]])),
    "bordered": lambda x: squares(ops.pad(x, ((1, 2), (0, 1)), constant_values=0.5)),
    "put": lambda x: (
        ops.sum(ops.put(ops.tanh(x[1:]), slice(1, None), x.shape) * x) + squares(ops.put(x[0], 1, x.shape))
    ),
    "products": lambda x: ops.sum(ops.prod(x, axis=0)) + ops.prod(x) + squares(ops.prod(x, axis=1, keepdims=True) * x),
    "running sums": lambda x: squares(ops.cumsum(x, axis=0) * ops.cumsum(ops.tanh(x), axis=1)) + squares(ops.cumsum(x)),
    "vectors": lambda x: (
        ops.dot(x[0], x[1]) + squares(x @ x[0]) + squares(x[:, 0] @ x) + squares(ops.outer(x[0], x[1]))
    ),
    "stacks": lambda x: squares(ops.stack([x, x + 1.0]) @ ops.stack([x.T, ops.tanh(x.T)])) + squares(ops.inner(x, x)),
    "a stack and a matrix": lambda x: squares(ops.stack([x, x + 1.0]) @ x.T) + squares(x @ ops.stack([x.T, x.T * 2.0])),
    "a stack and a vector": lambda x: squares(ops.stack([x, x + 1.0]) @ x[0]),
    "spread": lambda x: ops.sum(ops.std(x, axis=0, ddof=1)) + ops.var(x),
    "pieces": lambda x: sum(ops.sum(ops.tanh(p) * (i + 1.0)) for i, p in enumerate(ops.split(x, [1, 2]))),
    "a size to be found": lambda x: squares(ops.reshape(x[:2], (2, -1))) + squares(ops.reshape(x, (-1, 1)) + x[0]),
}


@pytest.mark.parametrize("f", AT_ALL_SIZES.values(), ids=AT_ALL_SIZES)
def test_one_program_serves_all_sizes(f):
    with without_numba():
        g = jit(f, accurate=True)
        for shape in ((5, 4), (7, 5), (6, 6), (9, 4)):
            checked(f, normal(*shape), g=g)
    assert made(g) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["reversed", "joined", "products", "running sums", "stacks"])
def test_one_program_serves_all_sizes_compiled(name):
    g = jit(AT_ALL_SIZES[name])
    for shape in ((5, 4), (20, 30)):
        checked(AT_ALL_SIZES[name], normal(*shape) * 0.5, g=g, tolerance=1e-11)
    assert made(g) == 1


@pytest.mark.parametrize("name", ["cut", "stacked", "bordered", "vectors"])
def test_float32_stays_float32(name):
    x = normal(5, 4, dtype=np.float32)
    y, gradient = jit(AT_ALL_SIZES[name]).value_and_grad(x)
    wanted, (expected,) = eager(AT_ALL_SIZES[name], x.astype(float))
    assert gradient.dtype == np.float32
    agree((y, [gradient]), (wanted, [expected]), 1e-5)


# Slices

BOUNDS = st.none() | st.integers(-6, 6)
STEPS = st.none() | st.sampled_from([1, 2, 3, -1, -2, -3])
PARTS = st.builds(slice, BOUNDS, BOUNDS, STEPS)


@given(PARTS, st.integers(0, 7))
def test_a_span_is_what_the_slice_reads(part, n):
    found, wanted = span(part, Size(n, "n")), range(n)[part]
    assert length(found.size) == evaluate(text_of(found.size), {"n": n}) == len(wanted)
    if wanted:
        assert length(found.start) == evaluate(text_of(found.start), {"n": n}) == wanted[0]
    assert found.step == wanted.step or len(wanted) < 2


@pytest.mark.slow
@given(st.tuples(PARTS, PARTS), st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=3))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_slices_at_several_sizes(parts, shapes):
    f = lambda x: squares(x[parts] * 2.0) + ops.sum(x)  # noqa: E731
    with without_numba():
        g = jit(f, accurate=True)
        for shape in shapes:
            checked(f, normal(*shape), g=g)


def test_a_slice_that_reaches_over_the_end_is_traced_anew():
    f = lambda x: squares(x[2:5])  # noqa: E731
    with without_numba():
        g = jit(f)
        for n, programs in ((9, 1), (5, 1), (4, 2), (3, 3), (4, 3), (2, 4), (0, 5), (7, 5)):
            checked(f, normal(n), g=g)
            assert made(g) == programs, n


def test_the_sign_of_zero_survives_a_join():
    with without_numba():
        joined = jit(lambda x: ops.concatenate([x, -x]))(np.zeros(2))
    assert np.signbit(joined).tolist() == [False, False, True, True]


def test_products_with_zeros():
    f = lambda x: ops.sum(ops.prod(x, axis=1))  # noqa: E731
    with without_numba():
        checked(f, np.array([[2.0, 3.0, 4.0], [0.0, 3.0, 4.0], [0.0, 0.0, 4.0], [0.0, -0.0, 0.0]]))


def test_an_index_is_part_of_the_source_as_a_student_would_write_it():
    f = jit(lambda x: ops.sum((x[1:] - x[:-1]) ** 2))
    with without_numba():
        f.value_and_grad(normal(4))
    assert "x[1 + i0] - x[i0]" in f.source
    assert "if i0 >= 1 else 0.0" in f.source


# Whole numbers


def looked_up(W, i, x):
    return squares(W[i] @ x) + squares(W[1:, i[1:]]) + squares(W[ops.reshape(i, (2, -1))]) + ops.sum(W[:, i] * 2.0)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True])
def test_rows_by_whole_numbers(compiled):
    rng = np.random.default_rng(0)
    g = jit(looked_up, accurate=True)
    for n, m, k in ((5, 5, 4), (6, 7, 8)):
        W, i, x = normal(n, m), rng.integers(-5, 5, k), normal(m, 3)
        if compiled:
            found = g.value_and_grad(W, i, x, argnum=(0, 2))
        else:
            with without_numba():
                found = jit(looked_up, accurate=True).value_and_grad(W, i, x, argnum=(0, 2))
        leaves = [Tensor(a, requires_grad=True) for a in (W, x)]
        y = looked_up(leaves[0], i, leaves[1])
        y.backward()
        agree(found, (y.item(), [a.grad for a in leaves]))
    assert made(g) == compiled


def test_an_array_of_whole_numbers_that_is_closed_over():
    index = np.array([0, 2, 2])
    f = jit(lambda x: ops.sum(x[index] * x[[1, 1, -1]]))
    with without_numba():
        checked(f.f, normal(4), g=f)
        index[:] = [3, 3, 1]
        checked(f.f, normal(4), g=f)
    assert made(f) == 1


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("shape", [(4, 3), (1, 3)])
def test_an_index_outside_of_the_axis_is_refused_at_every_call(compiled, shape):
    f = jit(lambda x, i: ops.sum(x[i]) + ops.sum((x * 2.0).T[:, i]))
    x, i = normal(*shape), np.array([0, -1])
    with contextlib.nullcontext() if compiled else without_numba():
        for bad in (shape[0], -shape[0] - 1):
            assert f(x, i) == pytest.approx((3.0 * x[i]).sum())
            with pytest.raises(
                ShapeError, match=rf"index is out of range for its axis: i holds .*{bad}.* x \({shape[0]}"
            ):
                f(x, np.array([0, bad]))


@pytest.mark.parametrize(
    ("f", "error", "text"),
    [
        (lambda x: x[4], ShapeError, "index 4 is outside an axis of length 4"),
        (lambda x: x[:, -4], ShapeError, "index -4 is outside an axis of length 3"),
        (lambda x: x[0, 0, 0], ShapeError, "3 indices for .* has 2 axes"),
        (lambda x: x[1.5], TraceError, "array of integers"),
        (lambda x: x[x[0]], TraceError, "array of integers"),
        (lambda x: x[x > 0.0], TraceError, r"tg\.ops\.where"),
        (lambda x: x[::0], SettingError, "step"),
        (lambda x: x[: x[0, 0]], TraceError, "bounds"),
        (lambda x: x[[0, 1], [0, 1, 2]], ShapeError, r"\(2,\) .* \(3,\)"),
        (lambda x: ops.concatenate([x, x.T]), ShapeError, r"concatenate of .* \(4, 3\), .*\(3, 4\)"),
        (lambda x: ops.concatenate([x, x], axis=2), ShapeError, "axis 2"),
        (lambda x: ops.pad(x, -1), ShapeError, "below 0"),
        (lambda x: ops.pad(x, (1, 2, 3)), ShapeError, "pad of"),
        (lambda x: ops.cumsum(x, axis=5), ShapeError, "axis 5"),
        (lambda x: x @ x[:, 0], ShapeError, "do not match"),
        (lambda x: ops.stack([x, x]) @ ops.stack([x, x]), ShapeError, "do not match"),
        (lambda x: x @ 2.0, ShapeError, r"use \* for a number"),
    ],
)
def test_what_does_not_fit_is_named(f, error, text):
    with without_numba(), pytest.raises(error, match=text):
        jit(f)(normal(4, 3))


# Class labels


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_cross_entropy_of_integer_labels(compiled, dtype):
    f, rng = nn.losses.cross_entropy, np.random.default_rng(0)
    g = jit(f, accurate=dtype is float)
    for n, c in ((5, 3), (30, 10), (4, 4)):
        z, t = rng.normal(size=(n, c)).astype(dtype), rng.integers(0, c, n)
        logits = Tensor(z, requires_grad=True)
        y = f(logits, t)
        y.backward()
        if compiled:
            found, gradient = g.value_and_grad(z, t)
        else:
            with without_numba():
                found, gradient = jit(f, accurate=True).value_and_grad(z, t)
        assert gradient.dtype == dtype
        agree((found, [gradient]), (y.item(), [logits.grad]), 1e-12 if dtype is float else 1e-5)
    assert made(g) == compiled


def test_labels_need_no_matrix_of_classes():
    f = jit(nn.losses.cross_entropy)
    with without_numba():
        f(normal(5, 3), np.array([0, 1, 2, 1, 0]))
    assert re.search(r"float\(i1\) == t\d\[i0\]", f.source)
    program = next(iter(f.arrays.programs.values()))[0]
    assert all(len(sizes) < 2 or sizes[1] == "1" for sizes in program.buffers.values())


def test_labels_that_are_closed_over_weighted_or_one_number():
    t, w = np.array([0, 2, 1, 2]), np.array([1.0, 2.0, 0.5, 3.0])
    with without_numba():
        for f in (
            lambda z: nn.losses.cross_entropy(z, t),
            lambda z: nn.losses.cross_entropy(z, t, sample_weight=w),
            lambda z: nn.losses.cross_entropy(z, t, reduction="sum"),
            lambda z: nn.losses.cross_entropy(z[0], 2),
        ):
            checked(f, normal(4, 3))


@pytest.mark.parametrize("bad", [[0, 3], [0, -1]])
def test_a_class_without_a_column_is_refused_at_every_call(bad):
    f = jit(nn.losses.cross_entropy)
    with without_numba():
        assert math.isfinite(f(normal(2, 3), np.array([0, 2])))
        with pytest.raises(SettingError, match=r"a class has no column in the logits: .* holds -?\d to \d"):
            f(normal(2, 3), np.array(bad))
        with pytest.raises(SettingError, match="class 3 has no column"):
            jit(lambda z: nn.losses.cross_entropy(z[0], 3))(normal(2, 3))
    with pytest.raises(TraceError, match=r"as class labels: .* array of integers"):
        f(normal(2, 3), np.array([0.0, 1.0]))
