"""Pictures: the DOT text node by node, then files and notebooks with, without, and with a slow Graphviz."""

import html
import math
import os
import re
import subprocess
import sys
import time
import xml.dom.minidom
from types import SimpleNamespace

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.charts.text import shorten
from tinygrad_edu.draw import draw
from tinygrad_edu.draw import render as render_module
from tinygrad_edu.draw.collapse import collapse_graph
from tinygrad_edu.draw.dot import LABEL
from tinygrad_edu.draw.graph import graph_of, layer_in_label
from tinygrad_edu.draw.text import escape, four_digits, option_text, quote, rows

NASTY = 'a"b<c>|{}\\N \\ &amp; é𝒳 -->]]> "];x->y'
needs_graphviz = pytest.mark.skipif(not render_module.available(), reason="needs Graphviz: the extra viz")
stand_in = pytest.mark.skipif(sys.platform == "win32", reason="the stand-in for dot is a script")


class Node:
    """Stands in for Value and Tensor: what `draw` reads of them and nothing else."""

    def __init__(self, data, op=None, parents=(), label="", grad=0.0, options=None):
        self.data, self.grad, self.label = data, grad, label
        self.op = op and SimpleNamespace(name=op)
        self.parents, self.options = parents, options


class Model:
    backend, in_features = "tensor", 2

    def __init__(self, answer):
        self.answer = answer

    def named_parameters(self):
        yield from ()

    def __call__(self, x):
        return self.answer(x)


def tanh_of_product(label="y"):
    a, b = Node(2.0, label="a", grad=-3.0), Node(-3.0, label="b", grad=2.0)
    return Node(math.tanh(-6.0), "tanh", (Node(-6.0, "mul", (a, b), grad=1.0),), label)


def chain(length, op="tanh"):
    node = Node(1.0, label="x")
    for _ in range(length):
        node = Node(0.5, op, (node,))
    return node


def perceptron(*widths):
    """The graph of scalar layers, with the labels that models give to their parameters."""
    units = [Node(0.0, label=f"x{i}") for i in range(widths[0])]
    for layer, width in enumerate(widths[1:]):
        units = [unit(units, layer, j) for j in range(width)]
    return units


def unit(inputs, layer, j):
    total = Node(0.0, label=f"layers.{layer}.bias[{j}]", grad=2.0)
    for i, x in enumerate(inputs):
        product = Node(0.1, "mul", (Node(3.0, label=f"layers.{layer}.weight[{j},{i}]", grad=4.0), x))
        total = Node(0.1, "add", (total, product))
    return Node(0.2, "tanh", (total,))


