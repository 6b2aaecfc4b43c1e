"""What a forward computes twice from the same values is entered once: `-mean(t·log(net(X)) + (1 - t)·log(1 - net(X)))`.

By itself each of the two calls has half of every derivative, and there would be twice as many samples.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.core.tensor import Tensor


def first_of_repeats(nodes: Iterable[Tensor]) -> dict[int, Tensor]:
    """id of a node → the first that computes the same from the same; nodes: parents first.

    >>> x = Tensor([1.0, 2.0], requires_grad=True)
    >>> a, b = x * 3.0, x * 3.0
    >>> first_of_repeats([x, a, b])[id(b)] is a
    True
    """
    known: dict[Any, Tensor] = {}
    first: dict[int, Tensor] = {}
    for node in nodes:
        first[id(node)] = node
        if node.op is not None:
            given = tuple(identify(x, first) for x in node.parents)
            earlier = known.setdefault((id(node.op), repr(node.options), given), node)
            if np.array_equal(earlier.array, node.array, equal_nan=True):
                first[id(node)] = earlier
    return first


def identify(x: Any, first: dict[int, Tensor]) -> Any:
    """What tells one operand from another. Two samples that are equal by chance are two: rows are told by their place.

    A whole batch is one and the same where its numbers are, though it may have been converted anew.
    """
    if id(x) in first:
        return id(first[id(x)])
    array = x.array if isinstance(x, Tensor) else np.asarray(x)
    content = (array.shape, array.dtype.str, array.tobytes())
    whole = array.ndim == 0 or (array.ndim > 1 and min(array.shape) > 1)
    return content if whole else (array.__array_interface__["data"][0], array.strides, *content)
