"""Loops over time are loops of the program: the numbers of the eager walk, whatever is scanned."""

import contextlib

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import normal, recorder, without_numba
from tinygrad_edu import nn, ops

IDS = np.array([[0, 3], [1, 1], [4, 0], [2, 2], [3, 4], [0, 0], [1, 4]])


def tanh_cell(s, x, U):
    return ops.tanh(s @ U + x)


def total(result):
    """One number that depends on the last state and on all that the rounds gave."""
    state, ys = result
    leaves = [x for x in tg.core.pytree.tree_leaves([state, ys]) if x is not None]
    return sum((leaf * leaf * leaf).sum() + ops.sin(leaf).sum() for leaf in map(ops.pos, leaves))


def nested(U, xs, inner_reads_entries):
    def outer(s, x):
        if inner_reads_entries:
            return tg.scan(lambda t, z: (ops.tanh(t @ U + z), t * z), s, x)
        last, ys = tg.scan(lambda t, _: (tanh_cell(t, x, U), t), s, None, length=5)
        return last, ys.sum()

    return tg.scan(outer, np.zeros((2, 4)), xs)


def descent(w, xs):
    """The gradient of a step is taken in the step."""

    def step(w, x):
        g = tg.grad(lambda w: ((w * x).sum() - 1.0) ** 2 + (w**4).sum())(w)
        return w - 0.01 * g, (g * g).sum()

    return tg.scan(step, w, xs)


SCANS = {  # (function, shapes of its arguments)
    "state and y": (lambda W, U, x: tg.scan(lambda s, x: (ops.tanh(x @ W + s @ U), s), np.zeros((2, 4)), x),
                    [(3, 4), (4, 4), (9, 2, 3)]),
    "no y": (lambda U, x: tg.scan(lambda s, x: (tanh_cell(s, x, U), None), np.zeros((2, 4)), x), [(4, 4), (6, 2, 4)]),
    "single numbers": (lambda a, x: tg.scan(lambda s, x: (ops.sin(s * a + x), s * x * a), 0.5, x), [(), (8,)]),
    "no entries": (lambda a, v: tg.scan(lambda s, _: (ops.tanh(s * a) + s, None), v, None, length=7), [(), (3,)]),
    "nested dicts": (lambda a, x: tg.scan(
        lambda s, x: ({"h": ops.tanh(s["c"] * a + x["u"]), "c": s["h"] * x["v"]}, [s["h"], {"z": x["u"] * s["c"]}]),
        {"h": np.zeros(3), "c": np.ones(3)}, {"u": x, "v": x * 2.0}), [(), (6, 3)]),
    "a first state of one row": (lambda U, x: tg.scan(lambda s, x: (tanh_cell(s, x, U), s * x), np.zeros((1, 4)), x),
                                 [(4, 4), (6, 2, 4)]),
    "a first state of one number": (lambda U, x: tg.scan(lambda s, x: (ops.tanh(s + x), s * x @ U), 0.0, x),
                                    [(4, 4), (6, 2, 4)]),
    "a loop in a loop": (lambda U, x: nested(U, x, False), [(4, 4), (6, 2, 4)]),
    "a loop over entries in a loop": (lambda U, x: nested(U, x, True), [(4, 4), (6, 5, 2, 4)]),
    "a gradient in a step": (descent, [(3,), (6, 3)]),
    "rows of a table": (lambda E, U: tg.scan(lambda s, i: (ops.tanh(E[i] + s @ U), s), np.zeros((2, 4)), IDS),
                        [(5, 4), (4, 4)]),
    "an array made in the step": (lambda U, x: tg.scan(
        lambda s, x: (tanh_cell(s, x + np.array([1.0, 2.0, 3.0, 4.0]), U), None), np.zeros((2, 4)), x),
        [(4, 4), (6, 2, 4)]),
    "a maximum": (lambda U, x: tg.scan(lambda s, x: (ops.maximum(s @ U, 0.0) * 0.3 + x, None), np.zeros((2, 4)), x),
                  [(4, 4), (6, 2, 4)]),
    "a choice": (lambda U, x: tg.scan(lambda s, x: (ops.where(s > x, s @ U * 0.3, x * s), (s > x) * 1.0),
                                      np.ones((2, 4)), x), [(4, 4), (6, 2, 4)]),
    "softmax": (lambda U, x: tg.scan(lambda s, x: (ops.softmax(s @ x.T @ x) @ U, ops.logsumexp(s, axis=1)),
                                     np.ones((2, 4)), x), [(4, 4), (6, 3, 4)]),
    "a shifted state": (lambda U, x: tg.scan(lambda s, x: (np.concatenate([s[1:], x[:1] @ U]), s[0] * s[-1]),
                                             np.ones((3, 4)), x), [(4, 4), (6, 3, 4)]),
    "states that change places": (lambda a, x: tg.scan(lambda s, x: ((s[1], s[0] * a + x), s[0] * s[1]),
                                                       (np.ones(3), np.zeros(3)), x), [(), (6, 3)]),
    "a state that is the entry, twice": (lambda a, x: tg.scan(
        lambda s, x: ((x, x), x * a), (np.ones(3), np.zeros(3)), x), [(), (6, 3)]),
    "a state that stays": (lambda a, x: tg.scan(lambda s, x: (a * np.ones(3), s * a), np.ones(3), x), [(), (6, 3)]),
}  # fmt: skip


