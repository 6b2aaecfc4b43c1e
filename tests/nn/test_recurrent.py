"""Recurrent layers: their equations, both back ends, the horizon of the gradient, compiled walks, what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import nn, ops
from tinygrad_edu.errors import NameNotFoundError, OperandError, SettingError, ShapeError, TraceError
from tinygrad_edu.nn.sequence import Recurrent

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


# The equations, written once more with NumPy


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


# The gradient, and how far back it flows


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


# Elman's settings


@both
@pytest.mark.parametrize(("self_feedback", "start"), [(0.0, 0.0), (0.3, 0.5), (-0.5, 2.0)])
def test_the_context_fades(self_feedback, start, backend):
    model = nn.Elman(2, 3, 1, self_feedback=self_feedback, context_start=start, backend=backend)
    w, x, c = model.state_dict(), series(4, 2), np.full(3, start)
    for row in x:
        c = self_feedback * c + sigma(gate(w, "hidden", row, c))
    close(numbers(model(x)[1]), c)


def test_elmans_network_of_1990_is_an_rnn_with_an_output_layer():
    elman = nn.Elman(2, 3, 1, "tanh", self_feedback=0.0, context_start=0.0, horizon=None, out_bias=True)
    rnn = nn.RNN(2, 3)
    state = elman.state_dict()
    rnn.load_state_dict({name: state[name] for name in rnn.state_dict()})
    x = series(5, 2)
    close(numbers(elman(x)[0]), numbers(elman.output(rnn(x)[0])))
    assert nn.Elman(2, 3, 2, out_activation="softmax")(x)[0].data.sum() == pytest.approx(5.0)


# Inside other models


@both
def test_last_output_in_sequential(backend):
    layer = nn.GRU(2, 3, rng=0, backend=backend)
    model = nn.Sequential(layer, nn.last_output, nn.Linear(3, 1, rng=0, backend=backend))
    x = series(5, 4, 2)
    close(numbers(nn.last_output(layer(x))), numbers(layer(x)[0])[:, -1])
    close(numbers(nn.last_output(layer(x[0]))), numbers(layer(x[0])[0])[-1])
    assert model(x).shape == (5, 1)
    assert len(model.state_dict()) == len(layer.state_dict()) + 2
    np.sum(model(x)).backward()
    assert all(np.any(g) for g in model.gradients().values())


@both
@every
def test_parameters_bear_the_names_of_their_places(kind, backend):
    model = made(kind, backend=backend)
    assert [p.label for p in model.parameters()] == [name for name, _ in model.named_parameters()]
    assert repr(model).startswith(f"{kind}: ")


def test_a_model_learns_what_needs_a_memory():
    """The first of five signs, asked for at the end: only the state can carry it there."""
    x = np.sign(series(64, 5, 1, seed=3))
    model = nn.Sequential(nn.LSTM(1, 8, rng=0), nn.last_output, nn.Linear(8, 1, rng=0))
    optimizer = tg.optim.Adam(model.parameters(), lr=0.03)
    for _ in range(150):
        optimizer.zero_grad()
        loss = nn.losses.mse(model(x), x[:, 0])
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.05


# Compiled


UNROLLED = [  # a program of every time one after the other: few times, for Numba took 5 s a time of an LSTM
    ("RNN", (3, 2, 2), None),
    ("RNN", (3, 2), 2),
    ("Elman", (2, 2), 1),
    ("GRU", (2, 2), None),
    ("LSTM", (1, 2), None),
]


@pytest.mark.parametrize(("kind", "shape", "horizon"), UNROLLED)
def test_a_compiled_walk_is_the_eager_one(kind, shape, horizon):
    model, x = shaken(made(kind, horizon=horizon)), series(*shape)
    compiled = tg.jit(lambda x: total(model(x)[0]), accurate=True)
    expected = gradients(model, x)
    model.zero_grad()
    value = compiled.backward(x)
    close(value, total(model(x)[0]).item())
    assert_gradients_close(model.gradients(), expected)


def test_another_length_of_time_is_another_trace():
    model = made("RNN")
    compiled = tg.jit(lambda x: model(x)[0])
    for times, batch in itertools.product((1, 3), (2, 4)):
        x = series(batch, times, 2)
        close(compiled(x), model(x)[0].data)


def test_a_horizon_is_refused_on_the_scalar_tape():
    """The tape has no constant that changes from call to call: a frozen context would be silently wrong."""
    model = made("Elman", features=1, hidden=1, backend="scalar")
    with pytest.raises(TraceError, match="frozen"):
        tg.jit(lambda a, b: np.sum(model(np.array([[a], [b]], dtype=object))[0]))(0.5, 0.2)


# What is refused

SETTINGS = [
    ({"in_features": 0}, SettingError, "in_features=0"),
    ({"hidden_features": 2.5}, SettingError, "hidden_features=2.5"),
    (
        {"horizon": 0},
        SettingError,
        r"horizon=0\): a whole number of at least 1 is needed, the steps that a gradient flows back",
    ),
    ({"horizon": 1.5}, SettingError, "horizon=1.5"),
    ({"horizon": True}, SettingError, "horizon=True"),
    ({"init": "glorot"}, NameNotFoundError, "unknown init 'glorot'"),
    ({"recurrent_init": "orthogonl"}, NameNotFoundError, "Did you mean 'orthogonal'"),
    ({"init": lambda rng, a, b: np.ones((a, b))}, ShapeError, r"gave shape \(2, 3\)"),
    ({"backend": "gpu"}, SettingError, "backend='gpu'"),
]


@pytest.mark.parametrize(("options", "error", "text"), SETTINGS, ids=lambda x: str(x).partition(" at 0x")[0][:40])
@every
def test_settings_are_refused(kind, options, error, text):
    cls = getattr(nn, kind)
    widths = {"out_features": 1} if kind == "Elman" else {}
    with pytest.raises(error, match=text):
        cls(**{"in_features": 2, "hidden_features": 3, **widths, **options})


ELMAN_SETTINGS = [
    ({"self_feedback": 1.0}, SettingError, r"outside \(-1, 1\), where the context .* stays bounded"),
    ({"self_feedback": np.nan}, SettingError, r"self_feedback=nan\) lies outside"),
    ({"context_start": "half"}, SettingError, "context_start='half'"),
    ({"context_start": np.inf}, SettingError, r"outside \(-inf, inf\)"),
    ({"seed": -1}, SettingError, "seed=-1"),
    ({"out_features": 0}, SettingError, "out_features=0"),
    ({"activation": "sigmod"}, NameNotFoundError, "Did you mean 'sigmoid'"),
    ({"out_activation": "linear"}, NameNotFoundError, "unknown activation 'linear'"),
]


@pytest.mark.parametrize(("options", "error", "text"), ELMAN_SETTINGS, ids=lambda x: str(x)[:40])
def test_elmans_settings_are_refused(options, error, text):
    with pytest.raises(error, match=text):
        nn.Elman(**{"in_features": 2, "hidden_features": 3, "out_features": 1, **options})


def test_other_settings_are_refused():
    with pytest.raises(SettingError, match="rng=-1"):
        nn.RNN(2, 3, rng=-1)
    with pytest.raises(NameNotFoundError, match="Did you mean 'tanh'"):
        nn.RNN(2, 3, "tanhh")


INPUTS = [
    (np.ones((4, 3)), r"shape \(4, 3\), but \(time, 2\) or \(batch, time, 2\) is needed"),
    (np.ones(2), r"shape \(2,\)"),
    (np.ones((1, 2, 3, 2)), r"shape \(1, 2, 3, 2\)"),
    (np.ones((0, 2)), "at least one time"),
    (np.ones((3, 0, 2)), "at least one time"),
    (1.0, r"shape \(\)"),
    ([[1.0, 2.0], [1.0]], "differ in length"),
]


@both
@pytest.mark.parametrize(("x", "text"), INPUTS, ids=lambda x: str(x)[:30])
@every
def test_inputs_are_refused(kind, x, text, backend):
    with pytest.raises(ShapeError, match=text):
        made(kind, backend=backend)(x)


def test_a_series_of_numbers_is_told_its_shape():
    with pytest.raises(ShapeError, match=r"x\.reshape\(-1, 1\)"):
        nn.RNN(1, 3)(np.ones(5))


STATES = [
    ("RNN", (4, 2), np.ones(2), r"state h has shape \(2,\), but an input of shape \(4, 2\) needs \(3,\)"),
    ("RNN", (4, 2), np.ones((1, 3)), r"shape \(1, 3\).*needs \(3,\)"),
    ("GRU", (5, 4, 2), np.ones((4, 3)), r"needs \(5, 3\): 3 hidden units, for each sample"),
    ("Elman", (4, 2), np.ones(4), "state context has shape"),
    ("LSTM", (4, 2), np.ones(3), r"the state is \(h, c\); here are 1 arrays"),
    ("LSTM", (4, 2), (np.ones(3), np.ones(2)), "state c has shape"),
    ("RNN", (4, 2), (np.ones(3), np.ones(3)), "one array, h; here are 2"),
]


@both
@pytest.mark.parametrize(("kind", "shape", "state", "text"), STATES, ids=lambda x: str(x)[:30])
def test_states_are_refused(kind, shape, state, text, backend):
    with pytest.raises(ShapeError, match=text):
        made(kind, backend=backend)(series(*shape), state)


def test_the_two_back_ends_do_not_mix():
    with pytest.raises(SettingError, match="not a Tensor"):
        made("RNN", backend="scalar")(tg.Tensor(np.ones((3, 2))))
    with pytest.raises(SettingError, match="not a Tensor"):
        made("RNN", backend="scalar")(np.ones((3, 2)), tg.Tensor(np.ones(3)))
    with pytest.raises(OperandError, match="Values belong to the scalar back end"):
        made("RNN")([[tg.Value(1.0), tg.Value(2.0)]])


@both
@every
def test_whole_numbers_lists_and_empty_batches(kind, backend):
    model = made(kind, backend=backend)
    close(numbers(model([[1, 2], [3, 4]])[0]), numbers(model(np.array([[1.0, 2.0], [3.0, 4.0]]))[0]))
    assert model(np.ones((0, 4, 2)))[0].shape == (0, 4, 2 if kind == "Elman" else 3)


@every
def test_nan_stays_in_its_own_series_and_after_its_time(kind):
    model, x = made(kind), series(2, 4, 2)
    x[1, 2, 0] = np.nan
    bad = np.isnan(model(x)[0].data).all(axis=2)
    assert bad.tolist() == [[False] * 4, [False, False, True, True]]


def test_a_layer_without_a_step_says_so():
    class Lazy(Recurrent):
        pass

    with pytest.raises(NotImplementedError, match=r"Lazy has no step\(x, state\)"):
        Lazy(2, 3, None, "tensor")(np.ones((4, 2)))
