"""Tensor: what backward does, which writes it notices, what it refuses and in which words."""

import pickle
import weakref

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import (
    AnomalyError,
    BackwardTwiceError,
    DetachedError,
    GraphError,
    NonScalarBackwardError,
    SavedArrayChangedError,
    ShapeError,
)


def leaf(*numbers, **options):
    return tg.Tensor(list(numbers), requires_grad=True, **options)


def square_sum(x):
    return (x * x).sum()


# Backward


def test_a_node_used_twice_gets_both_contributions():
    x = leaf(3.0)
    (x * x + x).sum().backward()
    assert x.grad == [7.0]


def test_leaves_add_up_and_inner_nodes_show_the_last_pass():
    x = leaf(3.0)
    for _ in range(2):
        y = x * x
        y.sum().backward()
    assert x.grad == [12.0]
    assert y.grad == [1.0]


def test_a_seed_weights_the_results_and_stays_the_callers():
    x, seed = leaf(1.0, 2.0), np.array([10.0, 1.0])
    (x * 1.0).backward(seed)
    seed[:] = 0.0
    np.testing.assert_array_equal(x.grad, [10.0, 1.0])


def test_backward_from_many_numbers_asks_for_weights():
    with pytest.raises(NonScalarBackwardError, match=r"shape \(2,\): the gradient of 2 numbers needs a weight for"):
        leaf(1.0, 2.0).exp().backward()
    with pytest.raises(ShapeError, match=r"the seed has shape \(3,\), the Tensor \(2,\)"):
        leaf(1.0, 2.0).exp().backward(np.ones(3))


def test_backward_twice_is_refused_unless_meant():
    x = leaf(1.0, 2.0)
    y = square_sum(x)
    y.backward(retain_graph=True)
    with pytest.raises(BackwardTwiceError, match="would be counted twice"):
        y.backward()
    y.backward(retain_graph=True)
    np.testing.assert_array_equal(x.grad, [4.0, 8.0])


def test_backward_needs_something_to_differentiate_by():
    with pytest.raises(GraphError, match="depends on no Tensor with requires_grad=True"):
        tg.Tensor([1.0]).sum().backward()


@pytest.mark.parametrize("f", [lambda a, b: a + b, lambda a, b: tg.ops.stack([a, b]), lambda a, b: (a + b).reshape(2)])
def test_gradients_of_two_leaves_never_share_memory(f):
    a, b, seed = leaf(1.0, 2.0), leaf(3.0, 4.0), None
    y = f(a, b)
    seed = np.ones(y.shape)
    y.backward(seed)
    assert not any(np.shares_memory(p, q) for p, q in [(a.grad, b.grad), (a.grad, seed), (a.grad, y.grad)])


