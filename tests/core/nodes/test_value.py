"""Value: what its operators mean, what backward adds up, and what it refuses."""

import copy
import math
import operator
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Value, ops
from tinygrad_edu.errors import (
    AnomalyError,
    BackwardTwiceError,
    DetachedError,
    ForgottenZeroGradWarning,
    OperandError,
    SavedArrayChangedError,
)


def gradients(y, *inputs):
    y.backward()
    return [x.grad for x in inputs]


# Operators

ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
NUMBERS = [3.0, 3, True, np.float64(3.0), np.float32(3.0), np.int64(3), np.array(3.0)]
each_operator = pytest.mark.parametrize("f", ARITHMETIC, ids=lambda f: f.__name__)
each_number = pytest.mark.parametrize("number", NUMBERS, ids=lambda x: type(x).__name__)


@each_operator
@each_number
def test_a_number_may_stand_on_either_side_of_an_operator(f, number):
    x = Value(2.0)
    for y, expected in ((f(x, number), f(2.0, float(number))), (f(number, x), f(float(number), 2.0))):
        assert type(y) is Value
        assert y.data == pytest.approx(expected, rel=1e-15)


@each_operator
def test_an_array_on_either_side_of_an_operator_gives_an_array_of_values(f):
    x, array = Value(2.0), np.array([[1.0, 2.0], [3.0, 4.0]])
    for found, expected in ((f(x, array), f(2.0, array)), (f(array, x), f(array, 2.0))):
        assert found.shape == array.shape
        assert all(type(y) is Value for y in found.flat)
        assert [y.data for y in found.flat] == pytest.approx(expected.ravel(), rel=1e-15)


def test_unary_operators():
    x = Value(-2.0)
    assert [(-x).data, (+x).data, abs(x).data] == [2.0, -2.0, 2.0]
    assert gradients(-x + 3.0 * +x + abs(x), x) == [1.0]


def test_in_place_spelling_makes_a_new_node():
    x = y = Value(2.0)
    y *= x
    assert (x.data, y.data, gradients(y, x)) == (2.0, 4.0, [4.0])


def test_numpy_functions_find_the_operation():
    x = Value(0.5)
    y = np.tanh(x)
    assert (y.data, y.op) == (math.tanh(0.5), ops.tanh)
    assert np.maximum(x, 1.0).data == np.maximum(0.5, 1.0)
    assert [np.exp(v).data for v in np.array([x, x])] == [math.exp(0.5)] * 2
    assert [v.data for v in np.where(np.array([True, False]), x, 9.0)] == [0.5, 9.0]


def test_matmul_works_on_object_arrays_of_values():
    W = np.array([[Value(1.0), Value(2.0)], [Value(3.0), Value(4.0)]])
    y = (W @ np.array([5.0, 6.0])).sum()
    assert y.data == 56.0
    assert gradients(y, *W.flat) == [5.0, 6.0, 5.0, 6.0]


def test_comparisons_are_plain_booleans():
    a, b = Value(1.0), Value(2.0)
    found = [a < b, a <= b, a > b, a >= b, a == b, a != b, a < 2, operator.lt(2, a), np.float64(2.0) > a, a == 1.0]
    assert found == [True, True, False, False, False, True, True, False, True, True]
    assert all(type(x) is bool for x in found)


def test_comparison_with_an_array_is_a_plain_array_of_booleans():
    found = Value(2.0) > np.array([1.0, 3.0])
    assert found.dtype == bool
    assert found.tolist() == [True, False]


def test_comparison_with_what_is_no_number():
    x = Value(1.0)
    assert (x == None, x != None, x == "1", x in [None, "a"]) == (False, True, False, False)  # noqa: E711
    with pytest.raises(TypeError, match="not supported between instances"):
        x < "a"  # noqa: B015


def test_equal_values_are_different_keys():
    a, b = Value(1.0), Value(1.0)
    assert a == b
    assert {a: "a", b: "b"} == {a: "a", b: "b"}
    assert len({a, b, a}) == 2


# Backward


def test_a_node_used_twice_accumulates():
    x = Value(3.0)
    assert gradients(x * x + x, x) == [7.0]


def test_the_same_node_as_both_arguments():
    x = Value(3.0)
    assert gradients(ops.maximum(x, x) + x / x + x - x, x) == [1.0]


