"""What pictures say of a graph: functions written out, losses, layers in words, inputs, constants, and their width."""

import re

import numpy as np
import pytest

from tinygrad_edu import Tensor, Value, nn, ops
from tinygrad_edu.draw import draw
from tinygrad_edu.draw.fold import functions_in
from tinygrad_edu.draw.graph import graph_of
from tinygrad_edu.draw.loss import ALIASES, SUMS, WORDS, loss_of

RNG = np.random.default_rng(0)
X, ROWS = RNG.normal(size=(10, 2)), 10
SIGNS = np.where(RNG.normal(size=(10, 1)) > 0, 1.0, -1.0)
CLASSES = RNG.integers(0, 3, 10)

# Functions as people write them out, and the name that the picture should show


def by_exponentials(x):
    e = ops.exp(2.0 * x)
    return (e - 1.0) / (e + 1.0)


ELEMENTWISE = {
    "sigmoid": [
        lambda x: 1.0 / (1.0 + ops.exp(-x)),
        lambda x: (1.0 + ops.exp(-x)) ** -1,
        lambda x: ops.exp(x) / (1.0 + ops.exp(x)),
        lambda x: 0.5 * (1.0 + ops.tanh(0.5 * x)),
    ],
    "tanh": [by_exponentials, lambda x: (ops.exp(x) - ops.exp(-x)) / (ops.exp(x) + ops.exp(-x))],
    "softplus": [lambda x: ops.log(1.0 + ops.exp(x))],
    "silu": [lambda x: x / (1.0 + ops.exp(-x))],
    "relu": [lambda x: 0.5 * (x + abs(x))],
}
LOOK_ALIKES = [
    lambda x: 1.1 / (1.0 + ops.exp(-x)),
    lambda x: 1.0 / (1.0 + ops.exp(-2.0 * x)),
    lambda x: x * ops.exp(-x),
    lambda x: 0.5 * (x + abs(x) * 0.9),
]


def softmax(x):
    e = np.exp(x - np.max(x, axis=1, keepdims=True))
    return e / np.sum(e, axis=1, keepdims=True)


OVER_ROWS = {
    "softmax": [softmax, lambda x: np.exp(x) / np.sum(np.exp(x), axis=-1, keepdims=True)],
    "log_softmax": [lambda x: x - np.log(np.sum(np.exp(x), axis=1, keepdims=True))],
    "layer norm": [lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)],
    "batch norm": [lambda x: (x - x.mean(0, keepdims=True)) / np.sqrt(x.var(0, keepdims=True) + 1e-6)],
    "RMS norm": [lambda x: x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + 1e-6)],
}


def cases(table):
    return [
        pytest.param(name, f, id=f"{name}{i}") for name, spellings in table.items() for i, f in enumerate(spellings)
    ]


def names_in(node):
    return [function.name for function in functions_in(graph_of([node]))]


@pytest.mark.parametrize(("name", "function"), cases(ELEMENTWISE))
def test_a_function_that_is_written_out_has_its_name_on_both_back_ends(name, function):
    assert names_in(function(Value(0.3, label="x") * Value(2.0, label="w"))) == [name]
    assert names_in(function(Tensor(np.ones((3, 4)), requires_grad=True) @ np.ones((4, 2)))) == [name]


@pytest.mark.parametrize(("name", "function"), cases(OVER_ROWS))
def test_a_function_of_rows_has_its_name(name, function):
    assert names_in(function(Tensor(np.ones((5, 4)), requires_grad=True) @ np.ones((4, 6)))) == [name]


@pytest.mark.parametrize("function", LOOK_ALIKES)
def test_what_merely_looks_alike_is_not_named(function):
    assert names_in(function(Value(0.3) * Value(2.0))) == []
    assert names_in(function(Tensor(np.ones(6), requires_grad=True) * np.arange(6.0))) == []


def test_steps_that_are_labelled_or_used_elsewhere_are_not_folded():
    x = Value(0.3, label="x") * Value(2.0, label="w")
    e = ops.exp(-x)
    e.label = "e"
    assert names_in(1.0 / (1.0 + e)) == []
    e = ops.exp(-x)
    assert names_in(1.0 / (1.0 + e) + e) == []


