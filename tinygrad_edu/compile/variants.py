"""Arguments that are given by name, or that are not numbers: each combination becomes a function of its own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

import numpy as np

from tinygrad_edu.compile.untraceable import call_with_nodes
from tinygrad_edu.compile.user_code import as_key
from tinygrad_edu.core.pytree import flatten, unflatten
from tinygrad_edu.errors import OperandError, TinygradError, TraceError

Function = Callable[..., Any]
Task = Callable[[Any, Sequence[Any]], Any]
PLAIN = frozenset([float, int])  # known to be numbers without further checks
MOST = 256  # forms kept


class Variants:
    """The compiled forms of one function, by what belongs to the program: names, text, None, flags, axes.

    Whole numbers are numbers like any other until a trace fails. Then they are taken as options such as `axis=1`,
    which belong to the program, and each new one is traced again.
    """

    def __init__(self, f: Function, compiled: Callable[[Function], Any]) -> None:
        self.f, self.compiled = f, compiled
        self.made: dict[Any, Any] = {}
        self.by_value: set[Any] = set()  # nestings whose integers are treated as options
        self.newest: Any = None

    def concern(self, nesting: Any, given: Sequence[Any]) -> bool:
        """Is any argument given by name, or part of the program?"""
        named = nesting[1][1][1]
        fixed = not PLAIN.issuperset(map(type, given)) and any(map(is_fixed, given))
        return fixed or bool(named) or nesting in self.by_value

    def run(self, task: Task, nesting: Any, given: Sequence[Any], nested: bool) -> Any:
        """The task with the compiled form for these arguments."""
        try:
            return self.run_form(task, nesting, given, nested, nesting in self.by_value)
        except TraceError as error:
            found = self.attempt(task, nesting, given, nested, error)
            if found is None:
                raise
            return found[0]

    def attempt(
        self, task: Task, nesting: Any, given: Sequence[Any], nested: bool, first: TraceError
    ) -> tuple[Any] | None:
        """The result with all whole numbers taken as options, if that can be traced.

        Errors: TraceError where it got further than the first trace, which ended in an error of Python's.
        """
        if nesting in self.by_value or not any(map(is_option, given)):
            return None
        try:
            found = self.run_form(task, nesting, given, nested, True)
        except Exception as error:
            if isinstance(error, TraceError) and first.__cause__ is not None and error.__cause__ is None:
                raise error from None
            if not isinstance(error, TinygradError):  # one of f's own, such as of an option that is refused
                raise
            return None  # the first error is more useful
        self.by_value.add(nesting)
        return (found,)

    def run_form(self, task: Task, nesting: Any, given: Sequence[Any], nested: bool, by_value: bool) -> Any:
        fixed = {i: x for i, x in enumerate(given) if is_fixed(x) or (by_value and is_option(x))}
        form = self.newest = self.form(nesting, len(given), fixed)
        leaves = [x for i, x in enumerate(given) if i not in fixed]
        forms = form.fitting()
        if forms is None:
            raise TraceError(form.note_of_change())
        result = task(forms.choose(leaves, flatten(tuple(leaves), []), leaves), leaves)
        if not nested:
            return result
        y, found = result
        parts = iter(found)
        arguments, _ = unflatten(nesting, iter([None if i in fixed else next(parts) for i in range(len(given))]))
        return y, arguments

    def form(self, nesting: Any, count: int, fixed: Mapping[int, Any]) -> Any:
        """The compiled form with these arguments built in."""
        key = nesting, tuple([(i, type(x), as_key(x)) for i, x in fixed.items()])
        try:
            if key not in self.made:
                if len(self.made) >= MOST:
                    self.made.clear()
                self.made[key] = self.compiled(on_numbers(self.f, nesting, count, dict(fixed)))
        except TypeError:  # unhashable
            listed = ", ".join(type(x).__name__ for x in fixed.values())
            raise OperandError(f"a compiled function takes numbers, arrays and fixed options, not {listed}") from None
        return self.made[key]


def on_numbers(f: Function, nesting: Any, count: int, fixed: Mapping[int, Any]) -> Function:
    """f as a function of the numbers among its arguments."""

    def g(*numbers: Any) -> Any:
        rest = iter(numbers)
        arguments, named = unflatten(nesting, iter([fixed[i] if i in fixed else next(rest) for i in range(count)]))
        return call_with_nodes(f, arguments, named)

    g.__name__ = getattr(f, "__name__", "program")
    names = leaf_names(f, nesting)
    g.leaf_names = [name for i, name in enumerate(names) if i not in fixed]  # type: ignore[attr-defined]
    return g


def leaf_names(f: Function, nesting: Any) -> list[str]:
    """A name for each number: that of the argument that it is, or is part of."""
    arguments, named = unflatten(nesting, iter(int, 1))  # iter(int, 1) is an endless supply of zeros
    names = [*parameter_names(f, len(arguments)), *named]
    found = []
    for name, part in zip(names, [*arguments, *named.values()], strict=True):
        leaves: list[Any] = []
        flatten(part, leaves)
        found += [name] * len(leaves)
    return found


def parameter_names(f: Function, count: int) -> list[str]:
    """The function's own names for its arguments, if it has any."""
    if hasattr(f, "leaf_names"):
        return list(f.leaf_names[:count])
    try:
        names = [p.name for p in inspect.signature(f).parameters.values() if p.kind != p.VAR_POSITIONAL]
    except (TypeError, ValueError):
        names = []
    return [*names[:count], *(f"x{i}" for i in range(len(names), count))]


def is_option(x: Any) -> bool:
    """May it be a number of the program's structure, such as an axis?"""
    return isinstance(x, (int, np.integer))


def is_fixed(x: Any) -> bool:
    """Does it belong to the program, being a flag or something that cannot be a number or an array of numbers?

    The function may test a flag by `is True`, `is Mode.FAST` or isinstance, which no trace of a number can answer.
    """
    if isinstance(x, (bool, np.bool_, Enum)):
        return True
    if isinstance(x, (float, int, np.generic, np.ndarray)):
        return False
    return not (hasattr(x, "__array__") or hasattr(x, "__array_ufunc__") or hasattr(x, "partials"))
