"""What `detect_anomaly` says of the first number that is not finite, forward or backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.operation import ArrayOperation, Operation
from tinygrad_edu.errors import AnomalyError

Node = Any  # a Tensor
Contributions = list[tuple[Node, Any]]


def refuse_bad_gradient(x: Node, g: Node, found: Contributions) -> None:
    for parent, contribution in found:
        if not np.isfinite(contribution).all():
            raise AnomalyError(
                f"backward through {x.op.name} gave {bad_entries(contribution)} for {parent!r}; "
                f"the gradient that came in was {'finite' if np.isfinite(g).all() else 'not finite'}"
            )


def bad_entries(array: ArrayLike) -> str:
    """The number of entries that are not finite, and where the first one is."""
    bad = ~np.isfinite(array)
    first = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(bad)))
    return f"{np.atleast_1d(array)[first]} (first at index {first}, {bad.sum()} of {array.size} entries not finite)"


def refuse_anomaly(operation: Operation | ArrayOperation, y: Node, operands: Sequence[Any]) -> None:
    """Under detect_anomaly: the first NaN or infinity of the forward pass, with its inputs."""
    if not np.isfinite(y).all():
        arrays = [
            (name, getattr(x, "array", x)) for name, x in zip(label_names(operation, operands), operands, strict=True)
        ]
        inputs = "; ".join(
            f"{name}: "
            + (f"{bad_entries(a)}" if not np.isfinite(a).all() else f"min {np.min(a):.4g}, max {np.max(a):.4g}")
            for name, a in ((name, np.asarray(a)) for name, a in arrays)
            if a.size
        )
        raise AnomalyError(f"{operation.name} gave {bad_entries(np.asarray(y))}. Its inputs: {inputs}")


def label_names(operation: Operation | ArrayOperation, operands: Sequence[Any]) -> list[str]:
    """The labels if there are any, else the names of the operation's parameters."""
    parameters = operation.parameters if isinstance(operation, Operation) else operation.arrays
    given = list(parameters) if len(parameters) == len(operands) else [f"array {i}" for i in range(len(operands))]
    return [getattr(x, "label", "") or name for x, name in zip(operands, given, strict=True)]
