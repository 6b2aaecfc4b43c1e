"""Parsing Python, one thread at a time."""

from __future__ import annotations

import ast
from typing import Any

from tinygrad_edu.core.mutex import Mutex

# CPython 3.11 counts the depth of a tree in one variable for all threads: if two threads parse at once, one may end
# with SystemError, "AST constructor recursion depth mismatch" (seen with 3.11.7, in two threads of Dask).
LOCK = Mutex()


def parse(text: str, mode: str = "exec") -> Any:
    """ast.parse(text)."""
    with LOCK.freed(), LOCK.taken:
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
    """1.5 → np.float64(1.5), float(n) → np.float64(n), and the single numbers that a program is given."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return call_double(node) if isinstance(node.value, float) else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        return call_double(node.args[0]) if full_name(node.func) == "float" else node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        names = [x.arg for x in node.args.args]
        if "results" in names:
            own = [f"{x} = np.float64({x}) if type({x}) is float else {x}" for x in names]
            node.body[:0] = ast.parse("\n".join(own)).body
        return node


def call_double(x: ast.expr) -> ast.expr:
    """np.float64(x)."""
    name = ast.copy_location(ast.Name("np", ast.Load()), x)
    function = ast.copy_location(ast.Attribute(name, "float64", ast.Load()), x)
    return ast.copy_location(ast.Call(function, [x], []), x)


def only_moves(function: ast.FunctionDef) -> bool:
    """Does it put numbers into another order and nothing else, as heads of attention do?

    To unroll such a loop gains nothing: gathers are as slow as single loads. It took a quarter of the compile time of a
    transformer (3.8 → 3.0 s CPU in one process).
    """
    found = [x for x in ast.walk(function) if isinstance(x, (ast.Assign, ast.AugAssign, ast.Expr, ast.If))]
    return bool(found) and all(isinstance(x, ast.Assign) and isinstance(x.value, ast.Subscript) for x in found)
