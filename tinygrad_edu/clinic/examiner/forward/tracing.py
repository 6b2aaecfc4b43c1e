"""A learner's forward function, called on Tensors, as a program."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.detect_activations import mark_activations
from tinygrad_edu.clinic.examiner.forward.negation import PRODUCTS, undo_negation
from tinygrad_edu.clinic.examiner.forward.program import MOVES, ForwardProgram, Step
from tinygrad_edu.clinic.examiner.forward.repeats import first_of_repeats
from tinygrad_edu.clinic.examiner.forward.traced_array import WRITES, LostError, unwrap, wrap
from tinygrad_edu.clinic.examiner.forward.traced_numpy import trace_world
from tinygrad_edu.clinic.examiner.learner.structure import Structure
from tinygrad_edu.core.graph import parent_nodes, topological
from tinygrad_edu.core.tensor import Tensor

Array = np.ndarray[Any, Any]


def trace_call(
    forward: Callable[[Any], Any],
    params: Mapping[str, Array],
    form: Structure | None = None,
    roots: tuple[Any, ...] = (),
    part: Callable[[Any], Any] | None = None,
) -> ForwardProgram:
    """Call the function on arrays that remember, in the learner's form, and list what it computed.

    roots: what the function reaches, if that is more than itself. part: takes from the loss what is to be listed, as
    the loss of one sample. Whatever it raises is passed on.
    """
    leaves = {name: Tensor(np.asarray(x), requires_grad=True, dtype=float, label=name) for name, x in params.items()}
    form = form or Structure.of(dict(params))
    WRITES.floats.clear()
    with trace_world(*(roots or (forward,))):
        loss = graph_of(forward(form.fill({name: wrap(node) for name, node in leaves.items()}, trace_leaf)))
    return list_program(undo_negation(part(loss) if part else loss), leaves)


def trace_leaf(traced: Any, given: Any) -> Any:
    """A parameter as the learner keeps it: in nested lists, its single numbers."""
    if isinstance(given, (list, tuple)):
        return type(given)(trace_leaf(inner, like) for inner, like in zip(traced, given, strict=True))
    return traced


def graph_of(loss: Any) -> Tensor:
    """The node of what a forward has returned."""
    node = WRITES.node_of(loss) if isinstance(loss, float) else unwrap(loss)
    if not isinstance(node, Tensor):
        raise LostError(f"the loss became a {type(loss).__name__} without a graph")
    return node


def name_parameters(steps: Sequence[Step], names: Mapping[int, str], free: Container[int]) -> None:
    """Note which steps are a parameter, perhaps moved about; `free`: those that count as values."""
    for step in steps:
        step.parameter = names.get(id(step.node), "") if step.index not in free else ""
        if step.operation in MOVES and len(step.parents) == 1 and step.index not in free:
            step.parameter = steps[step.parents[0]].parameter


def rows_looked_up(steps: Sequence[Step]) -> set[int]:
    """The rows of an embedding that meet another parameter in a product, as E[ids] @ W: they are that layer's input."""
    found: set[int] = set()
    for step in steps:
        meets = step.operation in PRODUCTS and len(step.parents) == 2 and min(step.parents) >= 0
        if meets and all(steps[p].parameter for p in step.parents):
            rows = [row for p in step.parents if (row := row_behind(steps, p)) >= 0]
            found |= {*rows[:1]} if found.isdisjoint(rows) else set()
    return found


def row_behind(steps: Sequence[Step], index: int) -> int:
    """The step that looks a row up, behind transposes of it; -1 where there is none."""
    while steps[index].operation in MOVES and steps[index].operation != "getitem":
        index = steps[index].parents[0]
    return index if steps[index].operation == "getitem" else -1


def list_program(loss: Tensor, leaves: Mapping[str, Tensor]) -> ForwardProgram:
    """The graph that leads to a loss as a program."""
    every = topological(loss, parent_nodes)
    first = first_of_repeats(every)
    nodes = [node for node in every if first[id(node)] is node]
    places = {id(node): i for i, node in enumerate(nodes)}
    place = {id(node): places[id(first[id(node)])] for node in every}
    steps = [Step(i, node, tuple(place.get(id(p), -1) for p in node.parents)) for i, node in enumerate(nodes)]
    names = {id(leaf): name for name, leaf in leaves.items()}
    name_parameters(steps, names, set())
    name_parameters(steps, names, rows_looked_up(steps))
    program = ForwardProgram(steps, {name: place[id(leaf)] for name, leaf in leaves.items() if id(leaf) in place})
    with np.errstate(all="ignore"):
        mark_activations(program)
        program.settle()
    return program
