"""Case 2: the answer to case 1, a grid search: 4 activations, 3 solvers, 21 widths, 3 folds of eleven people.

scikit-learn's own GridSearchCV, with its estimator and with ours: the same scores, in less time. And which of its cells
mean anything.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.cases.aliases import Canvas
from tinygrad_edu.cases.charts import RED
from tinygrad_edu.cases.report import Figure, Report, Trial
from tinygrad_edu.clinic import Diagnosis, diagnose
from tinygrad_edu.data import body_metrics, standardize
from tinygrad_edu.estimators import MLPClassifier

Array = np.ndarray[Any, Any]
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
SOLVERS = ("lbfgs", "sgd", "adam")
WIDTHS = range(1, 22)
FEW = (1, 21)  # widths that scikit-learn is run for too; all 21 take it about a minute
FOLDS = 3
UNDER_TRAINED: dict[str, Any] = {"activation": "logistic", "solver": "adam", "hidden_layer_sizes": (21,)}


def search(
    kind: Any, widths: Iterable[int], scaled: bool = False, factor: float = 1.0, **settings: Any
) -> tuple[Any, float]:
    """(the grid search, its seconds); factor: what all inputs are multiplied by."""
    from sklearn.model_selection import GridSearchCV

    X, y = body_metrics()
    grid = {"activation": ACTIVATIONS, "solver": SOLVERS, "hidden_layer_sizes": [(width,) for width in widths]}
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # ConvergenceWarning: `training_state` counts them
        found = GridSearchCV(kind(random_state=0, **settings), grid, cv=FOLDS)
        found.fit((standardize(X)[0] if scaled else X) * factor, y)
    return found, time.perf_counter() - start


def training_state(params: dict[str, Any], scaled: bool = False, **settings: Any) -> tuple[bool, bool]:
    """(did it stop before the last epoch, does it beat the majority class on its own training data)."""
    X, y = body_metrics()
    inputs = standardize(X)[0] if scaled else X
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier(random_state=0, **params, **settings).fit(inputs, y)
    guess = np.bincount(y).max() / len(y)
    return model.n_iter_ < model.max_iter, bool(model.score(inputs, y) > guess)


def clinic_verdict(quick: bool = False) -> tuple[str, Diagnosis]:
    """The clinic's diagnosis of one of the cells that used all their epochs."""
    X, y = body_metrics()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLPClassifier(random_state=0, **UNDER_TRAINED).fit(X, y)
    return "the cell logistic, adam, (21,), trained on all eleven", diagnose(model, X, y, seeds=3 if quick else 5)


def states(search: Any, scaled: bool = False, **settings: Any) -> Array:
    """`training_state` of each cell: (cells, 2)."""
    return np.array([training_state(params, scaled, **settings) for params in search.cv_results_["params"]])


def run(quick: bool = False) -> Report:
    """Both searches, the cells that are not trained, and what fixes them; quick: two widths, one by scikit-learn."""
    search(MLPClassifier, (1,))  # so that loading the compiled programs is not timed
    few = FEW[1:] if quick else FEW
    (ours, seconds), (theirs, their_seconds) = search(MLPClassifier, few), search(scikit_learns(), few)
    widths = FEW if quick else WIDTHS
    whole, whole_seconds = search(MLPClassifier, widths)
    longer: dict[str, Any] = {"scaled": True, "max_iter": 2000}
    mended, _ = search(MLPClassifier, widths, **longer)
    before, after = states(whole), states(mended, **longer)
    trials = (trial("as published", whole, before), trial("inputs scaled, up to 2,000 epochs", mended, after))
    return Report(
        name="grid_search",
        question="which activation, solver and width are best for the eleven people of case 1? And is the search fast?",
        figures=(
            Figure("scores of all cells: difference from scikit-learn", 0.0, apart(ours, theirs), 0.0),
            Figure(
                "best_params_ that differ from scikit-learn's",
                0.0,
                float(ours.best_params_ != theirs.best_params_),
                0.0,
            ),
        ),
        goal="training that finished and learned something",
        trials=trials,
        findings=(
            f"A search over {len(few)} of the {len(widths)} widths ({len(few) * 12 * FOLDS + 1} fits) took "
            f"{their_seconds:.1f} s with scikit-learn's estimator and {seconds:.1f} s with ours; over all of them "
            f"({len(before) * FOLDS + 1} fits) {whole_seconds:.1f} s with ours.",
            f"{np.sum(~before[:, 0])} of {len(before)} cells used all 200 epochs, and {np.sum(~before[:, 1])} know "
            "their own training data no better than always guessing the larger class: not to be trusted.",
            ties(whole),
            rounding(whole, widths),
        ),
        diagnosed=clinic_verdict(quick),
        answer="the grid tells trained cells from untrained ones, not good settings from bad ones: "
        f"{trials[0].reached} of {len(before)} cells are trained. Scale the inputs and let training finish, and "
        f"{trials[1].reached} are; they then differ by a person more or less, which eleven people cannot "
        "decide.",
        draw=lambda canvas: draw(canvas, list(widths), (whole, before), (mended, after)),
    )


