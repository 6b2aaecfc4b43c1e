"""What is to be compiled for a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.core.conversions.printing import preview
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TraceError
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.train.job import NOTHING_TO_TRAIN

Rule = Callable[..., tuple[Any, ...]]
MEMORY_NAMES = ("m0", "m1", "m2")


@dataclass(frozen=True)
class CompiledTask:
    """What is compiled: the loss of a batch, the parameters that it is differentiated by, and the update rule.

    clip_norm, clip_value: are gradients scaled down to a length, or their entries cut to a size? Both bounds are given
        at run time, so that another bound needs no other program.
    stops: (stopping, loss) → bool in arithmetic of an array's entries, asked after each epoch; None to go on.
    """

    loss: Callable[..., Any]  # (x, y, ...) → one number
    parameters: Sequence[Tensor]
    rule: Rule
    settings: Mapping[str, Any]
    memories: int
    dtype: str
    accurate: bool = False
    clip_norm: bool = False
    stops: Callable[[Any, float], Any] | None = None
    clip_value: bool = False


def refuse_frozen(optimizer: Optimizer) -> None:
    """A parameter that needs no gradient gets no update. Errors: TraceError."""
    frozen = [p for p in optimizer.params if isinstance(p, Tensor) and not p.requires_grad]
    if frozen:
        name = frozen[0].label or preview(frozen[0])
        raise TraceError(
            NOTHING_TO_TRAIN
            if len(frozen) == len(optimizer.params)
            else f"the optimizer holds {name}, whose requires_grad is False: make it anew, without groups, after the "
            "parameters are frozen"
        )
