"""Losses for classes: z or log p (..., classes), and one class number or one row of probabilities for each row.

`weight`, a number for each class: a row counts as much as its class, and the mean is weighted accordingly.
`ignore_index`, a class number whose rows cost nothing and do not count. Names, arguments and numbers are those of
torch.nn.functional, except that the classes are always on the last axis.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.losses.losses import as_arrays, in_dtype_of, loss
from tinygrad_edu.core.losses.targets import (
    are_class_numbers,
    class_numbers_or_probabilities,
    classes_or_probabilities,
    float_dtype,
    one_hot,
    plain_numbers,
    positive_setting,
    quick_shape,
    refuse_targets,
)
from tinygrad_edu.core.reductions import log_softmax
from tinygrad_edu.core.shapes import getitem
from tinygrad_edu.errors import ShapeError


@loss(class_numbers_or_probabilities, for_classes=True, link="softmax")
def cross_entropy(
    prediction: ArrayLike,
    target: ArrayLike,
    weight: ArrayLike = None,
    label_smoothing: float = 0.0,
    kept: ArrayLike = None,
    numbered: bool = True,
) -> Any:
    """-Σ t·log softmax(z) of each row of z (rows, classes), or of one row (classes,).  z̄ = (softmax(z)·Σt - t)/rows.

    `label_smoothing`, ε: t becomes (1 - ε)·t + ε/classes.

    >>> from tinygrad_edu.core.losses.class_losses import cross_entropy
    >>> round(float(cross_entropy([[0.0, 0.0]], [1])), 4), abs(float(cross_entropy([[0.0, 1000.0]], [1])))
    (0.6931, 0.0)
    >>> round(float(cross_entropy([[0.0, 0.0], [9.0, 0.0]], [1, -1], ignore_index=-1)), 4)
    0.6931
    """
    if label_smoothing.__class__ is not float or label_smoothing != 0.0:
        checks.number("label_smoothing", label_smoothing, "[0, 1]", "cross_entropy")
    return of_rows("cross_entropy", log_softmax(prediction), target, weight, label_smoothing, kept, numbered)


@loss(class_numbers_or_probabilities, for_classes=True, link="exp")
def nll(
    prediction: ArrayLike, target: ArrayLike, weight: ArrayLike = None, kept: ArrayLike = None, numbered: bool = True
) -> Any:
    """-Σ t·log p of each row of logarithms log p (rows, classes), as log_softmax makes them; torch's nll_loss.

    >>> from tinygrad_edu.core.losses.class_losses import nll
    >>> round(float(nll(np.log([[0.25, 0.75]]), [1])), 4)
    0.2877
    """
    return of_rows("nll", prediction, target, weight, 0.0, kept, numbered)


def of_rows(
    name: str, logs: ArrayLike, target: ArrayLike, weight: ArrayLike, smoothing: float, kept: ArrayLike, numbered: bool
) -> tuple[Any, Any]:
    """(-Σ w·t·log p of each row, the weight of each row in a mean)."""
    classes = quick_shape(logs)[-1]
    if not smoothing and numbered and picker(logs, target) is not None:
        return of_class_numbers(name, logs, target, weight, kept)
    target = one_hot(target, classes, float_dtype(logs)) if are_class_numbers(target) else target
    smooth = target if not smoothing else target * (1.0 - smoothing) + smoothing / classes
    if weight is None:
        each, counts = -broadcasting.sum(weigh_scores(logs, smooth), axis=-1), kept
    else:
        weight = class_weights(name, weight, logs)
        each = -broadcasting.sum(weigh_scores(logs, smooth * weight), axis=-1)
        counts = broadcasting.sum(target * weight, axis=-1)
        counts = counts if kept is None else counts * kept
        counts = counts if numbered else None  # with probabilities as targets the mean is over the rows
    return (each if kept is None else ops.where(kept > 0.0, each, 0.0)), counts


def weigh_scores(scores: ArrayLike, by: ArrayLike) -> Any:
    """scores·by, where what has the weight 0 costs nothing: a class may be masked out by a logit of -inf.

    A finite score stays, being the derivative by its weight. Numbers are looked at first, because eager selections
    take 3 µs each; what is traced or made of Values selects.
    """
    numbers = plain_numbers(scores)
    if numbers is None or not np.isfinite(numbers).all():
        infinite = ops.not_equal(scores - scores, 0.0) if numbers is None else ~np.isfinite(numbers)  # inf - inf: NaN
        scores = ops.where(ops.equal(by, 0.0) * infinite, 0.0, scores)
    return scores * by


def of_class_numbers(
    name: str, logs: ArrayLike, target: ArrayLike, weight: ArrayLike, kept: ArrayLike
) -> tuple[Any, Any]:
    """The cost for class numbers: pick the logarithm of each row's class, even if others are -∞ (ruled out)."""
    pick = picker(logs, target)
    each, counts = -pick(logs), kept
    if weight is not None:
        counts = pick(class_weights(name, weight, logs))
        each, counts = each * counts, counts if kept is None else counts * kept
    return (each if kept is None else ops.where(kept > 0.0, each, 0.0)), counts


