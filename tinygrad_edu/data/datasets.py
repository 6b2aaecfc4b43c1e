"""Data sets made by a formula, the same from the same seed, as (X, y) with X of shape (samples, features).

The gates and `sine` have targets y of shape (samples, 1); `moons` and `circles` have two classes, -1 and 1, in the same
shape; `spirals` and `blobs` have any number of classes, 0, 1, 2, ..., with y of shape (samples,), as `cross_entropy`
takes them. Samples come in random order and as evenly divided among the classes as their number allows.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.checks import number, whole
from tinygrad_edu.data.arguments import generator_of
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]
CORNERS = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


@check_arguments
def or_gate() -> tuple[Array, Array]:
    """The four corners and their logical or.

    >>> or_gate()[1].ravel().tolist()
    [0.0, 1.0, 1.0, 1.0]
    """
    return CORNERS.copy(), np.array([[0.0], [1.0], [1.0], [1.0]])


@check_arguments
def and_gate() -> tuple[Array, Array]:
    """The four corners and their logical and.

    >>> and_gate()[1].ravel().tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    return CORNERS.copy(), np.array([[0.0], [0.0], [0.0], [1.0]])


@check_arguments
def xor_gate() -> tuple[Array, Array]:
    """The four corners and their exclusive or, which no single line separates.

    >>> xor_gate()[1].ravel().tolist()
    [0.0, 1.0, 1.0, 0.0]
    """
    return CORNERS.copy(), np.array([[0.0], [1.0], [1.0], [0.0]])


@check_arguments
def sine(samples: int = 100, noise: float = 0.1, seed: int = 0) -> tuple[Array, Array]:
    """A regression: y = sin x + noise·N(0, 1), x uniform in [-π, π]; X and y (samples, 1).

    samples: the number of samples; 100.
    noise: the standard deviation of the Gaussian noise that is added; 0.1.
    seed: the seed of the random generator.

    >>> X, y = sine(50, noise=0.0)
    >>> bool(np.all(y == np.sin(X)))
    True
    """
    count, spread = whole("samples", samples), number("noise", noise, "[0, inf)")
    rng = generator_of(seed)
    X = rng.uniform(-np.pi, np.pi, (count, 1))
    return X, np.sin(X) + rng.normal(0.0, spread, (count, 1))


@check_arguments
def quadrants(samples: int = 200, noise: float = 0.0, seed: int = 0) -> tuple[Array, Array]:
    """The exclusive or of signs: X uniform in [-1, 1]² plus noise·N(0, 1), class 1 where x₁·x₂ > 0 before it, else -1.

    samples: the number of samples.
    noise: the standard deviation of the Gaussian noise that is added; 0.
    seed: the seed of the random generator.

    >>> X, y = quadrants(100)
    >>> bool(np.all((X[:, :1] * X[:, 1:] > 0.0) == (y == 1.0)))
    True
    """
    count, spread = whole("samples", samples), number("noise", noise, "[0, inf)")
    rng = generator_of(seed)
    X = rng.uniform(-1.0, 1.0, (count, 2))
    return X + rng.normal(0.0, spread, (count, 2)), np.where(X[:, :1] * X[:, 1:] > 0.0, 1.0, -1.0)


@check_arguments
def plane(samples: int = 200, noise: float = 0.1, seed: int = 0) -> tuple[Array, Array]:
    """A regression that a linear model solves: y = (x₁ + x₂)/2 + noise·N(0, 1), X uniform in [-1, 1]².

    samples: the number of samples.
    noise: the standard deviation of the Gaussian noise that is added; 0.1.
    seed: the seed of the random generator.

    >>> X, y = plane(50, noise=0.0)
    >>> np.allclose(y, X.mean(axis=1, keepdims=True))
    True
    """
    count, spread = whole("samples", samples), number("noise", noise, "[0, inf)")
    rng = generator_of(seed)
    X = rng.uniform(-1.0, 1.0, (count, 2))
    return X, X.mean(axis=1, keepdims=True) + rng.normal(0.0, spread, (count, 1))


@check_arguments
def bumps(samples: int = 200, noise: float = 0.05, seed: int = 0) -> tuple[Array, Array]:
    """A regression with two hills and two hollows: y = sin(πx₁)·sin(πx₂) + noise·N(0, 1), X uniform in [-1, 1]².

    samples: the number of samples.
    noise: the standard deviation of the Gaussian noise that is added; 0.05.
    seed: the seed of the random generator.

    >>> X, y = bumps(50, noise=0.0)
    >>> bool(abs(y).max() <= 1.0), X.shape, y.shape
    (True, (50, 2), (50, 1))
    """
    count, spread = whole("samples", samples), number("noise", noise, "[0, inf)")
    rng = generator_of(seed)
    X = rng.uniform(-1.0, 1.0, (count, 2))
    return X, np.sin(np.pi * X).prod(axis=1, keepdims=True) + rng.normal(0.0, spread, (count, 1))


