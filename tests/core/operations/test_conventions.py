"""What holds at kinks, at infinity and far out, for every row of the table."""

import math

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tests.core.operations.test_table import ROWS, total

# conventions at a kink, at infinity, and far from 0

KINKS = [  # (operation, point, ∂/∂x for each argument)
    ("relu", (0.0,), (0.0,)),
    ("abs", (0.0,), (0.0,)),
    ("sign", (0.0,), (0.0,)),
    ("leaky_relu", (0.0, 0.1), (0.1, 0.0)),
    ("elu", (0.0, 1.0), (1.0, 0.0)),
    ("selu", (0.0,), (1.0507009873554805 * 1.6732632423543772,)),
    ("celu", (0.0, 1.0), (1.0, 0.0)),
    ("softsign", (0.0,), (1.0,)),
    ("relu6", (0.0,), (0.0,)),
    ("relu6", (6.0,), (0.0,)),
    ("hard_tanh", (-1.0,), (0.0,)),
    ("hard_tanh", (1.0,), (0.0,)),
    ("hard_sigmoid", (-3.0,), (0.0,)),
    ("hard_sigmoid", (3.0,), (0.0,)),
    ("hard_swish", (-3.0,), (0.0,)),
    ("hard_swish", (3.0,), (1.0,)),
    ("absolute_error", (2.0, 2.0), (0.0, 0.0)),
    ("huber_loss", (1.0, 0.0, 1.0), (1.0, -1.0, 0.0)),
    ("hinge_loss", (1.0, 1.0), (0.0, 0.0)),
    ("log_loss", (0.0, 0.0), (0.0, 100.0)),
    ("log_loss", (0.0, 1.0), (-1e12, 100.0)),
    ("log_loss", (1.0, 0.0), (1e12, -100.0)),
    ("maximum", (2.0, 2.0), (0.5, 0.5)),
    ("minimum", (2.0, 2.0), (0.5, 0.5)),
    ("clip", (1.0, 1.0, 2.0), (1.0, 0.0, 0.0)),
    ("clip", (2.0, 1.0, 2.0), (1.0, 0.0, 0.0)),
    ("clip", (3.0, 1.0, 2.0), (0.0, 0.0, 1.0)),
    ("clip", (0.0, 1.0, 2.0), (0.0, 1.0, 0.0)),
    ("where", (1.0, 5.0, 6.0), (0.0, 1.0, 0.0)),
    ("where", (0.0, 5.0, 6.0), (0.0, 0.0, 1.0)),
    ("pow", (0.0, 0.0), (0.0, 0.0)),
    ("pow", (0.0, 1.0), (1.0, 0.0)),
    ("pow", (0.0, 2.0), (0.0, 0.0)),
    ("pow", (-2.0, 3.0), (12.0, 0.0)),
]


@pytest.mark.parametrize(("name", "point", "slopes"), KINKS)
def test_conventions_at_a_kink(name, point, slopes):
    values = [tg.Value(x) for x in point]
    tensors = [tg.Tensor(x, requires_grad=True) for x in point]
    ROWS[name](*values).backward()
    ROWS[name](*tensors).backward()
    assert tuple(v.grad for v in values) == slopes
    assert tuple(t.grad.item() for t in tensors) == slopes


FAR = [  # (operation, f(-1000), f(1000), f'(-1000), f'(1000))
    ("sigmoid", 0.0, 1.0, 0.0, 0.0),
    ("log_sigmoid", -1000.0, 0.0, 1.0, 0.0),
    ("softplus", 0.0, 1000.0, 0.0, 1.0),
    ("silu", 0.0, 1000.0, 0.0, 1.0),
    ("gelu", 0.0, 1000.0, 0.0, 1.0),
    ("gelu_tanh", 0.0, 1000.0, 0.0, 1.0),
    ("elu", -1.0, 1000.0, 0.0, 1.0),
    ("tanh", -1.0, 1.0, 0.0, 0.0),
    ("erf", -1.0, 1.0, 0.0, 0.0),
    ("relu", 0.0, 1000.0, 0.0, 1.0),
    ("leaky_relu", -10.0, 1000.0, 0.01, 1.0),
    ("selu", -1.0507009873554805 * 1.6732632423543772, 1000.0 * 1.0507009873554805, 0.0, 1.0507009873554805),
    ("celu", -1.0, 1000.0, 0.0, 1.0),
    ("mish", 0.0, 1000.0, 0.0, 1.0),
    ("relu6", 0.0, 6.0, 0.0, 0.0),
    ("hard_tanh", -1.0, 1.0, 0.0, 0.0),
    ("hard_sigmoid", 0.0, 1.0, 0.0, 0.0),
    ("hard_swish", 0.0, 1000.0, 0.0, 1.0),
]


