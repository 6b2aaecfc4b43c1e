"""Loops that Python has run, and blocks that are alike, are loops of the program; many arrays go in by address."""

import contextlib

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.arrays.test_rounds import drawn
from tests.compile.programs import normal, without_numba
from tinygrad_edu import nn, ops

IDS = np.random.default_rng(1).integers(0, 5, size=(30, 2))


def walk(W, U, b, x):
    h = np.zeros((1, 4))
    for t in range(x.shape[1]):
        h = ops.tanh(x[:, t] @ W + h @ U + b)
    return (h * h * h).sum()


def walk_with_outputs(W, U, b, x):
    h, outputs, total = np.zeros((2, 4)), [], 0.0
    for t in range(x.shape[1]):
        h = ops.tanh(x[:, t] @ W + h @ U + b)
        outputs.append(h)
        total = total + (h * h).mean()
    return (np.stack(outputs, axis=1) ** 3).sum() + total + (outputs[3] * outputs[7]).sum()


def cell(W, U, b, x):
    h = c = np.zeros((2, 4))
    for t in range(20):
        z = x[t] @ W + h @ U + b
        i = ops.sigmoid(z)
        c = c * i + ops.tanh(z)
        h = i * ops.tanh(c)
    return (h * c).sum()


def newton(a, x):
    a, x = a * a + 1.0, x * x + 1.0
    for _ in range(40):
        x = x - (x * x - a) / (2.0 * x) * 0.5
    return (x * x * x).sum()


def two_states(a, x):
    u, v = x, x * 2
    for _ in range(40):
        u, v = ops.tanh(v * a), ops.sin(u + a * v)
    return (u * v).sum()


def two_times_back(a, x):
    states = [x, x * a]
    for _ in range(40):
        states.append(ops.tanh(states[-1] * a + states[-2]))
    return (states[-1] * states[20]).sum() + states[3].sum()


def loop_in_loop(U, x):
    m = x
    for _ in range(6):
        h = m
        for _ in range(25):
            h = ops.tanh(h @ U + m * 0.1)
        m = ops.sin(h)
    return (m * m).sum()


def backwards(U, x):
    h = np.zeros((2, 3))
    for t in reversed(range(30)):
        h = ops.tanh(x[t] @ U + h)
    return (h * h).sum()


def sum_of_rows(U, x):
    total = 0.0
    for t in range(30):
        total = total + (ops.tanh(x[t] @ U) ** 2).sum()
    return total


def attention(W, x):
    for _ in range(20):
        x = x + ops.softmax((x @ W) @ x.T) @ x * 0.1
    return (x * x).sum()


def another_number_each_time(a, x):
    for i in range(40):
        x = ops.tanh(x * float(i) * a + 1.0)
    return (x * x * x).sum()


def other_rows_each_time(E, U):
    h = np.zeros((2, 4))
    for t in range(30):
        h = ops.tanh(E[IDS[t]] + h @ U)
    return (h**3).sum()


def other_operations_each_time(U, x):
    for i in range(40):
        x = ops.tanh(x @ U) if i % 3 else ops.sin(x) + x
        x = x * x if i in (7, 20, 31) else x
    return (x * x).sum()


LOOPS = {  # (function, shapes, whether it is a loop)
    "walk": (walk, [(3, 4), (4, 4), (4,), (2, 30, 3)], True),
    "walk_with_outputs": (walk_with_outputs, [(3, 4), (4, 4), (4,), (2, 30, 3)], True),
    "cell": (cell, [(3, 4), (4, 4), (4,), (20, 2, 3)], True),
    "newton": (newton, [(4,), (4,)], True),
    "two_states": (two_states, [(4,), (4,)], True),
    "two_times_back": (two_times_back, [(4,), (4,)], True),
    "loop_in_loop": (loop_in_loop, [(3, 3), (2, 3)], True),
    "backwards": (backwards, [(3, 3), (30, 2, 3)], True),
    "sum_of_rows": (sum_of_rows, [(3, 3), (30, 2, 3)], True),
    "attention": (attention, [(3, 3), (4, 3)], True),
    "another_number_each_time": (another_number_each_time, [(4,), (4,)], False),
    "other_rows_each_time": (other_rows_each_time, [(5, 4), (4, 4)], False),
    "other_operations_each_time": (other_operations_each_time, [(3, 3), (2, 3)], None),
}


