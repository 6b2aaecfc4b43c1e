"""Which steps of a program are activations: found by their numbers, however the learner spelled them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.activations import ACTIVATIONS, softmax
from tinygrad_edu.clinic.examiner.forward.program import ForwardProgram, Step, apply_node
from tinygrad_edu.core.aliases import ArrayLike

Array = np.ndarray[Any, Any]
REACH = 12  # nodes that one activation may have; a stable sigmoid with `where` has 9
ROWS = 150  # the same where Python's sum() adds up rows one by one
SOFTMAX = "softmax"
FEW = 3  # entries on which most functions differ; only then all are compared


def mark_activations(program: ForwardProgram) -> None:
    """Set `activation` and `source` of every step that ends one.

    The last source found counts: a softmax does not change when the largest z is taken off, so it begins before that.
    """
    for step in program.steps:
        if step.parents and not step.parameter:
            for source, region in regions(program, step):
                if any(x.activation and x.source < source for x in region):
                    break  # it is half of another activation: with a = σ(z), also 1 - a = σ(-z)
                name = detect(program, step, source, region)
                if name:
                    step.activation, _, axis = name.partition(":")
                    step.source, step.axis = source, int(axis or -1)
                    if step.activation != SOFTMAX:
                        step.partials = ACTIVATIONS[step.activation].slope_at_input(program.steps[source].y)


def regions(program: ForwardProgram, step: Step) -> Iterator[tuple[int, list[Step]]]:
    """(z, the steps from z to here) for each step z through which everything that comes here must pass."""
    region, frontier = [step], {p for p in step.parents if p >= 0}
    while frontier and len(region) <= (ROWS if step.operation == "div" and by_rows(region) else REACH):
        top = max(frontier)
        above = program.steps[top]
        if above.parameter:
            return
        if len(frontier) == 1 and above.y.shape == step.y.shape:
            yield top, region
        if not above.parents or above.operation == "matmul":
            return
        frontier.discard(top)
        frontier.update(p for p in above.parents if p >= 0)
        region = [above, *region]


def by_rows(region: list[Step]) -> bool:
    """Is it long only because Python's sum() adds up the rows one by one?"""
    return len(region) > REACH and sum(x.operation not in ("getitem", "add") for x in region) <= 4


def detect(program: ForwardProgram, step: Step, source: int, region: list[Step]) -> str:
    """The activation whose numbers the region computes from z: "tanh", "softmax:-1", or ""."""
    z = program.steps[source].y
    some, ends = z.ravel()[:FEW], step.y.ravel()[:FEW]
    candidates = {n: x.function for n, x in ACTIVATIONS.items() if near(x.function(some), ends)}
    # (e.T / e.sum(axis=1)).T divides without keepdims, and ends with a transpose
    turned = step.operation == "transpose" and any(x.operation == "div" for x in region)
    if step.y.ndim and (turned or step.operation in ("div", "softmax", "mul", "exp")):
        axes = range(-min(step.y.ndim, 2), 0)
        candidates |= {f"{SOFTMAX}:{k}": lambda x, k=k: softmax(x, k) for k in axes if step.y.shape[k] > 1}  # type: ignore[misc]
    found = [name for name, function in candidates.items() if near_in_shape(function(z), step.y)]
    pieces = {name: ACTIVATIONS[name].pieces for name in found if name in ACTIVATIONS}
    return next((n for n in found if is_confirmed(candidates[n], source, region, z, pieces.get(n, ((-2.0, 2.0),)))), "")


def near_in_shape(a: Array, b: Array) -> bool:
    return a.shape == b.shape and near(a, b)


def near(a: Array, b: Array) -> bool:
    """np.allclose of finite arrays, in a fifth of its time."""
    return bool((np.abs(a - b) <= 1e-12 + 1e-9 * np.abs(b)).all())


def is_confirmed(function: Any, source: int, region: list[Step], z: Array, pieces: Any = ((-2.0, 2.0),)) -> bool:
    """Does it hold for other numbers too? A mask that the forward has fixed can be judged by its own z only."""
    masked = any(is_like_mask(x) for step in region for x in constants(step))
    if masked:
        return bool((z > 0.0).any() and (z <= 0.0).any()) or all(step.operation != "mul" for step in region)
    rng = np.random.default_rng(0)
    drawn = [np.asarray(rng.uniform(low, high, z.shape)) for low, high in pieces]
    return all(near_in_shape(function(x), replay(source, region, x)) for x in (*drawn, *(-x for x in drawn)))


def constants(step: Step) -> list[Any]:
    return [x for x, p in zip(step.node.parents, step.parents, strict=True) if p < 0]


def is_like_mask(x: ArrayLike) -> bool:
    """Booleans, or an array of noughts and ones as (z > 0) * 1.0 makes it."""
    array = np.asarray(x)
    return array.dtype.kind == "b" or (array.size > 1 and bool(np.isin(array, (0.0, 1.0)).all()))


def replay(source: int, region: list[Step], z: Array) -> Array:
    """The region's last array, computed from another z."""
    found = {source: z}
    for step in region:
        found[step.index] = apply_node(
            step.node, [found[p] if p >= 0 else x for p, x in zip(step.parents, step.node.parents, strict=True)]
        )
    return found[region[-1].index]
