"""What a training costs, from the graph of one batch: the same number on every machine, under any load.

Seconds of a nominal machine, about half as fast as the one that it was measured on (2 cores of 2026, quiet): MLPs from
2-8-1 to 784-128-10 with batches of 4 to 300, LSTMs of 12 and 30 times, a convolution.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts import lbfgs
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.core.graph import topological
from tinygrad_edu.errors import TinygradError
from tinygrad_edu.nn import losses
from tinygrad_edu.train.own_code import for_own_code

# seconds per step, per node and per number in it, per multiplication of a product, and per weight in an update
STEP, NODE, NUMBER, PRODUCT, WEIGHT = 1.5e-6, 1.5e-6, 1.5e-9, 1.5e-10, 2e-9
EAGER_NODE, EAGER_NUMBER = 3e-5, 4e-9
FREE = 20  # nodes that cost no more than their numbers; a plain MLP has this many
PRODUCTS = ("matmul", "conv", "unfold")
EVALUATIONS = 1.3  # evaluations of the loss in one iteration of L-BFGS
SLOWER = 10  # factor: a multiplication in a convolution against one in a matrix product
WATCHED = 0.3  # share of an eager step: computing the validation loss after each epoch


@dataclass(frozen=True)
class GraphSize:
    """The size of a batch's loss graph: nodes, numbers in them, multiplications in products; and of the weights."""

    nodes: int
    numbers: int
    products: int
    weights: int

    @property
    def compiled(self) -> float:
        """Seconds of a step as compiled code."""
        nodes = max(0, self.nodes - FREE)
        return STEP + NODE * nodes + NUMBER * self.numbers + PRODUCT * self.products + WEIGHT * self.weights

    @property
    def eager(self) -> float:
        """Seconds of a step, operation by operation."""
        return EAGER_NODE * self.nodes + EAGER_NUMBER * self.numbers + PRODUCT * self.products + WEIGHT * self.weights


UNKNOWN = GraphSize(100, 100_000, 1_000_000, 10_000)


def size_of(setup: Setup, task: Task) -> GraphSize:
    """The graph of the first batch; UNKNOWN where it cannot be made."""
    batch = min(setup.batch_size or task.samples, task.samples)
    whole = task.samples if setup.optimizer in (lbfgs.NAME, "LBFGS") else batch
    try:
        model = setup.model(0)
        X, y = task.inputs_for(setup)[:whole], task.targets(setup)[task.rows_for(setup)][:whole]
        with np.errstate(all="ignore"):
            found = losses.find(setup.loss)
            X, y = for_own_code(model, found, X, y)
            loss = found(model(X), y)
    except (TinygradError, ValueError, TypeError, IndexError):  # training will report it
        return UNKNOWN
    weights = sum(int(p.array.size) for p in model.parameters())
    return measure_graph(topological(loss) if hasattr(loss, "parents") else [], weights)


def measure_graph(nodes: Iterable[Any], weights: int) -> GraphSize:
    made = [node for node in nodes if node.parents]
    numbers = sum(int(np.size(node.data)) for node in made)
    return GraphSize(len(made), numbers, sum(map(products_of, made)), weights)


def products_of(node: Any) -> int:
    """Multiplications in a matrix product or a convolution."""
    if getattr(node.op, "name", "") not in PRODUCTS:
        return 0
    last = np.shape(getattr(node.parents[-1], "data", node.parents[-1]))
    inner = SLOWER * int(np.prod(last[1:])) if node.op.name == "conv" else np.shape(node.parents[0].data)[-1]
    return int(np.size(node.data)) * int(inner)


class Prices:
    """The price of one run of a setup, looked up by what it depends on."""

    def __init__(self, task: Task) -> None:
        self.task, self.sizes = task, dict[Any, GraphSize]()

    def size(self, setup: Setup) -> GraphSize:
        key = (
            setup.sizes, setup.activation, setup.out_activation, setup.norm, setup.bias, setup.silenced > 0.0,
            setup.loss_name, setup.batch_size, setup.inputs, setup.columns, setup.coding, setup.rows, id(setup.pattern),
        )  # fmt: skip
        if key not in self.sizes:
            self.sizes[key] = size_of(setup, self.task)
        return self.sizes[key]

    def steps(self, setup: Setup) -> float:
        if setup.optimizer in (lbfgs.NAME, "LBFGS"):
            return EVALUATIONS * setup.epochs
        return setup.steps(self.task.samples)

    def compiled(self, setup: Setup) -> float:
        """Seconds of one run as compiled code."""
        watched = WATCHED * setup.epochs * self.size(setup).eager if setup.validated else 0.0
        return self.steps(setup) * self.size(setup).compiled + watched

    def eager(self, setup: Setup) -> float:
        """Seconds of one run, operation by operation."""
        return self.steps(setup) * self.size(setup).eager
