"""Why a run ended, in one sentence with numbers."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.modes import detect_anomaly
from tinygrad_edu.errors import AnomalyError, CompileError
from tinygrad_edu.nn.parameters import needs_gradient
from tinygrad_edu.train.batches import batches, step
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.snapshot import Snapshot
from tinygrad_edu.train.stopping import PATIENCE

OWN_NAN = (
    "the compiled gradient is 0 times infinity, which is NaN (or a weight was infinite from the start); operation by "
    "operation, with compiled=False, it counts as 0"
)

INEXACT = (
    "forward or the loss computes whole numbers beyond {:,}, which the program's {} does not hold exactly (or 0 times "
    "infinity); operation by operation, with compiled=False, NumPy computes them"
)


def reason(job: Job, interrupted: bool = False, stopped: bool = False) -> str:
    """Why a run without NaN ended."""
    done, s = len(job.losses), job.settings
    if interrupted:
        return f"interrupted after {done} of {s.epochs} epochs"
    if job.progress.callback_reason:
        return job.progress.callback_reason
    if stopped and job.progress.rule[PATIENCE]:
        what = "validation loss" if job.held_out else "loss"
        improved = f"improved by less than {s.tol:g} (relative)" if s.tol else "did not improve"
        return f"stopped after {done} epochs: the {what} {improved} for {s.patience} epochs in a row"
    if stopped:
        curve = job.progress.validation or job.losses
        return (
            f"converged after {done} epochs: the loss changed by {abs(curve[-1] - curve[-2]):.2g}, "
            f"at most {s.tol:g} of itself"
        )
    return f"all {done} epochs done" if done != 1 else "1 epoch done"


def bad_reason(job: Job, order: ArrayLike) -> str:
    """Why a run ended that met NaN or infinity in the epoch with this order; the model is as before it."""
    done, what = len(job.losses), not_finite_eagerly(job, order) or "loss"
    if spoilt := next(
        (name for name, p in job.model.named_parameters() if needs_gradient(p) and not np.isfinite(p.data).all()), ""
    ):
        return (
            f"stopped in epoch {done + 1}: {spoilt} held NaN or infinity before it, and no step can mend that; give it "
            "finite numbers, or set its requires_grad = False"
        )
    return (
        f"stopped in epoch {done + 1}: the {what} became NaN or infinite{first_bad(job, order)}; the model is as after "
        f"epoch {done}; try a smaller learning rate than {job.optimizer.lr:g}"
    )


def not_finite_eagerly(job: Job, order: ArrayLike) -> str:
    """What becomes NaN or infinite in this epoch, operation by operation: the loss, the weights, or "" for nothing."""
    before = Snapshot(job.model, job.optimizer)
    try:
        with np.errstate(all="ignore"):
            if not all(math.isfinite(step(job, rows)) for rows in batches(job, order)):
                return "loss"
            return "" if math.isfinite(before.distance()) else "weights"  # infinite too if its square overflows
    finally:
        before.restore()


def refuse_own_nan(job: Job, order: ArrayLike, why: str) -> None:
    """Errors: CompileError, which says why, where only a program comes to NaN in this epoch."""
    if not not_finite_eagerly(job, order):
        raise CompileError(f"epoch {len(job.losses) + 1}: {why}")


def first_bad(job: Job, order: ArrayLike) -> str:
    """The place, found by repeating the epoch and checking every operation."""
    before, all_batches = Snapshot(job.model, job.optimizer), list(batches(job, order))
    try:
        with detect_anomaly(), np.errstate(all="ignore"):
            for i, rows in enumerate(all_batches):
                place = f" in batch {i + 1} of {len(all_batches)}"
                step(job, rows)
    except AnomalyError as error:
        return f"{place}, where {error}"
    finally:
        before.restore()
    return ""
