"""Every operation, loss, random expression and random network against PyTorch, to 1e-12 in float64."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tests.examples import CALLS, IDS, drawn
from tests.parity.torch_spelling import Torch, elementwise, torch  # skips this module if torch is missing
from tinygrad_edu.core.graph import cotangents, topological
from tinygrad_edu.core.ops import TABLE

pytestmark = pytest.mark.torch
RTOL = 1e-12
# PyTorch's own values are off by up to 5e-10; ours agree with SciPy's to 1e-14 (tests/core/operations/test_special.py)
TRIGAMMA = 1e-9
ROUGH = dict.fromkeys(("gammaln", "betaln", "digamma", "polygamma"), TRIGAMMA)
SMOOTH = {name: row for name, row in TABLE.items() if row.partials is not None}


def assert_close(found, expected, scale=None, rtol=RTOL):
    """Equal to 1e-12 of each entry, and of `scale` where terms cancel (by default the largest entry)."""
    found, expected = np.asarray(found), np.asarray(expected)
    scale = np.abs(expected).max(initial=0.0) if scale is None else scale
    assert found.shape == expected.shape
    assert (np.abs(found - expected) <= rtol * np.maximum(np.abs(expected), scale)).all()


def results(y):
    return list(y) if isinstance(y, (list, tuple)) else [y]


def variables(arrays, fixed=()):
    ours = [tg.Tensor(x, requires_grad=i not in fixed) for i, x in enumerate(arrays)]
    return ours, [torch.tensor(x, requires_grad=True) for x in arrays]


def compare(f, g, arrays, rtol=RTOL):
    """f on Tensors and g on torch's: values, and gradients of Σ sin of them."""
    ours, theirs = variables(arrays, getattr(f, "fixed", ()))
    mine, other = results(f(*ours)), results(g(*theirs))
    for y, e in zip(mine, other, strict=True):
        assert_close(y.data, e.detach().numpy(), rtol=rtol)
    sum(tg.ops.sum(tg.ops.sin(y)) for y in mine).backward()
    sum(torch.sin(y).sum() for y in other).backward()
    for x, t in zip(ours, theirs, strict=True):
        assert_close(gradient(x.grad, x.shape), gradient(t.grad, x.shape), rtol=rtol)


def gradient(g, shape):
    return np.zeros(shape) if g is None else np.asarray(g)


# Operations

BROADCAST = {1: [(2, 3)], 2: [(3, 1), (1, 4)], 3: [(3, 1), (1, 4), (2, 1, 1)]}


@pytest.mark.parametrize("row", SMOOTH.values(), ids=SMOOTH)
def test_elementwise_operations(row):
    """Arguments of different shapes, so that every gradient is summed over what was broadcast."""
    rng = np.random.default_rng(0)
    for box in row.domain:
        shapes = BROADCAST[len(row.parameters)]
        intervals = [box[min(i, len(box) - 1)] for i in range(len(shapes))]
        arrays = [rng.uniform(*ends, s) for ends, s in zip(intervals, shapes, strict=True)]
        compare(row, elementwise(row.name), arrays, ROUGH.get(row.name, RTOL))


@pytest.mark.parametrize("row", [row for row in TABLE.values() if row.partials is None], ids=lambda row: row.name)
def test_comparisons(row):
    a, b = np.array([1.0, 2.0, 3.0, np.nan]), np.array([[2.0], [3.0]])
    expected = elementwise(row.name)(torch.tensor(a), torch.tensor(b)).numpy()
    np.testing.assert_array_equal(row(tg.Tensor(a), tg.Tensor(b)), expected)


@pytest.mark.parametrize(("name", "call", "shapes"), CALLS, ids=IDS)
def test_array_operations(name, call, shapes):
    compare(lambda *x: call(tg.ops, *x), lambda *x: call(Torch, *x), drawn(shapes))


@pytest.mark.parametrize("name", ["add", "mul", "div", "sub"])
@pytest.mark.parametrize("shapes", [((), (2, 3)), ((3,), (2, 3)), ((2, 1, 3), (4, 1)), ((1,), (5,)), ((0, 3), (1, 3))])
def test_broadcasting(name, shapes):
    compare(getattr(tg.ops, name), getattr(torch, name), drawn(shapes))


