"""SciPy's L-BFGS-B without what `scipy.optimize.minimize` does around each evaluation, which takes as long as the loss.

The steps themselves are SciPy's own machine code, `setulb`, which asks for the loss and the gradient at one point after
another. It is private, so this loop is for the releases that it was compared with, and only where it gives the bits of
`minimize` on a small problem, tried once in a process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from scipy.optimize import minimize

Array = np.ndarray[Any, Any]
RELEASES = ("1.15.", "1.16.", "1.17.", "1.18.")
HALTED = 99  # status of a search that a callback ended, as SciPy's
KEPT = 10  # pairs of steps and changes of the gradient; this and the next two are the defaults of `minimize`
FTOL, LINE_SEARCH = 2.220446049250313e-09, 20
NEW_POINT, EVALUATE, CONVERGED, STOP = 1, 3, 4, 5  # task[0]
OF_EVALUATIONS, OF_ITERATIONS = 502, 504  # task[1]: the limit that was hit


@dataclass(frozen=True)
class MinimizeResult:
    """The end of a minimization, under SciPy's names."""

    x: Array
    fun: Any
    jac: Array
    nit: int
    nfev: int
    status: int
    message: str


def run_setulb(objective: Any, limits: dict[str, Any], iteration: Callable[[int, Any], object]) -> MinimizeResult:
    """What `minimize(..., method="L-BFGS-B", options=limits)` finds from `objective.w`.

    objective: a lbfgs.AtOnePoint, whose `loss(w)` leaves the gradient in `g`.
    iteration: called with the number of each and its loss; True ends the search.
    """
    from scipy.optimize import _lbfgsb, _lbfgsb_py

    n, loss = objective.w.size, objective.loss
    whole = np.int64 if getattr(_lbfgsb_py, "HAS_ILP64", False) else np.int32  # 1.18 can be built with wide integers
    x, f, free, no_bounds = objective.w.copy(), np.array(0.0), np.zeros(n), np.zeros(n, whole)
    numbers = np.zeros(2 * KEPT * n + 5 * n + 11 * KEPT**2 + 8 * KEPT), np.zeros(3 * n, whole)
    task = np.zeros(2, whole)
    state = np.zeros(4, whole), np.zeros(44, whole), np.zeros(29), LINE_SEARCH, np.zeros(2, whole)
    tolerances, g = (FTOL / np.finfo(float).eps, limits["gtol"]), objective.g
    nit = nfev = 0
    while True:
        _lbfgsb.setulb(KEPT, x, free, free, no_bounds, f, g, *tolerances, *numbers, task, *state)
        asked = task[0]
        if asked == EVALUATE:
            if not nfev or np.count_nonzero(x != objective.w):
                f = loss(x)
                nfev += 1
        elif asked == NEW_POINT:
            nit += 1
            if iteration(nit, f) is True:
                return MinimizeResult(x, f, g, nit, nfev, HALTED, "a callback has ended the search")
            if nit >= limits["maxiter"]:
                task[:] = STOP, OF_ITERATIONS
            elif nfev > limits["maxfun"]:
                task[:] = STOP, OF_EVALUATIONS
        else:
            break
    limit = nfev > limits["maxfun"] or nit >= limits["maxiter"]
    message = f"{_lbfgsb_py.status_messages[task[0]]}: {_lbfgsb_py.task_messages[task[1]]}"
    return MinimizeResult(x, f, g, nit, nfev, 0 if asked == CONVERGED else 1 if limit else 2, message)


class Valley:
    """Rosenbrock's function of four numbers, on which the loop is tried."""

    def __init__(self) -> None:
        self.w, self.g = np.array([-1.2, 1.0, 0.7, 2.0]), np.empty(4)

    def loss(self, w: Array) -> Any:
        """The loss at these numbers; computes the gradient as well."""
        self.w[:] = w
        rise, rest = w[1:] - w[:-1] ** 2, 1.0 - w[:-1]
        self.g[:] = 0.0
        self.g[:-1] = -400.0 * w[:-1] * rise - 2.0 * rest
        self.g[1:] += 200.0 * rise
        return np.sum(100.0 * rise**2 + rest**2)


@functools.cache
def is_possible() -> bool:
    """Is this a release of SciPy that the loop was compared with, and does it give the bits of `minimize`?"""
    if not scipy.__version__.startswith(RELEASES):
        return False
    try:
        return all(same_as_scipy({"maxfun": most, "maxiter": 60, "gtol": 1e-4}) for most in (15, 1000))
    except Exception:  # whatever a private function raises that has changed
        return False


def same_as_scipy(limits: dict[str, Any]) -> bool:
    own: list[int] = []
    own_valley, valley = Valley(), Valley()
    found = run_setulb(own_valley, limits, lambda nit, _: own.append(nit))
    known = minimize(
        lambda w: (valley.loss(w), valley.g.copy()), valley.w.copy(), jac=True, method="L-BFGS-B", options=limits
    )
    words = ("nit", "nfev", "status", "message")
    bits = all(np.array_equal(getattr(found, name), getattr(known, name)) for name in ("x", "fun", "jac"))
    return bits and own[-1:] == [known.nit] and all(getattr(found, name) == getattr(known, name) for name in words)
