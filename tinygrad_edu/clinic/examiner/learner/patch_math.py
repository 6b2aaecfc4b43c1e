"""`math` exchanged for our operations of the same names while a learner's pure-Python function runs on Values."""

from __future__ import annotations

import functools
import math
import sys
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.core.value import Value


def logarithm(x: ArrayLike, *base: Any) -> Any:
    return ops.log(x) / ops.log(base[0]) if base else ops.log(x)


def add_up(numbers: Iterable[Any]) -> Any:
    listed = list(numbers)
    return sum(listed) if any(isinstance(x, Value) for x in listed) else math.fsum(listed)


def of_number(test: Callable[[float], bool]) -> Callable[[Any], bool]:
    """isnan and its like, of the number in a Value."""
    return lambda x: test(x.data if isinstance(x, Value) else x)


OPERATIONS: dict[str, Callable[..., Any]] = {
    **TABLE,
    "fabs": ops.abs,
    "fsum": add_up,
    "log": logarithm,
    "log2": lambda x: logarithm(x, 2.0),
    "log10": lambda x: logarithm(x, 10.0),
    "hypot": lambda *x: ops.sqrt(sum(a * a for a in x)),
    **{test.__name__: of_number(test) for test in (math.isnan, math.isinf, math.isfinite)},
}


@contextmanager
def operations_for_math(forward: Callable[..., Any]) -> Iterator[None]:
    """While it lasts, `math` is our operations, in every module and closure from which the learner's function calls.

    They take plain numbers too, so that nothing else that runs meanwhile notices.
    """
    places = [(world, name) for world in worlds(forward) for name, x in world.items() if exchange(x) is not x]
    cells = [
        cell
        for f in functions_of(forward)
        for cell in f.__closure__ or ()
        if exchange(cell_contents(cell)) is not cell_contents(cell)
    ]
    before, held = [world[name] for world, name in places], [cell.cell_contents for cell in cells]
    try:
        for world, name in places:
            world[name] = exchange(world[name])
        for cell in cells:
            cell.cell_contents = exchange(cell.cell_contents)
        yield
    finally:
        for (world, name), x in zip(places, before, strict=True):
            world[name] = x
        for cell, x in zip(cells, held, strict=True):
            cell.cell_contents = x


def worlds(forward: Callable[..., Any]) -> list[dict[str, Any]]:
    """The globals of the function's module, and of the learner's other modules from which it has something."""
    own = [f.__globals__ for f in functions_of(forward)]
    found: dict[int, dict[str, Any]] = {}
    waiting = list(own)
    while waiting:
        world = waiting.pop()
        if id(world) not in found and (any(world is w for w in own) or not is_installed(world)):
            found[id(world)] = world
            for x in list(world.values()):
                waiting += [vars(x)] if isinstance(x, types.ModuleType) else [f.__globals__ for f in functions_of(x)]
    return list(found.values())


def is_installed(world: Mapping[str, Any]) -> bool:
    """Is the module Python's own, or of a package, and not the learner's?"""
    return is_of_package(str(world.get("__name__")), str(world.get("__file__") or ""))


@functools.cache  # called for every object that a program holds
def is_of_package(name: str, file: str) -> bool:
    top = name.partition(".")[0]
    packaged = not {"site-packages", "dist-packages"}.isdisjoint(Path(file).parts) or top == __name__.partition(".")[0]
    return packaged or (top in sys.stdlib_module_names and top != "__main__")


def functions_of(x: ArrayLike) -> list[types.FunctionType]:
    """A function; the function of a method, the methods of a class or of a callable object; what it has in closures."""
    if isinstance(x, types.MethodType):
        return [*functions_of(x.__func__), *functions_of(type(x.__self__))]
    if isinstance(x, types.FunctionType):
        held = [cell_contents(cell) for cell in x.__closure__ or ()]
        return [x, *(f for y in held if isinstance(y, types.FunctionType) and y is not x for f in functions_of(y))]
    if isinstance(x, type):
        return [f for f in vars(x).values() if isinstance(f, types.FunctionType)]
    return functions_of(type(x)) if callable(x) and not isinstance(x, types.BuiltinFunctionType) else []


def cell_contents(cell: types.CellType) -> Any:
    """The contents of a cell; None while it is empty."""
    try:
        return cell.cell_contents
    except ValueError:
        return None


def exchange(x: ArrayLike) -> Any:
    """math → our operations; math.exp → ours; everything else is itself."""
    if x is math:
        return types.SimpleNamespace(**{name: exchange(f) for name, f in vars(math).items()})
    if isinstance(x, types.BuiltinFunctionType) and x.__module__ == "math":
        return OPERATIONS.get(x.__name__, x)
    return x
