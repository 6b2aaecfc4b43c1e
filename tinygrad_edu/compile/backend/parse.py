"""Parsing Python, one thread at a time."""

from __future__ import annotations

import ast
import threading
from typing import Any

# CPython 3.11 counts the depth of a tree in one variable for all threads: if two threads parse at once, one may end
# with SystemError, "AST constructor recursion depth mismatch" (seen with 3.11.7, in two threads of Dask).
LOCK = threading.Lock()


def parse(text: str, mode: str = "exec") -> Any:
    """ast.parse(text)."""
    with LOCK:
        return ast.parse(text, mode=mode)


def walk(node: ast.AST) -> list[ast.AST]:
    """A node and everything in it, in no certain order, in a third of the time of ast.walk.

    >>> sorted(x.id for x in walk(parse("b = f(a)")) if isinstance(x, ast.Name))
    ['a', 'b', 'f']
    """
    found = [node]
    for each in found:  # which grows
        for field in each._fields:
            value = getattr(each, field, None)
            if isinstance(value, list):
                found += [x for x in value if isinstance(x, ast.AST)]
            elif isinstance(value, ast.AST):
                found.append(value)
    return found


def full_name(node: ast.expr) -> str:
    """A name as it is written, "math.sqrt"; "" for what is none. ast.unparse takes 20 µs for each.

    >>> full_name(parse("math.sqrt", "eval").body), full_name(parse("x[0]", "eval").body)
    ('math.sqrt', '')
    """
    if isinstance(node, ast.Name):
        return node.id
    owner = full_name(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{owner}.{node.attr}" if isinstance(node, ast.Attribute) and owner else ""


def ieee(text: str) -> ast.Module:
    """A program to be run by Python itself, with NumPy's floats, which divide by 0 as machine code does."""
    tree: ast.Module = OfNumPy().visit(parse(text))
    return tree


class OfNumPy(ast.NodeTransformer):
    """1.5 → np.float64(1.5)."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, float):
            return node
        name = ast.copy_location(ast.Name("np", ast.Load()), node)
        function = ast.copy_location(ast.Attribute(name, "float64", ast.Load()), node)
        return ast.copy_location(ast.Call(function, [node], []), node)


def only_moves(function: ast.FunctionDef) -> bool:
    """Does it put numbers into another order and nothing else, as heads of attention do?

    To unroll such a loop gains nothing: gathers are as slow as single loads. It took a quarter of the compile time of a
    transformer (3.8 → 3.0 s CPU in one process).
    """
    found = [x for x in ast.walk(function) if isinstance(x, (ast.Assign, ast.AugAssign, ast.Expr, ast.If))]
    return bool(found) and all(isinstance(x, ast.Assign) and isinstance(x.value, ast.Subscript) for x in found)
