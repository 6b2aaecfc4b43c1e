"""What type checkers are told of Tensors, so that `np.mean((x @ W - y) ** 2).backward()` passes. Nothing here runs.

NumPy's stubs take whatever has `__array__` for an array: the mean of a Tensor would be a float to them, and a float has
no `backward`. Where an argument is Any, or an array of objects that they do not know, they leave the result open.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tinygrad_edu.core.operators import Operators


class Arithmetic(Operators):
    """The operators of a Tensor, whose results NumPy's stubs shall not take for arrays."""

    __slots__ = ()

    count: None  # None, or the type stubs take a Tensor for a nested sequence of floats, whose mean is a float

    def __add__(self, other: Any) -> Any: ...
    def __radd__(self, other: Any) -> Any: ...
    def __sub__(self, other: Any) -> Any: ...
    def __rsub__(self, other: Any) -> Any: ...
    def __mul__(self, other: Any) -> Any: ...
    def __rmul__(self, other: Any) -> Any: ...
    def __truediv__(self, other: Any) -> Any: ...
    def __rtruediv__(self, other: Any) -> Any: ...
    def __pow__(self, other: Any) -> Any: ...
    def __rpow__(self, other: Any) -> Any: ...
    def __matmul__(self, other: Any) -> Any: ...
    def __rmatmul__(self, other: Any) -> Any: ...
    def __neg__(self) -> Any: ...


# The mean of an array of objects is a float64 to NumPy 2.5, which needs Python 3.12; that of floats is what they are.
if sys.version_info >= (3, 12):

    class Result(Arithmetic, np.inexact):  # type: ignore[misc]
        """The result of a NumPy reduction over a Tensor, for the type stubs: a number of unknown type."""
else:

    class Result(Arithmetic, np.object_):  # type: ignore[misc]
        """The result of a NumPy reduction over a Tensor, for the type stubs: an object of unknown type."""


Results = np.ndarray[Any, np.dtype[Result]]
