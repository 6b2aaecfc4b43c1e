"""grad, value_and_grad and gradcheck of functions of numbers, for a machine without NumPy: the same results.

>>> grad(grad(lambda x: x**3))(2.0)
12.0
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_edu.core import ops, value
from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.one_name import one_name_each
from tinygrad_edu.core.transforms.argnums import is_several, places_of
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import GradcheckError, NonScalarBackwardError, OperandError

__all__ = ["grad", "gradcheck", "value_and_grad"]
Function = Callable[..., Any]
Argnum = int | Sequence[int]
STEP = 1e-6  # relative step of a central difference, as in check.py


class _Depth(threading.local):
    level = 0  # number of transforms running around this one


DEPTH = _Depth()


@functools.partial(one_name_each, "grad")
def grad(f: Function, argnum: Argnum = 0, *, argnums: Argnum | None = None) -> Function:
    """The gradient of a function of numbers, as a function of the same arguments.

    >>> grad(lambda a, b: a * b, argnum=(0, 1))(2.0, 5.0)
    (5.0, 2.0)
    """

    @functools.wraps(f)
    def gradient(*arguments: ArrayLike, **options: Option) -> Any:
        return value_and_grad(f, argnum if argnums is None else argnums)(*arguments, **options)[1]

    return gradient


@functools.partial(one_name_each, "value_and_grad")
def value_and_grad(f: Function, argnum: Argnum = 0, *, argnums: Argnum | None = None) -> Function:
    """(f, gradient) in one pass, as a function of the same arguments.

    >>> value_and_grad(lambda x: x * x)(3.0)
    (9.0, 6.0)
    """
    which = argnum if argnums is None else argnums

    @functools.wraps(f)
    def both(*arguments: ArrayLike, **options: Option) -> tuple[Any, Any]:
        chosen = places_of(which, len(arguments))
        nested = DEPTH.level > 0 or any(isinstance(arguments[i], Value) for i in chosen)
        given = list(arguments)
        for i in chosen:
            given[i] = variable(arguments[i])
        DEPTH.level += 1
        try:
            y = f(*given, **options)
            found = tuple(gradients(y, [given[i] for i in chosen]))
        finally:
            DEPTH.level -= 1
        y, found = (y, found) if nested else (number_inside(y), tuple(map(number_inside, found)))
        return y, found if is_several(which) else found[0]

    return both


def variable(x: Node) -> Value:
    """A new node, so that only this use of x is differentiated with respect to."""
    if isinstance(x, Value):
        return ops.pos(x)  # type: ignore[no-any-return]
    if not isinstance(x, (int, float)):
        raise OperandError(
            f"without NumPy a derivative is taken with respect to a number, not {type(x).__name__} {x!r:.40}"
        )
    return Value(x)


def gradients(y: Node, inputs: list[Value]) -> list[Any]:
    """The derivatives of one number, as nodes."""
    if isinstance(y, (int, float)):
        return [0.0 for _ in inputs]  # a plain number depends on no input
    if not isinstance(y, Value):
        raise NonScalarBackwardError(f"grad needs a function with one number as its result, not {type(y).__name__}")
    return value.gradients(y, inputs, 1.0)


def number_inside(x: Node) -> Any:
    return x.data if isinstance(x, Value) else x


def gradcheck(f: Function, *arguments: float, rtol: float = 1e-5, atol: float = 1e-7) -> bool:
    """True if the gradient by every number agrees with central differences. Errors: GradcheckError.

    >>> gradcheck(lambda x: x.tanh() if isinstance(x, Value) else ops.tanh(x), 0.3)
    True
    """
    for i, x in enumerate(arguments):
        analytic, h = grad(f, i)(*arguments), STEP * max(1.0, abs(x))
        ends = [number_inside(f(*arguments[:i], Value(end), *arguments[i + 1 :])) for end in (x + h, x - h)]
        numerical = (ends[0] - ends[1]) / (2.0 * h)
        if not abs(analytic - numerical) <= atol + rtol * max(abs(analytic), abs(numerical)):
            raise GradcheckError(
                f"argument {i}, index (): the gradient is {analytic:.10g}, central differences give {numerical:.10g}"
            )
    return True