def test_a_folded_function_is_one_node_and_unfolds():
    y = 1.0 / (1.0 + ops.exp(-(Value(2.0, label="a") * Value(-3.0, label="b"))))
    folded, open_ = draw(y), draw(y, fold=False)
    assert re.search(r"peripheries=2.*sigmoid<BR/>.*4 operations", folded.dot)
    assert "exp" not in folded.dot
    assert "exp" in open_.dot
    assert "peripheries" not in open_.dot
    assert "exp" in folded.views["unfolded"]
    assert next(iter(folded.story["functions"].values()))["name"] == "sigmoid"


def test_a_function_alone_stays_written_out():
    x = Value(0.5, label="x")
    assert "exp" in draw(1.0 / (1.0 + ops.exp(-x))).dot


# Losses


def outputs(width=1, backend="tensor", last="identity"):
    return nn.MLP([2, 3, width], out_activation=last, seed=0, backend=backend)(X)


def loss_by_name(name, backend="tensor"):
    entry = nn.losses.LOSSES[name]
    if entry.takes_class_numbers or name in ("multi_margin", "kl_div"):
        z = outputs(3, backend)
        rows = np.abs(RNG.normal(size=(ROWS, 3)))
        return entry(ops.log_softmax(z), rows / rows.sum(1, keepdims=True)) if name == "kl_div" else entry(z, CLASSES)
    z = outputs(1, backend, "sigmoid" if name == "bce" else "identity")
    return entry(z, SIGNS if name == "hinge" else (SIGNS > 0) * 1.0)


@pytest.mark.parametrize("name", [name for name in nn.losses.LOSSES if name not in ALIASES])
def test_every_loss_of_the_table_has_a_box_with_its_name(name):
    words = WORDS.get(name, name.replace("_", " "))
    found = loss_of(graph_of([loss_by_name(name)]))
    assert found is not None
    assert found.name in (words, f"{words} + penalty") or found.name.endswith(f"· {words}")
    assert "cluster_loss" in draw(loss_by_name(name), collapse="none").dot
    assert f"<B>{words}" in draw(loss_by_name(name), collapse="layer").dot


@pytest.mark.parametrize("name", ["mse", "mae", "huber", "hinge", "bce_with_logits", "poisson"])
def test_losses_of_values_are_found_too(name):
    assert loss_of(graph_of([loss_by_name(name, "scalar")])).name == WORDS.get(name, name)


T = (SIGNS > 0) * 1.0
BY_HAND = {
    "mse": lambda p: ((p - T) ** 2).mean(),
    SUMS["mse"]: lambda p: ((T - p) ** 2).sum(),
    f"0.5 · {SUMS['mse']}": lambda p: 0.5 * ((p - T) ** 2).sum(),
    "mse + penalty": lambda p: np.mean((p - T) ** 2) + 0.01 * sum((w**2).sum() for w in leaves(p)),
    "hinge": lambda p: np.maximum(0.0, 1.0 - SIGNS * p).mean(),
}


def leaves(p):
    graph = graph_of([p])
    return [node for node, name in zip(graph.nodes, graph.operations, strict=True) if not name and hasattr(node, "op")]


@pytest.mark.parametrize("name", BY_HAND)
def test_a_loss_by_hand_has_the_name_of_what_it_computes(name):
    assert loss_of(graph_of([BY_HAND[name](outputs())])).name == name


@pytest.mark.parametrize(
    "write",
    [
        lambda z: -np.log(softmax(z)[np.arange(ROWS), CLASSES]).mean(),
        lambda z: -(np.log(softmax(z)) * np.eye(3)[CLASSES]).sum() / ROWS,
    ],
)
def test_a_cross_entropy_by_hand(write):
    assert loss_of(graph_of([write(outputs(3))])).name == "cross-entropy"


def test_one_value_at_a_time():
    model = nn.MLP([2, 3, 1], seed=0, backend="scalar")
    loss = sum((model(x)[0] - float(t)) ** 2 for x, t in zip(X[:4], T[:4, 0], strict=True))
    assert loss_of(graph_of([loss])).name == SUMS["mse"]


@pytest.mark.parametrize("make", [outputs, lambda: outputs().sum(), lambda: np.exp(outputs()).mean()])
def test_what_has_no_target_is_no_loss(make):
    assert loss_of(graph_of([make()])) is None


# layers in words


