"""Which samples a step took, and in which order: rows of its data among the values of its run."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.book import Batch
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.lines.recording import Recording

Array = np.ndarray[Any, Any]
Chosen = tuple[int, ...]


def is_each_once(chosen: Chosen, count: int) -> bool:
    """All of the data, in any order? Of a batch that is drawn with replacement, some samples come twice."""
    return len(chosen) == count and len({*chosen}) == count


def order_in(recording: Recording, net: Network) -> Batch | None:
    """The order in which a step has all of the data, where that is not the forward's."""
    across = next((net.batch_axis(layer) for layer in net.outputs), None)
    axis = 1 if across == -1 else 0
    count = net.rows(net.outputs[0]) if across is not None else 0
    plain = tuple(range(count))
    found = batches_in(recording, net, count, axis, whole=True)
    orders = [x for x in found if tuple(sorted(x)) == plain != x]
    return Batch(orders[0], count) if len(orders) == 1 else None


def batches_in(recording: Recording, net: Network, count: int, axis: int, *, whole: bool = False) -> list[Chosen]:
    """The samples that a step took one after the other: arrays in its run whose rows are rows of the forward's data.

    whole: all of the data, each sample once, count too.
    """
    data = [x for step in net.steps for x, p in zip(step.node.parents, step.parents, strict=True) if p < 0]
    tables = [np.asarray(x, dtype=float) for x in data if np.ndim(x) == 2 and np.shape(x)[axis] == count > 1]
    if not tables:
        return []
    # the widest table whose rows tell the samples apart: many labels are equal
    rows: dict[bytes, int] = {}
    for table in sorted(tables, key=np.size, reverse=True):
        rows = {row.tobytes(): k for k, row in enumerate(np.ascontiguousarray(table if axis == 0 else table.T))}
        if len(rows) == count:
            break
    found: list[Chosen] = []
    for made in recording.made.values():
        x = made.value if axis == 0 or made.value.ndim < 2 else made.value.T
        x = x[None] if x.ndim == 1 else x
        if x.ndim == 2 and x.shape[1] == table.shape[1 - axis] and len(x) <= count and len(rows) == count:
            chosen = tuple(rows.get(row.tobytes(), -1) for row in np.ascontiguousarray(x))
            taken = -1 not in chosen and chosen not in found and (whole or not is_each_once(chosen, count))
            found += [chosen] if taken else []
    return found
