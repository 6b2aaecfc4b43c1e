"""The order in which a network sees its samples, and the batches cut from it.

| order | each epoch |
|---|---|
| "shuffled" | every sample once, in a new random order |
| "given" | every sample once, as in the arrays |
| "sorted" | every sample once, class after class |
| "stratified" | every sample once, in a new random order that has each class at its share everywhere |
| "weighted" | as many samples as there are, drawn with replacement, sample i with probability wᵢ/Σw |
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checks import whole
from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.data.arguments import finite, generator_of, numbers, pairs, rows
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError, unknown_name
from tinygrad_edu.names import OrderName
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]
Seed = int | np.random.Generator


@check_arguments
def orders(y: Samples, epochs: int, order: OrderName = "shuffled", seed: Seed = 0, weights: ArrayLike = None) -> Array:
    """The indices of the samples in the order in which each epoch sees them: (epochs, samples), integers.

    "stratified" keeps the count of each class in any stretch of samples near its share (of 3,000 random data sets, the
    worst batch of one was off by 3 samples, of half of them by less than 1), and exactly there in batches of a size for
    which all shares are whole numbers.
    y: a row for each sample; only "sorted" and "stratified" use it, as classes of shape (samples,) or (samples, 1) or
    as one-hot rows.
    epochs: the number of orders.
    order: "shuffled", "given", "sorted", "stratified" or "weighted".
    seed: a number, or a Generator, which is left where the last epoch ends: epochs drawn a few at a time are the same
    as all at once.
    weights: one for each sample, with order="weighted", which draws samples in proportion to them.
    Errors: NameNotFoundError for an unknown order; SettingError for epochs or weights that do not fit; ShapeError.

    >>> orders([0, 1, 0, 1], epochs=2, order="sorted").tolist()
    [[0, 2, 1, 3], [0, 2, 1, 3]]
    >>> orders([0, 0, 0, 1, 1, 1], epochs=1, order="stratified", seed=3).tolist()
    [[4, 0, 5, 1, 3, 2]]
    """
    plan = OrderPlan(rows("y", y), weights)
    count = whole("epochs", epochs)
    if not isinstance(order, str) or order not in ORDERS:
        raise unknown_name("order", order, ORDERS)
    if (weights is None) == (order == "weighted"):
        raise SettingError(
            f'order={order!r}, weights={weights!r}: weights are needed for order="weighted", and only for it'
        )
    drawn: Array = ORDERS[order](plan, count, generator_of(seed))
    return drawn


@dataclass(frozen=True)
class OrderPlan:
    """The data that an order is made from: the targets and, for "weighted", the weights."""

    y: Array
    weights: Any

    def given(self, epochs: int, rng: np.random.Generator) -> Array:
        return np.tile(np.arange(len(self.y)), (epochs, 1))

    def shuffled(self, epochs: int, rng: np.random.Generator) -> Array:
        return rng.permuted(self.given(epochs, rng), axis=1)

    def sorted(self, epochs: int, rng: np.random.Generator) -> Array:
        return np.tile(np.argsort(class_numbers(self.y), kind="stable"), (epochs, 1))

    def weighted(self, epochs: int, rng: np.random.Generator) -> Array:
        return rng.choice(len(self.y), (epochs, len(self.y)), p=probabilities(self.weights, len(self.y)))

    def stratified(self, epochs: int, rng: np.random.Generator) -> Array:
        """The j-th of the m samples of a class stands at (j + u)/m of the epoch, u being a share of its class.

        The classes' u are spread evenly over (0, 1), so that small classes do not all stand at the same places.
        """
        numbers = class_numbers(self.y)
        many = int(numbers.max()) + 1
        draws = rng.random(
            (epochs, len(numbers) + many)
        )  # one row per epoch, so that an epoch's draws do not depend on how many are drawn at a time
        shares = (ranks(draws[:, -many:]) + 0.5) / many
        places = np.empty((epochs, len(numbers)))
        for number in range(many):
            members = np.flatnonzero(numbers == number)
            places[:, members] = (ranks(draws[:, members]) + shares[:, number, None]) / len(members)
        return np.argsort(places, axis=1, kind="stable")


ORDERS = {
    "shuffled": OrderPlan.shuffled,
    "given": OrderPlan.given,
    "sorted": OrderPlan.sorted,
    "stratified": OrderPlan.stratified,
    "weighted": OrderPlan.weighted,
}


def ranks(draws: Array) -> Array:
    """The rank of each number in its row, from 0."""
    return np.argsort(np.argsort(draws, axis=1), axis=1)


def class_numbers(y: Array) -> Array:
    """The class of each sample as a number from 0, in the order of the sorted labels."""
    if y.ndim == 2 and y.shape[1] > 1:
        return one_hot_classes(y)
    if y.size != len(y):
        raise ShapeError(f"y has shape {y.shape}: it needs one class for each sample, (samples,) or (samples, 1)")
    labels = y.ravel()
    if labels.dtype.kind in "fc":
        finite("y", labels)
    try:
        found: Array = np.unique(labels, return_inverse=True)[1]
    except TypeError as error:
        kinds = " and ".join(sorted({type(x).__name__ for x in labels.tolist()}))
        raise DtypeError(f"y mixes {kinds}, which have no order: give classes of one type, and none missing") from error
    return found


def one_hot_classes(y: Array) -> Array:
    """The column of the only 1 in each row, without counting columns that never hold it."""
    y = numbers("y", y)
    wrong = ~(np.isin(y, (0, 1)).all(axis=1) & (y.sum(axis=1) == 1))
    if wrong.any():
        i = int(np.argmax(wrong))
        raise SettingError(f"row {i} of y is {y[i].tolist()}: y has to hold classes, as numbers or as one-hot rows")
    found: Array = np.unique(np.argmax(y, axis=1), return_inverse=True)[1]
    return found


def probabilities(weights: ArrayLike, samples: int) -> Array:
    """Weights as shares of their sum, or an error that says what is wrong with them."""
    w = finite("weights", weights).astype(float)
    if w.shape != (samples,):
        raise ShapeError(f"weights has shape {w.shape}, but there are {samples} samples: give one weight each")
    if w.min() < 0.0 or w.sum() <= 0.0:
        raise SettingError(
            f"weights run from {w.min():g} to {w.max():g}: none may be negative, and at least one has to be above 0"
        )
    shares: Array = w / w.sum()
    return shares


@check_arguments
def batches(
    X: Samples, y: Samples, batch_size: int, *, order: OrderName = "shuffled", seed: int = 0, weights: ArrayLike = None
) -> Batches:
    """Batches (X[rows], y[rows]); each loop over the result is one epoch, in a new order.

    The k-th loop sees the k-th row of `orders` with the same seed.
    X, y: (samples, ...) each.
    batch_size: the rows of a batch; the last one of an epoch has the rest.
    order: "shuffled", "given", "sorted", "stratified" or "weighted", as `orders` explains.
    seed: the seed of the orders, as in `orders`.
    weights: one for each sample, with order="weighted".
    Errors: ShapeError for other lengths or no samples; SettingError for a batch_size below 1 or weights that do not
    fit; NameNotFoundError for an unknown order.

    >>> X, y = np.arange(10.0).reshape(5, 2), np.arange(5)
    >>> loader = batches(X, y, batch_size=2, seed=1)
    >>> [labels.tolist() for _, labels in loader], [labels.tolist() for _, labels in loader]
    ([[4, 0], [1, 2], [3]], [[3, 0], [1, 4], [2]])
    >>> len(loader)
    3
    """
    inputs, targets = pairs(X, y)
    orders(targets, 1, order, 0, weights)  # reports a bad setting now, not in the first loop
    return Batches(inputs, targets, whole("batch_size", batch_size), order, generator_of(seed), weights)


@dataclass(frozen=True)
class Batches:
    """The result of `batches`: loop over it once per epoch.

    X: the inputs, (samples, features).
    y: the targets, a row for each sample.
    batch_size: the number of samples in a batch.
    order: "shuffled", "given", "sorted", "stratified" or "weighted".
    rng: a generator, or its seed.
    weights: the weight of each sample, (samples,).

    >>> found = batches(np.zeros((5, 2)), np.arange(5), batch_size=2, order="given")
    >>> [y.tolist() for _, y in found]
    [[0, 1], [2, 3], [4]]
    """

    X: Array
    y: Array
    batch_size: int
    order: str
    rng: np.random.Generator
    weights: Any

    def __len__(self) -> int:
        """Batches in an epoch."""
        return -(-len(self.X) // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """The next epoch; its order is drawn here, so that a loop left early still counts as one."""
        (order,) = orders(self.y, 1, self.order, self.rng, self.weights)
        chosen = (order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size))
        return ((self.X[rows], self.y[rows]) for rows in chosen)
