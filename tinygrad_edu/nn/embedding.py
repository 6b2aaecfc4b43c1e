"""Embedding: a table with one row of numbers for each token or category, looked up by index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.checks import whole as whole_number
from tinygrad_edu.compile.ir.table_rows import from_zero
from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.conversions.conversion import as_plain_array
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.transforms.batched import Batched, outside
from tinygrad_edu.errors import DtypeError, SettingError
from tinygrad_edu.names import BackEndName, InitializerName
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.inputs import random_generator, refuse_widths
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import parameter
from tinygrad_edu.nn.sequence import detach
from tinygrad_edu.nn.torch_names import torch_arguments


@torch_arguments(num_embeddings="entries", embedding_dim="features")
class Embedding(Module):
    """y = W[index], with W of shape (entries, features); a row that is read n times gets the sum of n gradients.

    Indices are integers from 0; floats with integer values, which `fit` may pass, are accepted too.
    entries: the number of rows of W.
    features: the width of a row.
    padding_idx: a row that starts at 0 and is never trained.
    init: how W is initialized; N(0, 1) by default.
    rng: the random generator, or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".
    Errors: DtypeError for an index that is not an integer, SettingError for one out of range and for bad settings.

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
        padding_idx: int | None = None,
        *,
        init: InitializerName | initializers.Initializer = "normal",
        rng: Any = None,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        refuse_widths("Embedding", entries=entries, features=features)
        weight = initializers.draw_weight(init, random_generator("Embedding", rng), features, entries)
        self.entries, self.features, self.backend = entries, features, backend
        self.padding_idx = None if padding_idx is None else row_of("padding_idx", padding_idx, entries)
        if self.padding_idx is not None:
            weight[self.padding_idx] = 0.0
        self.weight = parameter(weight, backend, "weight", dtype)

    def describe(self) -> str:
        return f"Embedding {self.entries}→{self.features}"

    def forward(self, index: ArrayLike) -> Any:
        """index of any shape (...) → (..., features)."""
        whole = rows_known("Embedding", index, self.check_index)
        rows = self.weight[whole]
        if self.padding_idx is None:
            return rows
        trained = ops.expand_dims(ops.not_equal(whole, float(self.padding_idx)), -1)
        return ops.where(trained, rows, detach(rows))  # the padding row is read, but gets no gradient

    def check_index(self, index: ArrayLike) -> Any:
        """The indices as integers, checked to be rows of the table."""
        whole = index.dtype.kind in "iu" or (index.dtype.kind == "f" and np.all(index == np.floor(index)))
        if not whole and index.size:
            raise DtypeError(f"Embedding: an index has to be an integer, not {index.dtype} such as {index.flat[0]!r}")
        outside = (index < 0) | (index >= self.entries) if index.size else np.zeros(0, bool)
        if outside.any():
            raise SettingError(
                f"Embedding: index {index[outside].flat[0]:g} is outside 0..{self.entries - 1}: the table has "
                f"{self.entries} entries"
            )
        return index.astype(np.intp)


def rows_known(by: str, index: ArrayLike, check: Callable[[Any], Any]) -> Any:
    """The index, checked where it has numbers; what is traced is checked when the program runs, before it reads."""
    if MODES.tensor_trace is None or not isinstance(index, Tensor):
        return check(as_plain_array(index))
    if isinstance(index, Batched):
        with outside():
            known = rows_known(by, index.inner, check)
        return Batched(known, index.common)
    return from_zero(index, by)


def row_of(name: str, row: int, entries: int) -> int:
    """A row of a table, counted from its end if negative. Errors: SettingError."""
    whole_number(name, row, -entries, "Embedding")
    if row >= entries:
        raise SettingError(f"Embedding({name}={row}): the table has the rows 0..{entries - 1}")
    return row % entries
