"""Case 4: 30 by 30 grey images of ten classes, one folder per class. Does the order of the training examples matter?

Glyphs drawn by `data.glyphs` stand in for the images, and go through folders as in the question. Sorted means class
after class, as folders are read; shuffled means a new order in each epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from tinygrad_edu.cases.aliases import Canvas
from tinygrad_edu.cases.charts import BLUE, GREY, RED
from tinygrad_edu.cases.report import Report, Trial
from tinygrad_edu.clinic import Diagnosis, diagnose
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.data import (
    LETTERS,
    glyphs,
    iris,
    orders,
    read_image_folders,
    standardize,
    write_image_folders,
)
from tinygrad_edu.nn import MLP
from tinygrad_edu.optim import SGD
from tinygrad_edu.train import fit, fit_many

Array = np.ndarray[Any, Any]
GOAL = 0.9  # required accuracy on the training examples
LOOKS = 10  # measurements during each class
PART = 1000  # images given to the clinic
RATES = {1: 0.02, 32: 0.2}  # learning rate by batch size


def images(count: int) -> tuple[Array, Array]:
    """Digits written to one folder per class and read back, and so sorted: X (count, 900), y (count,)."""
    with TemporaryDirectory() as folder:
        write_image_folders(Path(folder, "digits"), *glyphs(count))
        pictures, labels, _ = read_image_folders(Path(folder, "digits"))
    return pictures.reshape(len(pictures), -1), labels


def letters(count: int) -> tuple[Array, Array]:
    """The 26 letters in order: X (count, 900), y (count,)."""
    X, y = glyphs(count, LETTERS)
    order = orders(y, 1, "sorted")[0]
    return X[order], y[order]


def species() -> tuple[Array, Array]:
    """Iris, sorted by species as Fisher printed it: X (150, 4), y (150,)."""
    X, y = iris()
    return standardize(X)[0], y


def network(X: Array, y: Array, seed: int = 0) -> MLP:
    """A network as wide as the data needs, with one hidden layer of 32 tanh units."""
    return MLP([X.shape[1], 32, int(y.max()) + 1], seed=seed)


def right(model: MLP, X: Array, y: Array) -> Array:
    """The share of right answers for each class: (classes,)."""
    with no_grad():
        hits = np.argmax(model(X).array, axis=1) == y
    return np.bincount(y, hits) / np.bincount(y)


def forgetting(X: Array, y: Array, order: str, batch_size: int = 1) -> Array:
    """One pass, and the share of right answers for each class after every part of it: (looks, classes)."""
    model, test = network(X, y), glyphs(1000, seed=1)
    optimizer, seen = SGD(model.parameters(), lr=RATES[batch_size]), [right(model, *test)]
    for rows in np.array_split(orders(y, 1, order)[0], LOOKS * 10):
        fit(
            model, X[rows], y[rows], loss="cross_entropy", optimizer=optimizer, epochs=1, batch_size=batch_size,
            shuffle=False, compiled=True,
        )  # fmt: skip
        seen.append(right(model, *test))
    return np.array(seen)


def trials(name: str, X: Array, y: Array, epochs: int, seeds: int) -> Iterator[Trial]:
    """Sorted, and shuffled with nothing else changed, both sample by sample and in batches of 32."""
    for batch_size, how in ((1, "one by one"), (32, "batches of 32")):
        for shuffle, order in ((False, "sorted"), (True, "shuffled")):
            runs = fit_many(
                lambda seed: network(X, y, seed), X, y, loss="cross_entropy", seeds=range(seeds), shuffle=shuffle,
                optimizer=SGD, learning_rates=[RATES[batch_size]], epochs=epochs, batch_size=batch_size,
            )  # fmt: skip
            shares = (np.argmax(runs.predictions[0], axis=2) == y).mean(axis=1)
            passes = f"{epochs} epochs" if epochs > 1 else "one epoch"
            yield Trial(
                f"{name}, {passes}, {how}, {order}",
                int(np.sum(shares >= GOAL)),
                seeds,
                f"{np.median(shares):.1%} right",
            )


def full_batch(X: Array, y: Array) -> float:
    """The largest difference of any weight between sorted and shuffled samples after ten steps with all of them."""
    weights = []
    for order in ("sorted", "shuffled"):
        model, rows = network(X, y), orders(y, 1, order)[0]
        fit(
            model, X[rows], y[rows], loss="cross_entropy", optimizer=SGD(model.parameters(), lr=0.2), epochs=10,
            compiled=False,
        )  # fmt: skip
        weights.append(np.concatenate([np.ravel(w) for w in model.state_dict().values()]))
    return float(np.abs(weights[0] - weights[1]).max())


def thumbnails(X: Array) -> Array:
    """The means of 3 by 3 pixels: (samples, 900) → (samples, 100)."""
    return np.asarray(X.reshape(len(X), 10, 3, 10, 3).mean(axis=(2, 4)).reshape(len(X), 100))


def clinic_verdict(X: Array, y: Array, quick: bool = False) -> tuple[str, Diagnosis]:
    """The clinic's diagnosis of sorted digits: a thousand small ones, since it trains on them dozens of times."""
    X, y = (a[:: max(1, len(a) // PART)] for a in (thumbnails(X), y))
    model = MLP([100, 16, 10])
    optimizer = SGD(model.parameters(), lr=0.2)
    seen = fit(model, X, y, loss="cross_entropy", optimizer=optimizer, epochs=3, batch_size=8, shuffle=False)
    words = f"{len(X):,} of the digits at 10 by 10 pixels, 3 epochs in sorted batches of 8"
    return words, diagnose(seen, seeds=3 if quick else 5)


def run(quick: bool = False) -> Report:
    """10,000 digits, 26 letters, iris; quick: 2,000 digits, and fewer seeds."""
    X, y = images(2_000 if quick else 10_000)
    curves = {order: forgetting(X, y, order) for order in ("sorted", "shuffled")}
    seeds = 2 if quick else 3
    shown = [
        *trials("digits", X, y, 1, seeds),
        *trials("26 letters", *letters(1_300 if quick else 2_600), 3, seeds),
        *trials("iris", *species(), 3, 20),
        *trials("iris", *species(), 30, 20),
    ]
    return Report(
        name="image_order",
        question="images of ten classes, one folder per class. Does the order in which they are learned matter?",
        goal=f"{GOAL:.0%} right",
        trials=tuple(shown),
        findings=(
            forgetting_text(curves),
            "With all samples in one batch only the order of a sum changes: ten steps with sorted and with shuffled "
            f"samples give weights that agree to {full_batch(X, y):.0e}.",
        ),
        diagnosed=clinic_verdict(X, y, quick),
        answer="yes, whenever a step uses fewer than all samples. Each step makes the network better at what it "
        "just saw, and nothing reminds it of the rest: shuffle again in every epoch. The fewer the classes and the "
        "slower the learning, the less it shows: iris recovers within 30 epochs.",
        draw=lambda canvas: draw(canvas, curves),
    )


def forgetting_text(curves: dict[str, Array]) -> str:
    """The accuracy on the first nine classes when each one's turn ended, and what is left at the end of the pass."""
    curve = curves["sorted"]
    known = np.mean([curve[LOOKS * (digit + 1), digit] for digit in range(9)])
    return (
        f"In one sorted pass the first nine digits are known when their folder ends, {known:.0%} right on average, "
        f"and {curve[-1, :9].mean():.0%} at the end of the pass; the last one {curve[-1, 9]:.0%}. Shuffled, all ten "
        f"are at {curves['shuffled'][-1].mean():.0%}."
    )


def draw(canvas: Canvas, curves: dict[str, Array]) -> None:
    """The accuracy on each digit during the pass, sorted and shuffled, and the forgetting curve."""
    *maps, last = canvas.subplots(1, 3)
    for axes, (order, curve) in zip(maps, curves.items(), strict=True):
        image = axes.imshow(curve.T, aspect="auto", extent=(0, 1, 9.5, -0.5), vmin=0, vmax=1, interpolation="nearest")
        axes.set(xlabel="share of one pass", ylabel="digit", yticks=range(10), title=f"{order}: right, of new images")
    canvas.colorbar(image, ax=maps, shrink=0.8)
    part = np.linspace(0.0, 1.0, len(curve))
    last.plot(part, curves["shuffled"].mean(axis=1), color=BLUE, label="shuffled, all digits")
    last.plot(part, curves["sorted"].mean(axis=1), color=RED, label="sorted, all digits")
    last.plot(part, curves["sorted"][:, 1], color=GREY, label="sorted, digit 1")
    last.set(xlabel="share of one pass", ylabel="right, of new images", ylim=(-0.02, 1.35), title="forgetting")
    last.legend(loc="upper center")
    last.grid(alpha=0.3)
