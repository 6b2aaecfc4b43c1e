"""Backward on arrays, calls and bodies that are written out or bound for speed: the same bits as the general forms."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.examples import CALLS, IDS, drawn
from tinygrad_edu.core import backward, ops, reductions, shapes
from tinygrad_edu.core.backward import pull, pull_with_care
from tinygrad_edu.core.fast.pulls import gradient_order, sweep
from tinygrad_edu.core.graph import cotangents
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED
from tinygrad_edu.core.ops import TABLE

ROWS = [row for row in TABLE.values() if row.partials and not hasattr(row, "fixed")]
PAIRS = [((3, 4), (3, 4)), ((3, 4), (4,)), ((1, 4), (3, 1)), ((), ()), ((80, 70), (70,))]
EXTREMES = [0.0, -0.0, 1.0, -1.0, 1e-300, 1e200, 710.0, np.inf, -np.inf, np.nan]


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=True)


def both_ways(y, leaves):
    """The quick pass, the usual form of each node and the careful pass from y: the same nodes, the same bits."""
    seed = np.random.default_rng(3).normal(size=y.shape).astype(y.dtype)
    with np.errstate(all="ignore"):
        order, _ = gradient_order(y)
        quick, usual = sweep(order, seed, pull), cotangents(order, seed, pull)
        careful = cotangents(order, seed, pull_with_care)
    assert quick.keys() == usual.keys() == careful.keys() <= {*order, *leaves}
    for x, g in quick.items():
        assert same(np.asarray(g), np.asarray(usual[x])), x
        if y.dtype == np.float64:  # in float32 the unbound x ** n rounds its exponent once more
            assert same(np.asarray(g), np.asarray(careful[x])), x


def tensors(arrays):
    return [tg.Tensor(a, requires_grad=True) for a in arrays]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "call", "shapes"), CALLS, ids=IDS)
def test_array_operations(name, call, shapes, dtype):
    leaves = tensors([a.astype(dtype) for a in drawn(shapes)])
    found = call(tg.ops, *leaves)
    for y in found if isinstance(found, (tuple, list)) else [found]:
        if isinstance(y, tg.Tensor) and y.parents:
            both_ways(y, leaves)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_rows_of_the_table(row):
    with np.errstate(all="ignore"):  # also outside the domain
        compare_row(row)


def compare_row(row):
    rng, n = np.random.default_rng(0), len(row.parameters)
    for first, second in PAIRS:
        for dtypes in ("dd", "ff", "df"):
            arrays = [rng.normal(size=s).astype(d) for s, d in zip([first, *[second] * 2], (*dtypes, "d"), strict=True)]
            leaves = tensors(arrays[:n])
            both_ways(row(*leaves), leaves)
            both_ways(row(leaves[0], *[0.75] * (n - 1)), leaves)
            both_ways(row(leaves[0], *arrays[1:n]), leaves)
            if n == 2:
                both_ways(row(2, leaves[1]), leaves)


@pytest.mark.parametrize("row", [reductions.softmax, reductions.log_softmax], ids=lambda row: row.name)
@pytest.mark.parametrize("axis", [0, 1, -1, None, (0, 1)])
def test_normalized_rows_of_extreme_numbers(row, axis):
    rng = np.random.default_rng(0)
    with np.errstate(all="ignore"):
        for dtype in ("float64", "float32"):
            for extreme in EXTREMES:
                x = rng.normal(size=(3, 4)).astype(dtype)
                x[1, :2] = extreme
                assert same(row.array_function(x, axis), np.asarray(row(x, axis))), (extreme, x)


def test_a_sum_of_many_shares_touches_no_gradient_of_another_node():
    w, x = tensors([np.ones((2, 2)), np.full((2, 2), 3.0)])
    a = w + x
    y = (a + w) + (w + a) + w + w
    y.sum().backward()
    assert w.grad.tolist() == np.full((2, 2), 6.0).tolist()
    assert x.grad.tolist() == a.grad.tolist() == np.full((2, 2), 2.0).tolist()
    w.grad += 1.0  # a leaf's gradient is an array of its own
    assert a.grad.tolist() == x.grad.tolist() == np.full((2, 2), 2.0).tolist()
    assert y.grad.tolist() == np.ones((2, 2)).tolist()


def test_the_caller_keeps_the_array_given_as_a_gradient():
    seed, x = np.ones(3), tg.Tensor(np.ones(3), requires_grad=True)
    (x + 1.0).backward(seed)
    x.grad += 1.0
    assert seed.tolist() == [1.0, 1.0, 1.0]


INDICES = [
    0,
    -1,
    slice(1, None),
    (0, 1),
    (slice(None), None),
    ...,
    np.array([0, 2, 0]),
    [0, 1],
    np.array([True, False, True]),
    (np.array([2, 0]), slice(None)),
    (np.array([[2], [0]]), np.array([1, -1])),
    (0, np.array([1, 1])),
]
CALLS_OF_METHODS = {
    "reshape": [((2, 6),), (-1,), ([3, 4],), ((12,),)],
    "transpose": [(), ((1, 0),), (None,), ([1, 0],)],
    "getitem": [(index,) for index in INDICES],
    "sum": [(), (0,), ((0, 1),), (1, True)],
    "softmax": [(), (0,), (-2,), (None,), ((0, 1),)],
    "log_softmax": [(), (0,), (-2,), (None,), ((0, 1),)],
}


@pytest.mark.parametrize("name", CALLS_OF_METHODS)
@pytest.mark.parametrize("wants", [True, False])
def test_quick_calls_are_the_general_ones(name, wants):
    row = ARRAY_TABLE[name]
    for given in CALLS_OF_METHODS[name]:
        x = tg.Tensor(np.arange(12.0).reshape(3, 4), requires_grad=wants)
        quick, general = row(x, *given), row.call((x, *given), {})
        assert same(quick.array, general.array)
        assert quick.op is general.op
        assert quick.array.flags.writeable == general.array.flags.writeable
        assert quick.array.base is None or not np.shares_memory(quick.array, x.array) or wants
        if wants:
            for y in (quick, general):
                both_ways(y, [x])


@pytest.mark.parametrize("row", [shapes.stack, shapes.concatenate], ids=lambda row: row.name)
@pytest.mark.parametrize("wants", [True, False])
def test_quick_joins_are_the_general_ones(row, wants):
    for axis in (0, 1, -1, -2):
        for dtypes in ("d", "dd", "df", "ffd"):
            given = [np.arange(6.0).reshape(2, 3).astype(d) + i for i, d in enumerate(dtypes)]
            xs = [tg.Tensor(a, requires_grad=wants) for a in given]
            calls = (
                row(xs, axis=axis),
                row(tuple(xs), axis),
                getattr(np, row.name)(xs, axis=axis),
                row.call((xs, axis), {}),
            )
            for y in calls:
                assert same(y.array, calls[-1].array)
                assert y.op is calls[-1].op
                assert y.options == calls[-1].options
                assert y.array.base is None
                if wants:
                    assert [p.op for p in y.parents] == [p.op for p in calls[-1].parents]
                    both_ways(y, xs)


def test_gelu_takes_one_erf(monkeypatch):
    x = tg.Tensor(np.linspace(-5.0, 5.0, 11), requires_grad=True)
    general = ops.gelu.function(x.detach())
    y = ops.gelu(x)
    assert same(y.array, general.array)
    both_ways(y, [x])
    monkeypatch.setattr(ops.erf, "array_function", None)  # the derivative must not need it any more
    y.sum().backward()
    assert x.grad[0] != 0.0
    with tg.no_grad():
        assert not hasattr(tg.Tensor([1.0]), "_kept")


def test_gelu_notices_writes_although_it_has_kept_its_numbers():
    x = tg.Tensor(np.ones(3), requires_grad=True)
    y = ops.gelu(x)
    x.data[0] = 7.0
    with pytest.raises(tg.errors.SavedArrayChangedError):
        y.sum().backward()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.reshape(5, 5), lambda x: x[9], lambda x: x[0, 0, 0], lambda x: x.transpose((0, 0)),
        lambda x: x.sum(axis=7), lambda x: x.mean(axis=7), lambda x: x.sum(axis="rows"), lambda x: x["a"],
        lambda x: tg.ops.sum(x, oops=1), lambda x: tg.ops.reshape(x, (3, 4), 5), lambda x: tg.ops.mean(x, axis=7),
        lambda x: tg.ops.softmax(x, axis=7), lambda x: tg.ops.softmax(x, oops=1), lambda x: np.stack([x, x], 3),
        lambda x: tg.ops.log_softmax(x, axis="rows"), lambda x: np.stack([x, x[0]]), lambda x: tg.ops.stack([]),
        lambda x: tg.ops.stack([x], oops=1), lambda x: np.stack([x], axis="rows"), lambda x: np.concatenate([x, x], 5),
        lambda x: np.concatenate([x, x[0]]), lambda x: np.concatenate([x, x.T], 0), lambda x: x[np.array([9]), 0],
        lambda x: x[np.array([0.5])],
    ],
)  # fmt: skip
def test_bad_calls_get_the_errors_of_the_general_form(call):
    messages = []
    for general in (False, True):
        x = tg.Tensor(np.ones((3, 4)), requires_grad=True)
        rows = [row for row in [*ARRAY_TABLE.values(), *COMPOSED.values()] if row.quick]
        kept = [dict(row.quick) for row in rows]
        try:
            if general:
                for row in rows:
                    row.quick.clear()
            with pytest.raises(Exception) as caught:  # noqa: PT011  (compared below)
                call(x)
        finally:
            for row, forms in zip(rows, kept, strict=True):
                row.quick.update(forms)
        messages.append((caught.type, str(caught.value)))
    assert messages[0] == messages[1]


def test_the_quick_pass_is_what_backward_runs(monkeypatch):
    ran = []
    monkeypatch.setattr(backward, "sweep", lambda *given: ran.append(1) or sweep(*given))
    x = tg.Tensor([1.0], requires_grad=True)
    (x * x).sum().backward()
    assert ran
