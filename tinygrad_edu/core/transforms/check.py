"""Is a gradient right? Against central differences, and by the slope of Taylor's remainder.

>>> gradcheck(lambda x: (x * x).sum(), np.array([1.0, 2.0]))
True
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.pytree import refuse_deep
from tinygrad_edu.core.transforms.derivatives import vjp
from tinygrad_edu.core.transforms.plain_pull import unwrap
from tinygrad_edu.errors import GradcheckError
from tinygrad_edu.pen import check_arguments

# relative step h: the truncation error h² and the rounding error ε/h of a central difference are both about 1e-11·f
STEP = 1e-6
# A gradient wrong by 0.1% shows up where h·f″ < 0.002·f′. With h from 1e-3 down to 1e-6, 4 of 5280 such points of the
# table passed as right (285 with h from 1e-2 to 2e-4), and no right gradient had a slope below 1.9.
TAYLOR_STEPS = [0.001 * 4.0**-k for k in range(6)]
FINEST = 2.0**-60  # the last digit of 0.01
FAR = 100.0  # numbers beyond it are moved in proportion: a step of 1e-6 does not move 1e12


@check_arguments
def gradcheck(f: Callable[..., Any], *arguments: ArrayLike, rtol: float = 1e-5, atol: float = 1e-7) -> bool:
    """True if the gradient of f agrees with central differences, (f(x + h) - f(x - h))/2h, for every argument.

    A result of many numbers is weighted with fixed random numbers and summed.
    f: a function of the arguments.
    arguments: numbers, arrays, Values or Tensors (computed in float64); anything else, whole numbers too, is passed on
        as it is.
    rtol: the relative difference allowed.
    atol: the absolute difference allowed.
    Errors: GradcheckError that names the argument, the index and both numbers, or where no argument holds any real
    number, so that nothing would be checked.

    >>> from tinygrad_edu import ops
    >>> gradcheck(ops.tanh, 0.3)
    True
    """
    checks.function("f", f, "gradcheck")
    refuse_deep(arguments)
    places = [i for i, x in enumerate(arguments) if holds_floats(x)]
    refuse_nothing(arguments, places)
    point = [as_float64(x) if i in places else x for i, x in enumerate(arguments)]

    def at_real_arguments(*chosen: ArrayLike) -> Any:
        full = list(point)
        for i, x in zip(places, chosen, strict=True):
            full[i] = x
        return f(*full)

    inputs = [point[i] for i in places]
    y, pull = vjp(at_real_arguments, *inputs)
    weights: Any = np.random.default_rng(0).uniform(0.5, 1.5, np.shape(y)) if np.ndim(y) else 1.0
    again = sum_by_weights(at_real_arguments, inputs, weights)
    refuse_random(again, sum_by_weights(at_real_arguments, inputs, weights))
    for i, x, analytic in zip(places, inputs, numbers_pulled(pull, weights), strict=True):
        refuse_difference(
            i, analytic, numerical_gradient(at_real_arguments, inputs, places.index(i), weights), x, rtol, atol
        )
    return True


def taylor_slope(f: Callable[..., Any], *arguments: ArrayLike, seed: int = 0) -> float:
    """The slope of log |f(x + hv) - f(x) - h·∇f·v| over log h, for a random direction v.

    2 for a right gradient (the remainder is of second order), about 1 for a wrong one (even if it is wrong by only
    0.1%), inf if f is linear along v, so that the remainder is rounding; NaN where f or its gradient is not finite.
    f: a function of the arguments with one number as its result.
    arguments: the point.
    seed: of the random direction.

    >>> from tinygrad_edu import ops
    >>> round(taylor_slope(ops.exp, 0.5), 1)
    2.0
    """
    x = [as_float64(a) for a in arguments]
    rng = np.random.default_rng(seed)
    signs = [rng.uniform(0.5, 1.0, np.shape(a)) * rng.choice([-1.0, 1.0], np.shape(a)) for a in x]
    v = [sign * np.maximum(1.0, np.abs(a) / FAR) for sign, a in zip(signs, x, strict=True)]
    y, pull = vjp(f, *x)
    weights = rng.uniform(0.5, 1.5, np.shape(y))
    gradients = numbers_pulled(pull, weights)
    slope = sum(float(np.sum(np.asarray(g) * w)) for g, w in zip(gradients, v, strict=True))
    base = sum_by_weights(f, x, weights)
    moved = [sum_by_weights(f, move_arguments(x, v, h), weights) for h in TAYLOR_STEPS]
    remainders = [abs(y - base - h * slope) for y, h in zip(moved, TAYLOR_STEPS, strict=True)]
    return fit_slope(remainders, 1e-14 * (are_of_ones([base, *moved], weights) + abs(base) + abs(slope)))


def are_of_ones(found: Sequence[float], weights: ArrayLike) -> bool:
    """Are these what is left of numbers about 1, with their rounding? Such small numbers are whole multiples of it.

    weights: what they were multiplied by; of several nothing is known, and 1 is taken for the size of what was summed.
    """
    if np.ndim(weights):
        return True
    with np.errstate(all="ignore"):
        multiples = np.array(found) / float(weights) / FINEST
        return bool(np.all(np.abs(multiples - np.round(multiples)) <= 1e-15 * np.abs(multiples)))


def fit_slope(remainders: Sequence[float], rounding: float) -> float:
    """The least-squares slope in log-log, over the steps whose remainder is above rounding."""
    if not np.isfinite(remainders).all():
        return math.nan
    points = [(math.log(h), math.log(r)) for h, r in zip(TAYLOR_STEPS, remainders, strict=True) if r > 10.0 * rounding]
    if len(points) < 3:
        return math.inf
    log_h, log_r = np.array(points).T
    return float(np.polyfit(log_h, log_r, 1)[0])


def move_arguments(x: Sequence[Any], v: Sequence[Any], h: float) -> list[Any]:
    return [np.asarray(a + h * w) if isinstance(a, np.ndarray) else float(a + h * w) for a, w in zip(x, v, strict=True)]


def holds_floats(x: ArrayLike) -> bool:
    held = getattr(x, "data", x) if hasattr(x, "parents") else x
    return isinstance(held, (float, np.floating)) or (isinstance(held, np.ndarray) and held.dtype.kind == "f")


def refuse_nothing(arguments: Sequence[Any], places: Sequence[int]) -> None:
    """Errors: GradcheckError if no argument has a gradient that could be checked."""
    if any(np.size(as_float64(arguments[i])) for i in places):
        return
    given = ", ".join(f"{x!r:.40}" for x in arguments) or "no argument"
    raise GradcheckError(
        f"gradcheck has nothing to check: {given} holds no real number. Whole numbers have no gradient: write 3.0 for "
        "3, and np.array([1.0, 2.0]) for a list"
    )


def as_float64(x: ArrayLike) -> Any:
    held = x.data if hasattr(x, "parents") else x
    return np.array(held, dtype=np.float64) if isinstance(held, np.ndarray) else float(held)


def numbers_pulled(pull: Callable[[Any], Any], weights: ArrayLike) -> Any:
    """A pull-back's gradients as numbers: a later backward pass of the user's is not meant for them."""
    with no_grad():
        return pull(weights if np.ndim(weights) else float(weights))


def sum_by_weights(f: Callable[..., Any], inputs: Sequence[Any], weights: ArrayLike) -> float:
    """The weighted sum of f's results, as a plain number."""
    y = vjp(f, *inputs)[0]
    return float(np.sum(weights * unwrap(y)))


