"""Value and Tensor give the same numbers and gradients: random expressions, random networks, whole training runs."""

import functools
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import Tensor, Value, ops
from tinygrad_edu.core.graph import cotangents, topological
from tinygrad_edu.core.operation import TABLE

RTOL = 1e-12
WIDTH = 3
DIFFERENTIABLE = [row for row in TABLE.values() if row.partials is not None and not hasattr(row, "fixed")]
ACTIVATIONS = [
    "tanh",
    "sigmoid",
    "relu",
    "leaky_relu",
    "elu",
    "gelu",
    "silu",
    "softplus",
    "sin",
    "atan",
    "erf",
    "square",
]
deterministic = functools.partial(settings, derandomize=True, deadline=None)


def assert_close(found, expected, scale=None):
    """Equal to 1e-12 of `scale`, the largest entry unless something else is given."""
    found, expected = np.asarray(found), np.asarray(expected)
    assert found.shape == expected.shape
    assert np.isfinite(expected).all()
    scale = np.abs(expected).max(initial=0.0) if scale is None else scale
    assert (np.abs(found - expected) <= RTOL * np.asarray(scale)).all()


def rounding_scale(root):
    """|y| plus what rounding errors in its inputs can add: more than |y| only where terms cancel."""
    moved = {}
    for x in topological(root):
        moved[x] = abs(x.data) + sum(abs(d) * moved[p] for p, d in zip(x.parents, x.partials, strict=True))
    return moved[root]


def gradient_scales(root):
    """Σ over all paths of |∂y/∂x|: the gradient itself where no two paths cancel."""
    return cotangents(
        topological(root), 1.0, lambda x, g: [(p, abs(g * d)) for p, d in zip(x.parents, x.partials, strict=True)]
    )


def assert_gradients_close(values, expected, scales):
    """The gradients of an array of Values against an array, to 1e-12 of the largest uncancelled one."""
    found = np.reshape([v.grad for v in values.flat], values.shape)
    assert_close(found, expected, max(scales.get(v, 0.0) for v in values.flat))


# Random expressions over the whole table


@functools.cache
def steepness(row, box):
    """The largest |∂y/∂x| on the corners and the middle of a box, in units of the box's half widths, at least 1."""
    intervals = [box[min(i, len(box) - 1)] for i in range(len(row.parameters))]
    grid = itertools.product(*[(low, 0.5 * (low + high), high) for low, high in intervals])
    halves = [0.5 * (high - low) for low, high in intervals]
    found = [
        [abs(d) * h for d, h in zip(row.float_partials(row.float_function(*x), *x), halves, strict=True)] for x in grid
    ]
    return max(1.0, max(map(sum, found)))


def apply_row(row, box, arguments):
    """The operation where its domain is, scaled to a contraction, so that a rounding error is not amplified
    from step to step and what is compared is the engine, not the condition of the expression."""
    intervals = [box[min(i, len(box) - 1)] for i in range(len(row.parameters))]
    inside = [
        0.5 * (low + high) + 0.5 * (high - low) * x.tanh() if low < high else low
        for (low, high), x in zip(intervals, arguments, strict=True)
    ]
    return row(*inside) / steepness(row, box)


def expression(steps, leaves):
    """Step i takes the result of step i - 1, so the depth is the number of steps, and other earlier nodes."""
    nodes = list(leaves)
    for row, box, others in steps:
        picked = [nodes[-1], *[nodes[k % len(nodes)] for k in others]]
        nodes.append(apply_row(row, box, picked[: len(row.parameters)]))
    return nodes[-1] + nodes[-1] * nodes[0]


@st.composite
def a_step(draw):
    row = draw(st.sampled_from(DIFFERENTIABLE))
    box = tuple(draw(st.sampled_from(row.domain)))
    return row, box, draw(st.lists(st.integers(0, 30), min_size=2, max_size=2))


numbers = st.floats(-2.0, 2.0, allow_subnormal=False)


@pytest.mark.slow
@given(
    steps=st.lists(a_step(), min_size=1, max_size=30),
    own=st.lists(numbers, min_size=WIDTH, max_size=WIDTH),
    shared=st.lists(numbers, min_size=2, max_size=2),
)
@deterministic(max_examples=300)
def test_random_expressions(steps, own, shared):
    """`own` differs from entry to entry of the array, `shared` is broadcast over it."""
    tensors = [Tensor(np.array(own), requires_grad=True), *[Tensor(x, requires_grad=True) for x in shared]]
    y = expression(steps, tensors)
    y.sum().backward()

    shared_values = [Value(x) for x in shared]
    own_values = [Value(x) for x in own]
    results = [expression(steps, [x, *shared_values]) for x in own_values]
    total = sum(results)
    total.backward()

    assert_close([r.data for r in results], y.data, [rounding_scale(r) for r in results])
    scales = gradient_scales(total)
    for tensor, values in zip(tensors, [np.array(own_values), *map(np.array, shared_values)], strict=True):
        grad = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad
        assert_gradients_close(values, grad, scales)


