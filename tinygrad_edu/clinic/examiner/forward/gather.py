"""Writes into an array as one gather, so that the graph has an operation for them that it knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.tensor import Tensor

Array = np.ndarray[Any, Any]


def with_writes(before: Any, shape: tuple[int, ...], writes: Sequence[tuple[Any, Any]]) -> Any:
    """An array after x[index] = value for each of them: one gather from all that was there and was written."""
    if len(writes) == 1 and is_mask_of(writes[0][0], shape) and np.size(number_of(writes[0][1])) == 1:
        value = writes[0][1]
        return np.where(writes[0][0], value if isinstance(value, Tensor) else float(value), before)
    size = int(np.prod(shape))
    source, pieces, total = np.arange(size).reshape(shape), [before], size
    for index, value in writes:
        numbers = number_of(value)
        own = np.arange(total, total + numbers.size).reshape(numbers.shape)
        source[index] = own
        pieces.append(value)
        total += numbers.size
    return gather(pieces, source)


def is_mask_of(index: Any, shape: tuple[int, ...]) -> bool:
    return isinstance(index, np.ndarray) and index.dtype.kind == "b" and index.shape == shape


def number_of(x: Any) -> Array:
    return x.array if isinstance(x, Tensor) else np.asarray(x)


def gather(pieces: Sequence[Any], source: Array) -> Any:
    """The entries at the indices `source` in the concatenated pieces; pieces that are not read are left out."""
    ends = np.cumsum([number_of(x).size for x in pieces])
    used = np.unique(np.searchsorted(ends, source.ravel(), side="right"))
    shift, kept, total = np.zeros(len(pieces), dtype=int), [], 0
    for k in used:
        start = int(ends[k]) - number_of(pieces[k]).size
        shift[k], total = total - start, total + number_of(pieces[k]).size
        kept.append(pieces[k])
    place = source + shift[np.searchsorted(ends, source, side="right")]
    flat = [np.reshape(x, (-1,)) for x in kept]
    joined = flat[0] if len(flat) == 1 else np.concatenate([as_float(x) for x in flat])
    plain = place.shape == (total,) and np.array_equal(place, np.arange(total))
    if plain or (total == place.size and np.array_equal(place.ravel(), np.arange(total))):
        return np.reshape(joined, source.shape)
    return joined[place]


def as_float(x: Any) -> Any:
    return x if isinstance(x, Tensor) else np.asarray(x, dtype=float)
