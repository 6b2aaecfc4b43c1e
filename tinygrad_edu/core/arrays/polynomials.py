"""Polynomials: their values, and the powers that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.formulas.whole_numbers import is_mask
from tinygrad_edu.core.operation import compose
from tinygrad_edu.core.shapes import stack
from tinygrad_edu.errors import ShapeError


@compose(method=False)
def polyval(p: ArrayLike | Sequence[Any], x: ArrayLike) -> Any:
    """p[0]·xⁿ + ... + p[n], by Horner's rule; `p`, the coefficients, that of the highest power first.

    >>> polyval([1.0, 0.0, -2.0], 3.0)
    7.0
    """
    x = np.asarray(x) if isinstance(x, (list, tuple)) else x
    y: Any = x * (False if is_mask(x) else 0)
    for i in range(len(p)):
        y = y * x + p[i]
    return y


@compose(method=False)
def vander(x: ArrayLike, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of each number of x (n,) as a row: (n, N), the highest first unless `increasing`; N is n by default.

    >>> vander(np.array([2.0, 3.0]), 3).tolist()
    [[4.0, 2.0, 1.0], [9.0, 3.0, 1.0]]
    """
    if np.ndim(x) != 1:
        raise ShapeError(f"vander takes one row of numbers, and x has shape {np.shape(x)}")
    columns = np.shape(x)[0] if N is None else N
    if columns < 1:
        raise ShapeError(f"vander(N={N}) of {np.shape(x)[0]} numbers would have no columns")
    powers: list[Any] = [x**0.0]
    for _ in range(1, columns):
        powers.append(powers[-1] * x)
    return stack(powers if increasing else powers[::-1], axis=-1)
