"""What a loop of PyTorch left in `.grad`: is it longer than the gradient of a batch of these samples is?"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.causes.table import texts_of
from tinygrad_edu.clinic.diagnosis.facts.foreign import data_as_array
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.core.aliases import Model, Samples

Array = np.ndarray[Any, Any]
TIMES = 4.0  # for batches as large as the loop's, 16 loops with zero_grad gave 0.6 to 1, and 13 without 0.5 to 9600
DRAWN = 40  # batches
MOST = 16  # samples of a batch: smaller ones have longer gradients, so that it matters little if the size told is wrong
CODE = "gradients_not_reset"


def with_gradients_not_reset(
    found: Diagnosis, module: Model, X: Samples, y: Samples, how: Mapping[str, Any]
) -> Diagnosis:
    """The diagnosis of a run that the repetitions do not repeat, with this as its cause where the module shows it."""
    if found.healthy is not None or found.goal is None or not callable(how["loss"]) or X is None or y is None:
        return found
    if not holds_all(how["optimizer"], module):  # its zero_grad leaves the others alone, which is another fault
        return found
    try:
        cause = gradients_not_reset(module, data_as_array(X), data_as_array(y), how["loss"], how["batch_size"] or 1)
    except Exception:  # the user's forward may raise anything
        return found
    if cause is None:
        return found
    return replace(found, healthy=False, causes=[cause], summary=f"{found.summary} The likely cause: {CODE}.")


def gradients_not_reset(module: Model, X: Array, y: Array, loss: Any, batch: int) -> FoundCause | None:
    """The cause, if `.grad`, the gradient of the last batch, is several times longer than that of any drawn now."""
    learning = [p for p in module.parameters() if p.requires_grad]
    size = min(batch, MOST, len(X))
    if not learning or any(p.grad is None for p in learning):
        return None
    left, longest = length(p.grad for p in learning), max(lengths_of_batches(module, X, y, loss, size))
    if not np.isfinite(left) or not np.isfinite(longest) or left <= TIMES * longest * summed(loss, batch / size):
        return None
    sentence, remedy = texts_of(CODE)
    return FoundCause(
        CODE, sentence,
        f"The .grad that the loop left has a length of {left:.3g}; of {DRAWN} random batches of {size}, with the "
        f"weights as they are, none gives more than {longest:.3g}.",
        f"{left / longest:.3g} times as long as any of these is what several backward passes add up to, and where the "
        "gradients are set back to 0, as in the repetitions, the same training reaches the goal.",
        remedy,
    )  # fmt: skip


def holds_all(optimizer: Any, module: Model) -> bool:
    """Does it hold all parameters that learn? Of an optimizer's name this is taken for granted."""
    held = {id(p) for group in getattr(optimizer, "param_groups", []) for p in group["params"]}
    return not held or all(id(p) in held for p in module.parameters() if p.requires_grad)


def summed(loss: Any, times: float) -> float:
    """How many times longer a larger batch may be, of a loss that is a sum over the samples."""
    return times if getattr(loss, "reduction", "mean") == "sum" else 1.0


def lengths_of_batches(module: Model, X: Array, y: Array, loss: Any, size: int) -> Iterator[float]:
    """The length of the gradient of some random batches, by a copy of the module."""
    torch, twin, rng = import_module("torch"), copy.deepcopy(module), np.random.default_rng(0)
    kind = next(p.dtype for p in twin.parameters())
    twin.train(size > 1)  # batch normalization takes no single samples
    inputs, targets = (a.to(kind) if a.is_floating_point() else a for a in map(torch.as_tensor, (X, y)))
    for _ in range(DRAWN):
        rows = rng.permutation(len(X))[:size]
        twin.zero_grad(set_to_none=True)
        loss(twin(inputs[rows]), targets[rows]).backward()
        yield length(p.grad for p in twin.parameters() if p.grad is not None)


def length(gradients: Iterator[Any]) -> float:
    return float(np.sqrt(sum(float(g.double().pow(2).sum()) for g in gradients)))
