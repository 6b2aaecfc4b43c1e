"""The steps of a long program as functions of their own, and one function for all steps that differ only in names and
numbers: a loop over time or over layers that Python has unrolled is compiled once and called for each of its rounds.

The compiler's time grows faster than the length of a function (LSTM, 16 rounds: 11.1 s of CPU time in one piece, 2.8 s
this way), and a call takes nanoseconds.

A step is a loop nest or a product. Two are alike if their texts are equal once each name is replaced by the order in
which it first occurs; whole numbers that differ (the time in `x[i0, 3, i1]`) become arguments too.
"""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass

from tinygrad_edu.compile.backend.parse import parse

FEW = 12  # steps; a shorter program compiles just as fast in one piece
WORDS = frozenset(["np", "math", "range", "float", "int", "abs", "max", "min", "view", "dot"])
SHARED = """\
# Steps of the program that are alike.
shared = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True{})

"""


@dataclass
class Piece:
    """One step: its tree, the names that it reads, what it assigns to, and its whole numbers in order."""

    tree: ast.Module
    given: list[str]
    own: list[str]
    numbers: list[ast.Constant]

    @property
    def shape(self) -> str:
        """The text with names replaced by their places, and without whole numbers."""
        return ast.dump(Placed(self).visit(parse(ast.unparse(self.tree))))


class Placed(ast.NodeTransformer):
    """Names → p0, p1, ... and l0, l1, ...; whole numbers → 0."""

    def __init__(self, piece: Piece) -> None:
        self.names = {name: f"p{i}" for i, name in enumerate(piece.given)}
        self.names |= {name: f"l{i}" for i, name in enumerate(piece.own)}

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return ast.Name(self.names.get(node.id, node.id), node.ctx)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        return ast.Constant(0) if is_whole(node) else node


def is_whole(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int


def piece_of(lines: Sequence[str]) -> Piece:
    tree: ast.Module = parse("\n".join(lines))
    called = {x.func.id for x in ast.walk(tree) if isinstance(x, ast.Call) and isinstance(x.func, ast.Name)}
    names = [x for x in in_order(tree) if isinstance(x, ast.Name) and x.id not in called and x.id not in WORDS]
    own = list(dict.fromkeys(x.id for x in names if isinstance(x.ctx, ast.Store)))
    given = list(dict.fromkeys(x.id for x in names if x.id not in own))
    return Piece(tree, given, own, [x for x in in_order(tree) if is_whole(x)])  # type: ignore[misc]


def in_order(tree: ast.AST) -> list[ast.AST]:
    """All nodes, in the order of the text."""
    found: list[ast.AST] = [tree]
    for child in ast.iter_child_nodes(tree):
        found += in_order(child)
    return found


def outline(steps: Sequence[list[str]], results: Container[str], prefix: str) -> tuple[list[str], str]:
    """(the lines of all steps, the definitions of those that are shared); `results`: names that are read afterwards."""
    lines = [line for step in steps for line in step]
    if len(steps) <= FEW:
        return lines, ""
    pieces = [piece_of(step) for step in steps]
    read = Counter(name for piece in pieces for name in piece.given)
    groups: dict[str, list[int]] = defaultdict(list)
    for i, piece in enumerate(pieces):
        raises = any("raise " in line for line in steps[i])  # a step that became a function cannot raise
        if piece.given and not raises and not any(name in read or name in results for name in piece.own):
            groups[piece.shape].append(i)
    found, definitions = list(steps), []
    for count, members in enumerate(groups.values(), start=1):
        name = f"nest_{prefix}{count}"
        first = pieces[members[0]]
        varying = [k for k in range(len(first.numbers)) if len({pieces[i].numbers[k].value for i in members}) > 1]
        for i in members:
            given = [*pieces[i].given, *(str(pieces[i].numbers[k].value) for k in varying)]
            found[i] = [f"{name}({', '.join(given)})"]
        definitions.append(definition(name, first, varying))
    return [line for step in found for line in step], "".join(definitions)


def definition(name: str, piece: Piece, varying: Sequence[int]) -> str:
    """The function: its arguments are named as in the first of the steps."""
    taken, extra = {*piece.given, *piece.own}, []
    for k in varying:
        free = next(n for n in (f"at_{k}", f"at_{k}_", f"at_{k}__") if n not in taken)
        extra.append(free)
        piece.numbers[k].value = Raw(free)
    body = "\n".join(f"    {line}" for line in ast.unparse(piece.tree).splitlines())
    return f"@shared\ndef {name}({', '.join([*piece.given, *extra])}):\n{body}\n\n"


class Raw(str):
    """A name in place of a number: its repr is the name itself."""

    def __repr__(self) -> str:
        return str(self)
