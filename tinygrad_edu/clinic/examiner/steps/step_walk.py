"""A step taken a few times in a row: the parameters, and the right gradient at each point."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FITS = 1e-6  # relative, for every parameter's change in every step
SINGLE = 1e-4  # the same for single precision
NUMB = 1e-12  # of the largest entry; a gradient below it is rounding: that of a key's bias in attention, say
NOISE = 1e-6  # of the largest change; what Adam makes of such a gradient, divided by itself and its ε of 1e-8


@dataclass(eq=False)
class Walk:
    """The parameters before each step and after the last, and the right gradient at each: name → array, per step.

    numbers: floats that the program holds; states: (before, after) the first step, other arrays that it keeps; counts:
    whole numbers that the first step raised by one.
    """

    weights: list[dict[str, Array]]
    gradients: list[dict[str, Array]]
    lr: float | None
    numbers: Sequence[float] = ()
    states: tuple[Sequence[Array], Sequence[Array]] = ((), ())
    counts: Sequence[int] = ()
    single: bool = False  # whether the program computes in single precision

    @property
    def names(self) -> list[str]:
        return [*self.gradients[0]]

    def flat(self, arrays: Mapping[str, Array]) -> Array:
        return np.concatenate([np.ravel(arrays[n]) for n in self.names])

    @functools.cached_property
    def changes(self) -> list[Array]:
        """What each step subtracted."""
        return [self.flat(a) - self.flat(b) for a, b in itertools.pairwise(self.weights)]

    @functools.cached_property
    def slopes(self) -> list[Array]:
        return [self.flat(g) for g in self.gradients]

    @functools.cached_property
    def numb(self) -> Array:
        """The entries whose gradient is rounding alone, in each step."""
        slopes = [np.abs(x) for x in self.slopes]
        return np.asarray(np.all([x <= NUMB * x.max(initial=0.0) for x in slopes], axis=0))

    def parts(self, flat: Array) -> Iterator[tuple[str, Array]]:
        """A flat array, parameter by parameter."""
        begin = 0
        for name in self.names:
            size = self.gradients[0][name].size
            yield name, flat[begin : begin + size]
            begin += size

    def same(self, a: Array, b: Array, tolerance: float = FITS) -> bool:
        """Equal in every parameter, as far as w - change can tell."""
        largest = float(np.linalg.norm(b))
        if not np.isfinite(largest):  # the rule divided by 0
            return False
        w = dict(self.parts(self.flat(self.weights[0])))
        a = np.where(self.numb & (np.abs(a - b) < NOISE * np.abs(b).max(initial=0.0)), b, a)
        tolerance, lost = (max(tolerance, SINGLE), 1e-7) if self.single else (tolerance, 1e-15)
        for (name, x), (_, y) in zip(self.parts(a), self.parts(b), strict=True):
            rounding = lost * float(np.linalg.norm(w[name])) + 10.0 * lost * largest
            if not np.linalg.norm(x - y) <= tolerance * float(np.linalg.norm(y)) + rounding:
                return False
        return True