def test_leaves_accumulate_over_graphs_and_inner_nodes_do_not():
    x = Value(3.0)
    trunk = x * x
    (trunk * 2.0).backward()
    (trunk * 5.0).backward()
    assert (x.grad, trunk.grad) == (2.0 * 6.0 + 5.0 * 6.0, 5.0)


def test_a_second_backward_is_refused_and_changes_nothing():
    x = Value(3.0)
    y = x * x
    y.backward()
    with pytest.raises(BackwardTwiceError, match="retain_graph=True"):
        y.backward()
    assert x.grad == 6.0


def test_retain_graph_adds_the_same_gradients_again():
    x = Value(3.0)
    y = x * x
    y.backward()
    y.backward(retain_graph=True)
    assert (x.grad, y.grad) == (12.0, 1.0)


def test_backward_from_a_leaf_counts_itself():
    x = Value(3.0)
    assert gradients(x, x) == [1.0]


def test_a_gradient_that_an_optimizer_has_used_warns_when_added_to():
    x = Value(3.0, label="w")
    optimizer = tg.optim.SGD([x], lr=0.1)
    (x * x).backward()
    optimizer.step()
    with pytest.warns(ForgottenZeroGradWarning, match=r"Value 'w'.*zero_grad"):
        (x * x).backward()


