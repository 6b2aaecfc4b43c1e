"""Arguments that have no derivative, as the order of a Bessel function: one that would need a gradient is refused."""

from __future__ import annotations

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.errors import UnsupportedNumpyError


def refuse_gradient(function: str, name: str, x: ArrayLike) -> None:
    """Errors: UnsupportedNumpyError if x is a Tensor that requires a gradient, and a graph is recorded.

    A trace asks for gradients later, and a Value always has one: there the derivative is NaN.
    """
    x = x.inner if hasattr(type(x), "of_samples") else x  # in a vmap, the array behind the sample
    if MODES.recording and MODES.tensor_trace is None and getattr(x, "requires_grad", False):
        raise UnsupportedNumpyError(f"{function} has no derivative by {name} here: give {name} as plain numbers")
