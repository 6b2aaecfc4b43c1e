"""The data of the problems of the clinic: each maker gives (X, y) as it comes, unscaled, from a seed.

What y holds is told by its form: classes (samples,) whole numbers; -1 and 1, or 0 and 1, or real numbers (samples, 1);
one column for each class with a single 1 in each row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu import data

Array = np.ndarray[Any, Any]
Pair = tuple[Array, Array]


def moons(seed: int, samples: int = 120, noise: float = 0.1) -> Pair:
    return data.moons(samples, noise, seed=seed)


def circles(seed: int, samples: int = 150, noise: float = 0.08, inner: float = 0.5) -> Pair:
    return data.circles(samples, noise, inner, seed=seed)


def spirals(seed: int, samples: int = 150, arms: int = 3, turns: float = 0.5, noise: float = 0.02) -> Pair:
    return data.spirals(samples, arms, turns, noise, seed=seed)


def blobs(seed: int, samples: int = 150, centers: int = 3, features: int = 6, spread: float = 1.0) -> Pair:
    return data.blobs(samples, centers, features, spread, seed=seed)


def checkers(seed: int, samples: int = 120, noise: float = 0.15) -> Pair:
    """The exclusive or of two signs: four clouds around (±1, ±1), classes -1 and 1."""
    rng = np.random.default_rng(seed)
    corner = rng.permutation(np.arange(samples) % 4)
    middle = np.stack([corner // 2, corner % 2], axis=1) * 2.0 - 1.0
    return middle + rng.normal(0.0, noise, middle.shape), np.prod(middle, axis=1, keepdims=True)


def xor(seed: int) -> Pair:
    """The four corners themselves, as -1 and 1."""
    X, y = data.xor_gate()
    return 2.0 * X - 1.0, 2.0 * y - 1.0


def ring(seed: int, samples: int = 200, share: float = 0.05, noise: float = 0.05) -> Pair:
    """A rare class, 1, on a small circle about (1, 0.5) in a cloud of zeros: the classes touch."""
    rng = np.random.default_rng(seed)
    rare = round(share * samples)
    common = rng.normal(0.0, 1.0, (samples - rare, 2))
    angle = rng.uniform(0.0, 2.0 * np.pi, rare)
    few = np.array([1.8, 1.2]) + 0.3 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    X = np.vstack([common, few + rng.normal(0.0, noise, few.shape)])
    order = rng.permutation(samples)
    return X[order], (np.arange(samples) >= samples - rare)[order, None].astype(float)


def iris(seed: int, samples: int = 150) -> Pair:
    X, y = data.iris()
    order = np.random.default_rng(seed).permutation(len(X))[:samples]
    return X[order], y[order]


def glyphs(seed: int, samples: int = 200, characters: str = "0147", size: int = 10) -> Pair:
    return data.glyphs(samples, characters, size=size, shift=0.5, width=(1.0, 1.6), noise=0.05, seed=seed)


def body_metrics(seed: int) -> Pair:
    X, y = data.body_metrics()
    return X, y


def sine(seed: int, samples: int = 100, noise: float = 0.05, waves: float = 1.0) -> Pair:
    rng = np.random.default_rng(seed)
    X = rng.uniform(-np.pi, np.pi, (samples, 1))
    return X, np.sin(waves * X) + rng.normal(0.0, noise, X.shape)


def cubic(seed: int, samples: int = 100, noise: float = 0.05) -> Pair:
    """x³ - x on [-1.4, 1.4]."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.4, 1.4, (samples, 1))
    return X, X**3 - X + rng.normal(0.0, noise, X.shape)


def line(seed: int, samples: int = 80, noise: float = 0.1, features: int = 3, shift: float = 0.0) -> Pair:
    """A noisy linear function of some features."""
    rng = np.random.default_rng(seed)
    X = rng.normal(0.0, 1.0, (samples, features))
    slope = np.linspace(1.0, -0.5, features)[:, None]
    return X, X @ slope + shift + rng.normal(0.0, noise, (samples, 1))


def product(seed: int, samples: int = 150, noise: float = 0.05) -> Pair:
    """x₁·x₂ on [-1.5, 1.5]²."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-1.5, 1.5, (samples, 2))
    return X, X[:, :1] * X[:, 1:] + rng.normal(0.0, noise, (samples, 1))


def one_to_nine(seed: int) -> Pair:
    """The question of case 5: y = (1.2x + 1)/10, x = 1 ... 9."""
    X = np.arange(1.0, 10.0)[:, None]
    return X, (1.2 * X + 1.0) / 10.0


def lynx(seed: int, lags: int = 4) -> Pair:
    """The logarithm of the lynx counts, from the years before: standardized, with no other noise than its own."""
    series, _ = data.standardize(np.log10(data.lynx())[:, None])
    return data.lagged(series, lags)


# Changes of the data: each function takes (X, y) and a random generator, and returns (X, y)


def zero_one(X: Array, y: Array, rng: np.random.Generator) -> Pair:
    """Two classes as 0 and 1 (samples, 1)."""
    return X, (np.reshape(y, (-1, 1)) > 0).astype(float)


def classes(X: Array, y: Array, rng: np.random.Generator) -> Pair:
    """Two classes as the whole numbers 0 and 1 (samples,)."""
    return X, (np.ravel(y) > 0).astype(int)


def one_hot(X: Array, y: Array, rng: np.random.Generator) -> Pair:
    return X, data.one_hot(y)


def standard(X: Array, y: Array, rng: np.random.Generator) -> Pair:
    return data.standardize(X)[0], y


def min_max(X: Array, y: Array, rng: np.random.Generator) -> Pair:
    return data.min_max(X)[0], y


def by_class(X: Array, y: Array, rng: np.random.Generator) -> Pair:
    """Sorted by target, as files in folders are."""
    order = np.argsort(y if y.ndim == 1 else y @ np.arange(1.0, y.shape[1] + 1.0), kind="stable")
    return X[order], y[order]


def permuted(X: Array, y: Array, rng: np.random.Generator) -> Pair:
    """Targets that belong to other rows."""
    return X, y[rng.permutation(len(y))]


def stretch(*factors: float) -> Callable[..., Pair]:
    """Each feature in units of its own: multiplied by its factor, the last of which holds for the rest."""

    def apply(X: Array, y: Array, rng: np.random.Generator) -> Pair:
        full = [*factors, *[factors[-1]] * X.shape[1]][: X.shape[1]]
        return X * np.array(full), y

    return apply


def shift(by: float) -> Callable[..., Pair]:
    """Inputs far from 0, such as years or temperatures in kelvin."""
    return lambda X, y, rng: (X + by, y)


def targets(factor: float, offset: float = 0.0) -> Callable[..., Pair]:
    """Targets in another unit."""
    return lambda X, y, rng: (X, factor * y + offset)


def constant_column(number: float) -> Callable[..., Pair]:
    """One more feature, which never changes."""
    return lambda X, y, rng: (np.hstack([X, np.full((len(X), 1), number)]), y)


def constant(X: Array, y: Array, rng: np.random.Generator) -> Pair:
    """Every feature is its mean: the columns were lost on the way."""
    return np.tile(X.mean(axis=0), (len(X), 1)), y
