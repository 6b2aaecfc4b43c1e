"""Losses: the cost of one entry or one row, written with operations, then reduced to a mean or a sum, or not at all.

`loss(prediction, target, *, reduction="mean", sample_weight=None)` works on arrays, on Tensors and on lists of Values.

reduction: "mean" over all entries (of losses for classes: over rows), "sum", "none" for each one, or "batchmean", the
sum over the number of samples.
sample_weight: a number for each sample (the first axis) or for each entry. The weighted mean is Σ w·ℓ / Σ w, as in
scikit-learn's MLPClassifier and PyTorch's class weights: doubling all weights changes nothing.
Errors: ShapeError if shapes differ (a loss broadcasts nothing) or a mean has no numbers, SettingError for targets or
weights that are NaN or out of range, NameNotFoundError for an unknown reduction.

>>> float(mse([1.0, 3.0], [0.0, 0.0]))
5.0
>>> float(mse([1.0, 3.0], [0.0, 0.0], sample_weight=[3.0, 1.0]))
3.0
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.conversions.conversion import as_plain_array
from tinygrad_edu.core.formulas.readings import numbers_of_frame
from tinygrad_edu.core.losses.targets import (
    class_numbers_or_probabilities,
    classes_or_probabilities,
    from_0_to_1,
    like_prediction,
    plain_numbers,
    plus_or_minus_one,
    positive_setting,
    probabilities,
    quick_shape,
    refuse_text,
)
from tinygrad_edu.core.modes import UNUSUAL
from tinygrad_edu.core.operation import COMPOSED, Composed
from tinygrad_edu.core.shapes import expand_dims
from tinygrad_edu.errors import SettingError, ShapeError, TraceError, unknown_name

Check = Callable[[str, Any, Any], Any]
REDUCTIONS = ("mean", "sum", "none", "batchmean")
COMMON = ("reduction", "sample_weight")


class Loss(Composed):
    """The cost of each entry, `function(prediction, target)`, reduced; `check(name, prediction, target)` gives the
    targets in the form that the function needs, or refuses them.

    link: the operation that turns outputs into predictions of the targets: "sigmoid" if the loss takes logits.
    for_classes: is it for classes rather than numbers? takes_class_numbers: are targets one number for each row?

    >>> mse, float(mse([1.0, 2.0], [1.0, 4.0], reduction="sum"))
    (<loss mse>, 4.0)
    """

    def __init__(
        self, function: Callable[..., Any], check: Check, link: str = "identity", for_classes: bool = False
    ) -> None:
        super().__init__(function, function.__name__)
        self.check, self.link, self.for_classes = check, link, for_classes
        self.takes_class_numbers = check in (classes_or_probabilities, class_numbers_or_probabilities)
        options = list(inspect.signature(function).parameters)[2:]
        self.numbered = "numbered" in options  # whether the loss needs to know if its targets are class numbers
        self.options = ["ignore_index" if name == "kept" else name for name in options if name != "numbered"]

    @property
    def array_function(self) -> Any:
        """The loss itself: it checks its targets and reduces, on arrays too."""
        return self

    def __repr__(self) -> str:
        return f"<loss {self.name}>"

    def __reduce__(self) -> str:
        return self.name

    def __call__(
        self,
        prediction: ArrayLike,
        target: ArrayLike,
        *,
        reduction: str = "mean",
        sample_weight: ArrayLike = None,
        **options: Option,
    ) -> Any:
        quick = self.quick.get(prediction.__class__)
        if quick is not None and not (UNUSUAL or options or sample_weight is not None):
            found = quick(prediction, target, reduction)
            if found is not None:
                return found
        prediction, target = as_floats(as_arrays(prediction)), as_arrays(target)
        if "size_average" in options:  # PyTorch's option before 0.4.1, still used in many courses
            reduction = "sum" if options.pop("size_average") is False else reduction
        if options and not options.keys() <= set(self.options):
            unknown = sorted(options.keys() - set(self.options))
            raise SettingError(f"{self.name} has the settings {', '.join([*self.options, *COMMON])}, not {unknown}")
        if "ignore_index" in options:
            target, options["kept"] = without_ignored(self.name, target, options.pop("ignore_index"))
        if self.numbered:
            options["numbered"] = len(quick_shape(target)) < len(quick_shape(prediction))
        target = in_dtype_of(prediction, self.check(self.name, prediction, target))
        if reduction == "mean":
            refuse_empty(self.name, prediction)
        each = self.function(prediction, target, **options)
        each, counts = each if isinstance(each, tuple) else (each, None)
        return reduce_costs(self.name, each, reduction, sample_weight, counts)


def loss(
    check: Check = like_prediction, link: str = "identity", for_classes: bool = False
) -> Callable[[Callable[..., Any]], Loss]:
    """Declare a loss: the decorated function gives the cost of each entry; `link`, `for_classes`: see Loss."""

    def declare(function: Callable[..., Any]) -> Loss:
        entry = Loss(function, check, link, for_classes)
        COMPOSED[entry.name] = entry
        return entry

    return declare


@loss()
def mse(prediction: ArrayLike, target: ArrayLike) -> Any:
    """(p - t)², in the mean the mean squared error.  p̄ = 2(p - t)/n.

    >>> from tinygrad_edu.core.losses.losses import mse
    >>> float(mse([1.0, 3.0], [1.0, 1.0]))
    2.0
    """
    return ops.squared_error(prediction, target)


@loss()
def mae(prediction: ArrayLike, target: ArrayLike) -> Any:
    """|p - t|, in the mean the mean absolute error.  p̄ = sign(p - t)/n.

    >>> from tinygrad_edu.core.losses.losses import mae
    >>> float(mae([1.0, 3.0], [1.0, 1.0]))
    1.0
    """
    return ops.absolute_error(prediction, target)


@loss()
def huber(prediction: ArrayLike, target: ArrayLike, delta: float = 1.0) -> Any:
    """e²/2 where |e| ≤ δ, else δ(|e| - δ/2), e = p - t.  p̄ = e/n, kept within ±δ/n. (Huber 1964)

    >>> from tinygrad_edu.core.losses.losses import huber
    >>> float(huber([0.5], [0.0])), float(huber([3.0], [0.0]))
    (0.125, 2.5)
    """
    positive_setting("huber", "delta", delta)
    return ops.huber_loss(prediction, target, delta)


@loss(probabilities, for_classes=True)
def bce(prediction: ArrayLike, target: ArrayLike) -> Any:
    """-(t·log p + (1 - t)·log(1 - p)) of probabilities p, each logarithm at least -100 as in PyTorch.

    p̄ = (p - t)/(p(1 - p))/n. For logits, bce_with_logits loses no digits when p is near 0 or 1.

    >>> from tinygrad_edu.core.losses.losses import bce
    >>> round(float(bce([0.5], [1.0])), 4)
    0.6931
    """
    return ops.log_loss(prediction, target)


@loss(from_0_to_1, link="sigmoid", for_classes=True)
def bce_with_logits(prediction: ArrayLike, target: ArrayLike) -> Any:
    """The cross-entropy of p = σ(z) against t in [0, 1]: max(z, 0) - z·t + log(1 + e^(-|z|)).  z̄ = (σ(z) - t)/n.

    >>> from tinygrad_edu.core.losses.losses import bce_with_logits
    >>> round(float(bce_with_logits([0.0], [1.0])), 4), float(bce_with_logits([1000.0], [1.0]))
    (0.6931, 0.0)
    """
    return ops.logistic_loss(prediction, target)


@loss(from_0_to_1, link="sigmoid", for_classes=True)
def delta_rule(prediction: ArrayLike, target: ArrayLike) -> Any:
    """The loss of logits z whose gradient is the delta rule without σ'(z), z̄ = (σ(z) - t)/n.

    That rule is exact for the cross-entropy of σ(z), so this is bce_with_logits; the squared error of σ(z) has the
    gradient (σ(z) - t)·σ'(z), which vanishes where a unit is saturated, right or wrong.

    >>> from tinygrad_edu.core.losses import losses
    >>> from tinygrad_edu.core import ops
    >>> from tinygrad_edu.core.transforms.derivatives import grad
    >>> z = np.array([4.0])  # of a saturated unit whose target is 0
    >>> grad(lambda z: losses.delta_rule(z, [0.0]))(z).round(4)
    array([0.982])
    >>> grad(lambda z: 0.5 * losses.mse(ops.sigmoid(z), [0.0]))(z).round(4)
    array([0.0173])
    """
    return ops.logistic_loss(prediction, target)


@loss(plus_or_minus_one, link="hard_tanh", for_classes=True)
def hinge(prediction: ArrayLike, target: ArrayLike) -> Any:
    """max(1 - p·t, 0) for targets t = -1 or 1.  p̄ = -t/n where p·t < 1, else 0.

    Targets 0 and 1 are refused: a class called 0 would cost 1 whatever the prediction, and never be learned.

    >>> from tinygrad_edu.core.losses.losses import hinge
    >>> float(hinge([0.5, 3.0], [1.0, 1.0]))
    0.25
    """
    return ops.hinge_loss(prediction, target)


@loss(link="exp")
def poisson(prediction: ArrayLike, target: ArrayLike) -> Any:
    """e^z - t·z, for counts t and z the logarithm of the rate, as PyTorch's poisson_nll_loss.  z̄ = (e^z - t)/n.

    scikit-learn's half Poisson deviance adds t·log t - t, which no prediction changes: the gradient is the same.

    >>> from tinygrad_edu.core.losses.losses import poisson
    >>> float(poisson([0.0], [2.0]))
    1.0
    """
    return ops.poisson_loss(prediction, target)


def reduce_costs(name: str, each: ArrayLike, reduction: str, sample_weight: ArrayLike, counts: ArrayLike = None) -> Any:
    """The costs of all entries as one number, weighted; in a mean `counts` says how often each one counts."""
    if reduction not in REDUCTIONS:
        raise unknown_name("reduction", reduction, REDUCTIONS)
    weight = None if sample_weight is None else weight_for(name, each, sample_weight)
    if weight is not None:
        each = each * weight
    if reduction == "none":
        return each
    total = broadcasting.sum(each)
    if reduction == "batchmean":
        return total / (quick_shape(each)[0] * 1.0)
    if reduction == "sum":
        return total
    sum_of_weights = total_weight(each, weight, counts)
    if isinstance(sum_of_weights, (float, np.floating)) and not sum_of_weights:
        return total * 0.0 + math.nan  # all rows are ignored, so the mean is 0/0; as in PyTorch its gradient is 0
    return total / sum_of_weights


def total_weight(each: ArrayLike, weight: ArrayLike, counts: ArrayLike) -> Any:
    """Σ w over all entries: their number if there are no weights."""
    shape = quick_shape(each)
    if counts is not None:
        return broadcasting.sum(counts if weight is None else counts * weight)
    if weight is None:
        return math.prod(shape) * 1.0
    repeats = math.prod(n for n, own in zip(shape, quick_shape(weight), strict=True) if own == 1)
    return broadcasting.sum(weight) * (repeats * 1.0)


def weight_for(name: str, each: ArrayLike, sample_weight: ArrayLike) -> Any:
    """The weights in a shape that broadcasts over the costs: (n,) → (n, 1, ...)."""
    weight = in_dtype_of(each, as_arrays(sample_weight))
    shape, given = quick_shape(each), quick_shape(weight)
    if given != shape and given != shape[:1]:
        raise ShapeError(
            f"{name}: sample_weight has shape {given}; one for each sample would be {shape[:1]}, for each entry {shape}"
        )
    refuse_bad_weights(name, plain_numbers(weight))
    return expand_dims(weight, tuple(range(len(given), len(shape)))) if len(given) < len(shape) else weight


def refuse_bad_weights(name: str, weight: ArrayLike) -> None:
    """Check that weights are finite, none is below 0, and at least one is above."""
    if weight is not None:
        refuse_text(name, "weights", weight)
    if weight is None or (np.isfinite(weight).all() and (weight >= 0.0).all() and weight.any()):
        return
    raise SettingError(
        f"{name}: every sample_weight must be a finite number of at least 0, and at least one must be above 0; these "
        "lie between "
        f"{np.min(weight, initial=math.inf):g} and {np.max(weight, initial=-math.inf):g}"
    )


def without_ignored(name: str, target: ArrayLike, ignored: ArrayLike) -> tuple[Any, Any]:
    """(class numbers with 0 for those that are ignored, 1.0 for each that counts)."""
    labels = plain_numbers(target)
    if labels is None:
        if hasattr(target, "of_samples"):
            np.asarray(target)  # raises: a sample has no numbers, so vmap runs one sample after the other
        raise TraceError(
            f"{name}(ignore_index=) looks at each class number, which a compiled program cannot do: train with "
            "compiled=False, or use sample_weight"
        )
    if labels.dtype.kind not in "iu":
        raise SettingError(f"{name}(ignore_index={ignored!r}) is for class numbers, and the targets are {labels.dtype}")
    kept = labels != ignored
    return np.where(kept, labels, 0), kept * 1.0


def as_arrays(x: ArrayLike) -> Any:
    """Lists and data frames as arrays."""
    return as_plain_array(x) if isinstance(x, (list, tuple)) else numbers_of_frame(x)


def as_floats(x: ArrayLike) -> Any:
    """Whole numbers as floats, since 1 - 2 of small unsigned ones is 255, and booleans have no difference."""
    return x.astype(float) if isinstance(x, np.ndarray) and x.dtype.kind in "iub" else x


def in_dtype_of(like: ArrayLike, numbers: ArrayLike) -> Any:
    """Plain numbers beside a float32 array as float32, so that the loss stays it too."""
    narrow = getattr(like, "dtype", None) == np.float32 and isinstance(numbers, np.ndarray)
    return numbers.astype(np.float32) if narrow and numbers.dtype.kind == "f" else numbers


def refuse_empty(name: str, prediction: ArrayLike) -> None:
    if 0 in quick_shape(prediction):
        raise ShapeError(
            f"{name}: the mean of no numbers is undefined, and the prediction has shape {quick_shape(prediction)}"
        )