@check_arguments
def moons(samples: int = 100, noise: float = 0.1, seed: int = 0) -> tuple[Array, Array]:
    """Two interleaved half circles with Gaussian noise, classes -1 and 1.

    samples: the number of samples.
    noise: the standard deviation of the Gaussian noise that is added; 0.1.
    seed: the seed of the random generator.

    >>> X, y = moons(100)
    >>> X.shape, sorted(set(y.ravel().tolist()))
    ((100, 2), [-1.0, 1.0])
    """
    count, spread = whole("samples", samples), number("noise", noise, "[0, inf)")
    rng = generator_of(seed)
    upper = count // 2
    angle = np.concatenate([np.linspace(0.0, np.pi, upper), np.linspace(0.0, np.pi, count - upper)])
    lower = np.arange(count) >= upper
    x, y = np.cos(angle), np.sin(angle)
    X = np.stack([np.where(lower, 1.0 - x, x), np.where(lower, 0.5 - y, y)], axis=1)
    order = rng.permutation(count)
    noisy = X + rng.normal(0.0, spread, (count, 2))
    return noisy[order], np.where(lower, 1.0, -1.0)[order, None]


@check_arguments
def circles(samples: int = 100, noise: float = 0.1, inner: float = 0.5, seed: int = 0) -> tuple[Array, Array]:
    """Two concentric circles with Gaussian noise: radius 1 is class -1, radius `inner` is class 1.

    samples: the number of samples.
    noise: the standard deviation of the Gaussian noise that is added; 0.1.
    inner: the radius of the inner circle, class 1; 0.5.
    seed: the seed of the random generator.

    >>> X, y = circles(100, noise=0.0)
    >>> np.hypot(*X[y[:, 0] == 1.0].T).max().round(12)
    np.float64(0.5)
    """
    count, spread, radius = (
        whole("samples", samples),
        number("noise", noise, "[0, inf)"),
        number("inner", inner, "[0, inf)"),
    )
    rng = generator_of(seed)
    y = classes(rng, count, 2)
    circle = unit_circle(rng.uniform(0.0, 2.0 * np.pi, count))
    X = circle * np.where(y == 1, radius, 1.0)[:, None] + rng.normal(0.0, spread, (count, 2))
    return X, np.where(y == 1, 1.0, -1.0)[:, None]


@check_arguments
def spirals(
    samples: int = 300, arms: int = 3, turns: float = 0.75, noise: float = 0.03, seed: int = 0
) -> tuple[Array, Array]:
    """Spiral arms, each a class: X (samples, 2), y (samples,) numbers from 0 to arms - 1.

    A point at the share r of its arm, r uniform in [0, 1], lies at radius r and angle 2π·(turns·r + class/arms);
    noise·N(0, 1) is added to both coordinates.
    samples: the number of samples; 300.
    arms: the number of arms, each a class; 3.
    turns: the turns that an arm makes from the centre to its end; 0.75.
    noise: the standard deviation of the Gaussian noise that is added; 0.03.
    seed: the seed of the random generator.

    >>> X, y = spirals(300, arms=3)
    >>> X.shape, np.bincount(y).tolist()
    ((300, 2), [100, 100, 100])
    """
    count, many = whole("samples", samples), whole("arms", arms, 2)
    spread, winding = number("noise", noise, "[0, inf)"), number("turns", turns)
    rng = generator_of(seed)
    y = classes(rng, count, many)
    radius = rng.uniform(0.0, 1.0, count)
    arm = radius[:, None] * unit_circle(2.0 * np.pi * (winding * radius + y / many))
    return arm + rng.normal(0.0, spread, (count, 2)), y


@check_arguments
def blobs(
    samples: int = 300, centers: int = 3, features: int = 2, spread: float = 1.0, seed: int = 0
) -> tuple[Array, Array]:
    """Round clouds, each a class: X (samples, features), y (samples,) numbers from 0 to centers - 1.

    Centres are uniform in [-10, 10] along each axis; around its centre a point is N(0, spread²) along each axis. If
    two centres happen to be close together, try another seed.
    samples: the number of samples; 300.
    centers: the number of clouds, each a class; 3.
    features: the number of features; 2.
    spread: the standard deviation around each centre.
    seed: the seed of the random generator; 0.

    >>> X, y = blobs(90, centers=3, features=4)
    >>> X.shape, np.bincount(y).tolist()
    ((90, 4), [30, 30, 30])
    """
    count, many, width = whole("samples", samples), whole("centers", centers), whole("features", features)
    rng = generator_of(seed)
    middles = rng.uniform(-10.0, 10.0, (many, width))
    y = classes(rng, count, many)
    return middles[y] + rng.normal(0.0, number("spread", spread, "[0, inf)"), (count, width)), y


def classes(rng: np.random.Generator, samples: int, many: int) -> Array:
    """Class numbers in random order, as balanced as their count allows."""
    return rng.permutation(np.arange(samples) % many)


def unit_circle(angle: Array) -> Array:
    """The points (cos, sin) of angles, (samples, 2)."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
