"""What the targets of a loss may be: numbers are checked. In a trace there are none yet; there a target that the loss
does not take becomes NaN, and so does the loss, unless all targets have been checked before (`mark_checked`)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.losses.target_advice import fix_of_classes, fix_of_range, fix_of_shape, fix_of_sign
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError


def plain_numbers(x: ArrayLike) -> Any:
    """The plain numbers of an array, a list or a Tensor; None for Values and for what is being traced."""
    if MODES.tensor_trace is not None and hasattr(x, "parents"):
        return None
    array = np.asarray(getattr(x, "to_check" if hasattr(x, "to_check") else "array", x))
    return None if array.dtype.kind == "O" else array


def mark_checked(target: ArrayLike) -> Any:
    """Targets of which the numbers have been checked before they were traced."""
    if hasattr(target, "checked"):
        target.checked = True
    return target


def are_unknown(target: ArrayLike) -> bool:
    """Is it being traced, with numbers that have not been checked?"""
    return MODES.tensor_trace is not None and hasattr(target, "parents") and not getattr(target, "checked", False)


def quick_shape(x: ArrayLike) -> tuple[Any, ...]:
    """np.shape, which takes 2 µs to ask a Tensor."""
    shape = getattr(x, "shape", None)
    return np.shape(x) if shape is None else shape


def like_prediction(name: str, prediction: ArrayLike, target: ArrayLike) -> Any:
    """Finite numbers in the prediction's shape: (n,) against (n, 1) would silently compare all pairs."""
    p, t = quick_shape(prediction), quick_shape(target)
    if p != t:
        fix = f" Did you mean target.reshape{p}?" if sizes_agree(p, t) else fix_of_shape(name, p, plain_numbers(target))
        raise ShapeError(f"{name}: prediction {p} and target {t} differ in shape.{fix}")
    numbers = plain_numbers(target)
    if numbers is not None:
        refuse_text(name, "targets", numbers)
        refuse_targets(name, numbers, not_finite(numbers), "is not a finite number: remove or replace such samples")
    return target


def not_finite(numbers: ArrayLike) -> Any:
    """Where numbers are NaN or infinite; False if none is. The sum of squares is tested first: 0.5 µs, not 3."""
    if numbers.dtype.kind != "f":
        return False
    # infinite or NaN if an entry is; unlike sum, without a warning for inf - inf
    square = float(np.vdot(numbers, numbers))
    return False if square - square == 0.0 else ~np.isfinite(numbers)


def refuse_text(name: str, what: str, numbers: ArrayLike) -> None:
    if numbers.dtype.kind not in "fiub":
        raise DtypeError(f"{name}: {what} are real numbers, not {numbers.dtype}")


def refuse_targets(name: str, numbers: ArrayLike, bad: ArrayLike, why: str) -> None:
    """Name the first bad target and its place."""
    if np.any(bad):
        at = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(bad)))
        raise SettingError(f"{name}: target {np.atleast_1d(numbers)[at]} at index {at} {why}")


def sizes_agree(a: tuple[Any, ...], b: tuple[Any, ...]) -> bool:
    """Do both hold as many numbers? Named sizes are not asked, because that would become a condition of the trace."""
    return all(isinstance(n, int) for n in (*a, *b)) and bool(np.prod(a) == np.prod(b))


def probabilities(name: str, prediction: ArrayLike, target: ArrayLike) -> Any:
    """Predictions and targets between 0 and 1."""
    target, numbers = from_0_to_1(name, prediction, target), plain_numbers(prediction)
    if outside(numbers):
        raise SettingError(
            f"{name} takes probabilities, and the prediction lies between {numbers.min():g} and {numbers.max():g}: "
            "give logits to bce_with_logits, or end the model with a sigmoid"
        )
    return target


def from_0_to_1(name: str, prediction: ArrayLike, target: ArrayLike) -> Any:
    """Targets between 0 and 1."""
    target = in_shape(name, prediction, target, lambda x: fix_of_range(x) if outside(x) else "")
    numbers = plain_numbers(target)
    if outside(numbers):
        bad = (numbers < 0.0) | (numbers > 1.0)
        refuse_targets(name, numbers, bad, f"is not between 0 and 1. {fix_of_range(numbers)}")
    return ops.where(target * (1.0 - target) >= 0.0, target, math.nan) if are_unknown(target) else target


def in_shape(name: str, prediction: ArrayLike, target: ArrayLike, fix: Callable[[Any], str]) -> Any:
    """`like_prediction`, whose error says in the same breath what is wrong with the numbers."""
    try:
        return like_prediction(name, prediction, target)
    except ShapeError as error:
        numbers = plain_numbers(target)
        more = fix(numbers) if numbers is not None and numbers.size and numbers.dtype.kind in "fiub" else ""
        raise ShapeError(f"{error} {more.strip()}".strip()) from None


def outside(numbers: ArrayLike) -> bool:
    """Are there numbers below 0 or above 1?"""
    return numbers is not None and numbers.size > 0 and bool(numbers.min() < 0.0 or numbers.max() > 1.0)


