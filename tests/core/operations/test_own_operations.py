"""Operations that somebody outside declares: on every back end, in the tools, compiled or refused, and bad ones."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.core.own_operations import OWN
from tinygrad_edu.errors import OperandError, SettingError, ShapeError, TraceError
from tinygrad_edu.ops import exp, sigmoid

WIDTH = 1.5


@tg.operation(partials=lambda y, x: (-2.0 * x / (WIDTH * WIDTH) * y,))
def own_bell(x):
    """e^(-x²/w²)."""
    return math.exp(-x * x / (WIDTH * WIDTH))


@tg.operation(
    partials=lambda y, x, k: ((x > 0.0) * 1.0 + (x <= 0.0) * exp(k * x), (x <= 0.0) * (x * exp(k * x) - y) / k)
)
def own_branch(x, k):
    """A function that decides by if."""
    if x > 0.0:
        return x
    return (math.exp(k * x) - 1.0) / k


@tg.operation(partials=lambda y, x: (sigmoid(x) * sigmoid(-x) + 0.5,))
def own_mixed(x):
    """An operation inside another one's function."""
    return sigmoid(x) + 0.5 * x


def half(x):
    return 0.5 * math.sinh(x)


@tg.operation(partials=lambda y, x: (tg.ops.cosh(x) * 0.5,))
def own_helped(x):
    """A plain function of its own file."""
    return half(x)


@tg.operation
def own_composed(x, power=2.0):
    return tg.ops.tanh(x) ** power + tg.ops.sum(x) * 0.1


@tg.operation(vjp=lambda g, y, a, b, scale: (scale * g @ b.T, scale * a.T @ g))
def own_product(a, b, scale=2.0):
    """scale·a @ b."""
    return scale * (a @ b)


@tg.operation(
    vjp=lambda g, y, x: tg.ops.flip(tg.ops.cumsum(tg.ops.flip(g))),
    made_of=lambda x: tg.ops.cumsum(x),
)
def own_running_sum(x):
    return np.cumsum(x)


ELEMENTWISE = {
    own_mixed: [0.3],
    own_bell: [0.3],
    own_helped: [0.7],
}


@pytest.mark.parametrize("f", ELEMENTWISE, ids=lambda f: f.name)
def test_an_elementwise_one_works_on_everything(f):
    x = np.array([[0.5, -1.2], [0.1, 2.0]])
    expected = np.vectorize(f.function)(x)
    np.testing.assert_allclose(f(x), expected, rtol=1e-15)
    np.testing.assert_allclose(f(tg.Tensor(x)).data, expected, rtol=1e-15)
    assert type(f(0.5)) is float
    assert f(tg.Value(0.5)).data == f(0.5) == expected[0, 0]
    assert f(x.astype(np.float32)).dtype == np.float32
    for point in (0.3, x):
        total = lambda x: tg.ops.sum(f(x)) if np.ndim(x) else f(x)  # noqa: E731
        assert tg.gradcheck(f, point)
        assert tg.gradcheck(tg.grad(total), point)
        assert tg.taylor_slope(f, point) >= 1.8
    assert f.name in tg.draw(f(tg.Value(0.5))).dot


def test_one_that_branches_runs_entry_by_entry():
    x, k = np.array([[0.5, -1.2], [0.1, -0.4]]), np.array([1.0, 2.0])
    np.testing.assert_allclose(own_branch(x, k), np.vectorize(own_branch.function)(x, k))
    assert tg.gradcheck(own_branch, x, k)
    assert tg.gradcheck(own_branch, 0.5, 1.0)
    assert own_branch(np.float32([0.5]), 1.0).dtype == np.float32
    y = tg.Tensor(x, requires_grad=True)
    own_branch(y, 1.5).sum().backward()
    assert y.grad.shape == x.shape


def test_arrays_get_nan_where_python_raises():
    @tg.operation(partials=lambda y, x: (1.0 / x,), domain=([(0.5, 2.0)],), replace=True)
    def own_log(x):
        return math.log(x) if x != 7.0 else 0.0

    assert np.isnan(own_log(np.array([-1.0, 1.0]))).tolist() == [True, False]
    assert math.isnan(own_log(-1.0))


