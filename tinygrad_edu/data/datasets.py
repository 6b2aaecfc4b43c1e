"""Data sets as (X, y): X of shape (samples, features), y of shape (samples, 1)."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def or_gate() -> tuple[Array, Array]:
    """The four corners and their logical or.

    >>> or_gate()[1].ravel().tolist()
    [0.0, 1.0, 1.0, 1.0]
    """
    return CORNERS.copy(), np.array([[0.0], [1.0], [1.0], [1.0]])


def xor_gate() -> tuple[Array, Array]:
    """The four corners and their exclusive or, which no single line separates.

    >>> xor_gate()[1].ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    return CORNERS.copy(), np.array([[0.0], [1.0], [1.0], [0.0]])


def moons(samples: int = 100, noise: float = 0.1, seed: int = 0) -> tuple[Array, Array]:
    """Two interleaved half circles with Gaussian noise, classes -1 and 1.

    >>> X, y = moons(100)
    >>> X.shape, sorted(set(y.ravel().tolist()))
    ((100, 2), [-1.0, 1.0])
    """
    rng = np.random.default_rng(seed)
    upper = samples // 2
    angle = np.concatenate([np.linspace(0.0, np.pi, upper), np.linspace(0.0, np.pi, samples - upper)])
    lower = np.arange(samples) >= upper
    x, y = np.cos(angle), np.sin(angle)
    X = np.stack([np.where(lower, 1.0 - x, x), np.where(lower, 0.5 - y, y)], axis=1)
    order = rng.permutation(samples)
    noisy = X + rng.normal(0.0, noise, (samples, 2))
    return noisy[order], np.where(lower, 1.0, -1.0)[order, None]