@pytest.mark.parametrize("name", ["bce_with_logits", "cross_entropy"])
def test_losses_of_large_logits(name):
    z, t = np.array([[1000.0, -1000.0], [700.0, 800.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    compare(getattr(tg.ops, name), getattr(Torch, name), [z, t])


@pytest.mark.parametrize("row", SMOOTH.values(), ids=SMOOTH)
def test_second_derivatives(row):
    shapes = BROADCAST[len(row.parameters)]
    rng = np.random.default_rng(1)
    box = row.domain[-1]
    x = [rng.uniform(*box[min(i, len(box) - 1)], s) for i, s in enumerate(shapes)]
    given = x[: len(getattr(row, "fixed", ()))]  # the order of polygamma, which has no derivative
    ours, theirs = variables(x[len(given) :])
    first = tg.vjp(lambda *x: tg.ops.sum(tg.ops.exp(0.3 * row(*given, *x))), *ours)[1](1.0)
    sum((tg.ops.cos(g).sum() for g in first), start=tg.Tensor(0.0, requires_grad=True) * 0.0).backward()
    y = torch.exp(0.3 * elementwise(row.name)(*map(torch.tensor, given), *theirs)).sum()
    slopes = torch.autograd.grad(y, theirs, create_graph=True, allow_unused=True)
    slopes = [torch.zeros_like(t) if g is None else g for t, g in zip(theirs, slopes, strict=True)]
    (sum(torch.cos(g).sum() for g in slopes) + 0.0 * sum(t.sum() for t in theirs)).backward()
    for t, e in zip(ours, theirs, strict=True):
        assert_close(gradient(t.grad, t.shape), gradient(e.grad, t.shape), rtol=ROUGH.get(row.name, RTOL))


# Random expressions: each step adds a node made from earlier ones by a function whose slopes sum to at most 1, so that
# rounding errors are not amplified and 1e-12 holds at any depth.

STEPS = [
    lambda n, a, b: n.sin(a),
    lambda n, a, b: n.cos(a),
    lambda n, a, b: n.tanh(a),
    lambda n, a, b: n.atan(a),
    lambda n, a, b: n.sigmoid(a) * n.sigmoid(b),
    lambda n, a, b: 0.5 * (a + b),
    lambda n, a, b: 0.5 * a - 0.5 * b,
    lambda n, a, b: 0.5 * n.sin(a) * n.cos(b),
    lambda n, a, b: 0.5 * n.tanh(a) / (1.0 + b * b),
    lambda n, a, b: n.sqrt(1.0 + a * a),
    lambda n, a, b: n.log1p(a * a),
    lambda n, a, b: n.exp(-0.5 * a * a),
    lambda n, a, b: (1.0 + a * a) ** 0.5,
    lambda n, a, b: 0.5 * n.abs(a) + 0.5 * n.erf(0.8 * b),
    lambda n, a, b: -n.square(n.sin(a)),
]
numbers = st.floats(-2.0, 2.0, allow_subnormal=False)
steps = st.lists(st.tuples(st.integers(0, len(STEPS) - 1), st.integers(0, 30), st.integers(0, 3)), max_size=30)
settled = settings(derandomize=True, deadline=None, max_examples=200)


def expression(n, recipe, leaves):
    """Each step takes the last node or one of the three before it, and any earlier one: deep, with shared nodes."""
    nodes = list(leaves)
    for which, any_one, back in recipe:
        nodes.append(STEPS[which](n, nodes[-1 - back % len(nodes)], nodes[any_one % len(nodes)]))
    return nodes[-1] * nodes[0] + nodes[-1]


def uncancelled(y):
    """Σ over all paths of |∂y/∂leaf|: the gradient itself where no two paths cancel."""
    order = topological(y)
    return cotangents(order, 1.0, lambda x, g: [(p, abs(g * d)) for p, d in zip(x.parents, x.partials, strict=True)])


@pytest.mark.slow
@given(recipe=steps, point=st.lists(numbers, min_size=3, max_size=3))
@settled
def test_random_expressions_of_values(recipe, point):
    ours, theirs = (
        [tg.Value(x) for x in point],
        [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in point],
    )
    y, e = expression(tg.ops, recipe, ours), expression(torch, recipe, theirs)
    y.backward()
    e.backward()
    assert_close(y.data, e.item(), 1.0)
    scales = uncancelled(y)
    for x, t in zip(ours, theirs, strict=True):
        assert_close(x.grad, gradient(t.grad, ()), scales.get(x, 0.0))


@given(recipe=steps, seed=st.integers(0, 2**32 - 1))
@settled
def test_random_expressions_of_tensors(recipe, seed):
    """A column, a row and a number: every step may broadcast."""
    rng = np.random.default_rng(seed)
    arrays = [np.asarray(rng.uniform(-2.0, 2.0, shape)) for shape in [(3, 1), (1, 2), ()]]
    ours, theirs = variables(arrays)
    y, e = expression(tg.ops, recipe, ours), expression(torch, recipe, theirs)
    y.sum().backward()
    e.sum().backward()
    assert_close(y.data, e.detach().numpy(), 1.0)
    for x, t in zip(ours, theirs, strict=True):
        assert_close(gradient(x.grad, x.shape), gradient(t.grad, x.shape), 1.0)


# Random networks

LOSSES = {
    "mse": lambda rng, shape: rng.normal(size=shape),
    "bce_with_logits": lambda rng, shape: rng.integers(0, 2, shape).astype(float),
    "cross_entropy": lambda rng, shape: rng.integers(0, shape[1], shape[0]),
}
ACTIVATIONS = ["tanh", "sigmoid", "relu", "silu", "gelu", "softplus", "sin", "atan"]


def torch_network(state, x, activation):
    """The same layers, xₗ₊₁ = f(xₗ Wₗᵀ + bₗ), from the numbers of the state."""
    parameters = {name: torch.tensor(w, requires_grad=True) for name, w in state.items()}
    count = len(parameters) // 2
    for i in range(count):
        x = torch.nn.functional.linear(x, parameters[f"layers.{i}.weight"], parameters[f"layers.{i}.bias"])
        x = elementwise(activation)(x) if i < count - 1 else x
    return x, parameters


@pytest.mark.parametrize("backend", ["tensor", "scalar"])
@pytest.mark.parametrize("loss", LOSSES)
@given(
    sizes=st.lists(st.integers(1, 6), min_size=2, max_size=5),
    activation=st.sampled_from(ACTIVATIONS),
    seed=st.integers(0, 10_000),
)
@settings(settled, max_examples=20)
def test_random_networks(backend, loss, sizes, activation, seed):
    rng = np.random.default_rng(seed)
    model = tg.nn.MLP(sizes, activation=activation, seed=seed, backend=backend)
    x = rng.normal(size=(4, sizes[0]))
    target = LOSSES[loss](rng, (4, sizes[-1]))
    y = getattr(tg.ops, loss)(model(x), target)
    y.backward()
    out, parameters = torch_network(model.state_dict(), torch.tensor(x), activation)
    expected = getattr(Torch, loss)(out, torch.tensor(target))
    expected.backward()
    assert_close(y.item(), expected.item(), 1.0)
    largest = max(np.abs(p.grad.numpy()).max() for p in parameters.values())
    for name, g in model.gradients().items():
        assert_close(g, parameters[name].grad.numpy(), largest)


def test_a_longer_run_stays_together():
    """Fifty steps of plain gradient descent from one start end at the same weights."""
    rng = np.random.default_rng(0)
    x, t = rng.normal(size=(8, 3)), rng.normal(size=(8, 2))
    model = tg.nn.MLP([3, 5, 2], seed=0)
    state = model.state_dict()
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(50):
        optimizer.zero_grad()
        tg.ops.mse(model(x), t).backward()
        optimizer.step()
        out, parameters = torch_network(state, torch.tensor(x), "tanh")
        Torch.mse(out, torch.tensor(t)).backward()
        state = {name: (p - 0.1 * p.grad).detach().numpy() for name, p in parameters.items()}
    for name, w in model.state_dict().items():
        assert_close(w, state[name])


def test_gradients_for_each_sample():
    """tg.vmap of tg.grad against torch.func's, of a network with two layers."""
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=s) for s in ((4, 5), (5,), (5, 3))]
    x = rng.normal(size=(6, 4))

    def loss(n):
        return lambda w, row: (n.tanh(row @ w[0] + w[1]) @ w[2]).sum() ** 2

    found = tg.vmap(tg.grad(loss(tg.ops)), in_axes=(None, 0))(weights, x)
    theirs = torch.func.vmap(torch.func.grad(loss(torch)), in_dims=(None, 0))
    expected = theirs([torch.tensor(w) for w in weights], torch.tensor(x))
    for g, e in zip(found, expected, strict=True):
        assert_close(g, e.numpy())
