"""Measured data that comes with the package: iris, lynx, and eleven people."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import numpy as np

from tinygrad_edu.errors import unknown_name
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]
SPECIES = ("setosa", "versicolor", "virginica")
SEXES = ("female", "male")

# height in cm, weight in kg, European shoe size, and the class: a number of SEXES
PEOPLE = {
    "train": (
        (181, 80, 44, 1), (177, 70, 43, 1), (160, 60, 38, 0), (154, 54, 37, 0), (166, 65, 40, 1), (190, 90, 47, 1),
        (175, 64, 39, 0), (177, 70, 40, 0), (159, 55, 37, 0), (171, 75, 42, 1), (181, 85, 43, 1),
    ),
    "test": ((179, 69, 40, 0), (175, 72, 45, 1)),
}  # fmt: skip


@check_arguments
def iris() -> tuple[Array, Array]:
    """Sepal length and width, petal length and width, in cm, of 150 irises: X (150, 4), y (150,) numbers of SPECIES.

    The rows are sorted by species, 50 of each: a network trained in this order forgets the first two.
    Source: R. A. Fisher, The use of multiple measurements in taxonomic problems, Annals of Eugenics 7 (1936), pages
    179-188; measured by E. Anderson. As in scikit-learn's load_iris, so with rows 35 and 38 as Fisher printed them.
    License: CC BY 4.0 (UCI Machine Learning Repository, doi 10.24432/C56C76).

    >>> X, y = iris()
    >>> X[0].tolist(), SPECIES[y[0]]
    ([5.1, 3.5, 1.4, 0.2], 'setosa')
    """
    table = [line.split(",") for line in lines_of_file("iris.csv")]
    X = np.array([row[:4] for row in table], dtype=float)
    return X, np.array([SPECIES.index(row[4]) for row in table])


@check_arguments
def lynx() -> Array:
    """The Canadian lynxes trapped in each year from 1821 to 1934: a series of shape (114,).

    The numbers rise and fall in a cycle of about ten years. `lagged` makes (X, y) of a series.
    Source: C. Elton and M. Nicholson, The ten-year cycle in numbers of the lynx in Canada, Journal of Animal Ecology 11
    (1942), pages 215-244; the numbers of the series `lynx` in R. They are published counts, free to use.

    >>> series = lynx()
    >>> len(series), series[:3].tolist(), series.max()
    (114, [269.0, 321.0, 585.0], np.float64(6991.0))
    """
    return np.array([line.split(",")[1] for line in lines_of_file("lynx.csv")], dtype=float)


@check_arguments
def body_metrics(part: str = "train") -> tuple[Array, Array]:
    """Height (cm), weight (kg) and shoe size of eleven people: X (11, 3), y (11,) numbers of SEXES.

    part="test" gives the two people on whom the question below measures its accuracy: X (2, 3), y (2,).
    Source: a made-up example of many introductions to scikit-learn, as it stands in the Stack Overflow question
    "ConvergenceWarning: Stochastic Optimizer: Maximum iterations reached", which asks why four runs end differently.
    part: "train" (11 people) or "test" (2 people); "train".
    Errors: NameNotFoundError for another part.

    >>> X, y = body_metrics()
    >>> X[0].tolist(), SEXES[y[0]]
    ([181.0, 80.0, 44.0], 'male')
    """
    if part not in PEOPLE:
        raise unknown_name("part of body_metrics", part, PEOPLE)
    table = np.array(PEOPLE[part])
    return table[:, :3].astype(float), table[:, 3]


def lines_of_file(name: str) -> list[str]:
    """The lines of a file of this folder, without its header."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8").split()[1:]