@pytest.mark.parametrize(("name", "low", "high", "slope_low", "slope_high"), FAR)
def test_nothing_overflows_far_out(name, low, high, slope_low, slope_high):
    """Warnings are errors here, so no step in between overflows either; second order included."""
    f = ROWS[name]
    x = np.array([-1000.0, 1000.0])
    assert (f(-1000.0), f(1000.0)) == (low, high)
    np.testing.assert_array_equal(f(x), [low, high])
    first = tg.grad(lambda x: total(f(x)))
    second = tg.grad(lambda x: total(first(x)))
    assert (first(-1000.0), first(1000.0)) == (slope_low, slope_high)
    np.testing.assert_array_equal(first(x), [slope_low, slope_high])
    assert (second(-1000.0), second(1000.0)) == (0.0, 0.0)
    np.testing.assert_array_equal(second(x), [0.0, 0.0])


@pytest.mark.parametrize("x", [1e-20, -1e-20])
@pytest.mark.parametrize("name", ["expm1", "log1p"])
def test_small_arguments_keep_their_digits(name, x):
    assert ROWS[name](x) == ROWS[name](tg.Value(x)).data == ROWS[name](np.array([x]))[0] == x


INF, NAN = math.inf, math.nan
IEEE = [
    ("div", (1.0, 0.0), INF),
    ("div", (-1.0, 0.0), -INF),
    ("div", (0.0, 0.0), NAN),
    ("reciprocal", (0.0,), INF),
    ("log", (0.0,), -INF),
    ("log", (-1.0,), NAN),
    ("log1p", (-1.0,), -INF),
    ("sqrt", (-1.0,), NAN),
    ("exp", (1000.0,), INF),
    ("expm1", (1000.0,), INF),
    ("sinh", (-1000.0,), -INF),
    ("cosh", (1000.0,), INF),
    ("square", (1e200,), INF),
    ("mul", (INF, 0.0), NAN),
    ("pow", (0.0, -1.0), INF),
    ("pow", (-8.0, 1.0 / 3.0), NAN),
    ("pow", (10.0, 400.0), INF),
    ("asin", (2.0,), NAN),
    ("sin", (INF,), NAN),
    ("maximum", (NAN, 1.0), NAN),
    ("maximum", (1.0, NAN), NAN),
    ("minimum", (NAN, 1.0), NAN),
    ("minimum", (1.0, NAN), NAN),
    ("relu", (NAN,), NAN),
    ("sign", (NAN,), NAN),
    ("abs", (-INF,), INF),
    ("sigmoid", (-INF,), 0.0),
    ("softplus", (INF,), INF),
    ("tanh", (INF,), 1.0),
]


@pytest.mark.parametrize(("name", "point", "expected"), IEEE)
def test_ieee_754_decides_where_python_raises(name, point, expected):
    row = ROWS[name]
    with np.errstate(all="ignore"):
        found = [row(*point), row(*map(tg.Value, point)).data, row(*map(tg.Tensor, point)).item()]
        found.append(float(row(*map(np.float64, point))))
    np.testing.assert_array_equal(found, [expected] * 4)


@pytest.mark.parametrize("make", [tg.Value, lambda x: tg.Tensor(x, requires_grad=True)], ids=["Value", "Tensor"])
def test_an_infinite_derivative_is_shown_as_infinite(make):
    x = make(0.0)
    x.sqrt().backward()
    assert float(x.grad) == INF


@pytest.mark.parametrize("scale", [1.0, 1e4, 1e10, 1e17, 2e50])
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_shares_of_large_logits_add_up_to_one(name, scale):
    """log Σ eˣ of numbers near 1e17 has lost the log 2 by which they share: the two shares were 1, not a half."""
    x, f = np.array([[scale, scale, 0.0], [-scale, 1.0, 1.0]]), getattr(tg.ops, name)
    half = np.array([0.5, 0.5, 0.0])
    expected = half if scale > 1.0 else np.exp(x[0]) / np.exp(x[0]).sum()
    nodes = np.vectorize(tg.Value, otypes=[object])(x)
    found = [f(x), f(tg.Tensor(x)).data, np.vectorize(lambda v: v.data)(f(nodes))]
    with without_numba():
        found.append(tg.jit(lambda x: f(x) + 0.0)(x))
    for y in found:
        np.testing.assert_allclose((y if name == "softmax" else np.exp(y))[0], expected, rtol=1e-15, atol=1e-300)
