"""A learner's forward function, called on Tensors, as a program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.detect_activations import mark_activations
from tinygrad_edu.clinic.examiner.negation import meant
from tinygrad_edu.clinic.examiner.program import MOVES, Program, Step
from tinygrad_edu.core.graph import recorded_parents, topological
from tinygrad_edu.core.tensor import Tensor

Array = np.ndarray[Any, Any]


def record(forward: Callable[[dict[str, Any]], Any], params: Mapping[str, Array]) -> Program:
    """Call the function on Tensors and list what it computed. Whatever the function raises on them is passed on."""
    leaves = {name: Tensor(np.asarray(x), requires_grad=True, dtype=float, label=name) for name, x in params.items()}
    loss = forward(dict(leaves))
    if not isinstance(loss, Tensor):
        raise TypeError(f"the loss became a {type(loss).__name__} without a graph")
    return listed(meant(loss), leaves)


def listed(loss: Tensor, leaves: Mapping[str, Tensor]) -> Program:
    """The graph that leads to a loss as a program."""
    nodes = topological(loss, recorded_parents)
    place = {id(node): i for i, node in enumerate(nodes)}
    steps = [Step(i, node, tuple(place.get(id(p), -1) for p in node.parents)) for i, node in enumerate(nodes)]
    names = {id(leaf): name for name, leaf in leaves.items()}
    for step in steps:
        step.parameter = names.get(id(step.node), "")
        if step.operation in MOVES and len(step.parents) == 1:
            step.parameter = steps[step.parents[0]].parameter
    program = Program(steps, {name: place[id(leaf)] for name, leaf in leaves.items() if id(leaf) in place})
    with np.errstate(all="ignore"):
        mark_activations(program)
        program.settle()
    return program