@pytest.mark.slow
@pytest.mark.parametrize(("f", "shapes", "rolled"), LOOPS.values(), ids=LOOPS)
def test_loops_of_python(f, shapes, rolled):
    arguments, places = [drawn(shape) * 0.5 for shape in shapes], tuple(range(len(shapes)))
    compiled, expected = tg.jit(f), tg.value_and_grad(f, places)(*arguments)
    with without_numba():
        found = compiled.value_and_grad(*arguments, argnum=places)
    assert np.isclose(found[0], expected[0], rtol=1e-10)
    assert all(np.allclose(a, b, rtol=1e-10, atol=1e-12) for a, b in zip(found[1], expected[1], strict=True))
    assert rolled is None or ("for round_at" in compiled.source) is rolled


def blocks_of(kind, n):
    if kind == "transformer":
        return nn.Sequential(*(nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, rng=i) for i in range(n))), (2, 5, 8)
    if kind == "transformer, norm first":
        layers = [nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, rng=i, norm_first=True) for i in range(n)]
        return nn.Sequential(*layers), (2, 5, 8)
    if kind == "network with other ends":
        return nn.MLP([4, *[6] * n, 2], seed=0), (3, 4)
    return nn.MLP([6] * (n + 1), seed=0), (3, 6)


def gradients(f, parameters, x):
    for p in parameters:
        p.grad = None
    f(x)
    return [p.grad for p in parameters]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "n", "native"),
    [
        ("transformer", 5, True),
        ("transformer, norm first", 4, False),
        ("network", 30, False),
        ("network with other ends", 30, True),
    ],
)
def test_blocks_that_are_alike(kind, n, native):
    model, shape = blocks_of(kind, n)
    loss = lambda x: (model(x) ** 3).sum()  # noqa: E731
    compiled, parameters = tg.jit(loss), list(model.parameters())
    with contextlib.nullcontext() if native else without_numba():
        found = gradients(compiled.backward, parameters, normal(*shape))
    expected = gradients(lambda x: loss(x).backward(), parameters, normal(*shape))
    assert all(np.allclose(a, b, rtol=1e-10, atol=1e-11) for a, b in zip(found, expected, strict=True))
    assert "for round_at" in compiled.source


@pytest.mark.slow
def test_lines_of_a_transformer_hardly_grow_with_its_blocks():
    lines = []
    for n in (5, 10):
        model, shape = blocks_of("transformer", n)
        compiled = tg.jit(lambda x, model=model: (model(x) ** 3).sum())
        with without_numba():
            compiled.value_and_grad(normal(*shape))
        lines.append(compiled.source.count("\n"))
    assert lines[1] - lines[0] < 0.25 * lines[0]


# Many arrays


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("native", [False, True], ids=["Python", "machine code"])
def test_many_arrays_are_given_by_address(native, dtype):
    """Weights that are exchanged, changed in place, and not in C order, between calls."""
    weights = [tg.Tensor(normal(3, 3, dtype=dtype) * 0.1 * i, requires_grad=True) for i in range(30)]
    f = lambda x, scale, ids: sum((ops.tanh(x @ w)[ids] * scale).sum() for w in weights)  # noqa: E731
    compiled, x, ids = tg.jit(f), normal(4, 3, dtype=dtype), np.array([0, 2])
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    with contextlib.nullcontext() if native else without_numba():
        for change in (
            lambda: None,
            lambda: weights[3].data.__imul__(2.0),
            exchange(weights[5]),
            transpose(weights[7]),
        ):
            change()
            assert np.isclose(compiled(x, 2.0, ids), f(x, 2.0, ids).item(), rtol=tolerance)
            found, expected = gradients(lambda x: compiled.backward(x, 2.0, ids), weights, x), None
            expected = gradients(lambda x: f(x, 2.0, ids).backward(), weights, x)
            assert all(np.allclose(a, b, rtol=tolerance, atol=tolerance) for a, b in zip(found, expected, strict=True))
    assert "addresses" in compiled.source


def exchange(w):
    return lambda: setattr(w, "data", w.data + 1.0)


def transpose(w):
    return lambda: setattr(w, "data", np.asfortranarray(w.data))