def test_zero_grad_leaves_nothing_to_warn_of():
    x = Value(3.0)
    optimizer = tg.optim.SGD([x], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        (x * x).backward()
        assert x.grad == 2.0 * x.data
        optimizer.step()


def test_no_grad_records_nothing():
    x = Value(3.0)
    with tg.no_grad():
        found = [x * x, x.tanh(), 2.0 * x, -x, x.maximum(1.0)]
    assert all(y.parents == () and y.op is None for y in found)
    assert (x * x).parents == (x, x)


def test_detach_cuts_the_history():
    x = Value(3.0, label="x")
    cut = (x * x).detach()
    assert (cut.data, cut.parents) == (9.0, ())
    assert gradients(cut * x, x, cut) == [9.0, 3.0]


# numbers at the limits: IEEE 754, no exceptions

INFINITE = [
    (lambda x: 1.0 / x, 0.0, math.inf),
    (lambda x: x**-1.0, 0.0, math.inf),
    (lambda x: -1.0 / x, 0.0, -math.inf),
    (lambda x: x.log(), 0.0, -math.inf),
    (lambda x: x.exp(), 1000.0, math.inf),
    (lambda x: x**2.0, 1e200, math.inf),
]
NOT_A_NUMBER = [
    (lambda x: x / 0.0, 0.0),
    (lambda x: x.log(), -1.0),
    (lambda x: x.sqrt(), -1.0),
    (lambda x: x**0.5, -1.0),
    (lambda x: x.asin(), 2.0),
]


@pytest.mark.parametrize(("f", "at", "expected"), INFINITE)
def test_infinity_where_ieee_has_it(f, at, expected):
    assert f(Value(at)).data == expected


@pytest.mark.parametrize(("f", "at"), NOT_A_NUMBER)
def test_nan_where_ieee_has_it(f, at):
    assert math.isnan(f(Value(at)).data)


def test_zero_to_the_zero_is_one_with_slope_zero():
    x, n = Value(0.0), Value(0.0)
    y = x**n
    assert y.data == 1.0
    assert gradients(y, x, n) == [0.0, 0.0]


def test_the_branch_not_chosen_sends_no_gradient():
    x = Value(0.0)
    y = ops.where(x > 0.0, x.log(), 0.0)
    assert y.data == 0.0
    assert gradients(y, x) == [0.0]


def test_the_branch_not_chosen_sends_no_second_gradient():
    second = tg.grad(tg.grad(lambda x: ops.where(x > 0.0, x.log(), x * x)))
    assert (second(0.0), second(2.0)) == (2.0, -0.25)


# higher order derivatives


def test_grad_of_grad():
    x = 0.7
    t = math.tanh(x)
    assert tg.grad(tg.grad(ops.tanh))(x) == pytest.approx(-2.0 * t * (1.0 - t * t), rel=1e-14)
    assert tg.grad(tg.grad(tg.grad(lambda x: x**4)))(2.0) == pytest.approx(48.0, rel=1e-14)


def test_a_gradient_taken_on_values_can_be_walked_backward():
    x = Value(2.0)
    tg.grad(lambda x: x * x * x)(x).backward()
    assert x.grad == 12.0


def test_changing_data_before_a_second_derivative_is_noticed():
    w = Value(3.0, label="w")
    y, pull = tg.vjp(lambda x: (x * w).sin(), Value(2.0))
    assert y.data == math.sin(6.0)
    w.data = 4.0
    with pytest.raises(SavedArrayChangedError, match="written to"):
        pull(1.0)


def test_changing_data_after_the_forward_pass_leaves_its_first_derivative():
    x = Value(3.0)
    y = x * x
    x.data = 100.0
    assert gradients(y, x) == [6.0]


# refused calls

NOT_REAL = ["1.0", b"1", 1j, None, [1.0], np.array([1.0]), np.array(1j), np.array("1"), {}, object(), Value(1.0)]


@pytest.mark.parametrize("data", [*NOT_REAL, tg.Tensor(1.0), tg.Tensor([1.0])], ids=lambda x: type(x).__name__)
def test_a_value_holds_one_real_number(data):
    with pytest.raises(OperandError, match=f"not {type(data).__name__}"):
        Value(data)


@pytest.mark.parametrize("other", ["1.0", 1j, None, [1.0], {}, tg.Tensor(1.0), tg.Tensor([1.0])], ids=repr)
@pytest.mark.parametrize("f", [*ARITHMETIC, ops.maximum], ids=lambda f: getattr(f, "__name__", ""))
def test_an_operand_is_one_real_number(f, other):
    for arguments in ((Value(1.0), other), (other, Value(1.0))):
        with pytest.raises(OperandError):
            f(*arguments)


@pytest.mark.parametrize("number", [2, True, np.float32(2.0), np.int8(2), np.bool_(True), np.array(2.0)], ids=repr)
def test_real_numbers_become_floats(number):
    assert type(Value(number).data) is float
    assert Value(number).data == float(number)


@pytest.mark.parametrize("f", [float, math.tanh, math.floor, lambda x: np.array([x], dtype=float)])
def test_leaving_the_graph_by_accident_is_refused(f):
    with pytest.raises((DetachedError, TypeError), match=r"lose its gradient"):
        f(Value(1.0))


def test_arrays_of_plain_numbers_do_not_swallow_values():
    array = np.zeros(2)
    with pytest.raises(DetachedError, match="a = a \\+ x"):
        array += Value(1.0)
    with pytest.raises(DetachedError):
        array[0] = Value(1.0)


@pytest.mark.parametrize("f", [lambda x: x.log(), lambda x: x * math.inf, lambda x: x / 0.0, lambda x: x**0.5])
def test_detect_anomaly_names_the_operation_and_its_inputs(f):
    x = Value(-1.0, label="x")
    with tg.detect_anomaly(), pytest.raises(AnomalyError, match=r"\(x.*gave .*x = -1\.0"):
        f(x)


def test_detect_anomaly_looks_at_gradients_too():
    x = Value(0.0)
    with tg.detect_anomaly(), pytest.raises(AnomalyError, match="gradient inf"):
        x.sqrt().backward()


def test_detect_anomaly_ends_with_its_block():
    with pytest.raises(ValueError, match="stop"), tg.detect_anomaly():
        raise ValueError("stop")
    assert math.isnan(Value(-1.0).log().data)


# printing and storage


def test_repr_shows_number_gradient_label_and_operation():
    x = Value(2.0, label="x")
    assert repr(x) == "Value(data=2.0, grad=0.0, label='x')"
    assert repr(x * x) == "Value(data=4.0, grad=0.0, op='mul')"


def test_attributes_cannot_be_misspelled():
    with pytest.raises(AttributeError):
        Value(1.0).gard = 0.0


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_a_small_graph_can_be_copied(copied):
    x = Value(3.0, label="x")
    y = copied((x * x).tanh())
    (square,) = y.parents
    assert (y.data, y.op, square.op) == (math.tanh(9.0), ops.tanh, ops.mul)
    assert square.parents[0] is square.parents[1]
    y.backward()
    assert (square.parents[0].grad, x.grad) == (pytest.approx(6.0 * (1.0 - math.tanh(9.0) ** 2)), 0.0)