def assert_as_eager(f, arguments, rolled=True, native=False):
    """Value and all gradients, from a program that is a loop, or is not."""
    compiled, places = tg.jit(f), tuple(range(len(arguments)))
    with contextlib.nullcontext() if native else without_numba():
        found = compiled.value_and_grad(*arguments, argnum=places)
    expected = tg.value_and_grad(f, places)(*arguments)
    assert np.isclose(found[0], expected[0], rtol=1e-10, atol=1e-12)
    assert all(np.allclose(a, b, rtol=1e-10, atol=1e-11) for a, b in zip(found[1], expected[1], strict=True))
    assert ("for round_at" in compiled.source) is rolled
    return compiled


def drawn(shape):
    return normal(*shape) if shape else 0.7


@pytest.mark.parametrize(("f", "shapes"), SCANS.values(), ids=SCANS)
def test_a_scan_is_a_loop(f, shapes):
    assert_as_eager(lambda *arguments: total(f(*arguments)), [drawn(shape) for shape in shapes])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["state and y", "rows of a table", "a loop over entries in a loop"])
def test_as_machine_code(name):
    f, shapes = SCANS[name]
    assert_as_eager(lambda *arguments: total(f(*arguments)), [drawn(shape) for shape in shapes], native=True)


def test_one_program_for_any_number_of_rounds():
    f, (note, traces) = SCANS["state and y"][0], recorder()

    def loss(W, U, x):
        note(x.shape)
        return total(f(W, U, x))

    compiled = assert_as_eager(loss, [normal(3, 4), normal(4, 4), normal(9, 2, 3)])
    traces.clear()
    with without_numba():
        found = compiled.value_and_grad(normal(3, 4), normal(4, 4), normal(30, 2, 3), argnum=(0, 1, 2))
    assert not traces
    expected = tg.grad(lambda W: total(f(W, normal(4, 4), normal(30, 2, 3))))(normal(3, 4))
    assert np.allclose(found[1][0], expected, rtol=1e-10)


# what is not a loop


def counting(U, x):
    calls = []

    def step(s, x):
        calls.append(None)
        return tanh_cell(s, x, U) * float(len(calls)), None

    return tg.scan(step, np.zeros((2, 4)), x)


def handing_out(U, x):
    states = []

    def step(s, x):
        states.append(tanh_cell(s, x, U))
        return states[-1], None

    tg.scan(step, np.zeros((2, 4)), x)
    return states[0], states[-1] * states[2]


