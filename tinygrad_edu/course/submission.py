"""A learner's file, read and not run: its functions alone are taken from it, and what it may not use is named."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinygrad_edu import checks
from tinygrad_edu.errors import InputFileError
from tinygrad_edu.nn import storage

SUFFIXES = (".py", ".ipynb")
ALLOWED = ("numpy", "math", "__future__")
HELPERS = ("tinygrad_edu", "tinygrad_edu.course")  # scripts import these to check themselves; they are never run
FORBIDDEN = {
    "eval", "exec", "open", "compile", "input", "globals", "locals", "vars", "breakpoint", "exit", "quit", "load",
    "fromfile", "memmap", "loadtxt", "genfromtxt", "save", "savez", "savetxt", "tofile", "ctypeslib", "f2py", "ctypes",
}  # fmt: skip


@dataclass
class Submission:
    """The functions of a file: `source`, text of them alone; `problem`, why it cannot be graded, "" where it can."""

    name: str
    source: str = ""
    problem: str = ""
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)

    def filled(self, function: str) -> bool:
        """Does the function do more than the starter? A gap that was left above finished code does not count."""
        node = self.functions.get(function)
        return node is not None and (not any(map(is_gap, ast.walk(node))) or is_finished(node))

    def variables(self, function: str, names: Sequence[str]) -> Sequence[str]:
        """The variable that a function returns for each of its results; the result's own name where it is none."""
        node = self.functions.get(function)
        returned = [x.value for x in (ast.walk(node) if node else ()) if isinstance(x, ast.Return)]
        items: list[Any] = getattr(returned[-1], "elts", [returned[-1]]) if returned else []
        if len(items) != len(names):
            return names
        return [getattr(item, "id", name) for item, name in zip(items, names, strict=True)]

    def line(self, function: str) -> int:
        """The first line of a function, 0 where it is missing."""
        node = self.functions.get(function)
        return node.lineno if node is not None else 0


def is_gap(node: ast.AST) -> bool:
    """`...`, or raise NotImplementedError, in the place of what is to be written."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is Ellipsis:
        return True
    return isinstance(node, ast.Raise) and "NotImplementedError" in ast.dump(node)


def is_finished(node: ast.FunctionDef) -> bool:
    """Does it return something that it has computed? What the starter returns is still to be computed."""
    inside = list(ast.walk(node))
    if any(is_gap(each) for each in inside if isinstance(each, ast.Raise)):
        return False
    computed = {each.id for each in inside if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    results = [each.value for each in inside if isinstance(each, ast.Return) and each.value is not None]
    named = {each.id for value in results for each in getattr(value, "elts", [value]) if isinstance(each, ast.Name)}
    return bool(results) and named <= computed


def read_submission(path: str | Path) -> Submission:
    """A script, or the code of a notebook. Errors: InputFileError where it cannot be read."""
    path = checks.path("given", path, "grade")
    if path.suffix not in SUFFIXES and path.is_file():
        raise InputFileError(f"{path} is not an exercise: a script (.py) or a notebook (.ipynb) is needed")
    try:
        text = storage.file_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        return Submission(path.name, problem="it is not UTF-8 text")
    except (OSError, ValueError) as error:
        raise InputFileError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    if path.suffix != ".ipynb":
        return of_text(text, path.name)
    try:
        return of_text(notebook_code(text), path.name)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Submission(path.name, problem="it is not a notebook that can be read")


def notebook_code(text: str) -> str:
    """All code cells, without the lines that are for the notebook (%magic, !shell)."""
    cells = [cell for cell in storage.parse_json(text)["cells"] if cell["cell_type"] == "code"]
    lines = "\n".join("".join(cell["source"]) for cell in cells).splitlines()
    return "\n".join("" if re.match(r"\s*[%!?]", line) else line for line in lines)


def of_text(text: str, name: str = "submission") -> Submission:
    """The functions of a program's text; constants and imports of NumPy beside them are kept, nothing else."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None)
        where = f"line {line}: " if line else ""
        return Submission(
            name, problem=f"{where}it is not valid Python ({getattr(error, 'msg', None) or 'it cannot be parsed'})"
        )
    kept = [node for node in tree.body if is_kept(node)]
    problem = next((said for node in kept if (said := first_forbidden(node))), "") or imports_problem(tree)
    functions = {node.name: node for node in kept if isinstance(node, ast.FunctionDef)}
    lines = text.splitlines()
    source = [""] * len(lines)
    for node in kept:
        source[node.lineno - 1 : node.end_lineno] = lines[node.lineno - 1 : node.end_lineno]
    return Submission(name, "\n".join(source), problem, functions)


def is_kept(node: ast.stmt) -> bool:
    """A function, an import of what is allowed, or a constant."""
    if isinstance(node, ast.FunctionDef):
        return not node.decorator_list
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return not import_problem(node)
    return isinstance(node, ast.Assign) and all(isinstance(each, PLAIN) for each in ast.walk(node.value))


PLAIN = (ast.Constant, ast.UnaryOp, ast.USub, ast.List, ast.Tuple, ast.Dict, ast.Load, ast.BinOp, ast.operator)


def import_problem(node: ast.Import | ast.ImportFrom) -> str:
    """The module that may not be imported."""
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    return next((name for name in names if name.partition(".")[0] not in ALLOWED), "")


def imports_problem(tree: ast.Module) -> str:
    """The problem of an import that would bring ready-made gradients, at the top or inside a function."""
    checks_itself = [node for top in tree.body if isinstance(top, ast.If) for node in ast.walk(top)]
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)) and not any(node is each for each in checks_itself):
            name = import_problem(node)
            if name and name not in HELPERS:
                return f"line {node.lineno}: it imports {name}; only NumPy and math are allowed"
            if name and not any(node is each for each in tree.body):
                return f"line {node.lineno}: it imports {name} inside a function; only NumPy and math are allowed"
    return ""


def first_forbidden(node: ast.AST) -> str:
    """The first name that reaches out of the function."""
    for each in ast.walk(node):
        name = each.id if isinstance(each, ast.Name) else each.attr if isinstance(each, ast.Attribute) else ""
        if name in FORBIDDEN or (name.startswith("__") and name != "__name__"):
            return f"line {getattr(each, 'lineno', 0)}: it uses {name}, which an exercise does not need"
    return ""


def of_functions(*functions: Any) -> Submission:
    """Functions of a notebook, and those of the same notebook that they call, by their source."""
    name = str(getattr(functions[0], "__name__", functions[0]))
    try:
        texts = [textwrap.dedent(inspect.getsource(each)) for each in with_helpers(functions)]
    except (OSError, TypeError):
        return Submission(name, problem="the text of the function is not at hand")
    return of_text("\n\n".join(texts), name)


def with_helpers(functions: Iterable[Any]) -> list[Any]:
    """The functions, and those of their module that they name."""
    found: dict[Any, None] = {}
    waiting = list(functions)
    while waiting:
        each = waiting.pop(0)
        if each not in found:
            found[each] = None
            world = getattr(each, "__globals__", {})
            named = [world.get(name) for name in getattr(getattr(each, "__code__", None), "co_names", ())]
            waiting += [x for x in named if inspect.isfunction(x) and x.__module__ == each.__module__]
    return list(found)


def exercise_name(text: str) -> str:
    """The name in the first line of a file, `# exercise: NAME`; "" where there is none."""
    found = re.search(r"^# exercise: (\w+)", text, re.MULTILINE)
    return found[1] if found else ""
