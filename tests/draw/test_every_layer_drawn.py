"""Every layer, activation and loss is drawn in both styles; no text out of data becomes markup or code."""

import html
import re
import xml.dom.minidom

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.draw.test_recognition import loss_by_name
from tests.nn.layers import CASES, IDS, LAYERS, given, has_parameters, made, output
from tinygrad_edu import nn
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.draw import draw, render
from tinygrad_edu.draw.text import symbol
from tinygrad_edu.draw.widths import PAGE
from tinygrad_edu.nn.activations import class_name, is_activation

each_layer = pytest.mark.parametrize(("name", "i"), CASES, ids=IDS)
needs_graphviz = pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")
# these consist of several layers
INSIDE = {"MLP": "Linear 4→3, tanh", "TransformerEncoderLayer": "MultiHeadAttention 4, 2 heads"}


def boxes(drawing):
    return re.findall(r"^  [ng]\d+ \[shape=box", drawing.dot, re.MULTILINE)


WAYS = [
    (name, i, way) for name, i in CASES for way in ("auto", "none", "layer") if way != "layer" or has_parameters(name)
]


@pytest.mark.parametrize(("name", "i", "collapse"), WAYS)
def test_the_graph_of_every_layer(name, i, collapse):
    layer, x = made(name, i), given(name, i)
    sample = x if name == "Embedding" else tg.Tensor(x, requires_grad=True, label="x")
    drawing = draw(output(layer(sample)), collapse=collapse)
    assert boxes(drawing) or "peripheries" in drawing.dot
    if collapse == "layer":
        assert html.escape(layer.describe() or INSIDE[name]) in drawing.dot


@each_layer
def test_the_network_of_every_layer(name, i):
    layer, x = made(name, i), given(name, i)
    for color in ("weight", "gradient"):
        if color == "gradient" and has_parameters(name):
            tg.ops.sum(output(layer(x))).backward()
        drawing = draw(layer, style="network", inputs=x, color=color)
        assert drawing.dot.count("shape=circle") == 1
        assert re.search(r"u1_0 \[pos", drawing.dot)
        assert drawing.summary.startswith("Network ")


@pytest.mark.parametrize("row", [name for name, row in TABLE.items() if is_activation(row)])
def test_every_activation_has_its_name_in_both_styles(row):
    model = nn.Sequential(nn.Linear(3, 2, rng=0), getattr(nn, class_name(row))())
    with np.errstate(all="ignore"):
        graph = draw(model, inputs=np.full((4, 3), 0.2), collapse="none")
    assert symbol(row) in graph.dot
    assert row in draw(model, style="network").summary


@pytest.mark.parametrize("name", nn.losses.LOSSES)
def test_every_loss_is_drawn(name):
    drawing = draw(loss_by_name(name))
    assert "output" in drawing.summary
    assert "cluster_loss" in drawing.dot or "grouped by layer" in drawing.dot


def test_the_table_holds_every_layer():
    assert {name for name, _ in CASES} == LAYERS.keys()


@pytest.mark.slow
@needs_graphviz
def test_every_layer_fits_a_page():
    """One run of Graphviz for all of them: as clusters they would be moved together, so each is measured alone."""
    for name in ("Conv2d", "MultiHeadAttention", "GRU", "LSTM", "TransformerEncoderLayer", "Elman", "GroupNorm"):
        svg = draw(output(made(name)(given(name))))._repr_svg_()
        assert float(re.search(r'width="([\d.]+)pt"', svg)[1]) <= 1.05 * PAGE, name


# text from the data

HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"];evil [label="x',
    "]]>--><!--",
    "a\\Nb\\G",
    "$(touch /tmp/x)",
    "\u202eabc\x00\x1b[31m",
    "x" * 5000,
    "{a|b}<table>",
    "&lt;b&gt;",
    "javascript:alert(1)",
]


@needs_graphviz
@pytest.mark.parametrize("label", HOSTILE, ids=range(len(HOSTILE)))
def test_labels_are_never_markup_or_code(label, tmp_path):
    x = tg.Value(2.0, label=label)
    y = tg.ops.tanh(x * 3.0)
    y.label = label
    drawing = draw(y, title=label)
    svg = xml.dom.minidom.parseString(drawing._repr_svg_())
    names = {element.tagName for element in svg.getElementsByTagName("*")}
    assert names <= {"svg", "g", "title", "polygon", "path", "ellipse", "text", "polyline"}
    page = drawing.save(tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<script") == 2
    assert "<img" not in page
    assert "$" not in drawing.latex().replace(r"\$", "")


@pytest.mark.parametrize("name", ["<b>Evil</b>", 'x"];y', "a\nb"])
def test_names_of_classes_and_layers_are_text(name):
    kind = type(name, (nn.Module,), {"forward": lambda self, x: self.inner(x)})
    model = kind()
    model.inner = nn.Linear(2, 3, rng=0)
    model.label_parameters()
    for drawing in (draw(model, inputs=np.ones((1, 2)), collapse="layer"), draw(model, style="network")):
        assert "<b>" not in drawing.dot
        assert '"];y' not in drawing.dot
