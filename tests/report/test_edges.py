"""Pictures of what is at an edge: one sample, an input that never changes, many classes, a run that diverged."""

import re

import numpy as np
import pytest

from tinygrad_edu import nn
from tinygrad_edu.draw import draw
from tinygrad_edu.reporting.answers import limits_around
from tinygrad_edu.reporting.boundary import boundary_html
from tinygrad_edu.reporting.frames import ground_of
from tinygrad_edu.reporting.record import record_of
from tinygrad_edu.train import Run
from tinygrad_edu.train.histograms import measure_layers

pytest.importorskip("matplotlib")
RNG = np.random.default_rng(0)


def record(X, y, outputs=1, loss="mse"):
    model = nn.MLP([X.shape[1], 3, outputs], seed=0)
    return record_of(Run(np.ones(1), np.ones(1), "done", "eager", model, {"loss": loss}), X, y)


@pytest.mark.parametrize("value", [0.0, 0.45, 1e9])
@pytest.mark.parametrize("inputs", [1, 2])
def test_the_numbers_beside_an_input_that_never_changes_differ_in_few_digits(value, inputs):
    """They were 0.45412095 + 1e-9: of samples that are all the same the axis was two billionths long."""
    X = np.full((3, inputs), value)
    low, high = limits_around(X, 0.08)
    assert (high - low >= 2.0).all()
    assert (low < value).all()
    found = ground_of(record(X, np.zeros((3, 1)))).limits
    assert all(b - a >= 2.0 for a, b in found)
    assert "off by" in boundary_html(record(X, np.arange(3.0)[:, None]))


@pytest.mark.parametrize("classes", [20, 50])
def test_many_classes_make_the_picture_longer_and_the_plane_no_flatter(classes):
    y = np.arange(100) % classes
    html = boundary_html(record(RNG.normal(size=(100, 2)), y, classes, "cross_entropy"))
    height = float(re.search(r'viewBox="0 0 [\d.]+ ([\d.]+)"', html).group(1))
    assert height > 280 + 10 * (min(classes, 60) // 4 - 5)
    assert f"class {min(classes, 60) - 1}" in html


def test_a_run_that_diverged_is_measured_and_drawn_without_a_warning():
    X, y = RNG.normal(size=(20, 2)) * 100, RNG.normal(size=(20, 1))
    for size in (1e200, np.nan):
        model = nn.MLP([2, 4, 1], activation="relu", seed=0)
        for layer in model.layers:
            layer.weight.data = layer.weight.data * size
        measure_layers(model, nn.losses.find("mse"), (X, y))
        whole = draw(model, inputs=X).dot
        assert "nan" in whole or "inf" in whole
        assert np.isfinite(size) or "healthy" not in draw(model, style="network", color="health", inputs=X).dot
