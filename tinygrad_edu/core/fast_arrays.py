"""Operations on whole Tensors, written out like the operators in `fast_tensors.py`: skip this file, too.

`ArrayOperation.call` sorts arguments, asks for the back end, copies indices and looks at what comes out. Here the usual
calls of the usual rows go straight to NumPy, and every other call is handed to the general form.
`tests/core/test_array_pulls.py` holds the two against each other, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis, Node, Option
from tinygrad_edu.core.broadcasting import REDUCE, sum
from tinygrad_edu.core.operation import ArrayOperation
from tinygrad_edu.core.reductions import log_softmax, logsumexp, mean, softmax
from tinygrad_edu.core.shapes import getitem, reshape, transpose

PLAIN = (int, slice, type(None), type(Ellipsis))  # what in an index cannot be written to later


def install_for_arrays(tensor: type, record: Callable[..., Any], protect_view: Callable[..., Any]) -> None:
    """Give the quick forms for Tensors to their rows."""
    for row, default in (reshape, ()), (transpose, (None,)), (getitem, ()):
        row.quick[tensor] = one_option(row, default, record, protect_view)
    sum.quick[tensor] = sum_of(record)
    mean.quick[tensor] = mean_of
    general = logsumexp.array_function
    softmax.array_function = lambda x, axis=-1: normalized(x, axis, general, np.exp)
    log_softmax.array_function = lambda x, axis=-1: normalized(x, axis, general, None)


def one_option(
    row: ArrayOperation, default: tuple[Any, ...], record: Callable[..., Any], protect_view: Callable[..., Any]
) -> Callable[..., Any]:
    """An operation of one array and one option, which is given by position."""
    function, (name,) = row.array_function, row.options

    def form(x: Node, *given: Axis, **options: Option) -> Any:
        given = given or default
        if len(given) != 1 or options:
            return row.call((x, *given), options)
        (value,) = given
        if value.__class__ is np.ndarray:
            value = value.copy()
        elif value.__class__ is tuple:
            for part in value:
                if part.__class__ not in PLAIN:
                    return row.call((x, value), {})
        elif value.__class__ not in PLAIN:
            return row.call((x, value), {})
        try:
            y = function(x.array, value)
        except (ValueError, IndexError, TypeError):
            return row.call((x, value), {})  # for its explanation
        made = record(row, y, (x,), {name: value})
        return made if made.array.base is None else protect_view(made)

    return form


def sum_of(record: Callable[..., Any]) -> Callable[..., Any]:
    """Σ x, its options given by name."""

    def form(x: Node, *given: Axis, **options: Option) -> Any:
        if given or not options.keys() <= sum.options.keys():
            return sum.call((x, *given), options)
        axis, keepdims = options.get("axis"), options.get("keepdims", False)
        if axis.__class__ not in (int, tuple, type(None)) or keepdims.__class__ is not bool:
            return sum.call((x,), options)
        try:
            y = REDUCE["sum"](x.array, axis=axis, keepdims=keepdims)
        except (ValueError, TypeError):
            return sum.call((x,), options)  # for its explanation
        return record(sum, y, (x,), {"axis": axis, "keepdims": keepdims})

    return form


def mean_of(x: Node, *given: Axis, **options: Option) -> Any:
    """The sum over the number of what was summed, which need not be counted along the axes."""
    if given or not options.keys() <= sum.options.keys():
        return mean.call((x, *given), options)
    total = sum(x, **options)
    return total / (x.array.size / total.array.size) if total.array.size else mean.call((x,), options)


def normalized(x: ArrayLike, axis: Axis, general: Callable[..., Any], last: Callable[..., Any] | None) -> Any:
    """x - log Σ eˣ along an axis, and `last` of it: the steps of `logsumexp` in one array."""
    if x.ndim == 0 or not x.size or axis.__class__ is not int:
        total = general(x, axis, True)
    else:
        largest = np.maximum.reduce(x, axis=axis, keepdims=True)
        square = float(np.vdot(largest, largest))
        if square - square != 0.0:  # one of them is infinite or NaN, or very large
            total = general(x, axis, True)
        else:
            shifted = x - largest
            total = np.add.reduce(np.exp(shifted, shifted), axis=axis, keepdims=True)
            np.add(np.log(total, total), largest, total)
    found = x - total
    return found if last is None else last(found)
