"""Programs with one mistake in them: the classic ones of an exercise, and every small change of its solution."""

from __future__ import annotations

import ast
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import numpy as np

from tinygrad_edu.course.exercise import Exercise, compile_text

# Name of each kind of change in a list of the most common mistakes.
KINDS: Mapping[str, str] = {
    "missing_factor": "A factor or a division is missing.",
    "divided_for_multiplied": "Multiplied instead of divided, or the other way round.",
    "missing_term": "A term of a sum is missing.",
    "sign": "A sign is the wrong way round.",
    "transpose": "A transpose is missing, or one too many.",
    "wrong_axis": "A sum or a mean runs over the wrong axis.",
    "sum_for_mean": "A sum instead of a mean, or the other way round.",
    "one_sample": "One sample instead of the sum over all of them.",
    "sample_variance": "The variance is divided by n - 1 instead of n.",
    "missing_function": "A function is not applied.",
    "wrong_power": "A power is missing, or is a product.",
    "overwritten": "Overwritten instead of added.",
    "wrong_order": "Two lines are in the wrong order.",
    "wrong_variable": "Another variable stands in the place of the right one.",
}
Change = tuple[ast.AST, str, str]  # (replacement of a node, kind of change, sentence)


@dataclass(frozen=True)
class Suspect:
    """A program with something wrong in it: the codes and the sentences of its mistakes, and the program.

    variables: for each mistake, what the wrong lines of the program compute.
    """

    codes: tuple[str, ...]
    sentences: tuple[str, ...]
    program: CodeType
    variables: tuple[tuple[str, ...], ...] = ()

    def results(self, exercise: Exercise, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The results of its functions by name; those of a function that fails are missing."""
        world: dict[str, Any] = {"__name__": "solution"}
        exec(self.program, world)
        found: dict[str, Any] = {}
        for function, names in exercise.functions.items():
            try:
                with np.errstate(all="ignore"):
                    given = world[function](**exercise.arguments(function, inputs))
            except (ArithmeticError, ValueError, TypeError, IndexError, NameError, AttributeError):
                continue
            found |= zip(names, given if isinstance(given, tuple) else (given,), strict=False)
        return found


def classics(exercise: Exercise) -> list[Suspect]:
    """One for each classic mistake of the exercise."""
    texts = [(m, exercise.solution.replace(m.old, m.new)) for m in exercise.mistakes]
    return [
        Suspect((m.code,), (m.sentence,), compile_text(text), (variables_of(exercise.solution, text),))
        for m, text in texts
    ]


@functools.lru_cache(maxsize=1024)  # an exercise has up to 32 mistakes, asked for each submission
def variables_of(right: str, wrong: str) -> tuple[str, ...]:
    """The variables that lines of the right program compute which do not stand in the wrong one.

    >>> variables_of("a = x; b = 2 * a", "a = -x; b = 2 * a")
    ('a',)
    """
    there = {ast.unparse(x) for x in ast.walk(ast.parse(wrong)) if isinstance(x, (ast.Assign, ast.AugAssign))}
    lines = [x for x in ast.walk(ast.parse(right)) if isinstance(x, (ast.Assign, ast.AugAssign))]
    changed = [x for line in lines if ast.unparse(line) not in there for x in ast.walk(line)]
    stored = [x.id for x in changed if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)]
    return tuple(dict.fromkeys(stored))


def pairs(exercise: Exercise) -> Iterator[Suspect]:
    """Pairs of classic mistakes at different places of the solution."""
    for a, b in itertools.combinations(exercise.mistakes, 2):
        one, other = exercise.solution.replace(a.old, a.new), exercise.solution.replace(b.old, b.new)
        if b.old in one and a.old in other:
            text = one.replace(b.old, b.new)
            if text == other.replace(a.old, a.new):
                variables = (variables_of(exercise.solution, one), variables_of(exercise.solution, other))
                yield Suspect((a.code, b.code), (a.sentence, b.sentence), compile_text(text), variables)


def small_changes(exercise: Exercise) -> Iterator[Suspect]:
    """The solution with one node of it changed, each kind of change at each place, the likeliest kinds first."""
    tree = ast.parse(exercise.solution)
    functions = [x for x in tree.body if isinstance(x, ast.FunctionDef) and x.name in exercise.functions]
    for rule in RULES:
        for function in functions:
            for parent, key, index in places(function):
                node = at(parent, key, index)
                for new, kind, said in rule(node, function):
                    put(parent, key, index, ast.fix_missing_locations(ast.copy_location(new, node)))
                    program = compile(tree, "solution", "exec")
                    put(parent, key, index, node)
                    yield Suspect((kind,), (say(where(parent, node, function) + said),), program)
    yield from other_orders(tree, functions)
    yield from other_axes(tree, functions)


def other_orders(tree: ast.Module, functions: Sequence[ast.FunctionDef]) -> Iterator[Suspect]:
    """Two neighbouring lines exchanged."""
    for function in functions:
        body = function.body
        for i in range(len(body) - 2):
            first, second = body[i : i + 2]
            if isinstance(first, ast.Assign) and isinstance(second, ast.Assign):
                body[i : i + 2] = [second, first]
                program = compile(tree, "solution", "exec")
                body[i : i + 2] = [first, second]
                names = ast.unparse(first.targets[0]), ast.unparse(second.targets[0])
                yield Suspect(("wrong_order",), (f"{names[1]} is computed before {names[0]}, not after it.",), program)


def other_axes(tree: ast.Module, functions: Sequence[ast.FunctionDef]) -> Iterator[Suspect]:
    """All sums and means of a line, or of a function, over the other axis, with that axis kept."""
    for function in functions:
        parts: list[tuple[ast.AST, str]] = [(function, "In all lines")]
        for line in function.body:
            if isinstance(line, ast.Assign):
                parts.append((line, f"Where {text(line.targets[0])} is computed"))
        for part, place in parts:
            calls = [
                x for x in ast.walk(part) if isinstance(x, ast.Call) and x.keywords and x.keywords[0].arg == "axis"
            ]
            right = {text(call.keywords[0].value) for call in calls}
            if len(calls) > 1 and right in ({"0"}, {"1"}):
                axis = right.pop()
                other = "1" if axis == "0" else "0"
                kept = [call.keywords for call in calls]
                for call in calls:
                    call.keywords = KEPT[other]
                program = compile(ast.fix_missing_locations(tree), "solution", "exec")
                for call, keywords in zip(calls, kept, strict=True):
                    call.keywords = keywords
                said = f"{place}, sums and means run over axis {other} instead of {axis}."
                yield Suspect(("wrong_axis",), (said,), program)


KEPT = {  # keywords of a reduction that keeps its dimensions, by axis
    axis: ast.parse(f"f(axis={axis}, keepdims=True)", mode="eval").body.keywords  # type: ignore[attr-defined]
    for axis in ("0", "1")
}


def places(function: ast.FunctionDef) -> Iterator[tuple[ast.AST, str, int]]:
    """(parent, field, index in a list or -1) of every node of the lines of a function."""
    for parent in [node for statement in function.body for node in ast.walk(statement)] + [function]:
        for key, value in ast.iter_fields(parent):
            if isinstance(value, list):
                yield from ((parent, key, i) for i, x in enumerate(value) if isinstance(x, (ast.expr, ast.stmt)))
            elif isinstance(value, ast.expr):
                yield parent, key, -1


def at(parent: ast.AST, key: str, index: int) -> Any:
    value = getattr(parent, key)
    return value if index < 0 else value[index]


def put(parent: ast.AST, key: str, index: int, node: ast.AST) -> None:
    if index < 0:
        setattr(parent, key, node)
    else:
        getattr(parent, key)[index] = node


def say(sentence: str) -> str:
    """Names of the solution as the exercise writes them: m̂ for m_hat."""
    return sentence.replace("_hat", "\u0302")


def where(parent: ast.AST, node: ast.AST, function: ast.FunctionDef) -> str:
    """The name of what a node's line computes."""
    for line in ast.walk(function):
        if isinstance(line, (ast.Assign, ast.AugAssign, ast.Return)) and any(x is node for x in ast.walk(line)):
            target = line.targets[0] if isinstance(line, ast.Assign) else getattr(line, "target", None)
            return f"Where {ast.unparse(target)} is computed, " if target is not None else "Where it is returned, "
    return ""


def text(node: ast.AST) -> str:
    return ast.unparse(node)


# Kinds of change: each rule yields possible replacements of a node.


def factors(node: ast.AST, _: Any) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield node.left, "missing_factor", f"the factor {text(node.right)} is missing."
        yield node.right, "missing_factor", f"the factor {text(node.left)} is missing."
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
        yield node.left, "missing_factor", f"the division by {text(node.right)} is missing."
        product = ast.BinOp(node.left, ast.Mult(), node.right)
        yield product, "divided_for_multiplied", f"divide by {text(node.right)}: do not multiply by it."


def terms(node: ast.AST, _: Any) -> Iterator[Change]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Add, ast.Sub)):
        sign = "+" if isinstance(node.op, ast.Add) else "-"
        yield node.left, "missing_term", f"the term {sign} {text(node.right)} is missing."
        yield node.right, "missing_term", f"the term {text(node.left)} is missing."
        other: ast.operator = ast.Sub() if sign == "+" else ast.Add()
        yield ast.BinOp(node.left, other, node.right), "sign", f"the sign before {text(node.right)} is {sign}."


