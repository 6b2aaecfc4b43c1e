"""Recurrent layers: their equations, both back ends, the horizon of the gradient, compiled walks, what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn, ops

BACK_ENDS = ["scalar", "tensor"]
both = pytest.mark.parametrize("backend", BACK_ENDS)


def elman(features, hidden, rng=0, **options):
    return nn.Elman(features, hidden, 2, seed=rng, **options)


KINDS = {"RNN": nn.RNN, "GRU": nn.GRU, "LSTM": nn.LSTM, "Elman": elman}
every = pytest.mark.parametrize("kind", KINDS)


def made(kind, features=2, hidden=3, rng=0, **options):
    return KINDS[kind](features, hidden, rng=rng, **options)


def numbers(y):
    if isinstance(y, tuple):
        return tuple(map(numbers, y))
    if isinstance(y, np.ndarray):
        return np.array([getattr(v, "data", v) for v in y.flat], dtype=float).reshape(y.shape)
    return y.data


def close(a, b, rtol=1e-12):
    a, b = (x if isinstance(x, tuple) else (x,) for x in (a, b))
    for x, y in zip(a, b, strict=True):
        x, y = np.asarray(x), np.asarray(y)
        assert x.shape == y.shape
        np.testing.assert_allclose(x, y, rtol=rtol, atol=rtol * np.abs(y).max(initial=0.0))


def series(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape)


def total(y):
    """One number of all outputs, on both back ends."""
    return np.sum(ops.sin(y))


def gradients(model, x, state=None):
    model.zero_grad()
    total(model(x, state)[0]).backward()
    return model.gradients()


def assert_gradients_close(a, b, rtol=1e-12):
    assert a.keys() == b.keys()
    for name in a:
        close(a[name], b[name], rtol)


# the equations, written once more in NumPy


def sigma(x):
    return 1.0 / (1.0 + np.exp(-x))


def gate(w, name, x, h):
    return x @ w[f"{name}.weight_ih"].T + h @ w[f"{name}.weight_hh"].T + w[f"{name}.bias"]


def rnn_step(w, x, h):
    h = np.tanh(gate(w, "hidden", x, h))
    return h, h


def gru_step(w, x, h):
    r, z = sigma(gate(w, "reset", x, h)), sigma(gate(w, "update", x, h))
    seen = h @ w["candidate.weight_hh"].T + w["candidate_bias"]
    n = np.tanh(x @ w["candidate.weight_ih"].T + w["candidate.bias"] + r * seen)
    h = (1.0 - z) * n + z * h
    return h, h


def lstm_step(w, x, state):
    h, c = state
    i, f, o = (sigma(gate(w, f"{name}_gate", x, h)) for name in ("input", "forget", "output"))
    c = f * c + i * np.tanh(gate(w, "cell_gate", x, h))
    h = o * np.tanh(c)
    return h, (h, c)


def elman_step(w, x, c):
    h = sigma(gate(w, "hidden", x, c))
    return h @ w["output.weight"].T, 0.3 * c + h


STEPS = {"RNN": rnn_step, "GRU": gru_step, "LSTM": lstm_step, "Elman": elman_step}


def shaken(model, seed=5):
    """The model with biases that are not 0."""
    rng = np.random.default_rng(seed)
    model.load_state_dict({name: w + 0.3 * rng.standard_normal(w.shape) for name, w in model.state_dict().items()})
    return model


@both
@every
def test_each_layer_is_its_equations(kind, backend):
    model, x = shaken(made(kind, backend=backend)), series(4, 2)
    start = np.full(3, 0.5 if kind == "Elman" else 0.0)
    state = (start, start) if kind == "LSTM" else start
    expected = []
    for row in x:
        y, state = STEPS[kind](model.state_dict(), row, state)
        expected.append(y)
    outputs, last = model(x)
    close(numbers(outputs), np.array(expected))
    close(numbers(last), state)


@both
@every
def test_a_batch_is_its_series_one_by_one(kind, backend):
    model, x = shaken(made(kind, backend=backend)), series(3, 4, 2)
    outputs, last = map(numbers, model(x))
    for i in range(3):
        y, state = map(numbers, model(x[i]))
        close(outputs[i], y)
        close(tuple(s[i] for s in last) if kind == "LSTM" else last[i], state)


@both
@every
def test_a_series_in_two_halves_is_the_series(kind, backend):
    model, x = shaken(made(kind, backend=backend)), series(2, 5, 2)
    whole, last = model(x)
    first, state = model(x[:, :2])
    second, after = model(x[:, 2:], state)
    close(np.concatenate([numbers(first), numbers(second)], axis=1), numbers(whole))
    close(numbers(after), numbers(last))


@pytest.mark.parametrize("shape", [(1, 2), (4, 2), (3, 4, 2), (1, 1, 2)], ids=str)
@every
def test_the_back_ends_agree(kind, shape):
    scalar, tensor = (shaken(made(kind, backend=backend)) for backend in BACK_ENDS)
    x = series(*shape)
    close(numbers(scalar(x)[0]), numbers(tensor(x)[0]))
    close(numbers(scalar(x)[1]), numbers(tensor(x)[1]))
    assert_gradients_close(gradients(scalar, x), gradients(tensor, x))


@given(
    kind=st.sampled_from(list(KINDS)),
    widths=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 5)),
    horizon=st.one_of(st.none(), st.integers(1, 6)),
    seed=st.integers(0, 1000),
)
@settings(derandomize=True, deadline=None, max_examples=60)
def test_random_sizes_and_horizons_agree(kind, widths, shape, horizon, seed):
    x = series(*shape, widths[0], seed=seed)
    scalar, tensor = (made(kind, *widths, rng=seed, horizon=horizon, backend=b) for b in BACK_ENDS)
    assert_gradients_close(gradients(scalar, x), gradients(tensor, x), 1e-11)


@every
def test_one_seed_is_one_layer(kind):
    first, again, other = (made(kind, rng=seed).state_dict() for seed in (1, 1, 2))
    for name, w in first.items():
        np.testing.assert_array_equal(w, again[name])
        assert "bias" in name or np.all(w != other[name])


def test_input_and_recurrent_weights_have_initializers_of_their_own():
    layer = nn.LSTM(2, 4, init="zeros", recurrent_init="orthogonal", rng=0)
    for name, w in layer.state_dict().items():
        if "weight_hh" in name:
            np.testing.assert_allclose(w @ w.T, np.eye(4), atol=1e-12)
        elif "weight_ih" in name:
            assert not w.any()
    assert np.all(layer.state_dict()["forget_gate.bias"] == 1.0)
    assert not nn.LSTM(2, 4, forget_bias=0.0).state_dict()["forget_gate.bias"].any()


# the gradient, and how far back it flows


@pytest.mark.parametrize("shape", [(4, 2), (2, 3, 2)], ids=str)
@every
def test_full_gradients_are_finite_differences(kind, shape):
    model, x = shaken(made(kind, horizon=None)), series(*shape)
    names, start = list(model.state_dict()), model.state_dict()
    found = gradients(model, x)

    def loss(state):
        model.load_state_dict(state)
        return total(model(x)[0]).item()

    for name in names:
        for index in np.ndindex(start[name].shape):
            moved = {key: w.copy() for key, w in start.items()}
            moved[name][index] += 1e-5
            above = loss(moved)
            moved[name][index] -= 2e-5
            slope = (above - loss(moved)) / 2e-5
            assert found[name][index] == pytest.approx(slope, rel=1e-6, abs=1e-8), (name, index)


@every
def test_gradcheck_of_the_input(kind):
    model = shaken(made(kind, horizon=None))
    assert tg.gradcheck(lambda x: model(x)[0], series(2, 3, 2))


def elman_by_hand(w, x, y):
    """Truncated gradient of Σ ½(y - t)²: δ of each time alone, with the context as one more input."""
    found = {name: np.zeros_like(array) for name, array in w.items()}
    c = np.full(3, 0.5)
    for row, t in zip(x, y, strict=True):
        h = sigma(gate(w, "hidden", row, c))
        delta = h @ w["output.weight"].T - t
        hidden = (delta @ w["output.weight"]) * h * (1.0 - h)
        found["output.weight"] += np.outer(delta, h)
        found["hidden.weight_ih"] += np.outer(hidden, row)
        found["hidden.weight_hh"] += np.outer(hidden, c)
        found["hidden.bias"] += hidden
        c = 0.3 * c + h
    return found


@both
def test_horizon_1_is_elmans_truncated_gradient(backend):
    model, x, y = shaken(made("Elman", backend=backend)), series(6, 2), series(6, 2, seed=1)
    assert model.horizon == 1
    error = model(x)[0] - y
    np.sum(error * error * 0.5).backward()
    assert_gradients_close(model.gradients(), elman_by_hand(model.state_dict(), x, y))


@both
@pytest.mark.parametrize("horizon", [1, 2, 3, 5])
@every
def test_a_horizon_is_the_series_in_pieces(kind, horizon, backend):
    """Cutting before every k-th step is the sum of the gradients of pieces of k steps, each from a constant state."""
    model, x = shaken(made(kind, horizon=horizon, backend=backend)), series(2, 5, 2)
    whole = gradients(model, x)
    full = shaken(made(kind, horizon=None, backend=backend))
    pieces, state = [], None
    for start in range(0, 5, horizon):
        piece = x[:, start : start + horizon]
        pieces.append(gradients(full, piece, state))
        state = numbers(full(piece, state)[1])
    assert_gradients_close(whole, {name: sum(p[name] for p in pieces) for name in whole})


@every
def test_a_long_horizon_is_none(kind):
    x = series(5, 2)
    found = [gradients(shaken(made(kind, horizon=horizon)), x) for horizon in (None, 5, 99)]
    assert_gradients_close(found[0], found[1])
    assert_gradients_close(found[0], found[2])
    cut = gradients(shaken(made(kind, horizon=1)), x)
    assert not np.allclose(cut[next(iter(cut))], found[0][next(iter(cut))])


@both
@pytest.mark.parametrize(("horizon", "flows"), [(None, True), (2, False)])
def test_the_gradient_flows_into_a_given_state_only_without_a_horizon(horizon, flows, backend):
    model = shaken(made("GRU", horizon=horizon, backend=backend))
    if backend == "tensor":
        state = tg.Tensor([0.1, 0.2, 0.3], requires_grad=True)
    else:
        state = np.array([tg.Value(0.1), tg.Value(0.2), tg.Value(0.3)])
    total(model(series(3, 2), state)[0]).backward()
    found = state.grad if backend == "tensor" else np.array([v.grad for v in state])
    assert flows == bool(found is not None and np.any(found))


@both
def test_detach_keeps_the_numbers_and_cuts_the_history(backend):
    model = made("LSTM", backend=backend)
    _, state = model(series(3, 2))
    cut = nn.detach(state)
    close(numbers(cut), numbers(state))
    assert not any(getattr(v, "parents", ()) for s in cut for v in (s.flat if backend == "scalar" else [s]))
    for untouched in (1.5, np.ones(2)):
        assert nn.detach(untouched) is untouched
    assert nn.detach(tg.Value(2.0).tanh()).parents == ()


@both
def test_a_state_carried_on_is_cut_by_detach(backend):
    """With horizon=None the state of one call belongs to its graph; nn.detach makes the next call a new one."""
    model = made("RNN", backend=backend)
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    state = None
    for _ in range(3):
        optimizer.zero_grad()
        y, state = model(series(2, 2), state)
        total(y).backward()
        optimizer.step()
        state = nn.detach(state)
    assert np.isfinite(numbers(state)).all()
