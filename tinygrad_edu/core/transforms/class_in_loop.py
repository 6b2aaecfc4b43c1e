"""What a sample of `vmap` stands for: the array or Tensor that a loop over the samples would hand to the function."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.stands_for import said


def classes_in_loop(x: Node, parents: Callable[[Node], list[Any]]) -> tuple[Any, ...]:
    """Tensor for what comes of a Tensor, else np.ndarray, or a number where no axis is left."""
    for each in topological(x, lambda x: [] if hasattr(x, "stands") else parents(x)):
        if not hasattr(each, "stands"):
            given = [p for p in each.parents if isinstance(p, Tensor)] if each.op is not None else [each.inner]
            each.stands = Tensor if any(map(is_of_tensor, given)) else np.ndarray
    kinds: tuple[Any, ...] = said(x)
    return kinds if x.shape or hasattr(kinds[0], "parents") else (x.dtype.type, np.ndarray, float)


def is_of_tensor(x: Node) -> bool:
    """Does the user's code see a Tensor there?"""
    if hasattr(x, "of_samples"):
        return hasattr((said(x) or (Tensor,))[0], "parents")
    return isinstance(x, Tensor) and (not hasattr(x, "eager_classes") or hasattr(x.eager_classes()[0], "parents"))