@pytest.mark.parametrize("f", [own_bell, own_mixed, own_helped], ids=lambda f: f.name)
def test_plain_maths_compiles(f):
    x = np.array([0.5, -1.2, 0.1])
    total = lambda x: tg.ops.sum(f(x) * x)  # noqa: E731
    y, gradient = tg.jit(total).value_and_grad(x)
    expected = tg.value_and_grad(total)(x)
    np.testing.assert_allclose(y, expected[0], rtol=1e-12)
    np.testing.assert_allclose(gradient, expected[1], rtol=1e-12)


@pytest.mark.slow
def test_it_compiles_on_the_scalar_tape_too():
    f = lambda a, b: own_bell(a) * own_branch(b, a) + own_mixed(a)  # noqa: E731
    found = tg.jit(f).value_and_grad(0.5, -0.3, argnum=(0, 1))
    a, b = tg.Value(0.5), tg.Value(-0.3)
    y = f(a, b)
    y.backward()
    np.testing.assert_allclose([found[0], *found[1]], [y.data, a.grad, b.grad], rtol=1e-12)


def test_branches_compile():
    total = lambda x: tg.ops.sum(own_branch(x, 1.5))  # noqa: E731
    x = np.array([0.5, -1.2, 0.1])
    y, gradient = tg.jit(total).value_and_grad(x)
    np.testing.assert_allclose(y, total(x), rtol=1e-12)
    np.testing.assert_allclose(gradient, tg.grad(total)(x), rtol=1e-12)


def test_what_no_program_can_hold_is_refused_by_name():
    shift = 0.3

    @tg.operation(partials=lambda y, x: (1.0,), replace=True)
    def own_closure(x):
        return x + shift

    @tg.operation(partials=lambda y, x: (np.cos(x),), replace=True)
    def own_numpy(x):
        return np.sin(x)

    assert tg.gradcheck(own_numpy, np.array([0.3, 0.5]))
    for f, reason in ((own_closure, "reads shift of the function around it"), (own_numpy, "uses np")):
        with pytest.raises(TraceError, match=rf"{f.name} cannot be compiled: .*{reason}.* without jit"):
            tg.jit(lambda x, f=f: tg.ops.sum(f(x)))(np.ones(2))
        with pytest.raises(TraceError, match=reason):
            tg.jit(lambda x, f=f: f(x))(1.0)
    with pytest.raises(TraceError, match=r"own_product cannot be compiled: .* give it made_of="):
        tg.jit(lambda x: tg.ops.sum(own_product(x, x)))(np.ones((2, 2)))


def test_a_composed_one_works_and_compiles():
    x = np.array([0.5, -1.2, 0.1])
    f = lambda x: tg.ops.sum(own_composed(x))  # noqa: E731
    assert tg.gradcheck(f, x)
    assert tg.gradcheck(tg.grad(f), x)
    np.testing.assert_allclose(tg.jit(f)(x), f(x), rtol=1e-12)


def test_an_array_operation_works():
    a, b = np.random.default_rng(0).normal(size=(2, 2, 3))
    b = b.T
    np.testing.assert_allclose(own_product(a, b, 3.0), 3.0 * a @ b)
    f = lambda a, b: tg.ops.sum(tg.ops.sin(own_product(a, b, scale=0.5)))  # noqa: E731
    assert tg.gradcheck(f, a, b)
    assert tg.gradcheck(tg.grad(f), a, b)
    y = own_product(tg.Tensor(a, requires_grad=True), b)
    assert y.op.name == "own_product"
    assert "own_product" in tg.draw(y).dot
    values = np.frompyfunc(tg.Value, 1, 1)(a)
    assert own_product(values, b)[0, 0].data == pytest.approx(2.0 * (a @ b)[0, 0])


def test_an_array_operation_with_a_body_compiles():
    x = np.array([0.5, -1.2, 0.1])
    f = lambda x: tg.ops.sum(own_running_sum(x) ** 2)  # noqa: E731
    assert tg.gradcheck(f, x)
    np.testing.assert_allclose(tg.jit(f)(x), f(x), rtol=1e-12)


def test_they_are_found_by_name():
    assert tg.ops.own_bell is own_bell
    assert "own_product" in dir(tg.ops)
    assert {"own_bell", "own_product", "own_composed"} <= OWN.keys()


