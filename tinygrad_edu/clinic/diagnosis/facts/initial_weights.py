"""How parameters begin, measured on the arrays of one start, so that other seeds can begin alike."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FEW = 8  # entries; fewer do not show their distribution
# in standard deviations; the largest |x| of a uniform distribution is √3 = 1.73, that of a normal one is larger
BOUNDED = 1.9


@dataclass(frozen=True)
class Start:
    """A distribution: `kind` "constant", "uniform" or "normal"; `centre`; `gain`, its standard deviation over Glorot's.

    Glorot's is √(2/(fan_in + fan_out)), so that a wider layer begins alike.
    """

    kind: str
    centre: float
    gain: float

    def draw(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
        """An array of that shape."""
        std = self.gain * glorot(shape)
        if self.kind == "constant":
            return np.full(shape, self.centre)
        if self.kind == "uniform":
            return self.centre + rng.uniform(-1.0, 1.0, shape) * math.sqrt(3.0) * std
        return self.centre + rng.standard_normal(shape) * std


@dataclass(frozen=True)
class LayerStart:
    """How the weight and the bias of a layer begin."""

    weight: Start
    bias: Start


ZERO = Start("constant", 0.0, 0.0)


def glorot(shape: tuple[int, ...]) -> float:
    """The standard deviation of Glorot and Bengio 2010 for an array (out, in); of a bias, as of a row."""
    return math.sqrt(2.0 / max(sum(shape) if len(shape) > 1 else 2 * sum(shape), 1))


def distribution_of(array: Array) -> Start:
    """The distribution that an array looks drawn from.

    >>> distribution_of(np.zeros((2, 3)))
    Start(kind='constant', centre=0.0, gain=0.0)
    >>> distribution_of(np.random.default_rng(0).normal(0.0, 5.0, (20, 20))).kind
    'normal'
    """
    spread, centre = float(array.std()), float(array.mean())
    if (array.size > 1 and spread == 0.0) or not array.any():
        return Start("constant", centre, 0.0)
    size = math.sqrt(float(np.mean(array**2)))
    if array.size < FEW:  # a few numbers show only a rough size: assume Glorot if that is possible
        scale = glorot(array.shape)
        return (
            Start("uniform", 0.0, max(1.0, size / scale)) if size < 2.0 * scale else Start("normal", 0.0, size / scale)
        )
    away = abs(centre) > 4.0 * spread / math.sqrt(array.size)
    centre = centre if away else 0.0
    kind = "uniform" if np.abs(array - centre).max() <= BOUNDED * spread else "normal"
    return Start(kind, centre, (spread if away else size) / glorot(array.shape))


def of_layers(state: Mapping[str, Array], count: int) -> tuple[LayerStart, ...]:
    """How each layer of an nn.MLP began, from its `state_dict` then."""
    none = np.zeros(1)
    return tuple(
        LayerStart(distribution_of(state[f"layers.{i}.weight"]), distribution_of(state.get(f"layers.{i}.bias", none)))
        for i in range(count)
    )


def of_module(state: Mapping[str, Array]) -> dict[str, Start]:
    """How each parameter of any Module began, by name."""
    return {name: distribution_of(array) for name, array in state.items()}
