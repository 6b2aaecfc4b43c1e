"""Formulas in LaTeX: a parser of our own reads them back and computes what the graph computed; Matplotlib sets them."""

import math
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Tensor, Value, nn, ops
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.draw import draw
from tinygrad_edu.draw.latex import Latex, symbol_of
from tinygrad_edu.errors import DrawError

HOSTILE = ["$x$", "a}b{", r"\input{/etc/passwd}", "<script>", "x_y^z", "%&#~", r"\\", "naïve €", "a\nb"]

# a parser for the LaTeX of the formulas

TOKEN = re.compile(r"\\left.|\\right.|\\mathrm\{[^}]*\}|\\[a-zA-Z]+|\\,|[A-Za-z]'*|\d+\.?\d*|\S")
FUNCTIONS = {r"\tanh": math.tanh, r"\sin": math.sin, r"\cos": math.cos, r"\ln": math.log, r"\max": max, r"\min": min,
             r"\sigma": lambda x: 1 / (1 + math.exp(-x)), r"\mathrm{relu}": lambda x: max(x, 0.0)}  # fmt: skip


class Reader:
    def __init__(self, text, world):
        self.tokens, self.world = [t for t in TOKEN.findall(text) if t != r"\,"], world

    def take(self, *wanted):
        token = self.tokens.pop(0)
        assert not wanted or token in wanted, (token, wanted, self.tokens)
        return token

    def see(self):
        return self.tokens[0] if self.tokens else ""

    def sum(self):
        sign = -1.0 if self.see() == "-" and self.take() else 1.0
        total = sign * self.product()
        while self.see() in ("+", "-") and self.see():
            sign = 1.0 if self.take() == "+" else -1.0
            total += sign * self.product()
        return total

    def product(self):
        result = self.power()
        while self.see() == r"\cdot":
            self.take()
            result *= self.power()
        return result

    def power(self):
        base = self.atom()
        while self.see() == "^":
            self.take()
            base **= self.group()
        return base

    def group(self):
        self.take("{")
        value = self.sum()
        self.take("}")
        return value

    def atom(self):
        token = self.take()
        if token == r"\left(":
            value = self.sum()
            self.take(r"\right)")
            return value
        if token == r"\left|":
            value = abs(self.sum())
            self.take(r"\right|")
            return value
        if token == "{":
            self.tokens.insert(0, "{")
            return self.group()
        if token == r"\frac":
            return self.group() / self.group()
        if token == r"\sqrt":
            return math.sqrt(self.group())
        if token == "e":
            self.take("^")
            return math.exp(self.group())
        if token in FUNCTIONS:
            return FUNCTIONS[token](*self.arguments())
        return float(token) if token[0].isdigit() else self.world[self.name(token)]

    def arguments(self):
        self.take(r"\left(")
        found = [self.sum()]
        while self.see() == ",":
            self.take()
            found.append(self.sum())
        self.take(r"\right)")
        return found

    def name(self, token):
        if self.see() == "_":
            self.take()
            self.take("{")
            token += "_" + self.take()
            self.take("}")
        return token


def value_of(latex, world):
    world = dict(world)
    for line in latex.lines:
        name, equals, right = line.partition(" = ")
        last = world[re.sub(r"[{}]", "", name)] = Reader(right if equals else line, world).sum()
    return last


def random_expression(rng, leaves, depth):
    if depth == 0 or rng.random() < 0.1:
        return leaves[rng.integers(len(leaves))] if rng.random() < 0.8 else float(np.round(rng.normal() * 3, 2))
    a, b = (random_expression(rng, leaves, depth - 1) for _ in "ab")
    a = a if isinstance(a, Value) else leaves[0]
    binary = [
        lambda: a + b, lambda: a - b, lambda: b - a, lambda: a * b, lambda: a / (b * b + 1.5),
        lambda: ops.maximum(a, b),
    ]  # fmt: skip
    unary = [
        lambda: -a, lambda: ops.tanh(a), lambda: ops.exp(ops.sin(a)), lambda: a**2, lambda: abs(a), lambda: ops.relu(a),
        lambda: ops.sqrt(a * a + 1.0), lambda: ops.sigmoid(a), lambda: (a * a + 0.5) ** -1.5, lambda: 1 / (a * a + 1),
        lambda: ops.log(a * a + 2.0),
    ]  # fmt: skip
    return (binary + unary)[rng.integers(len(binary) + len(unary))]()


