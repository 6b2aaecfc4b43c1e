"""What the page says of nodes: in the words and with the names of the picture."""

import numpy as np

from tinygrad_edu import Value, nn
from tinygrad_edu.draw import draw


def said(target):
    """All sentences of the forward and backward pass."""
    nodes = draw(target).story["nodes"]
    return [node["forward"] for node in nodes if node.get("forward")] + [
        f"{part['rule']} {part['numbers']}" for node in nodes for part in node.get("backward", ())
    ]


def test_inputs_and_targets_are_called_as_in_the_picture():
    """They were c2 and c12 on the page, X and targets in the picture."""
    X, y = np.arange(12.0).reshape(6, 2), np.ones((6, 1))
    loss = nn.losses.mse(nn.MLP([2, 3, 1], seed=0)(X), y)
    loss.backward()
    drawing = draw(loss)
    names = [node["name"] for node in drawing.story["nodes"] if node["kind"] == "input"]
    assert names == ["X", "targets"]
    assert all(f"<B>{name}</B>" in drawing.dot for name in names)
    assert any(line.startswith("v3 = X @ v1 = (6, 3), norm ") for line in said(loss))
    assert any("∂L/∂v1 += Xᵀ @ ∂L/∂v3" in line for line in said(loss))


def test_a_negative_number_is_in_brackets_between_signs_alone():
    a, b = Value(0.5, label="a"), Value(-1.0, label="b")
    assert said((a * b).tanh())[:2] == ["v2 = a × b = 0.5 × (-1) = -0.5", "v3 = tanh(v2) = tanh(-0.5) = -0.4621"]
