"""The functions and constants of a generated program, and which of its variables are read at all."""

from __future__ import annotations

import ast
import functools

from tinygrad_edu.compile.backend.parse import parse, walk


class ProgramText:
    """A module of codegen/ taken apart, without its parts for Numba and for Python without Numba."""

    def __init__(self, text: str) -> None:
        statements = parse(text).body
        self.functions = {node.name: node for node in statements if isinstance(node, ast.FunctionDef)}
        assigned = [node for node in statements if isinstance(node, ast.Assign)]
        self.constants = {node.targets[0].id: node.value for node in assigned if isinstance(node.targets[0], ast.Name)}


@functools.lru_cache(2)
def take_apart(text: str) -> ProgramText:
    """A writer in C goes through the program that predicts five times, to write it and for each check of sizes."""
    return ProgramText(text)


def read_names(function: ast.FunctionDef) -> set[str]:
    """The names whose value something else depends on."""
    effects = [effect for node in function.body for effect in effects_of(node)]
    live: set[str] = set()
    while True:
        found = {name for stored, names in effects if stored is None or stored in live for name in names}
        if found <= live:
            return live
        live |= found


def effects_of(node: ast.AST) -> list[tuple[str | None, set[str]]]:
    """(the variable that gets a value, the names read for it) of a statement; None: they are read in any case."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
        pairs = zip(node.targets[0].elts, node.value.elts, strict=True)
        return [(target_name(target), loads(target) | loads(value)) for target, value in pairs]
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        return [(target_name(target), loads(target) | loads(node.value))]
    if isinstance(node, (ast.For, ast.While, ast.If)):
        head = node.iter if isinstance(node, ast.For) else node.test
        return [(None, loads(head)), *(each for inner in (*node.body, *node.orelse) for each in effects_of(inner))]
    return [(None, loads(node))]


def target_name(target: ast.AST) -> str | None:
    return target.id if isinstance(target, ast.Name) else None


def loads(node: ast.AST) -> set[str]:
    return {x.id for x in walk(node) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Load)}


def names_of_stores(statements: list[ast.stmt]) -> list[str]:
    """The names that some statements give a value, each as often as it gets one."""
    names = [x for node in statements for x in walk(node) if isinstance(x, ast.Name)]
    return [x.id for x in names if isinstance(x.ctx, ast.Store)]
