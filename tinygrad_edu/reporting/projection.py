"""Samples of more than two numbers as a picture: their first two principal components; targets against answers."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.charts.palette import MARKS
from tinygrad_edu.charts.pictures import Canvas
from tinygrad_edu.reporting.answers import Answer, choose_samples

Array = np.ndarray[Any, Any]
MOST_SAMPLES, MOST_FEATURES = 2000, 2000  # limits for computing the principal components: 0.5 s


def components(X: Array) -> tuple[Array, float]:
    """(samples by the first two principal components of the standardized inputs, the share of their variance).

    >>> X = np.array([[0.0, 0.0, 5.0], [1.0, 2.0, 5.0], [2.0, 4.0, 5.0]])
    >>> places, share = components(X)
    >>> places.shape, round(share, 6)
    ((3, 2), 1.0)
    """
    flat = np.asarray(X, dtype=float).reshape(len(X), -1)[:, :MOST_FEATURES]
    flat = np.where(np.isfinite(flat), flat, 0.0)
    spread = flat.std(axis=0)
    scaled = (flat - flat.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)
    some = scaled[np.unique(np.linspace(0, len(X) - 1, min(len(X), MOST_SAMPLES)).astype(int))]
    _, lengths, directions = np.linalg.svd(some, full_matrices=False)
    total = float(np.sum(lengths**2)) or 1.0
    axes = np.zeros((2, scaled.shape[1]))
    axes[: len(directions[:2])] = directions[:2]
    return scaled @ axes.T, float(np.sum(lengths[:2] ** 2)) / total


def against(canvas: Canvas, found: Answer) -> None:
    """The answer for each sample over its target; on the line they are equal."""
    some = choose_samples(len(found.target))
    target, given = found.target[some], found.given[some]
    ends = [float(min(target.min(), given.min())), float(max(target.max(), given.max()))]
    canvas.axes.plot(ends, ends, color=MARKS["muted"], linewidth=1.2, label="answer = target")
    canvas.axes.plot(target, given, "o", color=MARKS["series-2"], markersize=4, alpha=0.7, label="samples")
    canvas.axes.set(xlabel="target", ylabel="answer")
    canvas.axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.0)
