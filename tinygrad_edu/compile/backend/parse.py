"""Parsing Python, one thread at a time."""

from __future__ import annotations

import ast
import threading
from typing import Any

# CPython 3.11 keeps one count of a tree's depth for all threads: if two parse at once, one of them may end with
# SystemError, "AST constructor recursion depth mismatch" (seen with 3.11.7, in two threads of Dask)
LOCK = threading.Lock()


def parse(text: str, mode: str = "exec") -> Any:
    """ast.parse(text)."""
    with LOCK:
        return ast.parse(text, mode=mode)


def ieee(text: str) -> ast.Module:
    """A program to be run by Python itself, with NumPy's floats, which divide by 0 as machine code does."""
    tree: ast.Module = OfNumPy().visit(parse(text))
    return ast.fix_missing_locations(tree)


class OfNumPy(ast.NodeTransformer):
    """1.5 → np.float64(1.5)."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if not isinstance(node.value, float):
            return node
        return ast.Call(ast.Attribute(ast.Name("np", ast.Load()), "float64", ast.Load()), [node], [])
