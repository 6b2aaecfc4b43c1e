"""A compiled function inside transforms, graphs, modules and other compiled functions: what it is without jit."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import normal, without_numba
from tinygrad_edu import Tensor, Value, jit, nn, ops, optim
from tinygrad_edu.core import value
from tinygrad_edu.core.backward import tensor_gradients
from tinygrad_edu.errors import AnomalyError, TraceError

FUNCTIONS = {  # functions of one array or one number
    "cubes": lambda x: np.sum(x**3),
    "tanh": lambda x: np.sum(np.tanh(x) * x),
    "where": lambda x: np.sum(np.where(x > 0.25, x * x, np.exp(x))),
}
TRANSFORMS = {
    "grad": lambda f, x: tg.grad(f)(x),
    "value_and_grad": lambda f, x: tg.value_and_grad(f)(x),
    "vjp": lambda f, x: tg.vjp(f, x)[1](2.0),
    "jvp": lambda f, x: tg.jvp(f, (x,), (x * 0.5,)),
    "jacobian": lambda f, x: tg.jacobian(f)(x),
    "hessian": lambda f, x: tg.hessian(f)(x),
    "hvp": lambda f, x: tg.hvp(f, x, x * 0.5),
    "grad of grad": lambda f, x: tg.grad(lambda y: np.sum(tg.grad(f)(y) * y))(x),
    "its own value_and_grad": lambda f, x: tg.grad(lambda y: tg.value_and_grad(f)(y)[0])(x),
}


def same(a, b):
    if isinstance(a, tuple):
        return all(map(same, a, b))
    return np.shape(a) == np.shape(b) and np.allclose(a, b)


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
def test_transforms(f, transform):
    with without_numba():
        assert same(transform(jit(f), normal(4)), transform(f, normal(4)))
        assert same(transform(jit(f), 0.75), transform(f, 0.75))
        assert same(transform(jit(jit(f)), normal(4)), transform(f, normal(4)))
        assert same(jit(lambda x: transform(f, x))(normal(4)), transform(f, normal(4)))


@pytest.mark.parametrize("f", FUNCTIONS.values(), ids=FUNCTIONS)
@pytest.mark.parametrize("compiled", [False, True])
def test_a_graph_of_tensors_and_of_values(f, compiled):
    g = jit(f) if compiled else f
    x, v = Tensor(normal(3), requires_grad=True), Value(0.5)
    (np.sum(x * x) + g(x * 2.0)).backward()
    (v * v + g(v * 2.0)).backward()
    expected = tg.grad(lambda x: np.sum(x * x) + f(x * 2.0))
    assert np.allclose(x.grad, expected(normal(3)))
    assert np.isclose(v.grad, tg.grad(lambda x: x * x + f(x * 2.0))(0.5))


def test_tensors_that_are_closed_over_are_part_of_the_graph():
    W = Tensor(normal(3), requires_grad=True, label="W")
    f = jit(lambda x: np.sum(np.tanh(x * W)) * 2.0)
    with without_numba():
        y = np.sum(W * W) + f(normal(3))
        y.backward()
        assert np.allclose(W.grad, tg.grad(lambda w: np.sum(w * w) + np.sum(np.tanh(normal(3) * w)) * 2.0)(normal(3)))
        first = tensor_gradients(f(normal(3)), [W], Tensor(1.0))[0]
        second = tensor_gradients(np.sum(first), [W], Tensor(1.0))[0]
        wanted = tg.hvp(lambda w: np.sum(np.tanh(normal(3) * w)) * 2.0, normal(3), np.ones(3))
        assert np.allclose(second.data, wanted)
        with tg.no_grad():
            assert isinstance(f(normal(3)), Tensor)  # as without jit, and without a graph
            assert not f(normal(3)).requires_grad
        pair = jit(lambda x: (x * W, np.sum(W)))(normal(3))
    assert all(isinstance(y, Tensor) for y in pair)
    assert float(f(normal(3))) == pytest.approx(np.asarray(f(normal(3))))  # plain numbers work too


def test_values_that_are_closed_over_are_part_of_the_graph():
    w = Value(2.0)
    f = jit(lambda x: x * w**3)
    y = f(3.0) * w
    first = value.gradients(y, [w])[0]
    second = value.gradients(first, [w])[0]
    assert (y.data, first.data, second.data) == (48.0, 96.0, 144.0)
    y.backward()
    assert w.grad == 96.0


class Net(nn.Module):
    """A network of which one piece is compiled: an activation, a block that closes over its layer, or all of it."""

    def __init__(self, piece):
        self.first, self.second = nn.Linear(3, 4, rng=0), nn.Linear(4, 1, rng=1)
        activation = lambda x: np.tanh(x) * x  # noqa: E731
        self.activation = jit(activation) if piece == "activation" else activation
        block = lambda x: self.first(x)  # noqa: E731
        self.block = jit(block) if piece == "block" else block
        if piece == "all":
            self.forward = jit(self.forward)

    def forward(self, x):
        return self.second(self.activation(self.block(x)))


@pytest.mark.parametrize("piece", ["activation", "block", "all"])
@pytest.mark.parametrize("compiled", [False, True])
def test_a_module(piece, compiled):
    X = normal(8, 3)
    y = X.sum(axis=1, keepdims=True)
    curves = []
    for each in ("", piece):
        model = Net(each)
        run = tg.fit(
            model, X, y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.05), epochs=5, compiled=compiled
        )
        curves.append(run.loss_curve)
    assert np.allclose(*curves, rtol=1e-10)
    assert curves[0][-1] < curves[0][0]


def test_anomalies_are_found_inside():
    with tg.detect_anomaly(), np.errstate(all="ignore"), pytest.raises(AnomalyError):
        jit(lambda x: np.log(x))(Tensor(-1.0))


# arguments that are not numbers, or are given by name


def summed(x, axis=None, *, scale=1.0, mode="sum"):
    y = np.sum(x, axis=axis) * scale
    return y if mode == "sum" else y / 2.0


CALLS = [
    ((), {}),
    ((1,), {}),
    ((), {"axis": 0}),
    ((-1,), {"scale": 3}),
    ((), {"scale": 2.0, "mode": "half", "axis": 1}),
]


@pytest.mark.parametrize(("more", "named"), CALLS)
def test_options_and_names(more, named):
    x = normal(2, 3)
    with without_numba():
        f = jit(summed)
        for _ in range(2):
            assert np.allclose(f(x, *more, **named), summed(x, *more, **named))
        total = jit(lambda x, *more, **named: np.sum(summed(x, *more, **named)))
        y, gradient = total.value_and_grad(x, *more, **named)
    assert np.isclose(y, np.sum(summed(x, *more, **named)))
    assert np.allclose(gradient, named.get("scale", 1.0) / (2.0 if "mode" in named else 1.0))


@pytest.mark.parametrize("x", [np.array(3.0), np.float64(3.0), Tensor(3.0)])
def test_an_argument_without_axes_is_an_array_where_the_function_needs_one(x):
    for f in (lambda x: x.T, lambda x: x.reshape(1), lambda x: x[None], lambda x: np.max(x) + x.ndim):
        with without_numba():
            assert np.array_equal(jit(f)(x), np.asarray(getattr(f(x), "data", f(x))))


# One error


@pytest.mark.parametrize(
    "f",
    [
        lambda x: np.asarray(x, object) * 2.0,
        lambda x: np.fft.fft(x).real,
        lambda x: x.tobytes(),
        lambda x: x if x[0] > 0.0 else -x,
        lambda x: x[x > 0.0],
        lambda x: float(x[0]) * x,
        lambda x: 1.0,
        lambda x: "text",
    ],
)
def test_whatever_cannot_be_compiled_is_a_trace_error(f):
    f(normal(3))
    with without_numba(), pytest.raises(TraceError):
        jit(f)(normal(3))


@pytest.mark.parametrize(
    ("f", "error"),
    [(lambda x: x * (1 / 0), ZeroDivisionError), (lambda x: x @ np.ones(7), ValueError), (lambda x: y, NameError)],  # noqa: F821
)
def test_an_error_of_the_function_itself_stays_what_it_is(f, error):
    with without_numba(), pytest.raises(error):
        jit(f)(normal(3))


def test_a_gradient_of_zero_stays_zero_where_numbers_overflow():
    cases = (
        lambda x: np.sum(np.where(x > 700.0, 0.0, np.exp(x))),
        lambda x: np.sum(np.where(x > 700.0, 0.0, np.cosh(x) + np.exp(x * x))),
        lambda x: np.sum(np.where(x > 700.0, 0.0, x * (x * 1e308))),
        lambda x: ops.sum(np.where(x > 700.0, 0.0, np.exp(x) * np.sin(x))),
    )
    for f in cases:
        x = Tensor(np.array([1.0, 800.0]), requires_grad=True)
        with without_numba(), np.errstate(all="ignore"):
            f(x).backward()
            assert np.allclose(jit(f).value_and_grad(x.data)[1], x.grad)
            assert x.grad[1] == 0.0