def in_new_process(program):
    """What the program prints, with other hashes of strings and the modules of this process."""
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    environment = {**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": path, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, stdout=subprocess.PIPE, env=environment, check=True, encoding="utf-8").stdout.strip()


def edges(drawing):
    return re.findall(r"(\w+) -> (\w+)", re.sub(r'label="[^"]*"|label=<.*>', "", drawing.dot))


def boxes(drawing):
    return re.findall(r"^  ([ng]\d+) \[shape=box", drawing.dot, re.MULTILINE)


# The DOT text


def test_boxes_ellipses_and_edges():
    drawing = draw(tanh_of_product())
    assert boxes(drawing) == ["n0", "n1", "n2", "n3"]
    assert edges(drawing) == [("n0", "op2"), ("n1", "op2"), ("op2", "n2"), ("n2", "op3"), ("op3", "n3")]
    assert 'label="×"' in drawing.dot
    assert 'label="tanh"' in drawing.dot
    assert drawing.summary == "Computation graph of 4 nodes: 2 operations; inputs a, b; output y = -1"


def test_the_same_graph_gives_the_same_bytes():
    assert draw(perceptron(3, 4, 2)).dot == draw(perceptron(3, 4, 2)).dot
    program = "import test_draw as t; print(t.draw(t.perceptron(3, 4, 2)).dot)"
    assert in_new_process(program) == draw(perceptron(3, 4, 2)).dot.strip()


def test_a_box_with_a_long_line_has_more_room_beside_it():
    """In a browser whose letters are wider than those of the layout, numbers crossed the border of their box."""
    short, long = (draw(tg.Tensor(np.full(n, 0.12345), requires_grad=True, label="x")).dot for n in (1, 4))
    assert "margin=" not in short.partition("label=<<TABLE")[0].rpartition("[shape=box")[2]
    assert float(re.search(r'\[shape=box[^\]]*margin="([\d.]+),', long)[1]) > 0.13


def test_a_node_used_twice_is_one_box_with_two_edges():
    x = Node(3.0, label="x")
    square = Node(9.0, "mul", (x, x))
    drawing = draw(Node(12.0, "add", (square, x)))
    assert len(boxes(drawing)) == 3
    assert edges(drawing).count(("n0", "op1")) == 2
    assert ("n0", "op2") in edges(drawing)


def test_several_outputs_share_their_graph():
    x = Node(3.0, label="x")
    drawing = draw([Node(1.0, "sin", (x,), "s"), Node(2.0, "cos", (x,), "c")])
    assert len(boxes(drawing)) == 3
    assert drawing.summary.endswith("output s = 1, c = 2")


def test_constants_are_boxes_without_a_gradient_one_for_each_use():
    x = Node(np.array([1.0, 2.0]), label="x", grad=None)
    y = Node(x.data**2, "pow", (x, 2))
    drawing = draw(Node(y.data * 2, "mul", (y, 2)))
    grey = [line for line in drawing.dot.splitlines() if "#e8e8e8" in line]
    assert len(grey) == 2
    assert all("grad" not in line and '<TD COLSPAN="2">2</TD>' in line for line in grey)


def test_arguments_are_numbered_where_their_order_matters():
    a, b = Node(1.0), Node(2.0)
    assert 'n0 -> op2 [headlabel="1"]\n  n1 -> op2 [headlabel="2"]' in draw(Node(-1.0, "sub", (a, b))).dot
    assert "headlabel" not in draw(Node(3.0, "add", (a, b))).dot


def test_leaves_results_and_outputs_differ_in_colour():
    x, weight = Node(1.0, label="x"), Node(2.0, label="layers.0.weight")
    drawing = draw(Node(1.0, "tanh", (Node(2.0, "mul", (x, weight)),)))
    colours = re.findall(r'shape=box, style="rounded,filled", fillcolor="(#\w+)"', drawing.dot)
    assert len(set(colours)) == 4


def test_options_stand_under_the_operation():
    x = Node(np.ones((2, 3)), label="x")
    node = Node(np.ones(3), "sum", (x,), options={"axis": 0, "keepdims": False, "where": None})
    assert re.search(r"Σ<BR/><FONT[^>]*>axis=0</FONT>", draw(node).dot)


def test_direction_and_title():
    drawing = draw(tanh_of_product(), direction="TB", title="t < u")
    assert "rankdir=TB" in drawing.dot
    assert "<B>t &lt; u</B>" in drawing.dot
    assert "labelloc" not in draw(tanh_of_product()).dot


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-3.0, "-3"), (0.70710678, "0.7071"), (1.2e-5, "1.2e-05"), (-0.0, "0"), (9999.7, "10000"),
        (123456.0, "123456"), (1.5e6, "1.5e+06"), (math.inf, "inf"), (math.nan, "nan"), (True, "1"),
    ],
)  # fmt: skip
def test_numbers_have_four_digits(value, text):
    assert four_digits(value) == text


@pytest.mark.parametrize(
    ("data", "grad", "lines"),
    [
        (0.5, None, [("data", "0.5")]),
        (np.array(2.0), np.array(1.0), [("data", "2"), ("grad", "1")]),
        (np.array([[1.0, 2.0]]), None, [("data", "[[1, 2]]")]),
        (np.zeros((0, 3)), None, [("data", "[]")]),
        (np.full((3, 3), 2.0), np.ones((3, 3)), [("shape", "(3, 3)"), ("|data|", "6"), ("|grad|", "3")]),
        (np.full(9, 1e200), None, [("shape", "(9,)"), ("|data|", "3e+200")]),
        (np.array([True] * 9), None, [("shape", "(9,)"), ("|data|", "3")]),
        (1.0, Node(7.0), [("data", "1"), ("grad", "7")]),
    ],
)
def test_small_arrays_are_written_out_large_ones_summed_up(data, grad, lines):
    assert rows(data, grad) == lines


def test_numbers_that_are_not_finite_stand_out():
    assert "#b22222" in draw(Node(1.0, grad=math.nan)).dot
    assert "#b22222" in draw(Node(np.full(9, np.inf))).dot
    assert "#b22222" not in draw(Node(1.0, label="nan")).dot


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (None, ""),
        ({"index": (slice(0, 3), slice(None, None, -1), None, ...)}, "index=(0:3, ::-1, None, ...)"),
        ({"index": np.arange(9)}, "index=array(9,)"),
        ({"axis": np.int64(1)}, "axis=1"),
        ({"how": math.tanh, "what": object()}, "how=tanh, what=object"),
    ],
)  # fmt: skip
def test_options_never_show_addresses_or_whole_arrays(options, text):
    assert option_text(options) == text


# User text