VIEWS = [
    lambda x: x.reshape(2, 1),
    lambda x: x[:],
    lambda x: x.T,
    lambda x: x.squeeze(),
    lambda x: x.reshape(2, 1).T.reshape(2),
]


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_is_written_through_a_view(view):
    x, constant = leaf(1.0, 2.0), tg.Tensor([1.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        view(x).data[...] = 9.0
    with tg.no_grad(), pytest.raises(GraphError, match="would not get what is written"):
        view(x)[...] = 9.0
    with pytest.raises(GraphError, match="would not get what is written"):
        view(constant)[...] = 9.0
    np.testing.assert_array_equal([x.data, constant.data], [[1.0, 2.0]] * 2)


@pytest.mark.parametrize("view", VIEWS)
def test_a_write_to_what_a_view_looks_at_is_noticed(view):
    for write in set(WRITES) - {write_by_replacing}:  # this one leaves the view's numbers as they were
        x = leaf(1.0, 2.0)
        y = square_sum(view(x))
        write(x)
        with pytest.raises(SavedArrayChangedError):
            y.backward()


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_of_a_constant_keeps_its_numbers(view):
    w, x = leaf(3.0, 4.0), tg.Tensor([1.0, 2.0])
    y = (w * view(x).reshape(2)).sum()
    x.data[...] = 0.0
    y.backward()
    np.testing.assert_array_equal(w.grad, [1.0, 2.0])


@pytest.mark.parametrize("view", VIEWS)
def test_views_of_constants_are_pickled_and_hold_nothing(view):
    x = tg.Tensor([1.0, 2.0])
    v = view(view(x).reshape(2))
    assert pickle.loads(pickle.dumps(v)).tolist() == v.tolist()
    held = weakref.ref(x.array)
    del x
    assert held() is None
    v[...] = 3.0  # the array that v was a view of no longer exists
    for _ in range(50):
        v = v.T
    assert len(v._guard.viewed) < 3


# Writes to arrays that backward needs


def write_through_data(x):
    x.data[...] = 5.0


def write_in_place(x):
    x.data -= 5.0


def write_under_no_grad(x):
    with tg.no_grad():
        x[...] = 5.0


def write_by_replacing(x):
    x.data = [5.0, 6.0]


def write_through_an_alias(x):
    x.detach().data[0] = 5.0


def write_through_an_alias_under_no_grad(x):
    x.detach()[0] = 5.0


WRITES = [
    write_through_data,
    write_in_place,
    write_under_no_grad,
    write_by_replacing,
    write_through_an_alias,
    write_through_an_alias_under_no_grad,
]


@pytest.mark.parametrize("write", WRITES)
def test_a_write_between_forward_and_backward_is_noticed(write):
    x = leaf(1.0, 2.0, label="x")
    y = square_sum(x)
    write(x)
    with pytest.raises(SavedArrayChangedError, match=r"label='x'.*written to after mul had used it"):
        y.backward()


@pytest.mark.parametrize("hold", [lambda x: x.data, lambda x: x.numpy(), lambda x: x.detach().data])
@pytest.mark.parametrize("size", [2, 10_000])
def test_a_write_through_an_array_handed_out_before_is_noticed(hold, size):
    x = tg.Tensor(np.ones(size), requires_grad=True)
    held = hold(x)
    y = square_sum(x)
    held[-1] += 1e-15
    with pytest.raises(SavedArrayChangedError):
        y.backward()


def test_a_write_to_a_saved_output_is_noticed():
    x = leaf(1.0, 2.0)
    e = x.exp()
    y = e.sum()
    e.data[...] = 0.0
    with pytest.raises(SavedArrayChangedError, match=r"op='exp'.*written to after exp had used it"):
        y.backward()


def test_a_write_to_a_constant_tensor_is_noticed():
    x, c = leaf(1.0, 2.0), tg.Tensor([3.0, 4.0])
    y = (x * c).sum()
    c.data[...] = 0.0
    with pytest.raises(SavedArrayChangedError):
        y.backward()


HARMLESS = [  # the derivative does not read what was written
    (lambda x: (x + x).sum(), [2.0, 2.0]),
    (lambda x: x.reshape(2, 1).sum(), [1.0, 1.0]),
    (lambda x: x[::-1].sum(), [1.0, 1.0]),
    (lambda x: x.exp().sum(), [np.e, np.e**2]),
]


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("f", "expected"), HARMLESS)
def test_a_harmless_write_is_no_error(f, expected, write):
    x = leaf(1.0, 2.0)
    y = f(x)
    write(x)
    y.backward()
    np.testing.assert_allclose(x.grad, expected)


def test_updates_after_backward_are_no_error():
    x, held = leaf(1.0, 2.0), []
    for write in (*WRITES, write_in_place):
        square_sum(x).backward()
        held.append(x.data)
        write(x)
        x.grad = None
    y = square_sum(x)
    y.backward()
    np.testing.assert_array_equal(x.grad, 2.0 * x.data)


CONSTANTS = [  # (a plain array, an operation that uses it)
    (np.array([3.0, 4.0]), lambda x, c: x * c),
    (np.array([[3.0], [4.0]]), lambda x, c: x @ c),
    (np.array([1, 1, 0]), lambda x, c: x[c]),
    (np.array([True, False]), lambda x, c: x[c]),
    (np.array([True, False]), lambda x, c: tg.ops.where(c, x, 0.0)),
    (np.array([3.0, 4.0]), lambda x, c: tg.ops.mse(x, c)),
    (np.array(1), lambda x, c: tg.ops.cross_entropy(x, c)),
    (np.array([1, 1]), lambda x, c: tg.ops.take(x, c)),
    (np.array([1, 0]), lambda x, c: tg.ops.put(x, c, (3,)) * np.arange(3.0)),
    (np.array([1.0, 2.0]), lambda x, c: np.maximum(c, x)),
]


@pytest.mark.parametrize(("constant", "f"), CONSTANTS)
def test_a_constant_array_may_change_after_its_use(constant, f):
    kept, changing = leaf(1.0, 2.5), leaf(1.0, 2.5)
    f(kept, constant).sum().backward()
    reused = constant.copy()
    y = f(changing, reused).sum()
    reused[...] = 0
    y.backward()
    np.testing.assert_array_equal(changing.grad, kept.grad)


# Outside the graph


def test_no_grad_records_nothing():
    x = leaf(1.0)
    with tg.no_grad():
        y = x * x
    assert not y.requires_grad
    assert y.parents == ()
    assert (x * x).requires_grad


def test_detach_shares_the_numbers_and_cuts_the_history():
    x = leaf(1.0, 2.0, label="x")
    d = (x * x).detach()
    assert not d.requires_grad
    assert d.op is None
    assert np.shares_memory(x.detach().data, x.data)
    assert (x.detach() * x).requires_grad


def test_an_assignment_that_would_lose_a_gradient_is_refused():
    with pytest.raises(GraphError, match="would lose the gradient of what it overwrites"):
        leaf(1.0, 2.0)[0] = 5.0
    with pytest.raises(GraphError, match="only the data of a leaf can be replaced"):
        (leaf(1.0) * 2.0).data = [5.0]


@pytest.mark.parametrize("convert", [np.asarray, np.array, float, tg.Tensor, lambda x: np.zeros(1).__setitem__(..., x)])
def test_a_conversion_that_would_lose_the_gradient_is_refused(convert):
    with pytest.raises(DetachedError, match="lose its gradient"):
        convert(leaf(1.0))
    assert type(np.asarray(tg.Tensor([1.0]))) is np.ndarray


def test_detect_anomaly_names_the_first_bad_step():
    with tg.detect_anomaly(), np.errstate(all="ignore"):
        with pytest.raises(AnomalyError, match=r"log gave nan \(first at index \(1,\), 1 of 2.*x: min -1, max 1"):
            leaf(1.0, -1.0, label="x").log()
        with pytest.raises(AnomalyError, match=r"Its inputs: data: nan \(first at index \(1,\)"):
            leaf(1.0, np.nan, label="data") * 2.0
        y = leaf(0.0, 1.0, label="x").sqrt().sum()
        with pytest.raises(AnomalyError, match=r"backward through sqrt gave inf.*came in was finite"):
            y.backward()


def test_log_under_where_gives_finite_gradients():
    x = leaf(0.0, 2.0)
    with np.errstate(divide="ignore"):
        y = tg.ops.where(x > 0.0, x.log(), 0.0).sum()
    y.backward()
    np.testing.assert_array_equal(x.grad, [0.0, 0.5])


# A Tensor as a Python object


def test_repr_len_iter_and_bool():
    assert repr(leaf(1.0, 2.0, label="w")) == "Tensor([1., 2.], label='w', requires_grad=True)"
    assert repr(tg.Tensor([1.0], dtype="float32") * 2.0) == "Tensor([2.], dtype=float32)"
    assert "shape=(100,)" in repr(tg.Tensor(np.ones(100)))
    assert repr(leaf(2.0).sum()) == "Tensor(2., op='sum')"
    assert len(leaf(1.0, 2.0)) == 2
    assert [x.item() for x in leaf(1.0, 2.0)] == [1.0, 2.0]
    assert bool(tg.Tensor(2.0) > 1.0)
    assert not tg.Tensor(0.0)
    with pytest.raises(ValueError, match="ambiguous"):
        bool(leaf(1.0, 2.0))