def rounding(whole: Any, widths: Iterable[int]) -> str:
    """How many scores change with the last bits of the inputs."""
    again, _ = search(MLPClassifier, widths, factor=1.0 + 2.0**-50)
    changed = sum(int(np.sum(a != b)) for a, b in zip(of_folds(whole), of_folds(again), strict=True))
    return (
        f"With all inputs multiplied by 1 + 2⁻⁵⁰, {changed} of {FOLDS * len(scores(whole))} fold scores change. "
        "On unscaled inputs SGD amplifies a rounding error until it decides the score: there two libraries agree "
        "only as long as they add in the same order."
    )


def ties(search: Any) -> str:
    """How far ahead the winner is."""
    winner = ", ".join(str(value) for value in search.best_params_.values())
    others = int(np.sum(scores(search) == search.best_score_)) - 1
    return (
        f"The winner, {winner}, scores {search.best_score_:.3f}, and so do {others} other cells. A fold has "
        "three or four people: one person is 0.083 or 0.111 of the score."
    )


def scikit_learns() -> Any:
    from sklearn.neural_network import MLPClassifier as Original

    return Original


def scores(search: Any) -> Array:
    """The mean score of each cell: (cells,)."""
    return np.asarray(search.cv_results_["mean_test_score"])


def apart(ours: Any, theirs: Any) -> float:
    """The largest difference of any score of any fold."""
    return max(float(np.abs(a - b).max()) for a, b in zip(of_folds(ours), of_folds(theirs), strict=True))


def of_folds(search: Any) -> list[Array]:
    """The scores of each fold, (cells,)."""
    return [search.cv_results_[f"split{fold}_test_score"] for fold in range(FOLDS)]


def trial(change: str, search: Any, state: Array) -> Trial:
    """How many cells are trained, and what they score."""
    found = scores(search)
    measured = f"score: median {np.median(found):.3f}, best {found.max():.3f}"
    return Trial(change, int(np.sum(state.all(axis=1))), len(found), measured)


def draw(canvas: Canvas, widths: list[int], *found: tuple[Any, Array]) -> None:
    """The score of each cell, as published and fixed, with a cross if it was not trained."""
    # GridSearchCV sorts parameters by name, the last one varying fastest
    shape = (len(ACTIVATIONS), len(widths), len(SOLVERS))
    both = canvas.subplots(1, 2, sharey=True)
    for axes, (search, state), title in zip(both, found, ("as published", "scaled, up to 2,000 epochs"), strict=True):
        cells, bad = (as_rows(each, shape) for each in (scores(search), np.logical_not(state.all(axis=1))))
        image = axes.imshow(cells, aspect="auto", vmin=0.0, vmax=1.0, interpolation="nearest")
        axes.plot(*np.argwhere(bad).T[::-1], "x", color=RED, markersize=4)
        shown = range(0, len(widths), max(1, len(widths) // 7))
        axes.set_xticks(shown, [str(widths[i]) for i in shown])
        axes.set(xlabel="hidden units", title=f"{title}; x: not trained")
    rows = [f"{activation}, {solver}" for activation in ACTIVATIONS for solver in SOLVERS]
    both[0].set_yticks(range(len(rows)), rows)
    canvas.colorbar(image, ax=both, label="mean score")


def as_rows(cells: Array, shape: tuple[int, int, int]) -> Array:
    """Cells in the order of the grid as (activation and solver, width)."""
    return cells.reshape(shape).transpose(0, 2, 1).reshape(-1, shape[1])
