"""Embedding: a table with one row of numbers for each of a set of things, looked up by index."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.conversion import plain
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import DtypeError, SettingError
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.inputs import random_generator, refuse_widths
from tinygrad_edu.nn.module import Module, parameter


class Embedding(Module):
    """y = W[index], with W of shape (entries, features); a row that is read n times gets the sum of n gradients.

    Args: `init`, how W begins, N(0, 1) by default; `rng`, the random generator or a seed. Indices are whole numbers
    from 0 on; floats that are whole, as `fit` hands them on, are taken too.
    Errors: DtypeError for what is no whole number, SettingError for an index outside and for settings.

    >>> layer = Embedding(5, 2)
    >>> layer([3, 0, 3]).sum().backward()
    >>> layer.weight.grad[:, 0].tolist()
    [1.0, 0.0, 0.0, 2.0, 0.0]
    """

    takes_indices = True

    def __init__(
        self,
        entries: int,
        features: int,
        *,
        init: str | initializers.Initializer = "normal",
        rng: Any = None,
        backend: str = "tensor",
    ) -> None:
        refuse_widths("Embedding", entries=entries, features=features)
        weight = initializers.drawn(init, random_generator("Embedding", rng), features, entries)
        self.entries, self.features, self.backend = entries, features, backend
        self.weight = parameter(weight, backend, "weight")

    def forward(self, index: Any) -> Any:
        """index of any shape (...) → (..., features)."""
        if MODES.tensor_trace is not None and isinstance(index, Tensor):
            return self.weight[index]  # the compiler looks at the numbers
        return self.weight[self.checked(plain(index))]

    def checked(self, index: Any) -> Any:
        """The indices as integers, all of them rows of the table."""
        whole = index.dtype.kind in "iu" or (index.dtype.kind == "f" and np.all(index == np.floor(index)))
        if not whole and index.size:
            raise DtypeError(f"Embedding: an index is a whole number, not {index.dtype} such as {index.flat[0]!r}")
        outside = (index < 0) | (index >= self.entries) if index.size else np.zeros(0, bool)
        if outside.any():
            raise SettingError(
                f"Embedding: index {index[outside].flat[0]:g} is outside 0..{self.entries - 1}: the table has "
                f"{self.entries} entries"
            )
        return index.astype(np.intp)
