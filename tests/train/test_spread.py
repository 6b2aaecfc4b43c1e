"""What is measured of layers, against the same numbers computed by hand."""

import numpy as np
import pytest

from tinygrad_edu import nn
from tinygrad_edu.draw.health import health_of
from tinygrad_edu.train.histograms import measure_layers, stuck
from tinygrad_edu.train.spread import LEVELS, spread_of

X = np.random.default_rng(0).normal(size=(16, 2))
Y = X[:, :1]


@pytest.mark.parametrize("size", [1e-300, 1e-14, 1e-7, 1.0, 1e7, 1e150])
def test_quantiles_and_size_keep_their_digits_at_any_size(size):
    numbers = size * np.random.default_rng(0).normal(size=50)
    found = spread_of(numbers)
    np.testing.assert_allclose(found.quantiles, np.quantile(numbers, LEVELS), rtol=1e-11)
    np.testing.assert_allclose(found.size / size, np.sqrt(np.mean((numbers / size) ** 2)))
    assert found.counts == tuple(np.histogram(numbers, len(found.counts))[0])


def test_of_no_numbers_none_is_broken():
    assert spread_of(np.empty(0)).broken == 0.0


def layers_by_hand(model, x):
    """(activations, weights) of each layer of an MLP of tanh."""
    for layer in model.layers:
        W, b = layer.weight.data, layer.bias.data
        z = x @ W.T + b
        x = np.tanh(z) if layer is not model.layers[-1] else z
        yield x, np.concatenate([np.ravel(W), b])


@pytest.mark.parametrize("frozen", [(), (0,), (1,), (2,), (0, 1), (1, 2)])
def test_a_frozen_layer_is_measured_and_moves_no_other(frozen):
    model = nn.MLP([2, 4, 3, 1], seed=1)
    for place in frozen:
        for parameter in model.layers[place].parameters():
            parameter.requires_grad = False
    state = measure_layers(model, nn.losses.mse, (X, Y))
    assert list(state) == ["layers.0", "layers.1", "layers.2"]
    for place, (found, (activations, weights)) in enumerate(zip(state.values(), layers_by_hand(model, X), strict=True)):
        assert found.activations.size == pytest.approx(np.sqrt(np.mean(activations**2)))
        assert found.weights.size == pytest.approx(np.sqrt(np.mean(weights**2)))
        assert np.isnan(found.gradients.size) == (place in frozen)
        assert model.layers[place].weight.requires_grad == (place not in frozen)
    assert all(model.layers[place].weight.grad is None for place in range(3))
    assert len(health_of(model, X)) == 3


def test_the_statistics_of_a_norm_are_no_weights():
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
    model.layers[1].running_mean.data[:] = 100.0
    found = measure_layers(model, nn.losses.mse, (X, Y))["layers.1"].weights
    assert found.quantiles[-1] == 1.0


def test_the_activations_of_a_gate_are_those_of_the_samples():
    model = nn.Sequential(nn.GRU(2, 4, rng=0), nn.last_output, nn.Linear(4, 1))
    for name, array in model.named_arrays():
        if "recurrent" in name:
            array.data *= 1e6  # handed on by nothing: only multiplied by states
    series = np.zeros((16, 3, 2))
    for found in measure_layers(model, nn.losses.mse, (series, Y)).values():
        assert found.activations.size < 10.0


def test_a_unit_that_one_step_moves_is_not_stuck():
    x = nn.Parameter(np.where(np.arange(12).reshape(3, 4, 1) == 5, 1.0, -1.0))  # steps, samples, units
    steps = [nn.ReLU()(x[step]) for step in range(3)]
    assert stuck(steps, 4) == pytest.approx(2 / 3)  # of the unit's three steps, one moves
