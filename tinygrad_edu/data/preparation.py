"""Prepare raw data for a network: hold out a test set, scale inputs, one-hot classes, lag a series."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.checks import whole
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.core.column_names import column_names, refuse_other_columns
from tinygrad_edu.data.arguments import finite, numbers, pairs, rows
from tinygrad_edu.data.batching import class_numbers, orders
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError, TraceError
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]


@check_arguments
def train_test_split(
    X: Samples, y: Samples, test: float = 0.25, seed: int = 0, stratify: bool = False
) -> tuple[Array, Array, Array, Array]:
    """(X_train, X_test, y_train, y_test): a random share of the samples, rounded up, is held out for the test.

    X: the inputs, (samples, features).
    y: the targets, a row for each sample.
    test: the share of the samples to hold out, between 0 and 1; 0.25.
    seed: the seed of the random generator.
    stratify: each class has the same share in both parts, as nearly as whole samples allow.
    Errors: SettingError if a part would be empty, or for a class of a single sample; ShapeError for other lengths.

    >>> parts = train_test_split(np.zeros((10, 3)), np.arange(10), test=0.3)
    >>> [part.shape for part in parts]
    [(7, 3), (3, 3), (7,), (3,)]
    """
    inputs, targets = pairs(X, y)
    count = math.ceil(round(test * len(inputs), 9)) if isinstance(test, Real) and 0.0 < test < 1.0 else 0
    if not 0 < count < len(inputs):
        raise SettingError(f"test={test!r} of {len(inputs)} samples: both parts need at least one sample")
    if stratify:
        no_single(targets)
    (order,) = orders(targets, 1, "stratified" if stratify else "shuffled", seed)
    kept, learned = order[:count], order[count:]
    return inputs[learned], inputs[kept], targets[learned], targets[kept]


def no_single(y: Array) -> None:
    """Refuse a class with a single sample, which cannot be in both parts."""
    counts = np.bincount(class_numbers(y))
    if counts.min() < 2:
        i = int(np.flatnonzero(class_numbers(y) == counts.argmin())[0])
        raise SettingError(
            f"stratify: class {y[i]!s} has a single sample (row {i}), and a split into two parts needs at least two"
        )


class ShiftAndScale(NamedTuple):
    """The numbers of a Scaling."""

    shift: Array
    scale: Array


class Scaling(ShiftAndScale):
    """z = (x - shift)/scale, one shift and one scale for each feature: measured on one array, applied to any.

    shift: what is subtracted, (features,).
    scale: what the difference is divided by, (features,).

    >>> scaling = Scaling(np.array([1.0, 0.0]), np.array([2.0, 1.0]))
    >>> scaling([[3.0, 5.0]]).tolist(), scaling.inverse([[1.0, 5.0]]).tolist()
    ([[1.0, 5.0]], [[3.0, 5.0]])
    """

    columns: tuple[str, ...] = ()  # names of the features, where they were measured on a frame

    def __call__(self, X: Samples) -> Array:
        """The features of X, scaled."""
        scaled: Array = (self.fitting("X", X) - self.shift) / self.scale
        return scaled

    def inverse(self, Z: Samples) -> Array:
        """Undo the scaling."""
        raw: Array = self.fitting("Z", Z) * self.scale + self.shift
        return raw

    def fitting(self, name: str, X: Samples) -> Array:
        """X as an array of numbers with the features that were measured, in their order.

        Errors: DtypeError; ShapeError, also for a frame with its columns in another order.
        """
        refuse_other_columns(name, X, self.columns, "this scaling was measured on")
        found, features = numbers(name, X), np.shape(self.shift)
        alone = np.size(self.shift) == 1 and found.ndim < 2  # numbers of the only feature, (samples,)
        if found.ndim and not alone and found.shape[found.ndim - len(features) :] != features:
            raise ShapeError(
                f"{name} has shape {found.shape}: this scaling was measured on samples of shape {features}, so "
                "each sample needs as many features, in the same order"
            )
        return found


@check_arguments
def standardize(X: Samples) -> tuple[Array, Scaling]:
    """Each feature with mean 0 and standard deviation 1, and the scaling to use on new data.

    z = (x - mean)/std, over the first axis; the standard deviation divides by the number of samples. A feature that
    never changes becomes 0.
    X: the inputs, (samples, features).
    Errors: SettingError for NaN or infinity; ShapeError without samples.

    >>> Z, scaling = standardize([[1.0], [3.0]])
    >>> Z.tolist(), scaling([[2.0], [5.0]]).tolist()
    ([[-1.0], [1.0]], [[0.0], [3.0]])
    """
    array = finite("X", rows("X", X)).astype(float)
    unit = np.ldexp(1.0, np.frexp(np.abs(array).max(axis=0))[1] - 1)  # so that no square is too large or too small
    return scale_array(X, array, unit * (array / unit).mean(axis=0), unit * (array / unit).std(axis=0))


@check_arguments
def min_max(X: Samples) -> tuple[Array, Scaling]:
    """Each feature from 0 to 1, and the scaling to use on new data.

    z = (x - min)/(max - min), over the first axis. A feature that never changes becomes 0. New data can lie outside
    [0, 1].
    X: the inputs, (samples, features).
    Errors: SettingError for NaN or infinity; ShapeError without samples.

    >>> Z, scaling = min_max([2.0, 4.0, 6.0])
    >>> Z.tolist(), scaling.inverse(0.25).tolist()
    ([0.0, 0.5, 1.0], 3.0)
    """
    array = finite("X", rows("X", X)).astype(float)
    return scale_array(X, array, array.min(axis=0), np.ptp(array, axis=0))


def scale_array(X: Samples, array: Array, shift: Array, scale: Array) -> tuple[Array, Scaling]:
    """The array of X, scaled, and its scaling; a feature that never changes is not divided."""
    constant = np.min(array, axis=0) == np.max(array, axis=0)  # its standard deviation can be 1e-17 instead of 0
    scaling = Scaling(np.where(constant, array[0], shift), np.where(constant, 1.0, scale))
    scaling.columns = column_names(X)
    scaled = scaling(array)
    if not np.isfinite(scaled).all():
        raise SettingError(f"X runs from {array.min():g} to {array.max():g}: too wide for floats, divide it first")
    return scaled, scaling


@check_arguments
def one_hot(labels: Samples, classes: int | None = None) -> Array:
    """Class numbers (samples,) or (samples, 1) as one-hot rows (samples, classes).

    labels: class numbers from 0, (samples,) or (samples, 1).
    classes: the number of classes; by default the largest label plus one, which a compiled function does not know.
    Errors: DtypeError for labels that are not integers; SettingError for a label outside 0 to classes - 1.

    >>> one_hot([0, 2]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if hasattr(labels, "rows_of"):
        return one_hot_in_trace(labels, classes)  # type: ignore[no-any-return]
    flat = class_labels(labels, classes)
    return np.eye(int(flat.max()) + 1 if classes is None else classes)[flat]


def one_hot_in_trace(labels: Any, classes: int | None) -> Any:
    """`one_hot` of labels without numbers, while a program is traced. Errors: TraceError."""
    if classes is None:
        raise TraceError("one_hot in a compiled function needs the number of classes: one_hot(labels, classes=3)")
    flat = labels.reshape(-1)
    beside: Any = np.broadcast_to(flat[:, None], (flat.shape[0], classes))
    return beside.rows_of(flat) * 1.0


def class_labels(labels: Samples, classes: int | None = None) -> Array:
    """Class numbers as (samples,), checked to be integers below `classes`."""
    found = rows("labels", labels)
    if found.dtype.kind not in "iu":
        raise DtypeError(f"labels hold {found.dtype}: class numbers 0, 1, 2, ... of an integer type are needed")
    if found.size != len(found):
        raise ShapeError(f"labels have shape {found.shape}: give one class for each sample")
    flat: Array = found.ravel()
    end = np.inf if classes is None else whole("classes", classes)
    outside = np.flatnonzero((flat < 0) | (flat >= end))
    if outside.size:
        i = int(outside[0])
        raise SettingError(f"label {flat[i]} in row {i}: labels are numbers from 0 to below {end:g}")
    return flat


@check_arguments
def lagged(series: Samples, lags: int) -> tuple[Array, Array]:
    """A series as a regression on its own past: X[i] = (s[t-1], s[t-2], ..., s[t-lags]) and y[i] = s[t], t = lags + i.

    series (times,) or (times, 1); X (times - lags, lags), y (times - lags, 1).
    series: the numbers in order of time, (times,) or (times, 1).
    lags: how many past numbers predict the next one, at least 1.
    Errors: SettingError for lags below 1, for a series no longer than lags, and for NaN; ShapeError for other shapes.

    >>> X, y = lagged([1, 2, 3, 4, 5], lags=2)
    >>> X.tolist(), y.ravel().tolist()
    ([[2.0, 1.0], [3.0, 2.0], [4.0, 3.0]], [3.0, 4.0, 5.0])
    """
    values = finite("series", rows("series", series)).astype(float)
    if values.size != len(values):
        raise ShapeError(f"series has shape {values.shape}: give one number for each time")
    if whole("lags", lags) >= len(values):
        raise SettingError(f"lags={lags} of a series of {len(values)}: use a longer series or fewer lags")
    windows = np.lib.stride_tricks.sliding_window_view(values.ravel(), lags + 1)[:, ::-1].copy()
    return windows[:, 1:], windows[:, :1]