def numerical_gradient(f: Callable[..., Any], inputs: Sequence[Any], which: int, weights: ArrayLike) -> Any:
    """Central differences with respect to each entry of one input."""
    x = np.array(inputs[which], dtype=np.float64)
    gradient = np.empty_like(x)
    for index in np.ndindex(x.shape):
        h = STEP * max(1.0, float(abs(x[index])))
        ends = []
        for end in (x[index] + h, x[index] - h):
            shifted = x.copy()
            shifted[index] = end
            held = shifted if isinstance(inputs[which], np.ndarray) else float(shifted)
            ends.append(sum_by_weights(f, [*inputs[:which], held, *inputs[which + 1 :]], weights))
        gradient[index] = (ends[0] - ends[1]) / (2.0 * h)
    return gradient


def refuse_random(first: float, second: float) -> None:
    if first != second and not (math.isnan(first) and math.isnan(second)):
        raise GradcheckError(
            f"f gave {first!r} and then {second!r} at the same point: a random or changing function has no numerical "
            "gradient. Fix its seed for the check"
        )


def refuse_difference(
    argument: int, analytic: ArrayLike, numerical: ArrayLike, x: ArrayLike, rtol: float, atol: float
) -> None:
    a, n = np.asarray(analytic), np.asarray(numerical)
    scale = np.maximum(np.abs(a), np.abs(n))
    off = ~(np.abs(a - n) <= atol + rtol * scale)
    if not off.any():
        return
    index = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(off)))
    at, here, there = f"{index}" if np.ndim(x) else "()", np.atleast_1d(a)[index], np.atleast_1d(n)[index]
    raise GradcheckError(
        f"argument {argument}, index {at}: the gradient is {here:.10g}, central differences give {there:.10g} "
        f"(relative difference {abs(here - there) / max(abs(here), abs(there), 1e-300):.2g}; "
        f"{off.sum()} of {off.size} entries differ)"
    )
