"""Outputs (n, 1) beside targets (n,): NumPy stretches both to (n, n), and each output is compared with every target.

`ops.mse` and the other losses see both shapes and make them fit, and `fit` gives targets the form of the outputs. In a
loop of one's own with a loss of one's own the shapes are right for NumPy, so a backward pass looks for it. Kernels and
outer products have such shapes too: so the outputs must come from a product with a matrix of n rows, as those of a
linear layer do, and the targets be plain numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.linalg import matmul

SQUARES: list[None] = []  # an entry where a gradient of shape (n, n) was summed to one of n numbers
CLASSES = (-1.0, 0.0, 1.0)  # products with other numbers may be meant
WORDS = {ops.sub: "minus", ops.mul: "times"}


class StretchedTargetWarning(UserWarning):
    """A loss compares each output of a model with the targets of all samples.

    >>> import warnings, numpy as np, tinygrad_edu as tg
    >>> model, X, t = tg.nn.Linear(2, 1), np.ones((3, 2)), np.array([1.0, 2.0, 3.0])
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     ((model(X) - t) ** 2).mean().backward()
    >>> print(caught[0].message)
    outputs of shape (3, 1) minus targets of shape (3,) have the shape (3, 3): each output is compared with ...
    """


def warn_stretched(order: Sequence[Any], stacklevel: int) -> None:
    """Warn of the first such operation of a backward pass, if there is one."""
    SQUARES.clear()
    if order[-1].array.size != 1:
        return
    for x in order:
        for one, two in (x.parents, x.parents[::-1]) if x.op in WORDS else ():
            if is_target(two) and is_stretched(x, numbers_inside(one), numbers_inside(two)) and is_output(one):
                tell_stretched(x, one, numbers_inside(two), stacklevel + 1)
                return


def is_target(x: Any) -> bool:
    """Is it an array, or a Tensor that nothing is differentiated by?"""
    return isinstance(x, np.ndarray) or (hasattr(x, "array") and not x.requires_grad)


def numbers_inside(x: Any) -> Any:
    return x.array if hasattr(x, "array") else x


def is_stretched(x: Any, output: Any, target: Any) -> bool:
    """Did a column and a row of n numbers become (n, n)?"""
    n = getattr(target, "size", 0)
    if n < 2 or x.array.shape != (n, n) or {np.shape(output), target.shape} != {(n,), (n, 1)}:
        return False
    return x.op is ops.sub or (target.ndim == 1 and bool(np.isin(target, CLASSES).all()))


def is_output(x: Any) -> bool:
    """Is it what operations that keep the number of entries have made of a product with a matrix of n rows?"""
    n = numbers_inside(x).size
    for _ in range(20):
        if x.op is matmul:
            return bool(numbers_inside(x.parents[0]).shape[:1] == (n,) and numbers_inside(x.parents[0]).ndim == 2)
        x = next((p for p in x.parents if getattr(p, "parents", ()) and numbers_inside(p).size == n), None)
        if x is None:
            return False
    return False


def tell_stretched(x: Any, output: Any, target: Any, stacklevel: int) -> None:
    """Warn, with the fix."""
    fix = "targets[:, None]" if target.ndim == 1 else "targets[:, 0]"
    warnings.warn(
        f"outputs of shape {output.shape} {WORDS[x.op]} targets of shape {target.shape} have the shape "
        f"{x.shape}: each output is compared with the target of every sample, which draws all outputs to the same "
        f"number. Give both the same shape, as with {fix}",
        StretchedTargetWarning,
        stacklevel=stacklevel,
    )