# Bad declarations


def declared(function, **options):
    function.__name__ = function.__qualname__ = options.pop("name", "own_bad")
    return tg.operation(replace=True, **options)(function)


BAD = [
    (lambda: declared(lambda x: x, name="tanh", partials=lambda y, x: (1.0,)), SettingError, "tanh exists already"),
    (lambda: declared(lambda x: x, name="matmul", vjp=lambda g, y, x: (g,)), SettingError, "matmul exists already"),
    (lambda: declared(lambda x: x, name="einsum"), SettingError, "einsum exists already"),
    (lambda: tg.operation(lambda x: x), SettingError, "write it with def"),
    (
        lambda: declared(lambda x: x, partials=lambda y, x: (1.0,), vjp=lambda g, y, x: (g,)),
        SettingError,
        "either partials= .* or vjp=",
    ),
    (
        lambda: declared(lambda a, b: a * b, partials=lambda y, a, b: (b,)),
        OperandError,
        r"partials\(y, a, b\) gives one derivative for each of its 2 inputs as a tuple, .* these gave \(",
    ),
    (lambda: declared(lambda x: x, partials=lambda y, x: 1.0), OperandError, "as a tuple, as in"),
    (lambda: declared(lambda x: x, partials=lambda x: (1.0,)), OperandError, r"called as partials\(y, x\)"),
    (lambda: declared(lambda *x: x, partials=lambda y, x: (1.0,)), OperandError, r"without \*args"),
    (lambda: declared(lambda x: (x, x), partials=lambda y, x: (1.0,)), OperandError, "must return one number"),
    (
        lambda: declared(lambda x: x, partials=lambda y, x: (math.exp(x),)),
        OperandError,
        r"use math\.exp, .*write tg\.ops\.exp",
    ),
    (lambda: declared(lambda *, k=1.0: k, vjp=lambda g, y: ()), OperandError, "takes no array"),
    (lambda: declared(lambda *xs: xs[0], vjp=lambda g, y, x: (g,)), OperandError, "give each array .* a name"),
    (
        lambda: declared(lambda a, b, k=2: a, vjp=lambda g, y, a, b: (g, g)),
        OperandError,
        r"called as vjp\(g, y, a, b, k=k\)",
    ),
]


@pytest.mark.parametrize(("declare", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_a_bad_declaration_says_what_is_wrong(declare, error, message):
    with pytest.raises(error, match=message):
        declare()


def test_one_name_is_declared_once():
    @tg.operation(partials=lambda y, x: (1.0,))
    def own_once(x):
        return x

    with pytest.raises(
        SettingError, match=r"own_once was already declared in .*test_own_operations.py, line \d+.*replace=True"
    ):

        @tg.operation(partials=lambda y, x: (2.0,))
        def own_once(x):
            return 2.0 * x

    assert tg.ops.own_once(3.0) == 3.0


def test_gradients_of_a_wrong_shape_or_number_are_named():
    wrong = declared(lambda a, b: a * b, vjp=lambda g, y, a, b: (g * b, g * a))
    a, b = tg.Tensor(np.ones((2, 3)), requires_grad=True), tg.Tensor(np.ones(3), requires_grad=True)
    with pytest.raises(ShapeError, match=r"gave a gradient of shape \(2, 3\) for b of shape \(3,\).*sum over what was"):
        wrong(a, b).sum().backward()
    few = declared(lambda a, b: a * b, vjp=lambda g, y, a, b: (g * b,))
    with pytest.raises(OperandError, match=r"gave 1 gradients for its 2 arrays \(a, b\)"):
        few(a, a).sum().backward()
    entry = declared(lambda x: np.sum(x), partials=lambda y, x: (1.0,))
    with pytest.raises(ShapeError, match=r"computed entry by entry.*declared with vjp="):
        entry(np.ones(3))


def test_none_is_no_gradient():
    f = declared(lambda a, b: a * b, vjp=lambda g, y, a, b: (g * b, None))
    a, b = tg.Tensor([1.0, 2.0], requires_grad=True), tg.Tensor([3.0, 4.0], requires_grad=True)
    f(a, b).sum().backward()
    assert a.grad.tolist() == [3.0, 4.0]
    assert b.grad.tolist() == [0.0, 0.0]
