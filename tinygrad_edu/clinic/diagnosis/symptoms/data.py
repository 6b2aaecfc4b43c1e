"""Symptoms of data and of settings: pure functions of a Record, each a sentence with numbers, or None."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.encoding import lengths
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.symptoms import settings as settings
from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Measured, Symptom, beyond, looks, symptom

Array = np.ndarray[Any, Any]
SELDOM = 0.9  # share of samples with the same value; such a feature says something about the others only


def constant_columns(task: Task) -> list[int]:
    """Features that never change, by as much as rounding."""
    X = task.X.reshape(len(task.X), -1)
    return np.flatnonzero(np.ptp(X, axis=0) <= 1e-12 * np.maximum(np.abs(X).max(axis=0), 1e-300)).tolist()


@symptom(kind="data")
def constant_input(record: Record) -> Measured:
    """Features that say nothing; large ones drown the others."""
    if record.setup.pattern is not None:
        return None
    columns, total = constant_columns(record.task), record.task.X.shape[1]
    X = record.task.X
    large = [c for c in columns if len(columns) == total or abs(float(X[0, c])) > LIMITS["scale"]]
    if not large:
        return None
    names = ", ".join(map(str, large[:5]))
    sentence = (
        f"{len(columns)} of {total} features never change (column {names}; column {large[0]} is {X[0, large[0]]:g})."
    )
    return Symptom("constant_input", math.inf, 1.0, sentence)


@symptom(kind="data")
def input_scale(record: Record) -> Measured:
    """Features of very different sizes, or far from 0, or all large or small."""
    if not scalable(record):
        return None
    X = record.task.inputs(record.setup)
    X = X.reshape(-1, X.shape[-1])  # for sequences, over all time steps
    X = X[:, np.ptp(X, axis=0) > 1e-12 * np.maximum(np.abs(X).max(axis=0), 1e-300)]
    if not X.size:
        return None
    std, mean = X.std(axis=0), X.mean(axis=0)
    least, most = extent(X)
    worst = [
        (most / least, "spread", f"the standard deviations range from {least:.3g} to {most:.3g}"),
        (float(std.max()), "scale", f"the largest standard deviation is {std.max():.3g}"),
        (1.0 / float(std.max()), "scale", f"the largest standard deviation is {std.max():.3g}"),
        (
            float((np.abs(mean) / std).max()),
            "offset",
            f"a mean is {(np.abs(mean) / std).max():.3g} standard deviations from 0",
        ),
    ]
    value, limit, text = max(worst, key=lambda row: row[0] / LIMITS[row[1]])
    what = "The feature is not scaled" if len(std) == 1 else "The features have different scales"
    return beyond("input_scale", value, limit, f"{what}: {text.replace('largest ', '') if len(std) == 1 else text}.")


def extent(X: Array) -> tuple[float, float]:
    """The smallest and the largest size of a feature: its standard deviation.

    One that is nearly always the same, as a pixel at the edge or a rare word, has a small deviation because it is
    seldom there, not for its unit: it is never the smallest, and of it a third of the largest deviation counts.
    """
    away, std = np.abs(X - np.median(X, axis=0)), X.std(axis=0)
    seldom = (away == 0.0).mean(axis=0) >= SELDOM
    sizes = np.where(seldom, np.maximum(std, away.max(axis=0) / 3.0), std)
    return float(sizes[~seldom].min(initial=sizes.max()) if not seldom.all() else sizes.min()), float(sizes.max())


def scalable(record: Record) -> bool:
    """Are the inputs numbers, in rows or in sequences of rows?"""
    X = record.task.X
    return (
        X.ndim in (2, 3) and X.dtype.kind == "f" and not (record.setup.pattern is not None and (X % 1.0 == 0.0).all())
    )


def has_feature_columns(record: Record) -> bool:
    return record.setup.pattern is None and record.task.X.ndim == 2


@symptom("outside", kind="data")
def target_outside(record: Record) -> Measured:
    """Targets that the last activation can never give."""
    low, high = record.setup.out_range
    if record.setup.coding is not None or record.setup.link == "softmax" or not np.isfinite([low, high]).any():
        return None
    t = record.task.judged.truth
    share = float(np.mean((t < low) | (t > high)))
    sentence = (
        f"{share:.0%} of the targets are outside the range of a {record.setup.out_activation} output, {low:g} to "
        f"{high:g}: they range from {t.min():.3g} to {t.max():.3g}."
    )
    return share, sentence


@symptom("target_scale", kind="data")
def target_scale(record: Record) -> Measured:
    """Numbers as targets that are large, or far from 0."""
    if record.task.classes or record.setup.targets is not None:
        return None
    t = record.task.judged.truth
    std, mean = float(t.std()), float(np.abs(t.mean(axis=0)).max())
    value = max(std, mean / 2.0)
    return value, f"The targets have mean {mean:.3g} and standard deviation {std:.3g}."


@symptom("runs", kind="data", below=True)
def label_runs(record: Record) -> Measured:
    """Sorted samples in batches, never shuffled: each step makes the network forget the others."""
    if record.setup.shuffle not in (False, "given", "sorted") or record.batch >= record.task.samples:
        return None
    y = record.task.labels
    if y is None:
        t = record.task.truth[:, 0]
        y = (t > np.median(t)).astype(int)
    runs = 1 + int(np.count_nonzero(np.diff(y))) if record.setup.shuffle != "sorted" else len(np.unique(y))
    shares = np.bincount(y) / len(y)
    usual = 1.0 + (len(y) - 1) * (1.0 - float(np.sum(shares**2)))
    sentence = (
        f"The samples are taken in a fixed order with {runs} runs of equal targets; a random order has {usual:.0f}."
    )
    return runs / usual, sentence


@symptom("minority", kind="data", below=True)
def imbalance(record: Record) -> Measured:
    """A class that is much rarer than the others, or counts much less by the weights of its samples."""
    task, weights = record.task, record.setup.weights
    counts = task.counts[task.counts > 0]
    if not task.classes or isinstance(weights, str):
        return None
    if weights is None:
        value = float(counts.min() * len(counts) / counts.sum())
        return value, f"The rarest of {len(counts)} classes has {counts.min()} of {counts.sum()} samples."
    totals = np.bincount(task.labels, weights, task.classes)[task.counts > 0]  # type: ignore[arg-type]
    part = float(totals.min() / totals.sum())
    return part * len(
        totals
    ), f"By the sample weights, one of {len(totals)} classes counts for {part:.2%} of the total."


@symptom(kind="data")
def no_structure(record: Record) -> Measured:
    """Samples that lie near one another have no more to do with each other than by chance."""
    if record.flat is None or record.flat.samples < 40:
        return None
    told, chance = record.neighbours
    if told > max(chance, 0.0):
        return None
    return Symptom(
        "no_structure", max(chance, 1e-3), max(told, 1e-3),
        f"The nearest samples explain {max(told, 0.0):.1%} of the targets; with permuted targets up to {chance:.1%}.",
    )  # fmt: skip


@symptom("tails", kind="data")
def heavy_tail(record: Record) -> Measured:
    """A feature of which a few samples lie many times as far out as the others; scaling by deviation hides the rest.

    Among features of one unit, as pixels are, what others often reach is not far out.
    """
    if not has_feature_columns(record):
        return None
    away = np.abs(record.task.X - np.median(record.task.X, axis=0))
    usual, most = np.quantile(away, 0.9, axis=0), away.max(axis=0)
    least, largest = extent(record.task.X)
    alike = largest <= LIMITS["spread"] * least
    ratio = np.where(usual > 0.0, most / np.maximum(usual.max() if alike else usual, 1e-300), 0.0)
    column = int(ratio.argmax())
    sentence = (
        f"Nine tenths of feature {column} are within {usual[column]:.3g} of its median, and the farthest value is at "
    )
    return float(ratio[column]), f"{sentence}{most[column]:.3g}."


@symptom(kind="data")
def target_outliers(record: Record) -> Measured:
    """Targets far from all the others, which their neighbours do not share."""
    rows = record.task.outliers
    if rows is None:
        return None
    t, (most, count) = record.task.truth, value_and_count(record.task.truth[rows])
    usual = t[~rows]
    text = f", {count} of them {most:g}" if count > 2 else ""
    return Symptom(
        "target_outliers", math.inf, 1.0,
        f"{int(rows.sum())} of {len(t)} targets are far from all the others, which range from {usual.min():.3g} to "
        f"{usual.max():.3g}: the farthest is {t[rows].flat[int(np.abs(t[rows]).argmax())]:.4g}{text}.",
    )  # fmt: skip


def value_and_count(values: Array) -> tuple[float, int]:
    """The commonest value, and how often it comes."""
    found, counts = np.unique(values, return_counts=True)
    return float(found[counts.argmax()]), int(counts.max())


@symptom("target_small", kind="data", below=True)
def target_small(record: Record) -> Measured:
    """Numbers as targets that all lie near 0: rules for stopping take every step for none."""
    if record.task.classes or record.setup.targets is not None:
        return None
    std = float(record.task.judged.truth.std())
    return (std, f"The targets have a standard deviation of only {std:.3g}.") if std > 0.0 else None


@symptom("padded", kind="data")
def padded(record: Record) -> Measured:
    """Sequences that end in zeros, which a recurrent layer has to carry what it read across."""
    X = record.task.X
    if record.setup.pattern is None or X.ndim != 3 or X.dtype.kind != "f":
        return None
    share = 1.0 - float(lengths(X).sum()) / (len(X) * X.shape[1])
    return share, f"{share:.0%} of the steps of the sequences are zeros that pad their end."


def of_data(record: Record) -> list[Symptom]:
    """All symptoms of data and settings."""
    symptoms = []
    for look in looks("data"):
        with np.errstate(all="ignore"):
            symptom = look(record)
        symptoms += [symptom] if symptom is not None else []
    return symptoms