@given(steps=st.lists(a_step(), min_size=1, max_size=6), x=numbers)
@deterministic(max_examples=50)
def test_second_derivatives_of_random_expressions(steps, x):
    second = tg.grad(
        tg.grad(lambda x: expression(steps, [x]).sum() if isinstance(x, Tensor) else expression(steps, [x]))
    )
    assert abs(second(x) - second(np.array(x))) <= 1e-11 * max(1.0, abs(second(x)))


# Random networks, spelled out


def forward(layers, x, activation):
    for W, b in layers:
        x = activation(x @ W + b)
    return x


def squared(y, target):
    error = y - target
    return (error * error).sum() / error.size


def as_values(array):
    return np.vectorize(Value, otypes=[object])(array)


@given(
    sizes=st.lists(st.integers(1, 5), min_size=2, max_size=5),
    samples=st.integers(1, 4),
    name=st.sampled_from(ACTIVATIONS),
    seed=st.integers(0, 2**32 - 1),
)
@deterministic(max_examples=40)
def test_random_networks_by_plain_formulas(sizes, samples, name, seed):
    rng = np.random.default_rng(seed)
    weights = [(rng.normal(0, 0.7, (a, b)), rng.normal(0, 0.3, b)) for a, b in itertools.pairwise(sizes)]
    x, target = rng.normal(size=(samples, sizes[0])), rng.normal(size=(samples, sizes[-1]))
    activation = getattr(ops, name)

    tensors = [tuple(Tensor(w, requires_grad=True) for w in layer) for layer in weights]
    loss = squared(forward(tensors, x, activation), target)
    loss.backward()

    values = [tuple(as_values(w) for w in layer) for layer in weights]
    scalar_loss = squared(forward(values, x, activation), target)
    scalar_loss.backward()

    assert_close(scalar_loss.data, loss.item())
    scales = gradient_scales(scalar_loss)
    for t, v in zip(itertools.chain(*tensors), itertools.chain(*values), strict=True):
        assert_gradients_close(v, t.grad, scales)


# tg.nn.MLP: one seed, two back ends


def twins(**settings_):
    return [tg.nn.MLP(**settings_, backend=backend) for backend in ("scalar", "tensor")]


@given(
    sizes=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    activation=st.sampled_from(ACTIVATIONS),
    out_activation=st.sampled_from(["identity", "tanh", "sigmoid", "softmax"]),
    bias=st.booleans(),
    seed=st.integers(0, 1000),
)
@deterministic(max_examples=40)
def test_models_of_one_seed_are_twins(sizes, activation, out_activation, bias, seed):
    models = twins(sizes=sizes, activation=activation, out_activation=out_activation, bias=bias, seed=seed)
    scalar, tensor = (model.state_dict() for model in models)
    assert scalar.keys() == tensor.keys()
    assert all((scalar[name] == tensor[name]).all() for name in scalar)

    rng = np.random.default_rng(seed)
    x, target = rng.normal(size=(3, sizes[0])), rng.normal(size=(3, sizes[-1]))
    losses = [squared(model(x), target) for model in models]
    for loss in losses:
        loss.backward()
    assert_close(losses[0].item(), losses[1].item())
    compare_gradients(*models, losses[0])


def compare_gradients(scalar, tensor, scalar_loss):
    scales, expected = gradient_scales(scalar_loss), tensor.gradients()
    for name, values in scalar.named_arrays():
        assert_gradients_close(values, expected[name], scales)


LOSSES = {
    "mse": (ops.mse, lambda rng: rng.uniform(-0.8, 0.8, (6, 3))),
    "bce_with_logits": (ops.bce_with_logits, lambda rng: rng.integers(0, 2, (6, 3)).astype(float)),
    "cross_entropy": (ops.cross_entropy, lambda rng: rng.integers(0, 3, 6)),
}
OPTIMIZERS = {
    "sgd": lambda params: tg.optim.SGD(params, lr=0.2),
    "momentum": lambda params: tg.optim.SGD(params, lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda params: tg.optim.Adam(params, lr=0.05),
}


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize(("loss", "targets"), LOSSES.values(), ids=LOSSES)
def test_training_keeps_them_twins_step_after_step(loss, targets, optimizer):
    rng = np.random.default_rng(5)
    x, target = rng.normal(size=(6, 2)), targets(rng)
    models = twins(sizes=[2, 4, 3], activation="tanh", seed=3)
    optimizers = [optimizer(model.parameters()) for model in models]
    for _ in range(25):
        losses = []
        for model, steps in zip(models, optimizers, strict=True):
            steps.zero_grad()
            losses.append(loss(model(x), target))
            losses[-1].backward()
        assert_close(losses[0].item(), losses[1].item())
        compare_gradients(*models, losses[0])
        for steps in optimizers:
            steps.step()
    for name, weights in models[1].state_dict().items():
        assert_close(models[0].state_dict()[name], weights)
