"""What a right backward pass may compute on its way: Jacobians written out, terms of a loss, shares of what is read."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.activations import ACTIVATIONS
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import above

Array = np.ndarray[Any, Any]
SUMMED = 5_000  # entries; larger arrays are not entered
LOCAL = 4_000  # numbers; of larger layers the local derivatives are not entered
READINGS = ("getitem", "reshape", "transpose", "pos")  # operations that return the numbers of another value


def softmax_jacobians(net: Network) -> list[Array]:
    """∂s_i/∂z_j = s_i(δ_ij - s_j) of every softmax, row by row, as a program has them that writes them out."""
    found = []
    for step in net.steps:
        if step.activation == "softmax" and step.y.size and step.y.shape[-1] * step.y.size <= SUMMED:
            found += [np.diag(s) - np.outer(s, s) for s in step.y.reshape(-1, step.y.shape[-1])]
    return found


def slopes_of_activations(net: Network) -> list[Array]:
    """da/dz of each activation where the forward has been: no derivative of the loss, but right in a backward pass."""
    steps = [step for step in net.steps if step.activation in ACTIVATIONS and step.source >= 0]
    with np.errstate(all="ignore"):
        return [ACTIVATIONS[step.activation].slope_at_input(net.steps[step.source].y) for step in steps]


def local_derivatives(net: Network) -> list[Array]:
    """∂a/∂w = σ'(z)·x and ∂a/∂x = σ'(z)·w of every layer, which a program of single numbers multiplies to a chain."""
    found = []
    for layer in net.layers:
        kind = ACTIVATIONS.get(net.steps[layer.end].activation)
        with np.errstate(all="ignore"):
            slope = np.ravel(kind.slope_at_input(net.steps[layer.z].y)) if kind else np.ones(1)
        for use in layer.weights:
            step = net.steps[use.step]
            both = np.concatenate([np.ravel(step.operand(use.data)), np.ravel(step.operand(use.slot))])
            found += [np.outer(slope, both)] if slope.size * both.size <= LOCAL else []
    return found


def shares_of_readings(net: Network) -> set[int]:
    """Steps that read a value (states[t], by the output and by the next step) and have a share of its derivative."""
    first: dict[bytes, int] = {}
    found: set[int] = set()
    for step in net.steps:
        made = first.setdefault(step.y.tobytes(), step.index)  # the step that computed the number that is read
        if step.operation in READINGS and made != step.index:
            whole, g = net.program.gradients.get(made), net.program.gradients.get(step.index)
            if whole is not None and g is not None and whole.size == g.size:
                found |= set() if np.allclose(whole.ravel(), g.ravel(), rtol=1e-9, atol=0.0) else {step.index}
    return found


def addends_of(net: Network, index: int) -> list[int]:
    """What is added row by row before a loss takes the sum or the mean: of y·d² + (1 - y)·max(m - d, 0)²."""
    step = net.steps[index]
    while step.operation in ("sum", "mean", "neg", "div", "mul", "reshape") and len(step.live) == 1:
        index = above(step)[step.live[0]]
        step = net.steps[index]
        if step.activation or step.parameter:
            return []
    if step.operation not in ("add", "sub") or len(step.live) != 2:
        return []
    return [above(step)[k] for k in step.live]


def partial_sums(shares: Sequence[Array]) -> list[Array]:
    """What a pass may hold of a derivative while it adds up its shares: the sums of some of them, not of all.

    >>> [float(x) for x in partial_sums([np.array(1.0), np.array(2.0), np.array(4.0)])]
    [1.0, 2.0, 4.0, 3.0, 5.0, 6.0]
    """
    some = (c for n in range(1, len(shares)) for c in itertools.combinations(shares, n))
    return [np.sum(c, axis=0) for c in some]


def axes_of_sums(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Each axis alone; of images, all but one too.

    >>> axes_of_sums((2, 3)), axes_of_sums((1, 3, 4, 4))
    ([(0,), (1,)], [(1,), (2,), (3,), (2, 3), (1, 3), (1, 2)])
    """
    axes = [k for k, n in enumerate(shape) if n > 1]
    others = [tuple(j for j in axes if j != k) for k in axes] if len(shape) == 4 else []
    return [*((k,) for k in axes), *others]