def plus_or_minus_one(name: str, prediction: ArrayLike, target: ArrayLike) -> Any:
    """Targets -1 and 1."""
    target = in_shape(name, prediction, target, fix_of_sign)
    numbers = plain_numbers(target)
    if numbers is not None:
        bad = np.abs(numbers * 1.0) != 1.0
        if bad.any():
            refuse_targets(name, numbers, bad, f"is neither -1 nor 1.{fix_of_sign(numbers)}")
    return ops.where(ops.abs(target) == 1.0, target, math.nan) if are_unknown(target) else target


def classes_or_probabilities(name: str, logits: ArrayLike, target: ArrayLike) -> Any:
    """Class indices as rows of 0 and 1; rows of probabilities as they are."""
    found = class_numbers_or_probabilities(name, logits, target)
    return one_hot(found, quick_shape(logits)[-1], float_dtype(logits)) if are_class_numbers(found) else found


def class_numbers_or_probabilities(name: str, logits: ArrayLike, target: ArrayLike) -> Any:
    """Class indices, each of which has a column, where they are known; otherwise as `classes_or_probabilities`."""
    shape, labels = quick_shape(logits), plain_numbers(target)
    if quick_shape(target) == shape and shape and (labels is None or labels.dtype.kind == "f"):
        return like_prediction(name, logits, target)
    rows_of = getattr(logits, "rows_of", None)  # in a trace sizes are symbolic, and labels may have no numbers
    if rows_of is not None and shape and quick_shape(target) == shape[:-1]:
        return rows_of(target)
    if labels is None:
        return untraceable(name, shape, quick_shape(target))
    refuse_text(name, "targets", labels)
    if labels.shape == shape and (labels.dtype.kind not in "iu" or shape[-1] != 1):
        return labels.astype(float_dtype(logits))
    variable = "target.data" if hasattr(target, "parents") else "target"
    if labels.shape != shape[:-1] or labels.dtype.kind not in "iu":
        raise ShapeError(
            f"{name}: logits of shape {shape} need integer classes of shape {shape[:-1]} or probabilities "
            f"of shape {shape}; the targets have shape {labels.shape} and dtype {labels.dtype}"
            f"{swapped(name, shape, labels) or whole_numbers(labels, shape, variable)}"
        )
    refuse_classes(name, labels, shape[-1], variable)
    return labels


def swapped(name: str, logits: tuple[Any, ...], labels: ArrayLike) -> str:
    """What to write where class numbers stand in the place of the logits."""
    many = labels.ndim == len(logits) + 1 and labels.shape[:-1] == logits
    return f". Are the two swapped? Write {name}(logits, classes)" if many else ""


def whole_numbers(labels: ArrayLike, logits: tuple[Any, ...], variable: str) -> str:
    """What to write for class numbers that are floats, or stand in a column."""
    fix = fix_of_classes(labels, logits[:-1], logits[-1], variable) if logits else ""
    return f": class numbers are plain integers.{fix}" if fix else ""


def refuse_classes(name: str, labels: ArrayLike, classes: int, variable: str = "target") -> None:
    """Name a class number that has no column."""
    if labels.size and not 0 <= np.minimum.reduce(labels, None) <= np.maximum.reduce(labels, None) < classes:
        outside = labels[(labels < 0) | (labels >= classes)].flat[0]
        ends = f"0..{classes - 1}: the logits have {classes} column{'s' * (classes != 1)}"
        fix = fix_of_classes(labels, labels.shape, classes, variable)
        raise SettingError(f"{name}: class {outside} is outside {ends}.{fix}".removesuffix("."))


def rows_of_classes(labels: ArrayLike, classes: int) -> Any:
    """The class numbers of a batch, inside vmap, as boolean rows: True at the class."""
    numbers = plain_numbers(labels)
    if numbers is None or numbers.dtype.kind not in "iu":
        kind = "numbers of a graph" if numbers is None else numbers.dtype
        raise DtypeError(f"inside vmap the classes of a loss are arrays of integers, not {kind}")
    refuse_classes("the loss", numbers, classes)
    return one_hot(numbers, classes, bool)


def are_class_numbers(target: ArrayLike) -> bool:
    """Did `class_numbers_or_probabilities` leave them numbers?"""
    return target.__class__ is np.ndarray and target.dtype.kind in "iu"


def one_hot(labels: ArrayLike, classes: int, dtype: Option) -> Any:
    """Class 2 of 3 as the row 0, 0, 1."""
    rows = np.zeros((labels.size, classes), dtype)
    rows[np.arange(labels.size), labels.reshape(-1)] = 1.0
    return rows.reshape(*labels.shape, classes)


def untraceable(name: str, logits: tuple[Any, ...], target: tuple[Any, ...]) -> Any:
    raise ShapeError(
        f"{name}: logits {logits} and target {target} differ in shape. With Values, give classes as one row of "
        "probabilities for each sample"
    )


def float_dtype(logits: ArrayLike) -> Any:
    """The logits' own dtype; float64 for lists and Values."""
    dtype = getattr(logits, "dtype", None)
    return dtype if dtype is not None and dtype.kind == "f" else np.dtype(float)


def positive_setting(name: str, setting: str, number: ArrayLike) -> None:
    """A setting above 0."""
    if not hasattr(number, "parents"):
        checks.number(setting, number, "(0, inf)", name)
