"""grad, vjp, jvp, jacobian, hessian and hvp against closed forms and finite differences, on both back ends."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import (
    DtypeError,
    NonScalarBackwardError,
    OperandError,
    SettingError,
    ShapeError,
    TinygradError,
)

A = np.array([[2.0, -1.0, 0.5], [0.3, 1.0, -2.0], [1.0, 0.0, 3.0]])
X, V = np.array([0.4, -1.2, 0.7]), np.array([1.0, -0.5, 2.0])


def quadratic(x):
    return x @ (A @ x)


def cubic(x):
    return (x * x * x).sum()


def rational(x, y):
    return x * x / y + tg.ops.sin(x * y)


# Closed forms


@pytest.mark.parametrize("order", range(1, 4))
@pytest.mark.parametrize("x", [0.3, -1.1])
def test_derivatives_up_to_the_third_order(order, x):
    nested = tg.ops.tanh
    for _ in range(order):
        nested = tg.grad(nested)
    y = math.tanh(x)
    expected = [1 - y * y, -2 * y * (1 - y * y), (1 - y * y) * (6 * y * y - 2)][order - 1]
    assert nested(x) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("order", range(1, 4))
def test_derivatives_of_arrays_up_to_the_third_order(order):
    def summed(f):
        return lambda x: f(x).sum()

    nested = tg.ops.exp
    for _ in range(order):
        nested = tg.grad(summed(lambda x, f=nested: f(2.0 * x)))
    # each level doubles the argument first: e^(2x), then 2·e^(4x), then 2·4·e^(8x), ...
    factor = {1: 2.0, 2: 2.0 * 4.0, 3: 2.0 * 4.0 * 8.0}[order]
    np.testing.assert_allclose(nested(X), factor * np.exp(2.0**order * X), rtol=1e-13)


def test_gradient_and_value_of_a_quadratic():
    value, gradient = tg.value_and_grad(quadratic)(X)
    assert value == pytest.approx(X @ A @ X)
    np.testing.assert_allclose(gradient, (A + A.T) @ X, rtol=1e-14)
    assert type(gradient) is np.ndarray
    assert type(value) is float


def test_jacobian_and_hessian_of_known_functions():
    np.testing.assert_allclose(tg.jacobian(lambda x: A @ x)(X), A)
    np.testing.assert_allclose(tg.jacobian(tg.ops.sin)(X), np.diag(np.cos(X)))
    np.testing.assert_allclose(tg.hessian(quadratic)(X), A + A.T)
    np.testing.assert_allclose(tg.hessian(cubic)(X), np.diag(6.0 * X))
    assert tg.hessian(lambda x: x**3)(2.0) == 12.0
    assert tg.jacobian(lambda x: x**3)(2.0) == 12.0


def test_shapes_of_a_jacobian_are_those_of_result_and_argument():
    x = np.arange(6.0).reshape(2, 3) / 6.0
    found = tg.jacobian(lambda x: tg.ops.exp(x) @ A)(x)
    assert found.shape == (2, 3, 2, 3)
    np.testing.assert_allclose(found, expected(x))


def expected(x):
    """∂(Σ_m e^x[i,m]·A[m,j])/∂x[k,m] = [i = k]·e^x[i,m]·A[m,j]."""
    return np.einsum("ik,im,mj->ijkm", np.eye(2), np.exp(x), A)


def test_hvp_is_the_hessian_times_the_vector():
    np.testing.assert_allclose(tg.hvp(cubic, X, V), 6.0 * X * V)
    np.testing.assert_allclose(tg.hvp(quadratic, X, V), (A + A.T) @ V)
    assert tg.hvp(lambda x: x**3, 2.0, 5.0) == 60.0


def test_hvp_of_several_arguments():
    found = tg.hvp(lambda x, y: x * x * y, (2.0, 3.0), (1.0, 10.0))
    assert found == (2 * 3.0 * 1.0 + 2 * 2.0 * 10.0, 2 * 2.0 * 1.0)


# Against each other and finite differences


@pytest.mark.parametrize("point", [(1.3, 0.7), (np.array([1.3, -0.4]), np.array([0.7, 2.0]))], ids=["scalar", "tensor"])
def test_push_forward_pull_back_and_differences_agree(point):
    """ȳ·(J v) = (ȳ J)·v."""
    tangents = tuple(np.full_like(x, 0.8) * 1.0 if np.ndim(x) else 0.8 for x in point)
    y, pushed = tg.jvp(rational, point, tangents)
    again, pull = tg.vjp(rational, *point)
    weights = np.full(np.shape(y), 1.5) if np.ndim(y) else 1.5
    pulled = pull(weights)
    np.testing.assert_array_equal(y, again)
    assert np.sum(weights * pushed) == pytest.approx(sum(np.sum(g * t) for g, t in zip(pulled, tangents, strict=True)))
    h = 1e-6
    ends = [tg.vjp(rational, *[x + s * h * t for x, t in zip(point, tangents, strict=True)])[0] for s in (1, -1)]
    np.testing.assert_allclose(pushed, (ends[0] - ends[1]) / (2.0 * h), rtol=1e-8)


def network(W, x):
    return tg.ops.logsumexp(tg.ops.tanh(W @ x) * tg.ops.softplus(x))


def test_a_hessian_is_symmetric_and_agrees_with_differences_of_the_gradient():
    gradient = tg.grad(network, 1)
    found = tg.hessian(network, 1)(A, X)
    differences = [(gradient(A, X + 1e-6 * e) - gradient(A, X - 1e-6 * e)) / 2e-6 for e in np.eye(3)]
    np.testing.assert_allclose(found, found.T, atol=1e-14)
    np.testing.assert_allclose(found, differences, atol=1e-8)
    np.testing.assert_allclose(tg.hvp(lambda x: network(A, x), X, V), found @ V, rtol=1e-12)


def test_both_back_ends_give_the_same_third_derivative():
    def f(x):
        return tg.ops.sigmoid(x * x) * tg.ops.log(x)

    third = tg.grad(tg.grad(tg.grad(f)))
    assert third(0.8) == pytest.approx(third(np.array(0.8)).item(), rel=1e-12)


# Perturbation confusion: a derivative inside a derivative must not see the outer variable as its own

CONFUSION = [
    (lambda x: x * tg.grad(lambda y: x + y)(1.0 * x), 1.0, 1.0),
    (lambda x: x * tg.grad(lambda y: x * y)(0.0 * x + 1.0), 3.0, 6.0),
    (lambda x: tg.grad(lambda y: x * y * y)(x), 3.0, 4.0 * 3.0),
    (lambda x: x * tg.grad(lambda y: y * y)(x), 3.0, 4.0 * 3.0),
    (lambda x: tg.grad(lambda x: tg.grad(lambda x: x**3)(x))(x), 2.0, 6.0),
    (lambda x: tg.grad(lambda y: tg.grad(lambda z: x * y * z)(x))(x), 3.0, 1.0),
    (lambda x: tg.jvp(lambda y: x * y * y, (x,), (1.0,))[1], 3.0, 4.0 * 3.0),
    (lambda x: tg.vjp(lambda y: x * y, x)[1](x)[0], 3.0, 2.0 * 3.0),
]


@pytest.mark.parametrize(("f", "x", "expected"), CONFUSION)
def test_inner_and_outer_variables_are_kept_apart(f, x, expected):
    assert tg.grad(f)(x) == pytest.approx(expected)
    assert tg.grad(f)(np.array(x)) == pytest.approx(expected)


# Arguments


def loss(parameters, x):
    return ((parameters["W"] @ x + parameters["b"][0]) ** 2.0).sum()


def test_gradients_have_the_nesting_of_their_argument():
    parameters = {"W": A, "b": [np.ones(3), np.zeros(1)]}
    found = tg.grad(loss)(parameters, X)
    residual = A @ X + 1.0
    np.testing.assert_allclose(found["W"], 2.0 * np.outer(residual, X))
    np.testing.assert_allclose(found["b"][0], 2.0 * residual)
    np.testing.assert_array_equal(found["b"][1], [0.0])


def test_argnum_chooses_one_or_several():
    assert tg.grad(rational, 1)(1.0, 2.0) == pytest.approx(-0.25 + math.cos(2.0))
    first, second = tg.grad(rational, (0, 1))(1.0, 2.0)
    assert (first, second) == (tg.grad(rational, 0)(1.0, 2.0), tg.grad(rational, 1)(1.0, 2.0))
    assert tg.grad(rational, (1,))(1.0, 2.0) == (second,)


def test_a_number_beside_an_array_joins_the_tensor_back_end():
    w, b = tg.grad(lambda w, b: ((w * X + b) ** 2.0).sum(), (0, 1))(V, 0.5)
    np.testing.assert_allclose(w, 2.0 * (V * X + 0.5) * X)
    assert type(b) is float
    assert b == pytest.approx(2.0 * np.sum(V * X + 0.5))


def test_results_keep_the_kind_and_dtype_of_the_argument():
    assert type(tg.grad(tg.ops.exp)(1.0)) is float
    assert tg.grad(lambda x: x.sum())(X.astype(np.float32)).dtype == np.float32
    assert type(tg.grad(tg.ops.exp)(np.array(1.0))) is np.ndarray
    x = tg.Tensor(X, requires_grad=True)
    assert isinstance(tg.grad(cubic)(x), tg.Tensor)
    assert isinstance(tg.grad(tg.ops.exp)(tg.Value(1.0)), tg.Value)


def test_transforms_leave_the_gradients_of_their_arguments_alone():
    x = tg.Tensor(X, requires_grad=True)
    tg.grad(cubic)(x)
    assert x.grad is None
    (tg.grad(cubic)(x) ** 2.0).sum().backward()
    np.testing.assert_allclose(x.grad, 36.0 * X**3)


def test_keyword_arguments_and_names_are_passed_on():
    def scaled(x, *, by=1.0):
        """Doc."""
        return by * x * x

    assert tg.grad(scaled)(3.0, by=2.0) == 12.0
    assert tg.grad(scaled).__name__ == "scaled"


def test_a_constant_function_has_the_gradient_zero():
    assert tg.grad(lambda x: 5.0)(2.0) == 0.0
    np.testing.assert_array_equal(tg.grad(lambda x: tg.Tensor(5.0))(X), np.zeros(3))
    np.testing.assert_array_equal(tg.jacobian(lambda x: tg.Tensor(V))(X), np.zeros((3, 3)))


@pytest.mark.parametrize("x", [2.0, np.array(2.0)])
def test_transforms_work_under_no_grad(x):
    with tg.no_grad():
        assert tg.grad(lambda x: x * x)(x) == 4.0
        assert tg.grad(tg.grad(lambda x: x * x * x))(x) == 12.0
        assert tg.jvp(lambda x: x * x, (x,), (1.0,))[1] == 4.0
        y = tg.Tensor([1.0], requires_grad=True) * 2.0
    assert not y.requires_grad


# refused calls


def test_a_gradient_needs_one_number():
    with pytest.raises(NonScalarBackwardError, match=r"this one gives shape \(3,\)\. Reduce it"):
        tg.grad(tg.ops.exp)(X)


@pytest.mark.parametrize("result", ["text", None, ["text"], [1.0, 2.0], (tg.Value(1.0),)], ids=repr)
def test_a_result_that_is_no_number_is_refused(result):
    lists = isinstance(result, (list, tuple)) and result[0] != "text"  # jacobian has one for each entry
    for transform in [tg.grad, tg.hessian] if lists else [tg.grad, tg.jacobian, tg.hessian]:
        with pytest.raises(TinygradError):
            transform(lambda x: result)(2.0)


@pytest.mark.parametrize("x", ["text", None, 1j, np.array(["a"]), np.array([1, 2])], ids=repr)
def test_an_argument_without_derivative_is_refused(x):
    with pytest.raises((OperandError, DtypeError)):
        tg.grad(lambda x: x * 2.0)(x)


def test_a_seed_of_another_shape_is_refused():
    _, pull = tg.vjp(tg.ops.exp, X)
    with pytest.raises(ShapeError, match=r"seed of the result's shape \(3,\), not \(2,\)"):
        pull(np.ones(2))


CURVES = {  # functions from a number to an array
    "stack": lambda t: np.stack([np.cos(t), np.sin(t)]),
    "array": lambda t: np.array([[t, t * t], [1.0, t]]),
    "times array": lambda t: t * t * np.arange(3.0),
    "array times": lambda t: np.arange(3.0) * np.exp(t),
    "matrix": lambda t: np.array([[1.0, 2.0], [3.0, 4.0]]) @ np.stack([t, t**3]),
    "power": lambda t: np.arange(1.0, 4.0) ** t,
    "constant entry": lambda t: np.stack([t * 0.0, np.tanh(t)]),
    "concatenate": lambda t: np.concatenate([t * np.ones(2), np.ones(1) / t]),
}


@pytest.mark.parametrize("f", CURVES.values(), ids=CURVES)
def test_a_number_into_an_array(f):
    t, h = 0.5, 1e-6
    slope = (f(t + h) - f(t - h)) / (2.0 * h)
    found = tg.jacobian(f)(t)
    assert found.dtype == float
    np.testing.assert_allclose(found, slope, rtol=1e-7, atol=1e-9)
    y, tangent = tg.jvp(f, (t,), (2.0,))
    np.testing.assert_allclose(y, f(t), rtol=1e-15)
    np.testing.assert_allclose(tangent, 2.0 * found, rtol=1e-12)
    y, pull = tg.vjp(f, t)
    weights = np.arange(1.0, 1.0 + y.size).reshape(y.shape)
    assert pull(weights)[0] == pytest.approx(np.sum(weights * found), rel=1e-12)
    with tg.no_grad():  # it gave 0: the sum of Values that carries the weights was not recorded
        assert pull(weights)[0] == pytest.approx(np.sum(weights * found), rel=1e-12)
    second = tg.jacobian(tg.jacobian(f))(t)
    np.testing.assert_allclose(
        second, (tg.jacobian(f)(t + h) - tg.jacobian(f)(t - h)) / (2.0 * h), rtol=1e-6, atol=1e-8
    )
    np.testing.assert_allclose(tg.grad(lambda t: np.sum(f(t) ** 2))(t), np.sum(2.0 * f(t) * found), rtol=1e-12)
    assert tg.gradcheck(f, t)
    with pytest.raises(NonScalarBackwardError):
        tg.grad(f)(t)


def test_a_seed_of_another_shape_than_the_curve_is_refused():
    with pytest.raises(ShapeError, match=r"\(2,\)"):
        tg.vjp(CURVES["stack"], 0.5)[1](np.ones(3))


# the argument to differentiate with respect to


def product(a, b, c):
    return a * b * b * c


ALL = {
    "grad": lambda f, i: tg.grad(f, i),
    "value_and_grad": lambda f, i: lambda *x: tg.value_and_grad(f, i)(*x)[1],
    "jacobian": lambda f, i: tg.jacobian(f, i),
    "jit": lambda f, i: lambda *x: tg.jit(f).value_and_grad(*x, argnum=i)[1],
}


@pytest.mark.parametrize("point", [(2.0, 5.0, 3.0), (np.float64(2.0), np.array(5.0), np.array(3.0))])
@pytest.mark.parametrize("transform", ALL)
def test_arguments_are_counted_from_either_end(transform, point):
    for i in range(3):
        assert float(ALL[transform](product, i)(*point)) == float(ALL[transform](product, i - 3)(*point)) != 0.0
    if transform != "jacobian":
        assert tuple(map(float, ALL[transform](product, (-1, 0))(*point))) == (50.0, 75.0)


@pytest.mark.parametrize("argnum", [3, -4, 1.0, True, "x", None, (0, 3), (0, 0), (0, -3), ()])
@pytest.mark.parametrize("transform", ALL)
def test_what_is_no_argument_is_refused_by_name(transform, argnum):
    with pytest.raises(SettingError, match="argnum="):
        ALL[transform](product, argnum)(2.0, 5.0, 3.0)


def test_none_in_an_argument_is_not_a_number():
    w = np.array([1.0, 2.0])
    loss = lambda p: (p["w"] ** 2).sum() if p["b"] is None else (p["w"] ** 2).sum() + p["b"]  # noqa: E731
    found = tg.grad(loss)({"w": w, "b": None})
    np.testing.assert_array_equal(found["w"], 2 * w)
    assert found["b"] is None
    assert tg.grad(lambda p: p[0] ** 2)((3.0, None)) == (6.0, None)
    assert tg.jvp(loss, ({"w": w, "b": None},), ({"w": np.ones(2), "b": None},)) == (5.0, 6.0)


@pytest.mark.parametrize("transform", [tg.grad, tg.value_and_grad, tg.jacobian, tg.hessian])
def test_options_of_jax_are_answered(transform):
    assert transform(np.sum, holomorphic=False)
    with pytest.raises(SettingError, match="real and the imaginary part"):
        transform(np.sum, holomorphic=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'order'"):
        transform(np.sum, order=2)
