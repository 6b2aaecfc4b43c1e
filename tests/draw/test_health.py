"""The health of units: of models of Values, recurrent layers and their gates, channels behind a pooling; or of none."""

import re

import numpy as np
import pytest

from tinygrad_edu import nn
from tinygrad_edu.draw import draw
from tinygrad_edu.draw.health import health_of

RNG = np.random.default_rng(0)
X, SERIES, IMAGES = RNG.normal(size=(16, 2)), RNG.normal(size=(6, 5, 3)), RNG.normal(size=(5, 1, 8, 8))


@pytest.mark.parametrize("activation", ["relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("last", ["identity", "tanh"])
def test_a_model_of_values_has_the_states_of_the_same_model_of_tensors(activation, last):
    scalar, tensor = (
        nn.MLP([2, 5, 4, 2], seed=3, activation=activation, out_activation=last, backend=backend)
        for backend in ("scalar", "tensor")
    )
    states = health_of(scalar, 3.0 * X)
    assert states == health_of(tensor, 3.0 * X)
    assert states[1] != states[2]


def recurrent(layer):
    return nn.Sequential(layer, nn.last_output, nn.Linear(4, 1, rng=1))


def shift(gate, unit):
    """Push one unit's sum far to the right."""
    gate.bias.data = gate.bias.data + 50.0 * (np.arange(4) == unit)


GATED = [
    (nn.RNN, "hidden", "dead"),
    (nn.GRU, "candidate", "dead"),
    (nn.GRU, "reset", "saturated"),
    (nn.GRU, "update", "saturated"),
    (nn.LSTM, "cell_gate", "dead"),
    (nn.LSTM, "input_gate", "saturated"),
    (nn.LSTM, "forget_gate", "saturated"),
    (nn.LSTM, "output_gate", "saturated"),
]


@pytest.mark.parametrize(("kind", "gate", "expected"), GATED)
def test_a_gate_that_is_flat_shows_in_its_unit(kind, gate, expected):
    model = recurrent(kind(3, 4, rng=0))
    assert health_of(model, SERIES)[1] == ["healthy"] * 4
    shift(getattr(model.layers[0], gate), 2)
    assert health_of(model, SERIES)[1] == ["healthy", "healthy", expected, "healthy"]


def test_a_recurrent_layer_with_an_output_of_its_own_has_a_column_for_each():
    states = health_of(nn.Elman(3, 4, 2), SERIES)
    assert [len(states[1]), len(states[2])] == [4, 2]


POOLED = [
    (nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
    (nn.ReLU(), nn.AvgPool2d(2), nn.Flatten()),
    (nn.ReLU(), nn.Flatten()),
    (nn.Flatten(), nn.ReLU()),
]


@pytest.mark.parametrize("behind", POOLED)
def test_channels_are_measured_behind_a_norm_and_before_a_pooling(behind):
    norm = nn.BatchNorm2d(4)
    norm.bias.data = np.array([0.0, -50.0, 0.0, 0.0])
    pooled = any("Pool" in type(layer).__name__ for layer in behind)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), norm, *behind, nn.Linear(36 if pooled else 144, 3, rng=1))
    assert [state == "dead" for state in health_of(model, IMAGES)[1]] == [False, True, False, False]


def test_what_cannot_be_told_is_white_and_the_legend_says_so():
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.Linear(3, 4, rng=1), nn.ReLU(), nn.Linear(4, 1, rng=2))
    assert health_of(model, X)[1] == [""] * 3
    assert "not measured" in draw(model, style="network", color="health", inputs=X).dot
    whole = draw(nn.MLP([2, 3, 1], seed=0), style="network", color="health", inputs=X).dot
    assert "not measured" not in whole


def test_a_deep_network_stands_in_rows_that_fit_a_page():
    drawing = draw(nn.MLP([2, *[4] * 30, 1], seed=0), style="network")
    at = {
        name: (float(x), float(y)) for name, x, y in re.findall(r'([uv]\d+_0) \[pos="([-\d.]+),([-\d.]+)!', drawing.dot)
    }
    assert max(x for x, _ in at.values()) == pytest.approx(8 * 1.9)
    assert len({x for x, _ in at.values()}) == 9
    arrows = re.findall(r"([uv]\d+)_0 -> (u\d+)_0", drawing.dot)
    assert all(at[f"{b}_0"][0] - at[f"{a}_0"][0] == pytest.approx(1.9) for a, b in arrows)
    assert drawing.summary == "Network 2-4 ×30-1: Linear 2→4, tanh; Linear 4→4, tanh ×29; Linear 4→1; 597 parameters"


def test_numbers_that_are_not_finite_are_drawn_and_counted():
    model = nn.MLP([2, 3, 1], seed=0)
    model.layers[0].weight.data[0, 0] = np.nan
    drawing = draw(model, style="network")
    assert "1 NaN or infinite, dashed" in drawing.dot
    assert drawing.dot.count("style=dashed") == 1
    assert drawing.dot.count("u0_1 -> ") == 3
