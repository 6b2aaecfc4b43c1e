"""The flat memory of the network program: its layout, and the memory of one run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Samples

Array = np.ndarray[Any, Any]
PROGRESS = ("begin", "word", "epoch", "draw")
# These are followed by the width and the activation code of each layer, inputs first.
WHOLE = ("steps", "batch", "layers", "loss", "solver", "gathered", "schedule", "shift", *PROGRESS)
NUMBERS = (
    "alpha", "tol", "lr_init", "power_t", "patience", "momentum", "beta_1", "beta_2", "epsilon", "t", "lr", "record",
    "total", "failures", "samples", "clip_norm", "dropout",
)  # fmt: skip
CHANGED = ("t", "lr", "record", "total", "failures", "samples", *PROGRESS)
AMONG_WHOLE, AMONG_NUMBERS = ({name: i for i, name in enumerate(names)} for names in (WHOLE, NUMBERS))
WIDTHS = len(WHOLE)
STATE = 4  # vectors as long as all weights together: the weights, their gradient, two memories of the solver
AT_ONCE = 4e8  # multiplications between two checks for Ctrl-C: 0.02 to 0.3 s
WEIGHTLESS = 4  # the event, in addition to those of rules.end_of_epoch, that a batch's sample weights sum to 0
NO_WORDS = np.empty(0, np.uint32)


class NamedNumbers:
    """The numbers named in WHOLE and NUMBERS, as items, in the two arrays that the program reads and writes."""

    whole: Array
    numbers: Array

    def __getitem__(self, name: str) -> Any:
        at = AMONG_WHOLE.get(name)
        return self.numbers[AMONG_NUMBERS[name]] if at is None else self.whole[at]

    def __setitem__(self, name: str, value: Any) -> None:
        at = AMONG_WHOLE.get(name)
        if at is None:
            self.numbers[AMONG_NUMBERS[name]] = value
        else:
            self.whole[at] = value


class Memory(NamedNumbers):
    """Data, weights and progress of one run; `weights` (n,), `gradient` (n,) and `moments` (2, n) are views."""

    def __init__(
        self,
        X: Samples,
        Y: Array,
        weight: Array | None,
        layers: Sequence[tuple[int, int]],
        batch: int,
        masks: bool = False,
    ) -> None:
        dtype, widths = X.dtype, [width for width, _ in layers]
        self.batch, self.shapes = batch, shapes_of(widths)
        n = sum(map(math.prod, self.shapes))
        self.product = batch * max(map(math.prod, self.shapes))  # multiplications in the largest product
        work = batch * (sum(widths) + 2 * max(widths[1:]))
        self.memory = np.empty(STATE * n + (1 + masks) * work, dtype)
        self.memory[: STATE * n] = 0.0
        self.weights, self.gradient = self.memory[:n], self.memory[n : 2 * n]
        self.moments = self.memory[2 * n : STATE * n].reshape(2, n)
        self.whole = np.array([0] * WIDTHS + [number for layer in layers for number in layer], dtype=np.int64)
        self.numbers = np.zeros(len(NUMBERS))
        self.orders = np.empty((2, len(Y)), np.int64)
        self.orders[0] = np.arange(len(Y))
        weights = np.ones(len(Y), dtype) if weight is None else np.ascontiguousarray(weight, dtype)
        targets = unlock(np.ascontiguousarray(Y, dtype))
        self.data = (*samples(X), targets, unlock(weights), self.orders)
        self.at_once = max(1, int(AT_ONCE / (batch * n)))
        self.update(batch=batch, layers=len(layers) - 1, steps=self.at_once, shift=work)

    def update(self, **values: float) -> None:
        """Set numbers by name."""
        for name, value in values.items():
            self[name] = value

    def arguments(self, words: Array, curves: Array) -> tuple[Array, ...]:
        """The program's arguments."""
        return (*self.data, words, self.whole, self.numbers, self.memory, curves)


def parts(flat: Array, shapes: Sequence[tuple[int, ...]]) -> tuple[list[Array], list[Array]]:
    """Views of a vector of all weights: the layers' matrices, and their biases."""
    ends = list(accumulate(map(math.prod, shapes)))
    pieces = [flat[e - math.prod(s) : e].reshape(s) for e, s in zip(ends, shapes, strict=True)]
    half = len(pieces) // 2
    return pieces[:half], pieces[half:]


def shapes_of(widths: Sequence[int]) -> list[tuple[int, ...]]:
    """First all matrices, then all biases."""
    return [*pairwise(widths), *((width,) for width in widths[1:])]


def join_arrays(*parts: Sequence[Array]) -> Array:
    """Arrays concatenated to one vector."""
    return np.concatenate([np.ravel(array) for arrays in parts for array in arrays])


def samples(X: Samples) -> tuple[Array, Array, Array, Array]:
    """(matrix, values, columns, ends): a matrix without rows where the samples are sparse, rows one after another."""
    none = np.empty(0, np.int64)
    if isinstance(X, np.ndarray):
        return unlock(np.ascontiguousarray(X)), np.empty(0, X.dtype), none, none
    X = X.tocsr()
    columns, ends = (np.ascontiguousarray(a, np.int64) for a in (X.indices, X.indptr))
    return np.empty((0, X.shape[1]), X.dtype), unlock(X.data), columns, ends


def unlock(x: Array) -> Array:
    """A writable view, although it is never written to: Numba would compile another program for a read-only array.

    joblib hands large arrays to its processes read-only.
    """
    return x if x.flags.writeable and type(x) is np.ndarray else np.asarray(Unlocked(x))


class Unlocked:
    def __init__(self, x: Array) -> None:
        self.kept = x  # keeps the array alive as long as the view
        place, _ = x.__array_interface__["data"]
        self.__array_interface__ = {**x.__array_interface__, "data": (place, False)}