def picker(logs: ArrayLike, target: ArrayLike) -> Any:
    """The function that takes each row's entry for its class; None for Values, whose pictures show the targets."""
    if hasattr(logs, "rows_of"):  # in a trace the targets are boolean rows (True at the class)
        return lambda x: broadcasting.sum(ops.where(target, x, 0.0), axis=-1)
    if not are_class_numbers(target) or getattr(logs, "dtype", None) != float_dtype(logs):
        return None
    rows = (np.arange(target.size),) if target.ndim == 1 else tuple(np.indices(target.shape, sparse=True))
    return lambda x: getitem(x, (*rows, target) if x is logs else target)


def class_weights(name: str, weight: ArrayLike, logs: ArrayLike) -> Any:
    """One finite number of at least 0 for each class. Errors: ShapeError, SettingError."""
    weight = in_dtype_of(logs, as_arrays(weight))
    if quick_shape(weight) != quick_shape(logs)[-1:]:
        raise ShapeError(
            f"{name}: weight has shape {quick_shape(weight)}; one for each class is {quick_shape(logs)[-1:]}"
        )
    numbers = plain_numbers(weight)
    if numbers is not None:
        refuse_targets(
            name, numbers, ~np.isfinite(numbers) | (numbers < 0.0), "as the weight of a class is not finite or below 0"
        )
    return weight


@loss()
def kl_div(prediction: ArrayLike, target: ArrayLike, log_target: bool = False) -> Any:
    """t·(log t - log p) of log p and probabilities t, or their logarithms with `log_target`; 0 where t = 0.

    The mean is over all entries, as in PyTorch; the divergence of each row, on average, is reduction="batchmean".
    (Kullback and Leibler 1951)

    >>> from tinygrad_edu.core.losses.class_losses import kl_div
    >>> round(float(kl_div(np.log([[0.5, 0.5]]), [[1.0, 0.0]], reduction="batchmean")), 4)
    0.6931
    """
    if log_target:
        return ops.exp(target) * (target - prediction)
    numbers = plain_numbers(target)
    if numbers is not None:
        refuse_targets("kl_div", numbers, numbers < 0.0, "is not a probability: logarithms need log_target=True")
    some = target != 0.0  # log of a negative target gives NaN; in a trace it cannot be refused
    return ops.where(some, target * (ops.log(ops.where(some, target, 1.0)) - prediction), 0.0)


@loss(classes_or_probabilities, for_classes=True)
def multi_margin(
    prediction: ArrayLike, target: ArrayLike, p: int = 1, margin: float = 1.0, weight: ArrayLike = None
) -> Any:
    """Σ max(margin - z_t + z_j, 0)ᵖ over the wrong classes j, over the number of classes: the multiclass hinge loss.

    `p`, 1 or 2. With `weight` each row costs as much as its class says, and the mean is over the rows.
    (Crammer and Singer 2001; in the form of Weston and Watkins 1999, as torch's multi_margin_loss)

    >>> from tinygrad_edu.core.losses.class_losses import multi_margin
    >>> float(multi_margin([[0.0, 0.5, 2.0]], [1]))
    1.0
    """
    checks.one_of("p", p, (1, 2), "multi_margin")
    positive_setting("multi_margin", "margin", margin)
    right = broadcasting.sum(weigh_scores(prediction, target), axis=-1, keepdims=True)
    excess = ops.relu(margin - right + prediction)
    wrong = (excess if p == 1 else excess * excess) * (1.0 - target)
    each = broadcasting.sum(wrong, axis=-1) / (quick_shape(prediction)[-1] * 1.0)
    if weight is None:
        return each
    return each * broadcasting.sum(target * class_weights("multi_margin", weight, prediction), axis=-1)
