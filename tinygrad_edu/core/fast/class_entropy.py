"""The cross-entropy of class numbers as one node, which is what nearly every step of a classifier ends in.

Written out it is six nodes (log softmax, the entry of each row's class, its negative, a sum, a division, and the number
of rows), and the pull-back of the second fills a matrix that the pull-back of the first reads again. Here the forward
pass keeps the exponentials, and the gradient is one quotient of them: softmax(z), less 1 at each row's class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.arrays.sorting import entries_along
from tinygrad_edu.core.broadcasting import sum
from tinygrad_edu.core.losses.targets import one_hot
from tinygrad_edu.core.operation import array_op
from tinygrad_edu.core.reductions import log_softmax, softmax

REDUCTIONS = ("mean", "sum")


def written_out(z: ArrayLike, index: ArrayLike, divisor: float) -> Any:
    return -(sum(entries_along(log_softmax(z), index[..., None], -1)) / divisor)


@array_op(
    vjp=lambda g, _y, z, index, divisor: ((softmax(z) - one_hot(index, z.shape[-1], z.dtype)) * (g / divisor),),
    made_of=written_out,
)
def class_entropy(z: ArrayLike, /, index: ArrayLike, divisor: float = 1.0) -> Any:
    """Σ -log softmax(z) of each row at its class number, over divisor.  z̄ = (softmax(z) - one-hot rows)·ȳ/divisor."""
    return written_out(z, index, divisor)


def exponentials(z: ArrayLike, index: ArrayLike) -> Any:
    """(z less the largest of its row, e to that, the sum of each row, the place of each row's class in a flat z).

    None where a row has no finite largest: the general form knows what to do there.
    """
    largest = np.maximum.reduce(z, axis=-1, keepdims=True)
    square = float(np.vdot(largest, largest))
    if square - square != 0.0:
        return None
    shifted = np.subtract(z, largest, order="C")  # in C order, so that its flat form is a view whatever the order of z
    powers = np.exp(shifted)
    at = np.arange(0, powers.size, z.shape[-1])
    at += index.reshape(-1)
    return shifted, powers, np.add.reduce(powers, axis=-1, keepdims=True), at


def form_on_tensors(record: Callable[..., Any]) -> Callable[..., Any]:
    """cross_entropy(z, classes) of a Tensor z and an array of class numbers, one for each row; None for anything else.

    `classes` is copied, because it may be written to before backward reads it.
    """

    def form(z: Node, classes: ArrayLike, reduction: str) -> Any:
        x = z.array
        if (
            classes.__class__ is not np.ndarray
            or classes.dtype.kind not in "iu"
            or classes.shape != x.shape[:-1]
            or not x.size
            or not x.ndim > 1
            or reduction not in REDUCTIONS
        ):
            return None
        index = classes.astype(np.intp, order="C")
        # read as unsigned, a negative class number is a huge one
        if np.maximum.reduce(index.view(np.uintp), None) >= x.shape[-1]:
            return None
        found = exponentials(x, index)
        if found is None:
            return None
        shifted, powers, totals, at = found
        logs = shifted.reshape(-1)[at]
        logs -= np.log(totals).reshape(-1)
        divisor = float(at.size) if reduction == "mean" else 1.0
        made = record(class_entropy, -(np.add.reduce(logs) / divisor), (z,), {"index": index, "divisor": divisor})
        if made.parents:
            made._kept = powers, totals, at
        return made

    return form


def pull_class_entropy(x: Node, g: ArrayLike) -> Any:
    """softmax(z)·ȳ/divisor, less ȳ/divisor at each row's class, from the exponentials that the forward pass kept."""
    kept, (p,) = getattr(x, "_kept", None), x.parents
    if kept is None:
        return None
    powers, totals, at = kept
    share = powers / totals
    share.reshape(-1)[at] -= 1.0
    share *= g / x.options["divisor"]
    return [(p, share)]
