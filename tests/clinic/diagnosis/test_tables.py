"""Every activation and every loss that a network can be built with goes through `diagnose` and `report`."""

import contextlib

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.sketches import sketched
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.proof.goal import UNLINKED
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.data import moons
from tinygrad_edu.nn.layers import FUNCTIONS, find_activation, is_activation, range_of
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.train.histograms import measure_layers

ACTIVATIONS = [*(name for name, row in TABLE.items() if is_activation(row)), *FUNCTIONS]
each_activation = pytest.mark.parametrize("name", ACTIVATIONS)
each_loss = pytest.mark.parametrize("name", LOSSES)
MOONS = moons(40, seed=1)


def run_of(net, X, y, loss="mse", lr=1e-5, epochs=10):
    with np.errstate(all="ignore"):  # reciprocal, log and others leave their domain on purpose
        return tg.fit(net, X, y, loss=loss, optimizer=optim.SGD(net.parameters(), lr=lr), epochs=epochs, compiled=False)


def diagnosed(i, run):
    """Every 24th row is diagnosed to the end, which takes some seconds; the others have time to look at the run."""
    whole = i % 24 == 0
    found = diagnose(run, budget_s=60.0 if whole else 0.05, seeds=3)
    assert found.healthy is False or (not whole and "no time" in str(found))
    assert "Error" not in str(found)
    return found


def written_out(i, run):
    """Every eighth row's pictures are written by Matplotlib, and those of numbers that are not finite."""
    return contextlib.nullcontext() if i % 8 == 0 or not np.isfinite(run.loss_curve).all() else sketched()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # overflow in networks of log and tan
@each_activation
def test_every_activation_can_be_diagnosed_and_reported(name, tmp_path):
    X = np.linspace(-1.0, 1.0, 24)[:, None]
    run = run_of(nn.MLP([1, 4, 1], activation=name, out_activation=name), X, 50.0 + 10.0 * X)
    found = diagnosed(ACTIVATIONS.index(name), run)
    with written_out(ACTIVATIONS.index(name), run):
        assert tg.report(run, path=tmp_path / "run.html", diagnosis=found).exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@each_loss
def test_every_loss_can_be_diagnosed_and_reported(name, tmp_path):
    X, y = MOONS
    classes = LOSSES[name].takes_class_numbers
    targets = (y.ravel() > 0).astype(int) if classes else y if name == "hinge" else (y > 0) * 1.0
    net = nn.MLP([2, 4, 2 if classes else 1], out_activation="sigmoid" if name == "bce" else "identity")
    run = run_of(net, X, targets, name)
    found = diagnosed(list(LOSSES).index(name), run)
    with written_out(list(LOSSES).index(name), run):
        assert tg.report(run, path=tmp_path / "run.html", diagnosis=found).exists()
    assert LOSSES[name].link in UNLINKED


@each_activation
def test_a_range_holds_every_output_and_comes_near_to_its_ends(name):
    low, high = range_of(find_activation(name))
    x = np.random.default_rng(0).uniform(-8.0, 8.0, (4000, 2))
    with np.errstate(all="ignore"):
        y = np.asarray(find_activation(name)(x))
    y = y[np.isfinite(y)]
    assert low <= y.min() + 1e-6
    assert y.max() <= high + 1e-6
    if np.isfinite(low):
        assert y.min() - low < 0.15
    if np.isfinite(high):
        assert high - y.max() < 0.15


@each_activation
def test_saturated_and_dead_units_are_those_that_histograms_count(name):
    """Measured by the row's own derivative, for units driven far to one side."""
    for bias in (-30.0, 30.0):
        net = nn.MLP([2, 12, 1], activation=name, seed=0)
        net.layers[0].bias.data = np.full(12, bias)
        with np.errstate(all="ignore"):
            run = tg.fit(net, *MOONS, loss="mse", optimizer=optim.SGD(net.parameters(), lr=0.0), epochs=1)
            layer = Record(subject_of(run, None, None)).start.hidden[0]
            state = measure_layers(net, nn.losses.mse, MOONS)["layers.0"]
        row = find_activation(name)
        if getattr(row, "saturates", False):
            assert layer.saturated == state.saturated == 1.0
        if getattr(row, "rectifies", False):
            assert layer.dead == state.stuck == float(row.flat_sides[bias > 0])


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_a_layer_with_a_norm_is_measured_by_the_models_own_forward(norm):
    """Inputs in thousands saturate tanh, but not behind a norm."""
    X, y = MOONS
    plain, normed = (nn.MLP([2, 16, 1], norm=norm, seed=0) for norm in (None, norm))
    shares = []
    for net in (plain, normed):
        run = tg.fit(net, X * 1000.0, y, loss="hinge", optimizer=optim.SGD(net.parameters(), lr=1e-6), epochs=2)
        shares.append(Record(subject_of(run, None, None)).start.hidden[0].saturated)
    assert shares[0] > 0.9
    assert shares[1] < 0.1
