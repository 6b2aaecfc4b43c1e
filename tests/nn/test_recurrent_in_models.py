"""Elman's settings, recurrent layers inside other models, and compiled walks through time."""

import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.nn.test_recurrent import (
    assert_gradients_close,
    both,
    close,
    every,
    gate,
    gradients,
    made,
    numbers,
    series,
    shaken,
    sigma,
    total,
)
from tinygrad_edu import nn
from tinygrad_edu.errors import TraceError

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


@pytest.mark.slow
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


UNROLLED = [  # unrolled programs: few time steps, because Numba takes 5 s per step of an LSTM
    ("RNN", (3, 2, 2), None),
    ("RNN", (3, 2), 2),
    ("Elman", (2, 2), 1),
    ("GRU", (2, 2), None),
    ("LSTM", (1, 2), None),
]


@pytest.mark.slow
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
