"""The functions and constants of a generated program, and which of its variables are read at all."""

from __future__ import annotations

import ast

from tinygrad_edu.compile.backend.parse import parse


class ProgramText:
    """A module of codegen/ taken apart, without its parts for Numba and for Python without Numba."""

    def __init__(self, text: str) -> None:
        statements = parse(text).body
        self.functions = {node.name: node for node in statements if isinstance(node, ast.FunctionDef)}
        assigned = [node for node in statements if isinstance(node, ast.Assign)]
        self.constants = {node.targets[0].id: node.value for node in assigned if isinstance(node.targets[0], ast.Name)}


def read_names(function: ast.FunctionDef) -> set[str]:
    """The names whose value something else depends on."""
    live: set[str] = set()
    while True:
        found = {x.id for node in function.body for x in reads(node, live)}
        if found <= live:
            return live
        live |= found


def reads(node: ast.AST, live: set[str]) -> list[ast.Name]:
    """The names that a statement reads, where what it stores is read in turn."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Tuple) and isinstance(node.value, ast.Tuple):
        pairs = zip(node.targets[0].elts, node.value.elts, strict=True)
        return [x for target, value in pairs if not is_dead(target, live) for x in (*loads(target), *loads(value))]
    if isinstance(node, (ast.Assign, ast.AugAssign)):
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        return [] if is_dead(target, live) else [*loads(target), *loads(node.value)]
    if isinstance(node, (ast.For, ast.While, ast.If)):
        head = node.iter if isinstance(node, ast.For) else node.test
        return [*loads(head), *(x for inner in (*node.body, *node.orelse) for x in reads(inner, live))]
    return loads(node)


def is_dead(target: ast.AST, live: set[str]) -> bool:
    return isinstance(target, ast.Name) and target.id not in live


def loads(node: ast.AST) -> list[ast.Name]:
    return [x for x in ast.walk(node) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Load)]


def names_of_stores(statements: list[ast.stmt]) -> list[str]:
    """The names that some statements give a value, each as often as it gets one."""
    names = [x for node in statements for x in ast.walk(node) if isinstance(x, ast.Name)]
    return [x.id for x in names if isinstance(x.ctx, ast.Store)]