def signs(node: ast.AST, _: Any) -> Iterator[Change]:
    if isinstance(node, ast.Assign):
        yield ast.Assign(node.targets, ast.UnaryOp(ast.USub(), node.value)), "sign", "the sign is the wrong way round."


def transposes(node: ast.AST, _: Any) -> Iterator[Change]:
    if isinstance(node, ast.Attribute) and node.attr == "T":
        yield (
            node.value,
            "transpose",
            f"{text(node)} is needed, not {text(node.value)}: the shapes may match either way.",
        )
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult):
        for side in ("left", "right"):
            factor = getattr(node, side)
            if isinstance(factor, ast.Name):
                turned = ast.Attribute(factor, "T", ast.Load())
                sides = {"left": node.left, "right": node.right, side: turned}
                new = ast.BinOp(sides["left"], ast.MatMult(), sides["right"])
                yield new, "transpose", f"{text(factor)} is needed, not {text(turned)}."


def reductions(node: ast.AST, _: Any) -> Iterator[Change]:
    """Over another axis, over all of them, mean for sum, one sample for all."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in REDUCED):
        return
    values = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
    if "axis" not in values:
        return
    what, axis = node.func.attr, values["axis"]
    for other in {0: (1, None), 1: (0, None)}.get(axis, (0, 1, 2, (0, 1), (1, 2), None)):
        keywords = [ast.keyword("axis", ast.parse(repr(other), mode="eval").body)]
        keywords += [word for word in node.keywords if word.arg != "axis"]
        said = f"the {what} of {text(node.func.value)} runs over axis {other} instead of {axis}."
        yield ast.Call(node.func, node.args, keywords), "wrong_axis", said.replace("axis None", "all axes")
    if what in ("sum", "mean"):
        wrong = {"sum": "mean", "mean": "sum"}[what]
        called = ast.Call(ast.Attribute(node.func.value, wrong, ast.Load()), node.args, node.keywords)
        yield called, "sum_for_mean", f"the {what} of {text(node.func.value)} is needed, not the {wrong}."
        for i in (-1, 0) if axis == 0 else ():
            one = ast.Subscript(node.func.value, ast.parse(str(i), mode="eval").body, ast.Load())
            said = f"{text(one)} is one sample alone: the {what} over all of them is needed."
            yield one, "one_sample", said
    if what == "var":
        called = ast.Call(node.func, node.args, [*node.keywords, ast.keyword("ddof", ast.Constant(1))])
        yield called, "sample_variance", "the variance is divided by n, not by n - 1 (ddof=1)."


REDUCED = ("sum", "mean", "var", "max")


def functions(node: ast.AST, _: Any) -> Iterator[Change]:
    if isinstance(node, ast.Call) and len(node.args) == 1 and text(node.func) in ("np.exp", "np.sqrt", "np.tanh"):
        yield node.args[0], "missing_function", f"{text(node.func)} is missing around {text(node.args[0])}."
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Pow):
        yield node.left, "wrong_power", f"{text(node)} is needed, not {text(node.left)}."
        product = ast.BinOp(node.left, ast.Mult(), node.right)
        yield product, "wrong_power", f"{text(node)} is needed, not {text(product)}."


def assignments(node: ast.AST, _: Any) -> Iterator[Change]:
    if isinstance(node, ast.AugAssign):
        said = f"{text(node.target)} is overwritten: its parts have to be added."
        yield ast.Assign([node.target], node.value), "overwritten", said


def names(node: ast.AST, function: Any) -> Iterator[Change]:
    """Each variable in the place of each other one."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in ("np", "len", "range"):
        stored = {x.id for x in ast.walk(function) if isinstance(x, ast.Name) and isinstance(x.ctx, ast.Store)}
        for other in sorted({argument.arg for argument in function.args.args} | stored):
            if other != node.id:
                said = f"{node.id} is needed, not {other}."
                yield ast.Name(other, ast.Load()), "wrong_variable", said


RULES: tuple[Callable[[ast.AST, Any], Iterator[Change]], ...] = (
    factors, terms, signs, transposes, reductions, functions, assignments, names,
)  # fmt: skip
