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
