"""Dropout: in training a random share of the units is set to 0."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.checks import number
from tinygrad_edu.compile.ir.dims import ACTIVE
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn.inputs import as_array, random_generator, refuse_trace
from tinygrad_edu.nn.module import Module


class Dropout(Module):
    """In training each number becomes 0 with probability p and is divided by 1 - p otherwise; after eval(), y = x.

    So the mean of y is x either way. (Srivastava et al. 2014)
    p: the probability, in [0, 1).
    inplace: PyTorch's argument; nothing is overwritten here.
    rng: a random generator or a seed, from which both back ends draw the same numbers; without one, `fit` seeds it.
    Errors: SettingError for p and rng; TraceError if anything but `fit` compiles it in training.

    >>> layer = Dropout(0.5, rng=1)
    >>> layer([1.0, 1.0, 1.0, 1.0])
    array([2., 2., 0., 2.])
    >>> layer.eval()([1.0, 1.0])
    array([1., 1.])
    """

    def __init__(self, p: float = 0.5, inplace: bool = False, *, rng: Any = None) -> None:
        number("p", p, "[0, 1)", "Dropout")
        self.p, self.rng = p, random_generator("Dropout", rng)

    def forward(self, x: ArrayLike) -> Any:
        """x of any shape → the same shape."""
        x = as_array(x)
        if not self.training or not self.p:
            return x
        if ACTIVE.traces and isinstance(x, Tensor):  # compiled training draws the same numbers in the same order
            return x * ACTIVE.traces[-1].mask(x, self.p, self.rng)
        refuse_trace("Dropout", "draws new numbers at every step")
        dtype = float if x.dtype.kind == "O" else x.dtype
        return x * ((self.rng.random(x.shape) >= self.p) / (1.0 - self.p)).astype(dtype)

    def __repr__(self) -> str:
        return f"Dropout(p={self.p})"
