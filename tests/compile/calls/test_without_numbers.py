"""Questions about numbers (np.isnan, np.any, a mask) and fills, where there are none yet: in a trace and a vmap."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core.numpy_protocol.names import without_derivative
from tinygrad_edu.core.numpy_protocol.without_numbers import WITHOUT_NUMBERS

SPECIAL = np.array([1.0, -2.0, 0.0, -0.0, np.nan, np.inf, -np.inf, 1.0 + 1e-9, 3.0])
PAIRS = (np.logical_and, np.logical_or, np.logical_xor)
BITS = (np.bitwise_and, np.bitwise_or, np.bitwise_xor)


def call_of(function):
    """How the function is asked about a row of numbers."""
    if function in BITS:
        mask = np.arange(len(SPECIAL)) % 2 == 0
        return lambda x: function(mask, x > 0.0)
    if function in PAIRS:
        return lambda x: function(x > 0.0, x)
    if function is np.isclose:
        return lambda x: np.isclose(x, 1.0)
    return (lambda x: np.full_like(x, 2.5)) if function is np.full_like else function


def chosen_by(ask):
    return lambda x: np.where(ask(x), 1.0, 2.0) * np.ones(np.shape(x))


def routes(f, x):
    """(name, what it gives for the row x)."""
    yield "eager", lambda: f(tg.Tensor(x))
    yield "jit", lambda: tg.jit(f)(x)
    yield "vmap", lambda: tg.vmap(f)(x[None])[0]
    yield "jit of vmap", lambda: tg.jit(tg.vmap(f))(x[None])[0]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_row_of_the_table(dtype):
    """One program of all rows, because each program takes a tenth of a second to compile."""
    of_rows = [
        call_of(function) if function.__name__.endswith("_like") else chosen_by(call_of(function))
        for function in WITHOUT_NUMBERS
        if function is not np.empty_like
    ]

    def f(x):
        return np.stack([row(x) for row in of_rows])

    x = SPECIAL.astype(dtype)
    for name, run in routes(f, x):
        np.testing.assert_array_equal(np.asarray(run()), f(x), err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(3, 4), (0, 4), (1, 1)])
def test_axes(shape):
    x = np.round(np.random.default_rng(0).normal(size=shape))
    asked = [(f, axis) for f in (np.any, np.all, np.count_nonzero) for axis in (None, 0, -1, (0, 1))]

    def f(t):
        choices = [np.where(function(t > 0.0, axis=axis, keepdims=True), t, 0.5) for function, axis in asked]
        return np.stack([*choices, np.where((t > 0.0).any(), t, 0.5), np.where((t > 0.0).all(), t, 0.5)])

    np.testing.assert_array_equal(tg.jit(f)(x), f(x))


def test_fills_of_other_kinds_and_shapes():
    def f(x):
        return np.where(np.zeros_like(x, dtype=bool), 0.0, x) * np.ones_like(x, shape=(2, 1)) + np.ones_like(x, int)

    for n in (3, 5, 1):
        x = np.arange(n) + 0.5
        np.testing.assert_array_equal(tg.jit(f)(x), f(x))


def test_fills_of_a_mask_are_of_the_dtype_asked_for():
    """As booleans, 1 + 1 would be True."""

    def f(x):
        ones, zeros = np.ones_like(x > 0.0, dtype=np.float64), np.zeros_like(x > 0.0, dtype=float)
        return np.sum(x) * 0.0 + np.sum(ones + ones) - np.sum(zeros - ones)

    for name, run in routes(f, np.arange(3.0)):
        assert float(run()) == 9.0, name


def test_each_row_is_asked_of_plain_numbers_elsewhere():
    assert set(WITHOUT_NUMBERS) - set(BITS) <= without_derivative()


def test_constants_beside_what_is_computed():
    def f(x):
        return {"twice": 2.0 * x, "ones": np.ones(x.shape), "half": 0.5}

    compiled = tg.jit(f)
    for n in (3, 2, 3):
        given = compiled(np.ones(n))
        given["ones"][:] = 9.0  # changes a copy only
        again = compiled(np.ones(n))
        assert again["ones"].tolist() == [1.0] * n
        assert again["half"] == 0.5

    def both(x, y):
        return np.mean(x) + np.mean(np.swapaxes(y, 0, -1))  # their gradients are constant

    stacks = np.ones((3, 2, 2)), np.ones((3, 2, 4))
    for found in tg.jit(tg.vmap(tg.grad(both, (0, 1))))(*stacks):
        np.testing.assert_allclose(found, 1.0 / found[0].size)


# Attention with masks: of booleans and of numbers; given, closed over, sliced by scan or vmap; some rows see no key.
RNG = np.random.default_rng(1)
Q, K, V = RNG.normal(size=(3, 2, 4, 5)), RNG.normal(size=(3, 2, 4, 5)), RNG.normal(size=(3, 2, 4, 2))
SEEN = RNG.random((4, 4)) > 0.5
SEEN[1] = False  # a query that sees no key
MASKS = {
    "booleans": SEEN,
    "for each sample": RNG.random((3, 1, 4, 4)) > 0.4,
    "numbers": np.where(SEEN, 0.3, -np.inf),
    "all seen": np.ones((4, 4), dtype=bool),
    "nothing": np.zeros((4, 4), dtype=bool),
}


def test_nan_in_a_mask_stays_nan():
    """It would hide a mistake if it counted as "sees no key"."""
    found = nn.scaled_dot_product_attention(Q, K, V, np.full((4, 4), np.nan))
    assert np.isnan(found).all()


def by_hand(mask, causal):
    """softmax over the keys that are seen, one query at a time."""
    seen, added = (mask, 0.0) if mask.dtype == bool else (mask > -np.inf, np.where(mask > -np.inf, mask, 0.0))
    seen = np.broadcast_to(seen & np.tri(4, dtype=bool) if causal else seen, (3, 2, 4, 4))
    scores = Q @ K.swapaxes(-1, -2) / np.sqrt(5.0) + added
    y = np.zeros((3, 2, 4, 2))
    for i in np.ndindex(3, 2, 4):
        e = np.exp(scores[i])[seen[i]]
        y[i] = e / e.sum() @ V[i[:2]][seen[i]] if len(e) else 0.0
    return y


@pytest.mark.slow
@pytest.mark.as_python(but=("booleans-True", "numbers-False", "for each sample-True"))
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("name", MASKS)
def test_masks_of_attention(name, causal):
    mask = MASKS[name]

    def attend(q, k, v, m):
        return nn.scaled_dot_product_attention(q, k, v, m, is_causal=causal)

    each = 0 if mask.ndim == 4 else None
    stacked = np.broadcast_to(mask, (3, *mask.shape[-3:]))

    def step(count, x):
        return (count + 1.0, attend(*x))

    found = {
        "eager": attend(Q, K, V, mask),
        "jit, given": tg.jit(attend)(Q, K, V, mask),
        "vmap": tg.vmap(attend, in_axes=(0, 0, 0, each))(Q, K, V, mask),
    }
    if name == "booleans":  # only here: a loop takes seconds to compile
        found["jit of scan"] = tg.jit(lambda q, m: tg.scan(step, 0.0, (q, K, V, m))[1])(Q, stacked)
    for route, y in found.items():
        np.testing.assert_allclose(np.asarray(y), by_hand(mask, causal), atol=1e-12, err_msg=route)

    def loss(q, m):
        return np.sum(np.sin(attend(q, K, V, m)))

    g = tg.grad(loss)(Q, mask)
    assert np.isfinite(g).all()
    np.testing.assert_allclose(tg.jit(lambda q: loss(q, mask)).value_and_grad(Q)[1], g, atol=1e-12)


def test_truth_values_that_a_loop_keeps():
    x = RNG.normal(size=(7, 4))

    def flags(s, row):
        return (s & (row > 0.0), np.where(~s, row, 0.0))

    def positive(s, row):
        return (s + row, row > 0.0)

    for step, start, seen in ((flags, np.ones(4, dtype=bool), 0), (positive, np.zeros(4), 1)):

        def f(x, step=step, start=start, seen=seen):
            return np.where(~tg.scan(step, start, x)[seen], 1.0, 2.0)

        np.testing.assert_array_equal(tg.jit(f)(x), np.asarray(f(tg.Tensor(x))))
