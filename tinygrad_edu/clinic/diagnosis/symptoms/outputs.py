"""What a network's outputs are, where its structure does not say: probabilities, from a class of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.nn.layer_modes import modes_kept

Array = np.ndarray[Any, Any]
ROUNDED = 1e-5  # by which the sum of a row of probabilities may differ from 1, in single precision too
AT_AN_END = 1e-3  # distance from 0 or 1
FAR = 100.0  # factor on the inputs; of a sigmoid this brings some outputs to its ends, and of a line far beyond them
FEWEST = 20  # outputs


def tell_probabilities(record: Record) -> str:
    """What is wrong where the loss takes logits and the outputs are probabilities already; "" where they are not."""
    setup = record.setup
    if not setup.takes_logits or setup.pattern is None or setup.estimator is not None:
        return ""
    seen = [outputs_at(record, k, factor) for k in ("start", "end") for factor in (1.0, FAR, -FAR)]
    if setup.link == "softmax" and all(map(are_shares, seen)):
        what = "each row of outputs sums to 1, as after a softmax"
    elif setup.link == "sigmoid" and all(map(are_between, seen)) and reach_an_end(seen):
        what = "all outputs are between 0 and 1, as after a sigmoid, for inputs that are a hundred times as large too"
    else:
        return ""
    return (
        f"{setup.loss_name} takes logits and has its own {setup.link}; here {what}, before and after training. "
        f"Return the numbers before the {setup.link}."
    )


def outputs_at(record: Record, when: str, factor: float) -> Array:
    """The outputs for the samples times a factor, before or after training; none where they cannot be computed."""
    state = getattr(record, when)
    inputs = state.X * factor if state.X.dtype.kind == "f" else state.X
    try:
        with modes_kept(state.model), no_grad(), np.errstate(all="ignore"):
            return np.asarray(state.model.eval()(inputs), dtype=float)
    except Exception:  # a model of one's own may refuse such inputs
        return np.empty(0)


def are_between(p: Array) -> bool:
    """Numbers from 0 to 1, not few."""
    return p.size >= FEWEST and bool(((p >= 0.0) & (p <= 1.0)).all())


def are_shares(p: Array) -> bool:
    """Rows of several numbers from 0 to 1 whose sum is 1."""
    return are_between(p) and p.ndim > 1 and p.shape[1] > 1 and bool((np.abs(p.sum(axis=1) - 1.0) < ROUNDED).all())


def reach_an_end(seen: list[Array]) -> bool:
    """Is an output close to 0 or 1, while others are not? Numbers of any size would have gone beyond."""
    p = np.concatenate([x.ravel() for x in seen])
    near = np.minimum(p, 1.0 - p) < AT_AN_END
    return bool(near.any() and not near.all() and np.ptp(p) > 0.5)
