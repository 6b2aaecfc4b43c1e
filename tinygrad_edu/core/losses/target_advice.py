"""What to write where targets are not what a loss takes: the whole way from the targets given, in one step."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def fix_of_classes(labels: Array, rows: tuple[Any, ...], classes: Any, name: str) -> str:
    """A sentence that says how these labels become class numbers of shape `rows`, from 0 to classes - 1.

    name: of the variable that holds them.

    >>> fix_of_classes(np.array([[-1.0], [1.0]]), (2,), 2, "y"), fix_of_classes(np.array([1, 3]), (2,), 3, "y")
    (' Write (y.ravel() > 0).astype(int)', ' Write y - 1')
    """
    if not isinstance(classes, int):
        return ""
    if classes == 1:
        return " For two classes and one output take bce_with_logits; else give the model an output for each class"
    if not labels.size or math.prod(rows) != labels.size or labels.dtype.kind == "O":  # objects cannot be sorted
        return ""
    if labels.dtype.kind == "f" and not np.isfinite(labels).all():
        return " Remove or replace the samples whose target is NaN or infinite"
    if are_continuous(labels):
        return " These are not class numbers: for numbers take mse"
    made, many = expression_of(labels, classes, flat_name(labels, rows, name)), len(np.unique(labels))
    return (
        f" Write {made}" if made else f" They are {many} classes: give the model an output for each" * (many > classes)
    )


def flat_name(labels: Array, rows: tuple[Any, ...], name: str) -> str:
    """The variable in the shape of the rows."""
    return name if labels.shape == rows else f"{name}.ravel()" if len(rows) == 1 else f"{name}.reshape{rows}"


def expression_of(labels: Array, classes: int, flat: str) -> str:
    """The expression of the class numbers; "" for more kinds of labels than classes, and for a mark such as -1."""
    kinds = np.unique(labels)
    if len(kinds) > classes:
        return ""
    if labels.dtype.kind == "b":
        return f"{flat}.astype(int)"
    if labels.dtype.kind in "fiu":
        whole = "" if labels.dtype.kind in "iu" else ".astype(int)"
        if kinds.tolist() == [-1, 1]:
            return f"({flat} > 0).astype(int)"
        if kinds[0] < 0:
            return ""
        if 0 <= kinds[0] <= kinds[-1] < classes:
            return flat + whole
        if (kinds[0], kinds[-1]) == (1, classes):
            return f"{flat}{whole} - 1"
    return f"np.unique({flat}, return_inverse=True)[1]"


def are_continuous(labels: Array) -> bool:
    """Are they real numbers, and not all whole?"""
    return labels.dtype.kind == "f" and not np.array_equal(labels, np.round(labels))


def fix_of_range(numbers: Array) -> str:
    """What to write where a loss takes targets from 0 to 1, and some lie outside.

    >>> fix_of_range(np.array([0, 1, 2]))
    'Of 3 classes take cross_entropy, with an output for each and the targets as class numbers'
    """
    kinds = np.unique(numbers)
    if set(kinds.tolist()) <= {-1.0, 1.0}:
        return "For classes -1 and 1 use hinge, or write (target + 1)/2"
    if len(kinds) == 2:
        return f"For two classes write (target > {kinds[0]:g}) * 1.0"
    if not are_continuous(numbers) and kinds[0] in (0, 1) and kinds[-1] < len(numbers):
        numbered = "the targets as class numbers" if kinds[0] == 0 else "target - 1 as class numbers"
        return f"Of {int(kinds[-1] - kinds[0]) + 1} classes take cross_entropy, with an output for each and {numbered}"
    return "For numbers outside of 0 to 1 take mse, or scale them: data.min_max"


def fix_of_sign(numbers: Array) -> str:
    """What to write where a loss takes targets -1 and 1; "" if that is not known."""
    kinds = np.unique(numbers)
    if set(kinds.tolist()) <= {0.0, 1.0}:
        return " For classes 0 and 1 write 2*target - 1"
    if len(kinds) > 2 and not are_continuous(numbers) and kinds[0] in (0, 1):
        return f" Of {len(kinds)} classes take cross_entropy or multi_margin, with an output for each"
    return ""


def fix_of_shape(name: str, prediction: tuple[Any, ...], labels: Array | None) -> str:
    """What to write where class numbers (n,) stand beside several outputs (n, k) in a loss that compares them all."""
    whole = labels is not None and labels.dtype.kind in "fiu" and labels.size and not are_continuous(labels)
    columns = prediction[-1] if prediction else 0
    if not whole or not isinstance(columns, int) or columns < 2 or labels is None:
        return ""
    if labels.shape not in (prediction[:-1], (*prediction[:-1], 1)) or not 0 <= labels.min() <= labels.max() < columns:
        return ""
    numbers = expression_of(labels, columns, flat_name(labels, prediction[:-1], "target"))
    instead = "take cross_entropy" if numbers == "target" else f"take cross_entropy with {numbers}"
    return f" For class numbers {instead}, or write np.eye({columns})[{numbers}] for {name}"