def test_text_cannot_leave_its_label():
    assert escape(NASTY) == html.escape(NASTY).replace("\\", "&#92;&#92;")
    assert quote('"\\') == '"\\"\\\\"'
    assert escape("a\nb\0\x1b\ud800 c\u202e") == "a b c"
    assert len(escape("x" * 1000)) == 60


@needs_graphviz
def test_graphviz_shows_nasty_text_as_it_is():
    x = Node(1.0, label=NASTY)
    y = Node(1.0, NASTY, (x, x), "end \\")
    z = Node(1.0, "sum", (y,), options={"axis": NASTY})
    svg = xml.dom.minidom.parseString(draw(z, title=NASTY)._repr_svg_())
    texts = [text.firstChild.data for text in svg.getElementsByTagName("text")]
    assert texts.count(NASTY) == 2  # title, operation
    assert shorten(NASTY, LABEL) in texts  # the label, in its box
    assert "end \\" in texts
    assert f"axis={NASTY}" in texts
    classes = [group.getAttribute("class") for group in svg.getElementsByTagName("g")]
    assert (classes.count("node"), classes.count("edge")) == (5, 5)


# Collapsing


def test_a_graph_over_max_nodes_is_grouped_by_layer():
    drawing = draw(perceptron(2, 16, 16, 1), title="net")
    nodes = 2 + sum((n_in + 1) * n_out for n_in, n_out in [(2, 16), (16, 16), (16, 1)])
    operations = sum((2 * n_in + 1) * n_out for n_in, n_out in [(2, 16), (16, 16), (16, 1)])
    assert f"{nodes + operations} nodes drawn as 4 boxes, grouped by layer" in drawing.dot
    assert len(edges(drawing)) == 3
    assert 'label=" 256 "' in drawing.dot


def test_groups_count_parameters_operations_and_norms():
    groups = collapse_graph(graph_of(perceptron(2, 3, 1)), "layer")
    first = next(group for group in groups.groups if group.title == "layers.0")
    assert first.operations == {"mul": 6, "add": 6, "tanh": 3}
    assert first.parameters == 9
    assert first.data == pytest.approx(math.sqrt(6 * 3.0**2))
    assert first.grad == pytest.approx(math.sqrt(6 * 4.0**2 + 3 * 2.0**2))
    titles = [group.title for group in groups.groups]
    crossing = {(titles[a], titles[b]): n for (a, b), n in groups.edges.items() if a != b}
    assert crossing == {("inputs", "layers.0"): 6, ("layers.0", "layers.1"): 3}
    assert [group.values for group in groups.groups if group.title == "inputs"] == [2]


def test_a_diverged_network_can_be_collapsed():
    weight = Node(1e300, label="layers.0.weight", grad=-1e300)
    assert "1e+300" in draw(Node(1.0, "tanh", (weight,)), collapse="layer").dot


def test_without_layers_it_is_grouped_by_operation():
    drawing = draw(chain(400))
    assert "401 nodes drawn as 2 boxes, grouped by operation" in drawing.dot
    assert edges(drawing) == [("g0", "g1"), ("g1", "g1")]
    assert 'label=" 399 "' in drawing.dot


def test_constants_go_with_the_operation_that_uses_them():
    x = Node(1.0, label="layers.0.weight")
    groups = collapse_graph(graph_of([Node(2.0, "mul", (x, 2.0))]), "operation")
    assert [group.title for group in groups.groups] == ["leaves", "mul"]


def test_collapse_and_max_nodes_are_obeyed():
    assert len(boxes(draw(perceptron(2, 3, 1), collapse="layer"))) == 3
    assert len(boxes(draw(perceptron(2, 3, 1), collapse="operation"))) == 4
    assert len(boxes(draw(perceptron(2, 3, 1), max_nodes=10))) == 3
    assert len(boxes(draw(chain(500), collapse="none"))) == 501


@pytest.mark.slow
def test_a_chain_of_a_hundred_thousand_nodes_collapses_in_linear_time():
    node = chain(100_000)
    start = time.process_time()
    drawing = draw(node)
    assert time.process_time() - start < 10  # 0.4 s measured
    assert "100,001 nodes drawn as 2 boxes" in drawing.dot


@pytest.mark.parametrize(
    ("label", "layer"),
    [
        ("layers.0.weight[1,2]", "layers.0"), ("layers.0.bias[3]", "layers.0"), ("0.weight", "0"),
        ("net.layers.1.w_in", "net.layers.1"), ("a", ""), ("3.14", ""), ("weight[1]", ""), ("a. b", ""),
    ],
)  # fmt: skip
def test_labels_name_layers(label, layer):
    assert layer_in_label(label) == layer
