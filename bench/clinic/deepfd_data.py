"""The made-up data of bench.clinic.deepfd_cases."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.clinic.question_parts import column

Array = np.ndarray[Any, Any]

Data = tuple[Array, Array]


def digits() -> Data:
    from sklearn.datasets import load_digits

    d = load_digits()
    return d.data[:600] / 16.0, d.target[:600].astype(int)


def iris() -> Data:
    from sklearn.datasets import load_iris

    d = load_iris()
    return d.data, d.target.astype(int)


XOR = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]]), np.array([0, 1, 1, 0])


def clouds(classes: int, spread: float = 0.5, samples: int = 400, width: int = 4, seed: int = 0) -> Data:
    rng = np.random.default_rng(seed)
    k = rng.integers(0, classes, samples)
    return rng.normal(0.0, 2.0, (classes, width))[k] + rng.normal(0.0, spread, (samples, width)), k


def table(seed: int, sizes: Any = 1.0, target: float = 1.0, samples: int = 400) -> Data:
    """Numbers from four columns of such sizes."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(0.0, 1.0, (samples, 4))
    t = Z[:, 0] * Z[:, 1] + Z[:, 2] - 0.5 * Z[:, 3]
    return Z * sizes, column(t * target)


def yes_or_no(seed: int, sizes: Any = 1.0, samples: int = 400) -> Data:
    X, t = table(seed, sizes, 1.0, samples)
    return X, (t[:, 0] > 0).astype(int)


UNITS = np.array([1.0, 40.0, 300.0, 2000.0])
