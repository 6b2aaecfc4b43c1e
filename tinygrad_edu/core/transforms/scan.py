"""A loop over time: a state that each round changes, and an output of each round."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.pytree import refuse_deep, tree_leaves, tree_map
from tinygrad_edu.core.shapes import stack
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import OperandError, ShapeError


def scan(
    step: Callable[[Any, Any], tuple[Any, Any]], state: ArrayLike, xs: ArrayLike, length: int | None = None
) -> tuple[Any, Any]:
    """Apply a step in each round, stateₜ₊₁, yₜ = step(stateₜ, xₜ), and return (last state, ys), as `jax.lax.scan`.

    It runs on arrays, Tensors and arrays of Values, and every round is differentiated. In a compiled function the
    rounds are steps of one program that share their machine code.

    State, xs and y may be nested in dicts, lists and tuples; y may be None. ys holds each y stacked along a new first
    axis, (T, ...).
    step: a function (state, x) → (new state, y).
    state: the first state.
    xs: arrays of shape (T, ...), of which round t gets entry [t].
    length: T, where xs is None.
    Errors: ShapeError if the arrays differ in length, or there is no round at all; OperandError if step does not
    return a pair.

    >>> scan(lambda total, x: (total + x, total * x), 0.0, np.array([1.0, 2.0, 3.0]))
    (np.float64(6.0), array([0., 2., 9.]))
    """
    checks.function("step", step, "scan")
    try:
        xs = tree_map(by_position, xs)
        tree_map(by_position, state)
    except RecursionError:
        refuse_deep([state, xs])
        raise
    loop: tuple[Any, Any] | None = rolled(step, state, xs, length)
    if loop is not None:
        return loop
    found, state = [], tree_map(own_array, state)
    for t in range(rounds(xs, length)):
        result = step(state, tree_map(lambda x, t=t: own_array(x[t]), xs) if xs is not None else None)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise OperandError(f"scan: step returns (new state, y), not {result!r:.60}")
        state, y = result
        found.append(tree_map(own_array, y))
    return state, tree_map(lambda *each: stack_rounds(each), *found)


def by_position(x: ArrayLike) -> Any:
    """What [t] takes entry t of: a Series of pandas takes the entry that is labelled t, a DataFrame a column."""
    own = isinstance(x, (Tensor, np.ndarray)) or not hasattr(x, "__array__")
    return x if own and not isinstance(x, np.matrix) else np.asarray(x)


def own_array(x: ArrayLike) -> Any:
    """A copy of an array: a step that says `state += x` changes neither the caller's arrays nor what it gave before."""
    return x.copy() if x.__class__ is np.ndarray and x.ndim else x


def rolled(step: Callable[[Any, Any], tuple[Any, Any]], state: ArrayLike, xs: ArrayLike, length: int | None) -> Any:
    """`scan` as one loop of the program that is being traced; None without a trace, or if it cannot be one loop."""
    loop = getattr(MODES.tensor_trace, "scan", None)
    return None if loop is None else loop(step, state, xs, length)


def rounds(xs: ArrayLike, length: int | None) -> int:
    """How many: the length of the first axis of every array."""
    leaves = [] if xs is None else list(tree_leaves(xs))
    if any(not np.ndim(x) for x in leaves):
        raise ShapeError("scan: xs are arrays with an axis for the rounds, and one of them is a single number")
    counts = {int(np.shape(x)[0]) for x in leaves} | ({int(length)} if length is not None else set())
    if len(counts) != 1:
        raise ShapeError(
            f"scan: the arrays of xs have {sorted(counts)} entries along their first axis: it has to be one number"
            if counts
            else "scan: where xs is None, length= says how many rounds there are"
        )
    (count,) = counts
    if count < 1:
        raise ShapeError("scan over no entries: what step gives for each round cannot be known")
    return count


def stack_rounds(each: Sequence[Any]) -> Any:
    """The outputs of all rounds, along a new first axis."""
    if each[0] is None:
        return None
    if any(isinstance(y, Value) for y in each):
        boxes = np.empty(len(each), dtype=object)
        boxes[:] = each
        return boxes
    return stack(list(each)) if any(isinstance(y, Tensor) for y in each) else np.stack([np.asarray(y) for y in each])
