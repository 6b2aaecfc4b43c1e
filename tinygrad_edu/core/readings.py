"""One body, several readings: the function of a row bound to plain arithmetic, and what its partials read."""

from __future__ import annotations

import dis
import types
from collections.abc import Callable, Sequence
from typing import Any


def bound(function: Callable[..., Any], reading: str) -> Callable[..., Any]:
    """The same code with every operation that it names bound to that operation's `float_function` or `array_function`.

    One body, several readings: with operations in its globals it works on Values and Tensors; with plain functions
    there it is Python or NumPy arithmetic, without a dispatch at each step (sigmoid of a float: 0.4 against 5.6 µs).
    """
    names = {step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}
    found = {name: function.__globals__[name] for name in names if name in function.__globals__}
    plain = {name: getattr(x, reading, x) for name, x in found.items()}
    return types.FunctionType(function.__code__, plain, function.__name__, function.__defaults__, function.__closure__)


def ieee(function: Callable[..., Any], arguments: Sequence[float]) -> Any:
    """The function on NumPy scalars, which never raise; only this rare path of a scalar needs NumPy."""
    import numpy

    with numpy.errstate(all="ignore"):
        result = function(*map(numpy.float64, arguments))
    return result if isinstance(result, tuple) else float(result)


def saved_values(partials: Callable[..., Any], count: int) -> tuple[bool, ...]:
    """For y, x₁, x₂, ...: does `partials` read it? Arguments named _... are not read."""
    code = partials.__code__
    names = code.co_varnames[: code.co_argcount]
    return tuple(not name.startswith("_") for name in names) + (False,) * (count - len(names))
