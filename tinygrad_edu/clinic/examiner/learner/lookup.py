"""The value that a chain of names, attributes and indices stands for while a learner's program runs.

Only names, attributes, indices and plain arithmetic in indices are looked up again, and of calls none but str(l),
int(k) and len(x): looking at a program must not run any of it.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.reachable import attributes, attributes_with_defaults

MISSING = object()


def look_up(node: ast.AST, names: Mapping[str, Any], world: Mapping[str, Any]) -> Any:
    """The value of a chain, an index or plain arithmetic; MISSING where that would need a call."""
    if isinstance(node, ast.Name):
        return names.get(node.id, world.get(node.id, MISSING))
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Attribute):
        return attribute_of(look_up(node.value, names, world), node.attr)
    if isinstance(node, ast.Subscript):
        return item_of(look_up(node.value, names, world), look_up(node.slice, names, world))
    return index_of(node, names, world)


def attribute_of(x: Any, name: str) -> Any:
    if isinstance(x, np.ndarray):
        return x.T if name == "T" else MISSING
    if x is MISSING:
        return MISSING
    held = attributes(x)
    held = held if name in held else attributes_with_defaults(x)
    return next((held[k] for k in (name, *other_spelling(x, name)) if k in held), MISSING)


def other_spelling(x: Any, name: str) -> list[str]:
    """Under which name it is kept: __w of class Layer as _Layer__w, a property that returns self._w as _w."""
    if name.startswith("__"):
        return [f"_{cls.__name__.lstrip('_')}{name}" for cls in type(x).__mro__]
    getter = getattr(getattr(type(x), name, None), "fget", None)
    read = getattr(getattr(getter, "__code__", None), "co_names", ())
    return list(read) if len(read) == 1 else []


def item_of(x: Any, index: Any) -> Any:
    if index is MISSING or x is MISSING:
        return MISSING
    if not isinstance(x, (dict, list, tuple, deque, np.ndarray)):  # an attribute, by its name: see Plain
        return attribute_of(x, index) if isinstance(index, str) else MISSING
    try:
        return x[index]
    except (KeyError, IndexError, TypeError, ValueError):
        return MISSING


ARITHMETIC = {ast.Add: lambda a, b: a + b, ast.Sub: lambda a, b: a - b, ast.Mult: lambda a, b: a * b,
              ast.FloorDiv: lambda a, b: a // b, ast.Mod: lambda a, b: a % b}  # fmt: skip


WHOLE = (str, int, np.integer)
KEYS: dict[str, tuple[Any, tuple[type, ...]]] = {
    "str": (str, WHOLE),
    "int": (int, (*WHOLE, float, np.floating)),
    "len": (len, (list, tuple, dict, deque, str, np.ndarray)),
}


def key_by_call(node: ast.Call, names: Mapping[str, Any], world: Mapping[str, Any]) -> Any:
    """str(l + 1), int(k), len(x) of plain things, where these names are Python's own.

    >>> look_up(ast.parse("grads['dW' + str(l + 1)]", mode="eval").body, {"l": 1, "grads": {"dW2": 0.5}}, {})
    0.5
    """
    name = node.func.id if isinstance(node.func, ast.Name) else ""
    if name not in KEYS or len(node.args) != 1 or node.keywords or name in names or name in world:
        return MISSING
    function, kinds = KEYS[name]
    given = look_up(node.args[0], names, world)
    try:
        return function(given) if isinstance(given, kinds) else MISSING
    except (TypeError, ValueError):
        return MISSING


def index_of(node: ast.AST, names: Mapping[str, Any], world: Mapping[str, Any]) -> Any:
    """Slices, tuples, t - 1, -1, f"W{k}", "W" + str(k)."""
    if isinstance(node, ast.Call):
        return key_by_call(node, names, world)
    if isinstance(node, ast.Slice):
        ends = [None if x is None else look_up(x, names, world) for x in (node.lower, node.upper, node.step)]
        return MISSING if any(x is MISSING for x in ends) else slice(*ends)
    if isinstance(node, ast.Tuple):
        parts = [look_up(x, names, world) for x in node.elts]
        return MISSING if any(x is MISSING for x in parts) else tuple(parts)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = look_up(node.operand, names, world)
        return -inner if isinstance(inner, int) else MISSING
    if isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
        a, b = look_up(node.left, names, world), look_up(node.right, names, world)
        plain = all(isinstance(x, (int, np.integer, str)) for x in (a, b))
        try:
            return ARITHMETIC[type(node.op)](a, b) if plain else MISSING  # type: ignore[no-untyped-call]
        except (TypeError, ZeroDivisionError):
            return MISSING
    if isinstance(node, ast.JoinedStr):
        parts = [x.value if isinstance(x, ast.Constant) else look_up(x.value, names, world) for x in node.values]  # type: ignore[attr-defined]
        return "".join(map(str, parts)) if all(isinstance(x, (str, int)) for x in parts) else MISSING
    return MISSING
