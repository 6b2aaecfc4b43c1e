"""What a learner hands in, checked before anything is judged: names, shapes, numbers, a forward to be trusted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.checks import number, optional
from tinygrad_edu.errors import ExaminerError, NameNotFoundError, ShapeError, unknown_name

Array = np.ndarray[Any, Any]
Forward = Callable[[dict[str, Any]], Any]
Form = Callable[[Mapping[str, Array]], dict[str, Any]]  # arrays as the forward wants them: copies, nested lists


def arrays(kind: str, given: Any) -> dict[str, Array]:
    """A dict of name → float array, all finite."""
    if not isinstance(given, Mapping) or not given:
        raise ExaminerError(
            f"{kind} must be a dict of name → array, such as {{'W1': W1, 'b1': b1}}; this is {given!r:.60}"
        )
    return {str(name): finite_array(f"{kind}[{name!r}]", x) for name, x in given.items()}


def finite_array(what: str, given: Any) -> Array:
    try:
        array = np.array(given, dtype=float)
    except (TypeError, ValueError):
        raise ExaminerError(f"{what} is no array of numbers: {given!r:.60}") from None
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = "" if not array.ndim else f" (first at {tuple(map(int, bad[0]))})"
        raise ExaminerError(
            f"{what} has {len(bad)} of {array.size} numbers that are NaN or infinite{place}. "
            "Look for an overflow in exp, a log of 0 or a division by 0 before you look for a slip"
        )
    return array


def check_names(params: Iterable[str], grads: Iterable[str], kind: str = "grads") -> None:
    """One array for each parameter, in `grads` or in `updated`."""
    known, given = list(params), list(grads)
    missing, extra = [n for n in known if n not in given], [n for n in given if n not in known]
    if missing:
        advice = {
            "grads": f"A gradient that you do not compute is 0: pass np.zeros_like(params[{missing[0]!r}])",
            "updated": f"A parameter that the step leaves as it is goes in unchanged: params[{missing[0]!r}]",
        }
        raise NameNotFoundError(f"{kind} has nothing for {', '.join(map(repr, missing))}. {advice[kind]}")
    if extra:
        raise unknown_name({"grads": "gradient", "updated": "updated parameter"}[kind], extra[0], known)


def check_shapes(
    params: Mapping[str, Array], grads: Mapping[str, Array], rows: Mapping[str, tuple[int, ...]]
) -> set[str]:
    """Each gradient has its parameter's shape; the names whose gradient has a row for each sample (`rows`) instead."""
    unsummed = set()
    for name, x in params.items():
        shape = grads[name].shape
        if shape == x.shape:
            continue
        if shape != rows.get(name):
            turned = " It is transposed." if shape == x.shape[::-1] else ""
            raise ShapeError(f"grads[{name!r}] has shape {shape}, but params[{name!r}] has {x.shape}.{turned}")
        unsummed.add(name)
    return unsummed


def check_rate(lr: Any) -> float | None:
    found: float | None = optional(
        number, "lr", lr, "(0, inf)", "", "the learning rate that the update multiplies the gradient by"
    )
    return found


def copied(params: Mapping[str, Array]) -> dict[str, Any]:
    return {name: x.copy() for name, x in params.items()}


def plain_loss(forward: Forward, params: Mapping[str, Array], form: Form = copied) -> float:
    """The loss on plain numbers, in the form that the forward wants, twice; refuses what cannot be judged."""
    first, second = (one_loss(forward, params, form) for _ in range(2))
    if first != second:
        raise ExaminerError(
            f"forward gave {first!r} and then {second!r} for the same params: it is not deterministic. "
            "Draw noise, dropout masks and batches outside of it, or fix the seed inside"
        )
    return first


def one_loss(forward: Forward, params: Mapping[str, Array], form: Form = copied) -> float:
    handed = form(params)
    loss = forward(handed)
    for name, x in params.items():
        if not holds(handed.get(name), x):
            raise ExaminerError(
                f"forward writes into params[{name!r}]: what it computes then depends on how often it is called. "
                f"Work on a copy: {name} = copy.deepcopy(params[{name!r}])"
            )
    return loss_number(loss)


def holds(given: Any, numbers: Array) -> bool:
    """Are these still the same numbers? Lists may have grown, and no longer make an array."""
    try:
        return np.array_equal(np.asarray(given, dtype=float).reshape(-1), numbers.reshape(-1))
    except (TypeError, ValueError):
        return False


def loss_number(loss: Any) -> float:
    if loss is None:
        raise ExaminerError("forward returned None: does it lack a `return loss`?")
    try:
        array = np.asarray(loss, dtype=float)
    except (TypeError, ValueError):
        raise ExaminerError(f"forward must return the loss, one number; it returned {loss!r:.60}") from None
    if array.size != 1:
        raise ShapeError(
            f"forward must return the loss, one number; it returned shape {array.shape}. Take the mean or the sum"
        )
    if not np.isfinite(array).all():
        raise ExaminerError(f"the loss is {float(array.reshape(-1)[0])}: there is no gradient to compare with")
    return float(array.reshape(-1)[0])


def slopes(forward: Forward, params: Mapping[str, Array]) -> dict[str, Array]:
    """The gradient by central differences: (L(w + h) - L(w - h))/2h, h = ε^⅓ max(1, |w|)."""
    found = {}
    for name, x in params.items():
        gradient = np.zeros(x.size)
        for i, w in enumerate(x.reshape(-1)):
            h = 6e-6 * max(1.0, abs(float(w)))
            up, down = (one_loss(forward, {**params, name: nudged(x, i, step)}) for step in (h, -h))
            gradient[i] = (up - down) / (2.0 * h)
        found[name] = gradient.reshape(x.shape)
    return found


def nudged(x: Array, i: int, step: float) -> Array:
    copy = x.copy()
    copy.reshape(-1)[i] += step
    return copy
