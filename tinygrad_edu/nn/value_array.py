"""The output of a layer of Values: a NumPy array that says where its gradients are."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.value import Value


class ValueArray(np.ndarray[Any, Any]):
    """An array of Values, which answers what only one Value has: micrograd's `loss.backward()`, where n(x) is one.

    >>> y = as_values(np.array([Value(2.0)]))
    >>> ((y - 1.0) ** 2).backward()
    Traceback (most recent call last):
        ...
    AttributeError: an array of Values, shape (1,), has no 'backward': its Value has. Take that, as in n(x)[0] or \
loss[0]
    >>> ((y[0] - 1.0) ** 2).backward()
    >>> y[0].grad
    2.0
    """

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(Value, name):
            raise AttributeError(f"'numpy.ndarray' object has no attribute {name!r}")
        one = "its Value has. Take that, as in n(x)[0] or loss[0]"
        many = "each of its Values has. Take one, as in n(x)[0], or one number made of all, as np.sum(y) is"
        raise AttributeError(
            f"an array of Values, shape {self.shape}, has no {name!r}: {one if self.size == 1 else many}"
        )

    def __array_wrap__(self, array: Any, context: Option = None, return_scalar: bool = False) -> Any:
        return array[()] if return_scalar else as_values(np.asarray(array))

    def __repr__(self) -> str:
        return repr(np.asarray(self))


def as_values(y: ArrayLike) -> Any:
    """The array, as a ValueArray if it holds Values."""
    return y.view(ValueArray) if y.__class__ is np.ndarray and y.dtype.kind == "O" else y
