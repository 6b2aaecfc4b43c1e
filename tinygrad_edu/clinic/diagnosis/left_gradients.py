"""What a loop of PyTorch left in `.grad`: is it longer than the gradient of a batch of these samples is?"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
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
LONGER = 1.5  # times; of loops with zero_grad and all samples in a batch the two lengths are equal but for rounding
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
        arrays = module, data_as_array(X), data_as_array(y), how["loss"]
        whole = len(arrays[1]) <= (how["batch_size"] or len(arrays[1]))
        cause = not_of_last_step(*arrays, how["optimizer"]) if whole else None
        cause = cause or gradients_not_reset(*arrays, how["batch_size"] or 1)
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


def not_of_last_step(module: Model, X: Array, y: Array, loss: Any, optimizer: Any) -> FoundCause | None:
    """The cause, of a loop with all samples in a batch: `.grad` has to be the gradient before the last step of SGD."""
    before = before_last_step(module, optimizer)
    if before is None:
        return None
    everything = [np.arange(len(X))] * 2
    right, again = (length(iter(found)) for found in gradients_of_batches(before, X, y, loss, everything))
    left = length(p.grad for p in module.parameters())
    if right != again or not np.isfinite(left) or left <= LONGER * right:  # dropout draws anew each time
        return None
    sentence, remedy = texts_of(CODE)
    return FoundCause(
        CODE, sentence,
        f"The .grad that the loop left has a length of {left:.3g}; the gradient of all samples, with the weights from "
        f"before the last step, has {right:.3g}.",
        f"All samples are in one batch, so the two should be equal. {left / right:.3g} times as long is what several "
        "backward passes add up to, and where the gradients are set back to 0, as in the repetitions, the same "
        "training reaches the goal.",
        remedy,
    )  # fmt: skip


def before_last_step(module: Model, optimizer: Any) -> Model | None:
    """A copy of the module with the weights from before the last step; None where that is not known.

    Plain SGD took w - lr·v, where v is .grad, or the momentum that the optimizer still holds.
    """
    groups, learning = getattr(optimizer, "param_groups", []), [*module.parameters()]
    if type(optimizer).__name__ != "SGD" or any(p.grad is None for p in learning):
        return None
    if any(g.get("nesterov") or g.get("weight_decay") or g.get("maximize") for g in groups):
        return None
    steps = {}
    for group in groups:
        for p in group["params"]:
            moved = optimizer.state[p].get("momentum_buffer") if group.get("momentum") else p.grad
            if moved is None:
                return None
            steps[id(p)] = group["lr"] * moved
    twin = copy.deepcopy(module)
    for p, q in zip(learning, twin.parameters(), strict=True):
        q.data = q.data + steps[id(p)]
    return twin


def holds_all(optimizer: Any, module: Model) -> bool:
    """Does it hold all parameters that learn? Of an optimizer's name this is taken for granted."""
    held = {id(p) for group in getattr(optimizer, "param_groups", []) for p in group["params"]}
    return not held or all(id(p) in held for p in module.parameters() if p.requires_grad)


def summed(loss: Any, times: float) -> float:
    """How many times longer a larger batch may be, of a loss that is a sum over the samples."""
    return times if getattr(loss, "reduction", "mean") == "sum" else 1.0


def lengths_of_batches(module: Model, X: Array, y: Array, loss: Any, size: int) -> Iterator[float]:
    """The length of the gradient of some random batches, by a copy of the module."""
    rng = np.random.default_rng(0)
    rows = (rng.permutation(len(X))[:size] for _ in range(DRAWN))
    yield from (length(iter(found)) for found in gradients_of_batches(copy.deepcopy(module), X, y, loss, rows))


def gradients_of_batches(twin: Model, X: Array, y: Array, loss: Any, batches: Iterable[Array]) -> Iterator[list[Any]]:
    """The gradients of each batch, by a module that may be changed."""
    torch, kind = import_module("torch"), next(p.dtype for p in twin.parameters())
    inputs, targets = (a.to(kind) if a.is_floating_point() else a for a in map(torch.as_tensor, (X, y)))
    for rows in batches:
        twin.train(len(rows) > 1)  # batch normalization takes no single samples
        twin.zero_grad(set_to_none=True)
        loss(twin(inputs[rows]), targets[rows]).backward()
        yield [p.grad.double() for p in twin.parameters() if p.grad is not None]


def length(gradients: Iterator[Any]) -> float:
    return float(np.sqrt(sum(float(g.double().pow(2).sum()) for g in gradients)))