@pytest.mark.parametrize("seed", range(60))
def test_a_formula_computes_what_the_graph_computed(seed):
    rng = np.random.default_rng(seed)
    leaves = [Value(float(x), label=label) for x, label in zip(rng.normal(size=4), ["a", "b", "x0", "z"], strict=True)]
    y = random_expression(rng, leaves, 5)
    y = y if isinstance(y, Value) else leaves[0] + y
    world = {"a": leaves[0].data, "b": leaves[1].data, "x_0": leaves[2].data, "z": leaves[3].data}
    if y.parents:
        assert value_of(draw(y).latex(), world) == pytest.approx(y.data, rel=2e-3, abs=2e-3)  # constants have 4 digits


# Setting


def sets(line):
    mathtext = pytest.importorskip("matplotlib.mathtext")
    width, height, *_ = mathtext.MathTextParser("path").parse(f"${line}$", dpi=72)
    return width > 0 and height > 0


@pytest.mark.parametrize("name", TABLE)
def test_every_operation_of_the_table_can_be_set(name):
    row = TABLE[name]
    values = [Value(0.5, label=label) for label in "abc"[: len(row.parameters)]]
    y = row(*values)
    if isinstance(y, Value):
        assert all(map(sets, draw(y + 1.0).latex().lines))


def test_every_loss_and_layer_can_be_set():
    X, t = np.ones((4, 2)), np.array([0.0, 1.0, 1.0, 0.0]).reshape(-1, 1)
    for model in (
        nn.MLP([2, 3, 1], seed=0),
        nn.Sequential(nn.Linear(2, 4, rng=0), nn.LayerNorm(4), nn.Softmax(), nn.Linear(4, 1, rng=0)),
    ):
        for loss in ("mse", "bce_with_logits", "huber"):
            lines = draw(nn.losses.find(loss)(model(X), t)).latex().lines
            assert all(map(sets, lines)), lines


@pytest.mark.parametrize("label", HOSTILE)
def test_labels_are_text_and_no_commands(label):
    latex = draw(Value(1.0, label=label) * 2.0).latex()
    assert sets(latex)
    assert r"\input" not in latex.replace(r"\backslash input", "")
    assert latex.count("$") == latex.count(r"\$")


@pytest.mark.parametrize(
    ("label", "symbol"),
    [
        ("x0", "x_{0}"), ("w_1", "w_{1}"), ("alpha", r"\alpha"), ("theta2", r"\theta_{2}"), ("x[1,2]", "x_{1,2}"),
        ("layers.0.weight", "W^{(0)}"), ("layers.1.bias[2]", "b^{(1)}_{2}"), ("loss", r"\mathrm{loss}"),
    ],
)  # fmt: skip
def test_names_look_as_one_writes_them(label, symbol):
    assert symbol_of(label) == symbol


# the meaning of the symbols


def test_what_is_used_twice_has_a_line_of_its_own():
    a = Value(2.0, label="a")
    s = ops.tanh(a)
    latex = draw(s * s + s).latex()
    assert latex.lines == (r"v_{1} = \tanh\left(a\right)", r"v_{1} \cdot v_{1} + v_{1}")
    assert latex.startswith(r"\begin{aligned}")


def test_it_does_not_grow_with_the_paths_through_the_graph():
    x = Value(1.0, label="x")
    for _ in range(100):
        x = ops.tanh(x + x)
    assert len(draw(x, collapse="none").latex()) < 10_000


def test_a_function_that_was_written_out_has_its_name():
    x = Value(0.5, label="x") * Value(2.0, label="w")
    y = 1.0 / (1.0 + ops.exp(-x))
    assert draw(y).latex() == r"\sigma\left(x \cdot w\right)"
    assert "e^{-" in draw(y, fold=False).latex()


def test_tensors_are_matrices():
    W, x = Tensor(np.ones((3, 2)), requires_grad=True, label="W"), Tensor(np.ones((4, 2)), label="X")
    assert draw(np.tanh(x @ W.T)).latex() == r"\tanh\left(X \, {W}^{\top}\right)"
    assert draw((W * W).sum(axis=0)).latex() == r"\sum_{\mathrm{axis}\ 0} \left(W \odot W\right)"


def test_a_notebook_shows_it_set():
    latex = draw(Value(1.0, label="x") ** 3).latex()
    assert isinstance(latex, Latex)
    assert latex._repr_latex_() == r"$\displaystyle {x}^{3}$"


def test_what_has_no_formula_is_refused():
    for drawing in (draw(nn.MLP([2, 3, 1]), style="network"), tg.draw(long_chain())):
        with pytest.raises(DrawError, match="no formula"):
            drawing.latex()


def long_chain():
    x = Value(0.1)
    for _ in range(500):
        x = ops.sin(x)
    return x
