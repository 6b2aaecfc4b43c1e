"""A model as a network of circles: what is drawn of it, how wide, in which colours, and what is refused."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Value
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.draw import draw, network, render
from tinygrad_edu.errors import DrawError, NameNotFoundError
from tinygrad_edu.nn.layers import is_activation

needs_graphviz = pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")


def edges(drawing):
    """{(source, target): (colour, width)}"""
    found = re.findall(r'(u\d+_\d+) -> (u\d+_\d+) \[color="(#\w+)", penwidth=([\d.]+)\]', drawing.dot)
    return {(a, b): (colour, float(width)) for a, b, colour, width in found}


def with_weights(*matrices, **settings):
    model = tg.nn.MLP([matrices[0].shape[1], *[m.shape[0] for m in matrices]], seed=0, **settings)
    for layer, matrix in zip(model.layers, matrices, strict=True):
        layer.weight.data = np.asarray(matrix, dtype=float)
    return model


def test_an_edge_is_as_wide_as_its_weight_is_large_and_its_colour_is_the_sign():
    drawing = draw(with_weights(np.array([[2.0, -1.0], [0.0, 0.5]])), style="network")
    assert edges(drawing) == {
        ("u0_0", "u1_0"): (network.POSITIVE, 4.0),
        ("u0_1", "u1_0"): (network.NEGATIVE, 2.0),
        ("u0_1", "u1_1"): (network.POSITIVE, 1.0),
    }


@pytest.mark.parametrize("backend", ["scalar", "tensor"])
def test_both_back_ends_give_the_same_picture(backend):
    drawing = draw(tg.nn.MLP([3, 4, 2], seed=5, backend=backend), style="network")
    assert drawing.dot == draw(tg.nn.MLP([3, 4, 2], seed=5), style="network").dot
    assert drawing.summary == "Network 3-4-2: Linear 3→4, tanh; Linear 4→2, identity; 26 parameters".replace(
        ", identity", ""
    )


def test_gradients_are_drawn_where_they_are_asked_for():
    model = with_weights(np.array([[1.0, 1.0]]))
    tg.nn.losses.mse(model(np.array([[1.0, -3.0]])), np.array([[0.0]])).backward()
    (_, first), (_, second) = edges(draw(model, style="network", color="gradient")).values()
    assert first / second == pytest.approx(1 / 3, rel=0.01)


def test_a_wide_layer_is_cut_and_says_how_many_units_are_left_out():
    drawing = draw(tg.nn.MLP([2, 100, 1], seed=0), style="network")
    assert drawing.dot.count("u1_") > 0
    assert "u1_11 " not in drawing.dot
    assert "+ 89" in drawing.dot
    assert "u1_10 [" in drawing.dot


def test_health_tells_dead_and_saturated_units():
    X = np.random.default_rng(0).normal(size=(50, 2))
    model = with_weights(np.ones((3, 2)), np.ones((1, 3)), activation="tanh")
    model.layers[0].bias.data = np.array([0.0, 40.0, 2.0 * 1.9])
    drawing = draw(model, style="network", color="health", inputs=X)
    assert "1 dead" in drawing.dot
    assert network.TINTS["dead"] in drawing.dot
    assert network.TINTS["healthy"] in drawing.dot


def units_in(drawing):
    """The state of each unit, by column and place, read off its colour."""
    names = {tint: state for state, tint in network.TINTS.items() if state}
    found = re.findall(r'(u\d+_\d+) \[pos=.*?fillcolor="(#\w+)"', drawing.dot)
    return {unit: names[tint] for unit, tint in found if tint in names and not unit.startswith("u0")}


def test_health_tells_where_the_gradient_vanishes():
    """Against the derivative by finite differences: in a deep network of sigmoids, of units near the input."""
    X = np.random.default_rng(0).normal(size=(30, 2))
    model = tg.nn.MLP([2, 3, 3, 3, 3, 3, 3, 1], activation="sigmoid", seed=1)
    states = units_in(draw(model, style="network", color="health", inputs=X))
    assert {states[f"u1_{unit}"] for unit in range(3)} == {"vanishing"}
    assert {states[f"u6_{unit}"] for unit in range(3)} == {"healthy"}

    def effect(layer):
        bias = model.layers[layer].bias
        before, shifts = bias.data.copy(), []
        for unit in range(3):
            bias.data = before + 1e-4 * (np.arange(3) == unit)
            shifts.append(model(X).array)
        bias.data = before
        return np.abs(np.array(shifts) - model(X).array).max() / 1e-4

    assert effect(0) < 1e-2 * effect(5)


def of_channels():
    nn = tg.nn
    model = nn.Sequential(nn.Conv2d(1, 3, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2, rng=1))
    model.layers[0].bias.data = np.array([0.0, -50.0, 0.0])
    return model, (6, 1, 4, 4)


def of_a_norm():
    nn = tg.nn
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm(3), nn.Tanh(), nn.Linear(3, 1, rng=1))
    model.layers[1].bias.data = np.array([0.0, 30.0, 0.0])
    return model, (20, 2)


def of_an_mlp_with_norm():
    model = tg.nn.MLP([2, 3, 1], norm="layer", seed=0)
    model.norms[0].bias.data = np.array([0.0, 30.0, 0.0])
    return model, (20, 2)


@pytest.mark.parametrize("make", [of_channels, of_a_norm, of_an_mlp_with_norm])
def test_health_is_that_of_channels_and_of_what_stands_behind_a_norm(make):
    model, shape = make()
    inputs = np.random.default_rng(0).normal(size=shape)
    states = units_in(draw(model, style="network", color="health", inputs=inputs))
    assert states["u1_1"] == "dead"
    assert "dead" not in (states["u1_0"], states["u1_2"])


def test_health_has_a_legend_and_leaves_the_model_as_it_was():
    model = tg.nn.MLP([2, 3, 1], seed=0)
    tg.nn.losses.mse(model(np.ones((1, 2))), np.ones((1, 1))).backward()
    before = {name: gradient.copy() for name, gradient in model.gradients().items()}
    drawing = draw(model, style="network", color="health", inputs=np.ones((4, 2)))
    assert ">healthy</FONT>" in drawing.dot
    for name, gradient in model.gradients().items():
        assert np.array_equal(gradient, before[name])


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if is_activation(row)])
def test_every_activation_can_be_drawn_with_the_health_of_its_units(name):
    X = np.random.default_rng(0).uniform(0.1, 0.9, size=(20, 2))
    with np.errstate(all="ignore"):
        drawing = draw(tg.nn.MLP([2, 3, 1], activation=name, seed=0), style="network", color="health", inputs=X)
    assert name in drawing.summary


@pytest.mark.parametrize(
    ("target", "settings", "text"),
    [
        (Value(1.0), {}, "draws a model, not Value"),
        (tg.nn.MLP([2, 1]), {"color": "health"}, "inputs=X"),
        (tg.nn.MLP([2, 1]), {"color": "gradient"}, "Call loss.backward() first"),
        (tg.nn.LayerNorm(3), {}, "no matrix called weight"),
    ],
)
def test_what_is_no_chain_of_layers_is_refused(target, settings, text):
    with pytest.raises(DrawError, match=re.escape(text)):
        draw(target, style="network", **settings)


@pytest.mark.parametrize("settings", [{"style": "networks"}, {"color": "red"}])
def test_words_that_mean_nothing_are_refused(settings):
    with pytest.raises(NameNotFoundError, match=r"style|color"):
        draw(tg.nn.MLP([2, 1]), **settings)


@needs_graphviz
@pytest.mark.parametrize("suffix", ["svg", "png", "html"])
def test_it_is_rendered_where_its_circles_stand(tmp_path, suffix):
    path = draw(tg.nn.MLP([2, 8, 8, 1], seed=0), style="network").save(tmp_path / f"net.{suffix}")
    assert path.stat().st_size > 2000
    if suffix == "svg":
        height = [float(y) for y in re.findall(r'<ellipse[^>]*cy="(-?[\d.]+)"', path.read_text())]
        assert len(height) == 2 + 8 + 8 + 1
        assert len(set(height)) >= 8


def test_local_derivatives_stand_on_the_edges():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    dot = draw((a * b).tanh(), derivatives=True).dot
    assert 'n0 -> op2 [label=" -3 "]' in dot
    assert 'n1 -> op2 [label=" 2 "]' in dot
    assert "label" not in next(line for line in draw(a * b).dot.splitlines() if "n0 -> op2" in line)


def test_a_local_derivative_has_no_number_beside_it():
    """Of a - b, the label -1 and the argument's number 2 stood side by side and were read as -12."""
    difference = Value(2.0, label="a") - Value(-3.0, label="b")
    assert "headlabel" in draw(difference).dot
    assert "headlabel" not in draw(difference, derivatives=True).dot


def test_local_derivatives_of_tensors_stand_on_the_edges():
    """Elementwise in numbers, of a product of matrices the other factor, of a sum 1; the same numbers as of Values."""
    x = np.array([[0.5, -1.0]])
    W = tg.Tensor([[0.3], [0.2]], requires_grad=True, label="W")
    h = tg.ops.matmul(x, W)
    h.label = "h"
    dot = draw((tg.ops.tanh(h) * 4.0).sum(), derivatives=True).dot
    slope = 1.0 - np.tanh(0.5 * 0.3 - 0.2) ** 2
    labels = re.findall(r'label=" (.*?) "', dot)
    assert labels == ["@ Wᵀ", "Xᵀ @", f"{slope:.4g}", "4", f"{np.tanh(-0.05):.4g}", "1"]
    large = tg.Tensor(np.arange(6.0), requires_grad=True)
    assert 'label=" |' in draw(tg.ops.tanh(large), derivatives=True).dot
