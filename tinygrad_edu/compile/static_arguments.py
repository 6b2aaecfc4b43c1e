"""`jit(f, static_argnums=..., static_argnames=...)`: arguments that stay Python's, with a program for each value.

A size, a number of rounds or an exponent decides what the function does, so it cannot be a number of the program.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from tinygrad_edu.compile.user_code import as_key
from tinygrad_edu.errors import SettingError

Function = Callable[..., Any]
Named = int | str | Iterable[Any]


def names_of(f: Function, numbers: Named, names: Named) -> tuple[list[str], set[str]]:
    """(the parameters of f in their order, those that are static). Errors: SettingError for one that f lacks."""
    parameters = list(inspect.signature(f).parameters)
    static = {names} if isinstance(names, str) else set(names)  # type: ignore[arg-type]
    for i in [numbers] if isinstance(numbers, int) else list(numbers):
        if not isinstance(i, int) or not -len(parameters) <= i < len(parameters):
            raise SettingError(f"static_argnums={numbers!r}: the function has the parameters {', '.join(parameters)}")
        static.add(parameters[i])
    if unknown := static - set(parameters):
        raise SettingError(
            f"static_argnames={names!r}: the function has no {', '.join(sorted(map(repr, unknown)))}; "
            f"its parameters are {', '.join(parameters)}"
        )
    return parameters, static


class StaticArguments:
    """The function with a compiled one for each value of its static arguments."""

    def __init__(self, f: Function, compiled: Callable[[Function], Any], numbers: Named, names: Named) -> None:
        functools.update_wrapper(self, f)
        self.f, self.compiled = f, compiled
        self.parameters, self.static = names_of(f, numbers, names)
        self.programs: dict[Any, Any] = {}

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self.chosen(arguments, named)(*self.others(arguments), **self.others_by_name(named))

    def value_and_grad(self, *arguments: Any, **named: Any) -> Any:
        """The value and the gradients by the other arguments."""
        program = self.chosen(arguments, named)
        return program.value_and_grad(*self.others(arguments), **self.others_by_name(named))

    def others(self, arguments: Sequence[Any]) -> list[Any]:
        return [x for i, x in enumerate(arguments) if not self.is_static(i)]

    def others_by_name(self, named: Mapping[str, Any]) -> dict[str, Any]:
        return {name: x for name, x in named.items() if name not in self.static}

    def is_static(self, i: int) -> bool:
        return i < len(self.parameters) and self.parameters[i] in self.static

    def chosen(self, arguments: Sequence[Any], named: Mapping[str, Any]) -> Any:
        """The compiled function for these values of the static arguments."""
        fixed = {i: x for i, x in enumerate(arguments) if self.is_static(i)}
        fixed_names = {name: x for name, x in named.items() if name in self.static}
        values: list[tuple[int | str, Any]] = [*fixed.items(), *fixed_names.items()]
        try:
            key = tuple([(place, type(x), as_key(x)) for place, x in values])
            known = self.programs.get(key)
        except TypeError:
            bad = next((self.name_at(place), x) for place, x in values if type(x).__hash__ is None)
            raise SettingError(
                f"static argument {bad[0]}={bad[1]!r:.40} cannot be a key: give a tuple, not a list"
            ) from None
        if known is None:
            known = self.programs[key] = self.compiled(with_fixed(self.f, fixed, fixed_names))
        return known

    def name_at(self, place: int | str) -> str:
        return place if isinstance(place, str) else self.parameters[place]


def with_fixed(f: Function, fixed: Mapping[int, Any], named: Mapping[str, Any]) -> Function:
    """f as a function of its other arguments."""

    @functools.wraps(f)
    def of_the_others(*rest: Any, **options: Any) -> Any:
        given = iter(rest)
        total = len(rest) + len(fixed)
        return f(*[fixed[i] if i in fixed else next(given) for i in range(total)], **named, **options)

    del of_the_others.__wrapped__  # it has a signature of its own
    return of_the_others
