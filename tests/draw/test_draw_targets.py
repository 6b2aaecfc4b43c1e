"""What can be drawn, and with which settings; Values, Tensors and models."""

import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.draw.test_draw import Model, Node, in_new_process, tanh_of_product
from tinygrad_edu.draw import Drawing, draw
from tinygrad_edu.errors import DrawError, NameNotFoundError, SettingError, TinygradError

# targets and settings


@pytest.mark.parametrize("target", [3.0, "x", None, [], [Node(1.0), 2.0]])
def test_what_is_no_graph_is_refused(target):
    with pytest.raises(DrawError, match="a Value, a Tensor, a list of them, or a model"):
        draw(target)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"direction": "left"}, NameNotFoundError, "LR"),
        ({"collapse": "layers"}, NameNotFoundError, "Did you mean 'layer'"),
        ({"max_nodes": 0}, SettingError, "max_nodes=0"),
        ({"time_limit": 0}, SettingError, "time_limit=0"),
        ({"collapse": "layer"}, DrawError, 'collapse="operation"'),
    ],
)
def test_wrong_settings_are_refused(settings, error, message):
    with pytest.raises(error, match=message) as caught:
        draw(tanh_of_product(), **settings)
    assert isinstance(caught.value, TinygradError)


def test_the_module_itself_can_be_called():
    assert isinstance(sys.modules["tinygrad_edu.draw"](tanh_of_product()), Drawing)


# The engine


def test_values_are_drawn_without_numpy():
    program = """
import sys
from tinygrad_edu import Value
from tinygrad_edu.draw import draw
y = (Value(2.0, label="a") * Value(-3.0, label="b")).tanh()
y.backward()
print(draw(y).summary, "numpy" in sys.modules)
"""
    assert in_new_process(program).endswith("2 operations; inputs a, b; output -1 False")


def test_tensors_show_shape_norm_options_and_constants():
    from tinygrad_edu.core.tensor import Tensor

    x = Tensor(np.ones((3, 4)), requires_grad=True, label="x")
    y = (x * np.full((3, 4), 2.0)).sum(axis=0)
    y.backward(np.ones(4))
    drawing = draw(y)
    assert "(3, 4)" in drawing.dot
    assert "|grad|" in drawing.dot
    assert "axis=0" in drawing.dot
    assert 'label="×"' in drawing.dot


@pytest.mark.parametrize("backend", ["scalar", "tensor"])
def test_models_are_drawn_on_a_sample_input(backend):
    from tinygrad_edu.nn import MLP

    model = MLP([2, 3, 1], backend=backend)
    drawing = draw(model)
    assert "layers.0.weight" in drawing.dot
    assert ("inputs x0, x1" if backend == "scalar" else "inputs x") in drawing.summary
    assert "drawn as 3 boxes, grouped by layer" in draw(model, collapse="layer").dot
    given = draw(model, inputs=[0.5, -0.5])
    assert given.dot != drawing.dot


@pytest.mark.parametrize("backend", ["scalar", "tensor"])
def test_layers_in_a_row_are_told_apart_by_their_names(backend):
    from tinygrad_edu.nn import Linear, Sequential

    model = Sequential(Linear(2, 3, backend=backend), np.tanh, Linear(3, 1, backend=backend))
    drawing = draw(model, collapse="layer")
    assert "layers.0" in drawing.dot
    assert "layers.2" in drawing.dot


def test_a_model_without_a_known_width_needs_inputs():
    model = Model(lambda x: x)
    assert draw(model).summary == "Computation graph of 1 node: 0 operations; inputs x; output x = [[0, 0]]"
    model.in_features = None
    with pytest.raises(DrawError, match=r"draw\(model, inputs=\.\.\.\)"):
        draw(model)
    assert draw(model, inputs=[1.0]).summary.endswith("output x = [[1]]")


def test_a_model_may_answer_with_lists_of_nodes_but_not_with_numbers():
    assert draw(Model(lambda x: ([Node(1.0, label="p")], (Node(2.0, label="q"), x)))).summary.endswith("x = [[0, 0]]")
    values = np.array([[Node(1.0), Node(2.0)]])
    assert draw(Model(lambda x: values)).summary.endswith("output 1, 2")
    for answer in (3.0, np.float64(3.0), np.ones(2), "text", [], {"y": Node(1.0)}):
        with pytest.raises(DrawError, match="nothing to draw"):
            draw(Model(lambda x, answer=answer: answer))


@pytest.mark.parametrize("target", [[1.0], [[1.0]], [[1.0], [0.0]], 1.0])
def test_targets_of_any_shape_stand_in_the_formula(target):
    loss = tg.nn.losses.mse(tg.Tensor(np.full(np.shape(target), 0.5), requires_grad=True, label="p"), target)
    assert draw(loss).summary.startswith("Computation graph")