def reading_a_list(U, x):
    weights = iter([U, U * 2.0, U, U, U, U])
    return tg.scan(lambda s, x: (tanh_cell(s, x, next(weights)), None), np.zeros((2, 4)), x)


def changing_type(U, x):
    def step(s, x):
        return (s[0] + 1, tanh_cell(s[1], x * float(s[0] % 2), U)), None  # a plain number as part of the state

    return tg.scan(step, (0, np.zeros((2, 4))), x)[0][1], None


@pytest.mark.parametrize("f", [counting, handing_out, reading_a_list, changing_type])
def test_a_step_that_differs_from_round_to_round_is_written_out(f):
    assert_as_eager(lambda U, x: total(f(U, x)), [normal(4, 4), normal(6, 2, 4)], rolled=False)


def test_one_loop_beside_another_that_is_none():
    f = lambda U, x: total(counting(U, x)) + total(SCANS["no y"][0](U, x))  # noqa: E731
    assert_as_eager(f, [normal(4, 4), normal(6, 2, 4)])


def test_an_error_of_the_step_is_what_it_is_without_jit():
    with pytest.raises(tg.errors.ShapeError, match=r"\(2, 4\)"):
        tg.jit(lambda U, x: total(SCANS["no y"][0](U, x)))(normal(3, 4), normal(6, 2, 4))


# Layers, orders of derivative, training

SETTINGS = [{}, {"num_layers": 2}, {"bidirectional": True}, {"horizon": 1}, {"horizon": 3}]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
@pytest.mark.parametrize("layer", [nn.RNN, nn.GRU, nn.LSTM], ids=lambda layer: layer.__name__)
def test_recurrent_layers(layer, settings):
    model = layer(3, 4, rng=0, **settings)
    for shape in ((2, 7, 3), (7, 3)):
        assert_as_eager(lambda x: total(model(x)[::-1]), [normal(*shape)])


def test_elman():
    model = nn.Elman(3, 4, 2)
    assert_as_eager(lambda x: total(model(x)[::-1]), [normal(7, 3)])


@pytest.mark.slow
def test_higher_orders():
    x, v = normal(6, 2, 4), normal(4, 4) * 0.5
    f = lambda U: total(SCANS["no y"][0](U, x))  # noqa: E731
    for g in (
        lambda U: (tg.grad(f)(U) * v).sum(),
        lambda U: (tg.grad(lambda U: (tg.grad(f)(U) ** 2).sum())(U) * v).sum(),
        lambda U: tg.jvp(f, (U,), (v,))[1],
        lambda U: (tg.hessian(f)(U) * v).sum(),
    ):
        compiled = tg.jit(g)
        with without_numba():
            assert np.isclose(compiled(v), g(v), rtol=1e-10)
        assert "for round_at" in compiled.source


@pytest.mark.slow
def test_training_by_batches():
    X, y = normal(20, 9, 2), normal(20, 1)
    curves = []
    for compiled in (False, True):
        model = nn.Sequential(nn.GRU(2, 5, rng=0), nn.last_output, nn.Linear(5, 1, rng=0))
        optimizer = tg.optim.Adam(model.parameters(), lr=0.01)
        run = tg.fit(model, X, y, loss="mse", optimizer=optimizer, epochs=3, batch_size=8, compiled=compiled)
        curves.append(run.loss_curve)
    assert np.allclose(*curves, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_text_does_not_grow_with_time(dtype):
    model, lines = nn.LSTM(3, 4, rng=0, dtype=dtype), []
    for times in (8, 200):
        compiled = tg.jit(lambda x: total(model(x)[::-1]))
        with without_numba():
            compiled(normal(2, times, 3, dtype=dtype))
        lines.append(compiled.source.count("\n"))
    assert lines[0] == lines[1]
