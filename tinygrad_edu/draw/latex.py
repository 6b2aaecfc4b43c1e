r"""A graph as a formula in LaTeX: y = \tanh(a \cdot b + c); what is used twice gets a line of its own."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tinygrad_edu.charts.text import clean
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.text import data_of, four_digits, option_text, single, size

MOST_OPERATIONS = 400  # operations; nobody would read a longer formula
SUM, PRODUCT, SIGN, POWER, ATOM = range(5)  # how tightly the outermost operation binds
Part = tuple[str, int]  # (LaTeX, how tightly its outermost operation binds)

GREEK = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "pi",
    "rho",
    "sigma",
    "tau",
    "phi",
    "chi",
    "psi",
    "omega",
]
NAMED = {"sin", "cos", "tan", "sinh", "cosh", "tanh", "max", "min", "det"}  # names that LaTeX has commands for
OTHER_NAMES = {
    "maximum": r"\max", "minimum": r"\min", "log": r"\ln", "asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan",
    "sigmoid": r"\sigma", "mean": r"\mathrm{mean}", "class_entropy": r"\mathrm{cross\ entropy}",
}  # fmt: skip
RELATIONS = {
    "greater": ">", "greater_equal": r"\geq", "less": "<", "less_equal": r"\leq", "equal": "=", "not_equal": r"\neq",
}  # fmt: skip
SPECIAL = {"\\": r"\backslash ", "{": r"\{", "}": r"\}", "$": r"\$", "&": "and", "#": r"\#", "%": r"\%", "_": r"\_",
           "^": r"\^{}", "~": r"\sim ", " ": r"\ "}  # fmt: skip
IN_LAYER = re.compile(r"(?:\w+\.)*?(\d+)\.(weight|bias)(?:\[([\d, ]+)\])?")
SIMPLE = re.compile(r"([A-Za-z]+)(?:_?(\d+))?(?:\[([\d, ]+)\])?")


class Latex(str):
    """A formula as LaTeX text; a notebook shows it set. `lines`: its equations, one for each name that it defines."""

    lines: tuple[str, ...]

    def __new__(cls, lines: Sequence[str]) -> Latex:
        text = lines[0] if len(lines) == 1 else align(lines)
        made = super().__new__(cls, text)
        made.lines = tuple(lines)
        return made

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self}$"


def align(lines: Sequence[str]) -> str:
    """Several equations, below each other at their equals signs."""
    rows = [line.replace(" = ", " &= ", 1) for line in lines]
    return "\\begin{aligned}\n" + " \\\\\n".join(rows) + "\n\\end{aligned}"


def equations(graph: Graph) -> list[str]:
    """The formulas of a graph, the outputs last; none for a graph with too many operations."""
    if sum(map(bool, graph.operations)) > MOST_OPERATIONS:
        return []
    used = [0] * len(graph.nodes)
    for parents in graph.parents:
        for parent in parents:
            used[parent] += 1
    parts: list[Part] = []
    names = symbol_names(graph)
    lines = []
    for n, operation in enumerate(graph.operations):
        if operation:
            part = formula(graph, n, [parts[parent] for parent in graph.parents[n]])
        else:
            part = (names[n], ATOM) if n in names else number_formula(graph, n)
        wanted = n in graph.outputs or used[n] > 1 or bool(graph.labels[n])
        if operation and wanted:
            anonymous = n in graph.outputs and not graph.labels[n] and len(graph.outputs) == 1 and not used[n]
            lines.append(part[0] if anonymous else f"{names[n]} = {part[0]}")
            part = (names[n], ATOM)
        parts.append(part)
    return lines or [parts[n][0] for n in sorted(graph.outputs)]


def symbol_names(graph: Graph) -> Mapping[int, str]:
    """A name for each node but plain numbers, no two the same."""
    found: dict[int, str] = {}
    for n, label in enumerate(graph.labels):
        if not label and graph.kind(n) == "constant" and size(graph.data(n)) == 1:
            continue
        name = symbol_of(label) if label else f"v_{{{n}}}" if graph.operations[n] else f"c_{{{n}}}"
        if name in found.values():
            name = rf"\mathrm{{{literal(label)}}}" if label else name
        while name in found.values():
            name += "'"
        found[n] = name
    return found


def symbol_of(label: str) -> str:
    """A label as a symbol: x0 as x₀, alpha as α, layers.1.weight[0,2] as W⁽¹⁾₀,₂; any other text upright.

    >>> symbol_of("x0"), symbol_of("layers.1.weight[0,2]"), symbol_of("my loss")
    ('x_{0}', 'W^{(1)}_{0,2}', '\\\\mathrm{my\\\\ loss}')
    """
    if layer := IN_LAYER.fullmatch(label):
        letter = "W" if layer[2] == "weight" else "b"
        return f"{letter}^{{({layer[1]})}}" + (f"_{{{layer[3].replace(' ', '')}}}" if layer[3] else "")
    simple = SIMPLE.fullmatch(label)
    if simple and (len(simple[1]) == 1 or simple[1].lower() in GREEK):
        letter = simple[1] if len(simple[1]) == 1 else f"\\{simple[1].lower()}"
        below = ",".join(part.replace(" ", "") for part in (simple[2], simple[3]) if part)
        return letter + (f"_{{{below}}}" if below else "")
    return rf"\mathrm{{{literal(label)}}}"


def literal(text: str) -> str:
    """Text of a user inside a formula: nothing in it is a command."""
    letters = (SPECIAL.get(letter, letter) for letter in clean(text))
    return "".join(letter if letter.isascii() or letter.isalpha() else "?" for letter in letters)


def number_formula(graph: Graph, n: int) -> Part:
    """A plain number."""
    text = four_digits(single(data_of(graph.data(n))))
    if text.strip("-") in ("inf", "nan"):
        text = text.replace("inf", r"\infty").replace("nan", r"\mathrm{nan}")
    mantissa, _, exponent = text.partition("e")
    if exponent:
        text = rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
    return text, PRODUCT if exponent else SIGN if text.startswith("-") else ATOM


def bracket(part: Part, strength: int) -> str:
    """A part inside an operation of that strength: in brackets where it is weaker."""
    return part[0] if part[1] >= strength else rf"\left({part[0]}\right)"


def factor(part: Part) -> str:
    """A part after a product's sign."""
    return bracket(part, POWER)


