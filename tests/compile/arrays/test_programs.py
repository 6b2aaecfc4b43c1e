"""jit of functions of arrays: generated programs against the tensor back end, at one size after another."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.compile.programs import agree, checked, drawn, function_of, normal, programs, shifted, without_numba
from tinygrad_edu import jit, nn, ops, optim
from tinygrad_edu.compile.backend import cache
from tinygrad_edu.errors import ShapeError

SIZES = st.fixed_dictionaries({letter: st.integers(1, 4) for letter in "nmk"})


def made(f):
    """How many programs a compiled function has."""
    return sum(map(len, f.arrays.programs.values()))


# Random programs


@pytest.mark.slow
@given(programs(), st.lists(SIZES, min_size=1, max_size=3), st.booleans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_programs_at_several_sizes(steps, sizes, accurate):
    f = function_of(steps)
    with without_numba():
        g = jit(f, accurate=accurate)
        for i, each in enumerate(sizes):
            checked(f, *drawn(each, i), g=g)


FIXED = [  # compiled by Numba: everything that a loop nest can contain, in few programs
    [("matmul", [0, 3], {}), ("softmax", [5], {}), ("logsumexp", [6], {"axis": (0,), "keepdims": True})],
    [
        ("max", [0], {"axis": (1,), "keepdims": False}),
        ("var", [0], {"axis": (0,), "keepdims": True}),
        ("turn", [0], {}),
    ],
    [("stretch", [1], {}), ("flat_and_back", [0], {}), ("where", [0, 0, 2], {}), ("min", [7], {"axis": (0,)})],
    [(name, [0], {}) for name in ("exp", "erf", "sigmoid", "gelu", "softplus", "atan", "relu", "sign", "abs", "sin")],
]


@pytest.mark.slow
@pytest.mark.parametrize("steps", FIXED, ids=["products", "reductions", "views", "elementwise"])
def test_compiled_programs_at_several_sizes(steps):
    f = function_of(steps)
    g = jit(f)
    for i, (n, m, k) in enumerate([(3, 4, 2), (4, 3, 5), (3, 3, 3), (20, 30, 40)]):
        checked(f, *drawn({"n": n, "m": m, "k": k}, i), g=g, tolerance=1e-11 if n == 20 else 1e-12)
    assert made(g) == 1
    with without_numba():
        checked(f, *drawn({"n": 3, "m": 4, "k": 2}))


# Networks

LOSSES = {
    "mse": (nn.losses.mse, lambda rng, shape: rng.normal(size=shape)),
    "bce_with_logits": (nn.losses.bce_with_logits, lambda rng, shape: rng.integers(0, 2, shape) * 1.0),
    "cross_entropy": (nn.losses.cross_entropy, lambda rng, shape: rng.dirichlet(np.ones(shape[1]), shape[0])),
}


def same_gradients(model, loss, X, y, tolerance=1e-12):
    """loss.backward through the compiled program and without."""
    found = []
    for backward in (
        lambda: jit(lambda x, t: loss(model(x), t)).backward(X, y),
        lambda: (value := loss(model(X), y)).backward() or value.item(),
    ):
        for p in model.parameters():
            p.grad = None
        found.append((backward(), [p.grad for p in model.parameters()]))
    agree(*found, tolerance)


@pytest.mark.slow
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=4),
    st.sampled_from(sorted(LOSSES)),
    st.sampled_from(["tanh", "relu", "sigmoid", "gelu", "softplus"]),
    st.integers(1, 6),
    st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_networks(widths, loss, activation, rows, bias):
    rng = np.random.default_rng(rows)
    function, targets = LOSSES[loss]
    model = nn.MLP(widths, activation=activation, bias=bias, seed=1)
    with without_numba():
        same_gradients(model, function, rng.normal(size=(rows, widths[0])), targets(rng, (rows, widths[-1])))


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_compiled_networks(loss):
    function, targets = LOSSES[loss]
    for widths, rows in (([3, 8, 2], 5), ([7, 40, 9], 30)):
        rng = np.random.default_rng(0)
        X, y = rng.normal(size=(rows, widths[0])), targets(rng, (rows, widths[-1]))
        same_gradients(nn.MLP(widths, seed=2), function, X, y)


def test_a_network_of_other_widths_is_the_same_program_on_the_disk(tmp_path, monkeypatch):
    """In a folder of its own: another process of the tests may compile at the same time."""
    monkeypatch.setenv(cache.VARIABLE, str(tmp_path))
    X, y = normal(6, 3), normal(6, 2)
    same_gradients(nn.MLP([3, 8, 2], seed=2), nn.losses.mse, X, y)
    before = cache.info().programs
    same_gradients(nn.MLP([5, 9, 4], seed=2), nn.losses.mse, normal(7, 5), normal(7, 4))
    assert cache.info().programs == before


def test_training_through_backward_is_the_same_as_without():
    X, y, weights = normal(20, 3), normal(20, 2), []
    for compile in (False, True):
        model = nn.MLP([3, 8, 2], seed=2)
        adam = optim.Adam(model.parameters(), lr=0.02)
        loss = jit(lambda x, t, model=model: nn.losses.mse(model(x), t))
        for _ in range(60):
            adam.zero_grad()
            loss.backward(X, y) if compile else nn.losses.mse(model(X), y).backward()
            adam.step()
        weights.append(np.concatenate([p.data.ravel() for p in model.parameters()]))
    assert np.allclose(*weights, rtol=1e-10, atol=1e-12)


# What makes a new program, and what does not


def test_sizes_make_no_new_program_but_structure_does():
    f = jit(shifted)
    with without_numba():
        for n, m in ((3, 4), (5, 2), (4, 4), (0, 3), (300, 2)):
            checked(shifted, normal(n, m), normal(n, m), g=f)
            assert made(f) == 1
        for number, (a, b) in enumerate(
            [
                ((1, 4), (1, 4)),  # an axis of length 1
                ((3, 4), (4,)),  # another number of axes
                ((3, 4), (1, 4)),  # broadcasting
            ],
            start=2,
        ):
            checked(shifted, normal(*a), normal(*b), g=f)
            assert made(f) == number
        f(normal(3, 4, dtype=np.float32), normal(3, 4, dtype=np.float32))
        assert made(f) == 5


def test_sizes_that_are_equal_by_chance_may_differ_later():
    def f(x, y):
        return ops.sum(ops.tanh(x), axis=1).sum() + ops.sum(y * 2.0) + ops.sum(ops.sum(x, axis=0)) * ops.sum(y)

    with without_numba():
        g = jit(f)
        for n, m, k in ((3, 3, 3), (2, 3, 4), (5, 2, 2), (4, 4, 2)):
            checked(f, normal(n, m), normal(k), g=g)
        assert made(g) == 1


def test_broadcasts_to_two_sizes_that_are_equal_by_chance():
    def f(x, y):
        one = ops.sum(x) * 0.1
        return ops.sum(ops.broadcast_to(one, x.shape) * x) + ops.sum(ops.broadcast_to(one, y.shape) * y)

    with without_numba():
        g = jit(f)
        for n, m in ((3, 3), (2, 5)):
            checked(f, normal(n), normal(m), g=g)


def test_a_decision_by_a_size_is_taken_again():
    def f(x, y):
        if x.shape[0] == y.shape[0]:
            return ops.sum(x) * 2.0
        return ops.sum(y) * (3.0 if x.shape[0] == 5 else 4.0)

    with without_numba():
        g = jit(f)
        for n, m in ((3, 4), (4, 4), (5, 4), (4, 5), (3, 3), (6, 2)):
            checked(f, normal(n), normal(m), g=g)
    assert made(g) == 3


def test_a_size_that_is_a_product_of_others():
    def f(x, y):
        return ops.sum(ops.reshape(x, -1) * y) + ops.sum(ops.reshape(y, x.shape) ** 2)

    with without_numba():
        g = jit(f)
        for n, m in ((2, 3), (4, 2), (3, 3)):
            checked(f, normal(n, m), normal(n * m), g=g)
        assert made(g) == 1
        with pytest.raises(ShapeError, match=r"reshape\(x\)|x \* y|do not match|differ|cannot take"):
            g.value_and_grad(normal(2, 3), normal(7))


def test_reshape_with_a_size_to_be_found():
    def f(x):
        n, a, b = x.shape
        return ops.sum(ops.reshape(x, (n, -1)) * 2.0) + ops.sum(ops.max(ops.reshape(x, (n, a * b)), axis=1)) + b * 1.0

    with without_numba():
        checked(f, normal(2, 3, 4), g=checked(f, normal(5, 2, 2)))


MASK = np.tril(np.ones((9, 9)))
SIZES_IN_PYTHON = {
    "len": lambda x: ops.sum(x) / len(x),
    "float": lambda x: ops.sum(x) / float(x.shape[0]),
    "int": lambda x: ops.sum(x) * int(x.shape[0]),
    "minus": lambda x: ops.sum(x) * (x.shape[0] - 1),
    "range": lambda x: sum(ops.sum(x[:, i] ** 2) * i for i in range(x.shape[1])),
    "rows": lambda x: sum(ops.sum(row * row) for row in x),
    "ones": lambda x: ops.sum(x * np.ones(x.shape)),
    "zeros": lambda x: ops.sum(np.zeros((x.shape[0], 3)) + x[:, :1] * 2.0),
    "tril": lambda x: ops.sum(np.tril(np.ones((x.shape[1], x.shape[1]))) * x[:1].T),
    "arange": lambda x: ops.sum(x[np.arange(x.shape[0])] * np.arange(x.shape[1])),
    "if": lambda x: ops.sum(x) if x.shape[0] > 3 else ops.sum(x * x),
    "halves": lambda x: ops.sum(x[: x.shape[0] // 2] ** 2),
    "power": lambda x: ops.sum(x / x.shape[-1] ** 0.5),
    "math.sqrt": lambda x: ops.sum(x / math.sqrt(x.shape[-1])),
    "np.sqrt": lambda x: ops.sum(x / np.sqrt(x.shape[-1])),
    "mask": lambda x: ops.sum(np.where(MASK[: x.shape[0], : x.shape[1]] == 0, -1.0, x) * x),
    "step": lambda x: ops.sum(x[:: x.shape[0]]),
    "list": lambda x: ops.sum(x) * [1.0, 2.0, 3.0, 4.0, 5.0][x.shape[0] - 1],
    "dict": lambda x: ops.sum(x) * {4: 2.0, (2, 3): 5.0}.get(x.shape[0], {(3, 6): 7.0}.get(x.shape, 1.0)),
    "text": lambda x: ops.sum(x) * (1.0 + len(f"{x.shape[0]:>{x.shape[1]}}")),
    "heads": lambda x: ops.sum(ops.tanh(x.reshape(x.shape[0], 1, x.shape[1] // 3, 3).transpose(0, 2, 1, 3)) ** 2),
}


@pytest.mark.parametrize("f", SIZES_IN_PYTHON.values(), ids=SIZES_IN_PYTHON)
def test_a_size_that_python_uses_is_another_program_for_another_size(f):
    with without_numba():
        g = jit(f)
        for shape in ((4, 6), (3, 6), (4, 3), (2, 3), (1, 3), (4, 6)):
            checked(f, normal(*shape), g=g)


def test_what_fails_with_named_sizes_is_traced_for_these_sizes():
    """np.roll's shift and the list of axes are plain numbers in NumPy itself."""
    f = lambda x: ops.sum(x * np.roll(np.arange(x.shape[0] * 1.0), shift=[x.shape[0] - 1])[:, None])  # noqa: E731
    with without_numba():
        g = jit(f)
        for n in (4, 3, 4):
            checked(f, normal(n, 2), g=g)


def test_axes_in_any_order():
    def f(x, y):
        cube = ops.expand_dims(y, 0) * ops.expand_dims(x, 2)  # (n, m, k)
        turned = [cube.transpose(order) for order in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1))]
        product = x.transpose((0, 1)) @ y.T.transpose(1, 0).T.transpose((-2, -1)).T
        return ops.sum(product**2) + sum(ops.sum(ops.max(ops.tanh(t) * t, axis=0)) for t in turned)

    with without_numba():
        g = checked(f, normal(2, 3), normal(3, 4))
        checked(f, normal(4, 2), normal(2, 3), g=g)


def test_sizes_as_numbers():
    def f(x):
        n, m = x.shape
        return ops.sum(x) / n + ops.sum(x * x) / (n * m) + m / ops.sum(x * x + 1.0) + 2 * n * 1.0

    with without_numba():
        checked(f, normal(4, 3), g=checked(f, normal(2, 5)))
