"""The arrays that a learner may take for the input of a layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.layers import Use
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import Step, apply_node

Array = np.ndarray[Any, Any]


def arrays_of(net: Network, now: int) -> Iterator[tuple[str, Array]]:
    """Every array of the forward pass that a learner has a name for, as seen from time step `now`."""
    seen: set[int] = set()
    for layer in net.layers:
        times = {now: "(t)", now - 1: "(t-1)"}
        time = times.get(layer.time, f"(step {layer.time + 1})") if layer.time >= 0 else ""
        for use in layer.weights:
            x, parent = net.steps[use.step].operand(use.data), net.steps[use.step].parents[use.data]
            if parent < 0 and id(net.steps[use.step].node.parents[use.data]) not in seen:
                seen.add(id(net.steps[use.step].node.parents[use.data]))
                yield "x" + time, x
        yield f"z{layer.number}{time}", net.steps[layer.z].y
        if layer.end != layer.z:
            yield f"a{layer.number}{time}", net.steps[layer.end].y


def fitting(net: Network, step: Step, use: Use, array: Array) -> Iterator[Array]:
    """The array itself, and also with the column of ones that belongs to the right input."""
    yield array
    parent = net.steps[step.parents[use.data]] if step.parents[use.data] >= 0 else step
    if parent.operation == "concatenate":
        parts = [parent.operand(k) for k in range(len(parent.parents))]
        for k, part in enumerate(parts):
            if part.shape == array.shape and parent.parents[k] >= 0:
                yield apply_node(parent.node, [*parts[:k], array, *parts[k + 1 :]])
