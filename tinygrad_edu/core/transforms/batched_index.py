"""Indices that differ from sample to sample: x[y] with a class y of each sample, as one index of the whole batch.

The samples are counted by an array of their own, 0, 1, 2, ..., beside the others. The axes of the result are then moved
to where NumPy has them for one sample. What has no such index runs sample by sample: None.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis, Node
from tinygrad_edu.core.arrays.positions import positions
from tinygrad_edu.core.arrays.rearrange import moveaxis
from tinygrad_edu.core.operation import ArrayOperation
from tinygrad_edu.core.shapes import as_tuple, reshape
from tinygrad_edu.core.transforms.batch_rules import RULES_OF_INDEX, Sample, align, full

Options = Mapping[str, Any]


def read(operation: ArrayOperation, xs: Sequence[Sample], options: Options, size: ArrayLike) -> Any:
    """x[index] of each sample."""
    x = xs[0]
    found = of_batch(options["index"], x.ndim, size)
    if found is None:
        return None
    index, rank, lead = found
    y = operation(full(x, size), index)
    return moveaxis(y, range(1, 1 + rank), range(1 + lead, 1 + lead + rank)) if lead else y


def put_back(operation: ArrayOperation, xs: Sequence[Sample], options: Options, size: ArrayLike) -> Any:
    """Zeros of each sample, with its x added at its index."""
    shape = options["shape"]
    found = of_batch(options["index"], len(shape), size)
    if found is None:
        return None
    index, rank, lead = found
    x = full(xs[0], size)
    x = moveaxis(x, range(1 + lead, 1 + lead + rank), range(1, 1 + rank)) if lead else x
    return operation(x, index, (size, *shape))


def take(operation: ArrayOperation, xs: Sequence[Sample], options: Options, size: ArrayLike) -> Any:
    """np.take_along_axis of each sample."""
    index = options["index"]
    if index.ndim != xs[0].ndim:
        return None
    return operation(full(xs[0], size), index=plain(index.inner), axis=options["axis"] % xs[0].ndim + 1)


def of_batch(index: Axis, rank: int, size: ArrayLike) -> tuple[tuple[Any, ...], int, int] | None:
    """(the index of the whole batch, how many axes its arrays give, how many stand before them in a sample's result).

    None where NumPy would put the axes elsewhere: arrays with something between them, be it an Ellipsis of no axes.
    """
    parts = list(as_tuple(index))
    used = sum(part is not None and part is not Ellipsis for part in parts)
    for i, part in enumerate(parts):
        if part is Ellipsis:
            if used == rank:
                return None
            parts[i : i + 1] = [slice(None)] * (rank - used)
            break
    told = [i for i, part in enumerate(parts) if not (isinstance(part, slice) or part is None)]
    arrays = [np.asarray(part) if isinstance(part, (list, range)) else part for part in (parts[i] for i in told)]
    if told != list(range(told[0], told[-1] + 1)) or any(letter_of_index(x) == "b" for x in arrays):
        return None
    axes = max(np.ndim(x) for x in arrays)
    counter = reshape(positions(size), (size, *(1,) * axes))
    parts[told[0] : told[-1] + 1] = [plain(align(x, axes)) for x in arrays]
    return (counter, *parts), axes, told[0]


def letter_of_index(x: Node) -> str:
    """NumPy's letter for what an index holds; of a plain number, that of integers."""
    return getattr(getattr(x, "dtype", None), "kind", "i")


def plain(x: Node) -> Any:
    """The numbers of an index; of one that is traced, the node."""
    return x if hasattr(x, "sizes") else getattr(x, "array", x)


RULES_OF_INDEX |= {"getitem": read, "put": put_back, "entries_along": take}