@pytest.mark.parametrize("backend", ["tensor", "scalar"])
def test_layers_are_called_as_a_person_calls_them(backend):
    dot = draw(outputs(1, backend), collapse="layer").dot
    assert "<B>Linear 2→3, tanh</B>" in dot
    assert "<B>Linear 3→1</B>" in dot
    assert "transpose" not in dot


def test_tensors_of_a_network_by_hand_are_layers():
    def weight(*shape, label=""):
        return Tensor(RNG.normal(size=shape), requires_grad=True, label=label)

    C, W1, b1, W2, b2 = weight(27, 4), weight(12, 8, label="W1"), weight(8), weight(8, 27), weight(27)
    h = np.tanh(C[RNG.integers(0, 27, (5, 3))].reshape(5, 12) @ W1 + b1)
    loss = nn.losses.cross_entropy(h @ W2 + b2, RNG.integers(0, 27, 5))
    dot = draw(loss, collapse="layer").dot
    titles = re.findall(r"<B>([^<]+)</B>", dot)
    assert titles == ["Embedding 27→4", "Linear 12→8, tanh", "Linear 8→27", "cross-entropy"]


def encoder(n):
    return nn.Sequential(*[nn.TransformerEncoderLayer(4, 2, 5, 0.0, rng=i) for i in range(n)])


def test_equal_blocks_are_one_box():
    assert "TransformerEncoderLayer ×12" in draw(encoder(12), inputs=np.ones((1, 3, 4))).dot
    same = nn.MLP([2, *[8] * 6, 1], seed=0)
    assert "Linear 8→8, tanh ×5" in draw(same, collapse="layer").dot
    mixed = nn.MLP([2, 8, 8, 4, 8, 1], seed=0)
    assert "×" not in draw(mixed, collapse="layer").dot


def test_a_deleted_model_leaves_its_labels():
    dot = draw([Value(1.0, label=f"layers.0.weight[{j},{i}]") * 2.0 for j in range(3) for i in range(2)]).dot
    assert "layers.0.weight[2,1]" in dot
    grouped = draw(ops.tanh(Value(1.0, label="layers.0.weight[2,1]") * Value(3.0)), collapse="layer").dot
    assert "Linear 2→3, tanh" in grouped


# Inputs and constants


def test_an_input_is_one_box_however_many_units_it_enters():
    graph = graph_of(list(nn.MLP([2, 5, 1], seed=0, backend="scalar")(np.array([0.5, 1.5]))))
    assert sorted(graph.labels[i] for i in graph.inputs) == ["x0", "x1"]
    batch = graph_of(
        nn.MLP([2, 5, 1], seed=0, backend="scalar")(np.array([[0.5, 1.5], [0.5, 1.5]])).reshape(-1).tolist()
    )
    assert sorted(batch.labels[i] for i in batch.inputs) == ["X[0,0]", "X[0,1]", "X[1,0]", "X[1,1]"]


def test_an_array_is_one_box_and_called_x():
    attention = nn.MultiHeadAttention(4, 2, rng=0)
    dot = draw(attention(RNG.normal(size=(2, 3, 4))), collapse="none").dot
    assert dot.count("<B>X</B>") == 1
    assert "#e8e8e8" in dot  # the factor 1/√d is a constant


@pytest.mark.parametrize("make", [lambda x: x * 2.0 + 0.5, lambda x: 0.0 + x / 3.0, lambda x: x**3.5])
def test_constants_look_the_same_on_both_back_ends(make):
    def constants(x):
        return re.findall(r'fillcolor="#e8e8e8".*?<TD COLSPAN="2">(\S+?)</TD>', draw(make(x)).dot)

    assert constants(Value(1.5, label="x")) == constants(Tensor(1.5, requires_grad=True, label="x")) != []


def test_a_constant_with_a_label_is_an_input():
    y = Value(1.0, label="x") * 2.0
    y.parents[1].label = "c"
    assert "inputs x, c" in draw(y).summary


def test_weights_are_parameters_outside_of_nn_too():
    W = Tensor(np.ones((2, 3)), requires_grad=True, label="W")
    assert "#fdebc8" in draw(X @ W).dot
    w, x = Value(1.0, label="w1"), Value(2.0, label="x1")
    assert draw(w * x).dot.count("#fdebc8") == 1
    assert "#fdebc8" not in draw(Value(1.0, label="a") * Value(2.0, label="b")).dot
