"""What an error in the learner's own code says: the line, the shapes that do not match there, and the likely fix.

NumPy's "matmul: Input operand 1 has a mismatch in its core dimension 0" names neither. The interpreter knows which part
of the line failed, and what its names stood for.
"""

from __future__ import annotations

import ast
import linecache
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.lookup import look_up
from tinygrad_edu.clinic.examiner.learner.patch_math import is_installed
from tinygrad_edu.core.shape_errors import explain
from tinygrad_edu.errors import ExaminerError, TinygradError

OPERATORS = {ast.MatMult: "matmul", ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "div", ast.Pow: "pow"}
PRODUCTS = ("dot", "matmul")
RAISED = (AttributeError, LookupError, NameError, TypeError, ValueError)
CHAINS = (ast.Name, ast.Attribute, ast.Subscript)
MOST = 6  # names whose shapes are told
NOT_STORED = (
    "forward(params) was run just before it. If backward reads what another function stores (a cache, self.h, "
    "a dropout mask), give the function that stores it as forward, or call it at the beginning of backward, or "
    "pass the gradients: check_backprop(forward, params, backward(params))"
)


@contextmanager
def tell_errors(what: str, remark: str = "") -> Iterator[None]:
    """Errors of the learner's code as an ExaminerError; what: "your backward"; remark: of what is not stored."""
    try:
        yield
    except TinygradError:
        raise
    except RAISED as error:
        words = words_of_error(error, what)
        raise ExaminerError(f"{words}. {remark}" if remark and is_missing(error) else words) from error


def is_missing(error: Exception) -> bool:
    """May the error come from something that was not stored before it was read?"""
    kinds = (AttributeError, LookupError, NameError)
    return (isinstance(error, kinds) and not isinstance(error, UnboundLocalError)) or "NoneType" in str(error)


def words_of_error(error: Exception, what: str) -> str:
    """What was raised, where, and the shapes there."""
    last = last_own_frame(error.__traceback__)
    kind = f"{what} raised {type(error).__name__}"
    if last is None:
        return f"{kind}: {error}"
    place = f"{Path(last.tb_frame.f_code.co_filename).name}, line {last.tb_lineno}"
    if not isinstance(error, (TypeError, ValueError)):
        return f"{kind}: {error} ({place})"
    node, text = part_of_failure(last)
    names, world = last.tb_frame.f_locals, last.tb_frame.f_globals
    if told := tell_operands(node, text, names, world):
        return f"{kind} ({place}): {told.rstrip('.')}"
    shapes = tell_shapes(node, text, names, world)
    return f"{kind}: {error} ({place})" + (f". There {shapes}" if shapes else "")


def last_own_frame(trace: TracebackType | None) -> TracebackType | None:
    """The innermost frame that is the learner's, and not of a package."""
    found = None
    while trace is not None:
        found = found if is_installed(trace.tb_frame.f_globals) else trace
        trace = trace.tb_next
    return found


def part_of_failure(trace: TracebackType) -> tuple[ast.AST | None, str]:
    """The part of the line that failed, as the interpreter marks it in a traceback, and its text."""
    code = trace.tb_frame.f_code
    positions = next(islice(code.co_positions(), trace.tb_lasti // 2, None), (None,) * 4)
    first, last, begin, end = positions
    if first is None or last is None or begin is None or end is None:
        return None, ""
    lines = [linecache.getline(code.co_filename, k).encode() for k in range(first, last + 1)]
    lines[-1] = lines[-1][:end]  # before the first is cut, as it may be the same line
    text = b"".join([lines[0][begin:], *lines[1:]]).decode().strip()
    for source in (f"({text}\n)", text):  # an expression over several lines needs brackets; w -= g takes none
        try:
            (statement,) = ast.parse(source).body
            return (statement.value if isinstance(statement, ast.Expr) else statement), source
        except (SyntaxError, ValueError):
            continue
    return None, ""


def tell_operands(node: ast.AST | None, text: str, names: Mapping[str, Any], world: Mapping[str, Any]) -> str:
    """The sentence on two operands whose shapes do not match; "" where these are not known, or do match."""
    operation, pair = operands_of(node)
    arrays = [look_up(x, names, world) for x in pair]
    if not operation or not all(isinstance(x, np.ndarray) for x in arrays):
        return ""
    a, b = (x.shape for x in arrays)
    words = [" ".join((ast.get_source_segment(text, x) or "?").split()) for x in pair]
    return "" if shapes_match(operation, a, b) else explain(operation, words, [a, b])


def operands_of(node: ast.AST | None) -> tuple[str, list[ast.expr]]:
    """What is done, and to which two: a @ b, a -= b, np.dot(a, b), a.dot(b)."""
    if isinstance(node, ast.BinOp):
        return OPERATORS.get(type(node.op), ""), [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return OPERATORS.get(type(node.op), ""), [node.target, node.value]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in PRODUCTS:
        given = [node.func.value, *node.args][-2:]
        return ("matmul", given) if len(given) == 2 and not node.keywords else ("", [])
    return "", []


def shapes_match(operation: str, a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Can NumPy do it with arrays of these shapes?"""
    if operation == "matmul":
        return bool(a and b) and a[-1] == (b[-2] if len(b) > 1 else b[0])
    try:
        np.broadcast_shapes(a, b)
    except ValueError:
        return False
    return True


def tell_shapes(node: ast.AST | None, text: str, names: Mapping[str, Any], world: Mapping[str, Any]) -> str:
    """The shapes of the arrays that the failed part names: "d has shape (4, 1), W2 (3, 1)"."""
    found: dict[str, tuple[int, ...]] = {}
    for chain in chains_in(node):
        array = look_up(chain, names, world)
        if isinstance(array, np.ndarray):
            found[ast.get_source_segment(text, chain) or "?"] = array.shape
    parts = [f"{name} {'has shape ' * (not k)}{shape}" for k, (name, shape) in enumerate([*found.items()][:MOST])]
    return ", ".join(parts)


def chains_in(node: ast.AST | None) -> Iterator[ast.AST]:
    """The longest names, attributes and items in an expression, from left to right."""
    if isinstance(node, CHAINS):
        yield node
    elif node is not None:
        children = ast.iter_child_nodes(node)
        yield from (chain for child in children for chain in chains_in(child))