def behind_a_sign(part: Part) -> str:
    """A part after + or -: in brackets where it is a sum, or begins with a sign itself."""
    return bracket((part[0], SUM if part[0].startswith("-") else part[1]), PRODUCT)


def formula(graph: Graph, n: int, parts: Sequence[Part]) -> Part:
    """One operation on formulas."""
    operation, options = graph.operations[n], getattr(graph.nodes[n], "options", None) or {}
    if operation == "mul" and len(parts) == 2:
        both = all(size(graph.data(parent)) > 1 for parent in graph.parents[n])
        sign = r"\odot" if both else r"\cdot"
        return f"{bracket(parts[0], PRODUCT)} {sign} {factor(parts[1])}", PRODUCT
    if operation in RULES and len(parts) == RULES[operation][0]:
        return RULES[operation][1](*parts)
    if operation in RELATIONS:
        return f"{parts[0][0]} {RELATIONS[operation]} {parts[1][0]}", SUM
    if operation == "sum":
        return rf"{total(options)} {bracket(parts[0], POWER)}", PRODUCT
    return latex_call(operation, parts, "" if operation in ("transpose", "getitem") else option_text(options))


def latex_call(operation: str, parts: Sequence[Part], options: str) -> Part:
    """A function by its name, with its options behind it."""
    name = OTHER_NAMES.get(operation) or (f"\\{operation}" if operation in NAMED else "")
    name = name or rf"\mathrm{{{literal(operation.replace('_', ' '))}}}"
    arguments = [part[0] for part in parts] + ([rf"\mathrm{{{literal(options)}}}"] if options else [])
    return rf"{name}\left({', '.join(arguments)}\right)", ATOM


def total(options: Mapping[str, Any]) -> str:
    """The sign of a sum, over all or over some axes."""
    axis = options.get("axis")
    return r"\sum" if axis is None else rf"\sum_{{\mathrm{{axis}}\ {literal(str(axis))}}}"


RULES: Mapping[str, tuple[int, Callable[..., Part]]] = {
    "add": (2, lambda a, b: (f"{a[0]} + {behind_a_sign(b)}", SUM)),
    "sub": (2, lambda a, b: (f"{a[0]} - {behind_a_sign(b)}", SUM)),
    "neg": (1, lambda a: (f"-{bracket(a, POWER)}", SIGN)),
    "pos": (1, lambda a: a),
    "div": (2, lambda a, b: (rf"\frac{{{a[0]}}}{{{b[0]}}}", POWER)),
    "reciprocal": (1, lambda a: (rf"\frac{{1}}{{{a[0]}}}", POWER)),
    "pow": (2, lambda a, b: (f"{{{bracket(a, ATOM)}}}^{{{b[0]}}}", POWER)),
    "square": (1, lambda a: (f"{{{bracket(a, ATOM)}}}^{{2}}", POWER)),
    "sqrt": (1, lambda a: (rf"\sqrt{{{a[0]}}}", ATOM)),
    "exp": (1, lambda a: (f"e^{{{a[0]}}}", POWER)),
    "exp2": (1, lambda a: (f"2^{{{a[0]}}}", POWER)),
    "abs": (1, lambda a: (rf"\left|{a[0]}\right|", ATOM)),
    "floor": (1, lambda a: (rf"\left\lfloor {a[0]} \right\rfloor", ATOM)),
    "ceil": (1, lambda a: (rf"\left\lceil {a[0]} \right\rceil", ATOM)),
    "log2": (1, lambda a: (rf"\log_{{2}}\left({a[0]}\right)", ATOM)),
    "log10": (1, lambda a: (rf"\log_{{10}}\left({a[0]}\right)", ATOM)),
    "matmul": (2, lambda a, b: (rf"{bracket(a, PRODUCT)} \, {factor(b)}", PRODUCT)),
    "transpose": (1, lambda a: (rf"{{{bracket(a, ATOM)}}}^{{\top}}", POWER)),
    "squared_error": (2, lambda p, t: (rf"\left({p[0]} - {behind_a_sign(t)}\right)^{{2}}", POWER)),
    "absolute_error": (2, lambda p, t: (rf"\left|{p[0]} - {behind_a_sign(t)}\right|", ATOM)),
}  # fmt: skip
