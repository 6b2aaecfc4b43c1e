"""Forwards that Tensors cannot follow: run on single Values, then written over as arrays.

Pure Python on nested lists and `math`, and NumPy code that computes number by number, run on Values: exact gradients of
everything. Where the graph of single numbers turns out to be layers (`vectorize.py`), the same search as for NumPy code
follows; else only slips that show in finished gradients are named.

>>> import math
>>> from tinygrad_edu.clinic import check_backprop
>>> def forward(p):
...     z = sum(w * x for w, x in zip(p["w"], [0.5, -1.0, 2.0]))
...     return 0.5 * (1 / (1 + math.exp(-z)) - 1.0) ** 2
>>> report = check_backprop(forward, {"w": [0.1, 0.2, 0.3]}, {"w": [-0.0357, 0.0714, -0.1429]})
>>> report.ok, list(report.wrong)
(False, ['w'])
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.book import total
from tinygrad_edu.clinic.examiner.forward.layers import Layer, Use
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import ForwardProgram
from tinygrad_edu.clinic.examiner.forward.traced_numpy import object_world
from tinygrad_edu.clinic.examiner.forward.tracing import list_program, trace_call
from tinygrad_edu.clinic.examiner.forward.vectorize import NoLayersError, rebuild_loss
from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward
from tinygrad_edu.clinic.examiner.learner.patch_math import operations_for_math
from tinygrad_edu.clinic.examiner.learner.reachable import walk
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import PARENTS, Value
from tinygrad_edu.errors import ExaminerError

Array = np.ndarray[Any, Any]
NOT_LAYERS = "The numbers form no layers ({}), so only mistakes that show in finished gradients can be named."
WEIGHTS, DATA = 4_000, 20_000  # numbers; with more, a graph of Values takes longer than finite differences would


def network_on_values(learner: LearnerForward, params: Mapping[str, Array]) -> tuple[Network, str]:
    """The network that the forward computes at these parameters, handed to it as Values; and a note."""
    leaves = {name: np.array([Value(w, label=name) for w in x.flat], dtype=object) for name, x in params.items()}
    numbers = {name: v.reshape(params[name].shape) for name, v in leaves.items()}
    learner.rewind()
    with ExitStack() as exchanged:
        exchanged.enter_context(object_world(*learner.roots))
        for root in filter(callable, learner.roots):
            exchanged.enter_context(operations_for_math(root))
        loss = learner.function(learner.form.fill(numbers, as_values))
    if isinstance(loss, np.ndarray) and loss.size == 1:
        loss = loss.reshape(-1)[0]
    if not isinstance(loss, Value):
        raise ExaminerError(
            f"forward on Values returned {loss!r:.60}: use + - * / ** and the functions of `math` on the numbers"
        )
    return network_of_values(learner.part(loss) if learner.part else loss, leaves, params)


def small_enough(learner: LearnerForward, params: Mapping[str, Array]) -> bool:
    """Can the forward be run number by number?"""
    largest = max((x.size for x in walk(learner.roots) if isinstance(x, np.ndarray)), default=0)
    return sum(x.size for x in params.values()) <= WEIGHTS and largest <= DATA


def as_values(numbers: Any, given: Any) -> Any:
    """Values in the form of the learner's leaf: arrays of objects, nested lists, one Value."""
    if isinstance(given, np.matrix):
        raise TypeError("np.matrix multiplies by *, and cannot hold Values")
    if isinstance(given, np.ndarray):
        return numbers.copy() if numbers.ndim else numbers.item()
    if isinstance(given, (list, tuple)):
        return type(given)(as_values(inner, like) for inner, like in zip(numbers, given, strict=True))
    return numbers.item() if isinstance(numbers, np.ndarray) else numbers


def network_of_values(loss: Value, leaves: Mapping[str, Array], params: Mapping[str, Array]) -> tuple[Network, str]:
    """The layers that the single numbers make, if they do; their gradients must be those of the numbers."""
    loss.backward()
    exact = {n: np.array([w.grad for w in v]).reshape(params[n].shape) for n, v in leaves.items()}
    try:
        tensors = {n: Tensor(x, requires_grad=True, dtype=float, label=n) for n, x in params.items()}
        net = Network(list_program(rebuild_loss(loss, leaves, tensors), tensors))
        same = all(np.allclose(total(net, n), g, rtol=1e-9, atol=1e-14) for n, g in exact.items())
        reason = "" if same and net.layers else "written as arrays they give other gradients"
    except NoLayersError as error:
        reason = str(error)
    if reason:
        net = stand_in(params, exact)
    net.scalars = scalars_of(loss)
    return net, NOT_LAYERS.format(reason) if reason else ""


def scalars_of(loss: Value) -> tuple[Array, Array]:
    """Every number of the forward; and all derivatives, with what each node passes to each parent."""
    nodes = topological(loss, PARENTS)
    values = np.array([node.data for node in nodes])
    shares = [node.grad * d for node in nodes for d in node.partials]
    return values, np.array([*(node.grad for node in nodes), *shares])


def stand_in(params: Mapping[str, Array], gradients: Mapping[str, Array]) -> Network:
    """A network with these gradients and no layers: the loss Σ w·∂L/∂w has the same slope."""
    program: ForwardProgram = trace_call(lambda p: sum((p[n] * g).sum() for n, g in gradients.items()), params)
    net = Network(program)
    net.penalties, net.samples = [], 1  # otherwise the factor of a single number could be taken for a penalty
    net.uses = {n: [Use(u.step, u.slot, n, 1 - u.slot) for u in uses] for n, uses in net.uses.items()}
    net.layers = [Layer(use.step, [use], title=f"gradient of {n}") for n in params for use in net.uses[n]]
    return net
