"""The statements of a learner's file as the recorder needs them: what each line reads, and what it writes.

>>> import ast
>>> statement = Statement.of(ast.parse("dW += x.T @ d[1:]").body[0])
>>> [ast.unparse(x) for x in statement.assignments[0].reads], statement.assignments[0].adds
(['x.T', 'd[1:]'], True)
"""

from __future__ import annotations

import ast
import copy
import itertools
import linecache
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from tinygrad_edu.clinic.examiner.learner.lookup import MISSING
from tinygrad_edu.clinic.examiner.lines.plain_source import Plain

LOOPS = (ast.For, ast.While)
GROWING = ("append", "insert", "extend", "appendleft", "update", "setdefault")
NESTED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True)
class Assignment:
    """One target with what its value is made of. `adds`: x += ..., whose value is an increment."""

    target: ast.expr | None  # None for a returned value
    reads: tuple[ast.expr, ...]
    adds: bool = False
    key: Any = None  # which item of a returned value
    each: ast.ListComp | None = None  # the value is a list comprehension whose items are made from items of other lists
    called: frozenset[str] = frozenset()  # functions whose results are used
    grows: bool = False  # items were added to the target, a list or dict
    late: tuple[ast.expr, ...] = ()  # of the reads: what an earlier statement on the same line has written


@dataclass(frozen=True)
class Statement:
    """A line's assignments; `calls`: a bare call, which may write to anything that it is given."""

    first: int
    assignments: tuple[Assignment, ...]
    returns: tuple[Assignment, ...] = ()
    calls: bool = False
    again: bool = field(default=False)  # the head of a loop
    guarded: bool = False  # behind `if ...:` on the same line, so that it may not be run
    in_line: bool = False  # the body of a one-line loop: what it reads is assigned after the line has begun
    rounds: tuple[tuple[Assignment, ...], ...] = ()  # for a loop over a literal list: the assignments of each round
    last: int = 0  # the last line of a loop's body
    arguments: tuple[tuple[str, ast.Call], ...] = ()  # the calls on this line, as (name of the function, call)

    def joined_with(self, other: Statement) -> Statement:
        """Both as one: of a = x; b = a the second reads what the first has written, when the line ends."""
        written = {ast.unparse(root_of(a.target)) for a in self.assignments if a.target is not None}
        later = tuple(replace(a, late=late_reads(a, written) or a.late) for a in (*other.assignments, *other.returns))
        count = len(other.assignments)
        return replace(
            self,
            assignments=(*self.assignments, *later[:count]),
            returns=(*self.returns, *later[count:]),
            calls=self.calls or other.calls,
            arguments=(*self.arguments, *other.arguments),
        )

    @classmethod
    def of(cls, node: ast.stmt) -> Statement:
        first = node.lineno
        if isinstance(node, ast.Assign):
            return cls(first, tuple(a for t in node.targets for a in pair_targets(t, node.value)))
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            return cls(first, tuple(pair_targets(node.target, node.value)))
        if isinstance(node, ast.AugAssign):
            adds = isinstance(node.op, (ast.Add, ast.Sub))
            read = (*reads(node.value), *(() if adds else (as_read(node.target),)))
            return cls(first, (Assignment(node.target, read, adds, called=names_of_calls(node.value)),))
        if isinstance(node, ast.Return) and node.value is not None:
            return cls(first, (), tuple(return_assignments(node.value)))
        if isinstance(node, ast.For):
            whole = tuple(Assignment(t, reads(node.iter)) for t in flat_targets(node.target))
            return cls(first, whole, again=True, rounds=rounds_of(node), last=node.end_lineno or first)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return cls(first, tuple(of_bare_call(node.value)), calls=True)
        return cls(first, ())


def root_of(target: ast.expr) -> ast.expr:
    """The name of net.W[0]: net; with an attribute net.W."""
    while isinstance(target, (ast.Subscript, ast.Attribute)) and not isinstance(target.value, ast.Name):
        target = target.value
    return target.value if isinstance(target, ast.Subscript) else target


def late_reads(assignment: Assignment, written: set[str]) -> tuple[ast.expr, ...]:
    """Those of its reads that lie in what has been written."""
    return tuple(x for x in assignment.reads if ast.unparse(root_of(x)) in written or ast.unparse(x) in written)


def rounds_of(loop: ast.For) -> tuple[tuple[Assignment, ...], ...]:
    """What each round of a loop over written-out items assigns, zipped or not: for p, g in ((W, x.T @ d), (b, d)).

    >>> loop = ast.parse("for p, g in zip((W, b), (x.T @ d, d)): pass").body[0]
    >>> [[ast.unparse(r) for r in a.reads] for a in rounds_of(loop)[0]]
    [['W'], ['x.T', 'd']]
    """
    items = items_of_display(loop.iter)
    if isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Name) and loop.iter.func.id == "zip":
        columns = [items_of_display(x) for x in loop.iter.args]
        items = [ast.Tuple([*row], ast.Load()) for row in zip(*columns, strict=False)] if all(columns) else []
    return tuple(tuple(pair_targets(loop.target, item)) for item in items)


def items_of_display(value: ast.expr) -> list[ast.expr]:
    return [item for _, item in items_of(value)] if isinstance(value, (ast.List, ast.Tuple)) else []


def calls_in(node: ast.stmt) -> tuple[tuple[str, ast.Call], ...]:
    """The calls of a statement by the function's name; of a loop or a condition those in its head."""
    head = getattr(node, "iter", None) or getattr(node, "test", None)
    whole = head if head is not None else node if not getattr(node, "body", None) else ast.Pass()
    return tuple((name_of_call(x), x) for x in ast.walk(whole) if isinstance(x, ast.Call))


def name_of_call(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def of_bare_call(call: ast.Call) -> Iterator[Assignment]:
    """What a bare call may write to: all that it is given; of grads.append(dW) the list, and what it is given more.

    >>> [ast.unparse(a.target) for a in of_bare_call(ast.parse("net.grads.append(x * d)").body[0].value)]
    ['net.grads']
    """
    given = (*call.args, *call.keywords)
    called, read = names_of_calls(*given), reads(call)
    if isinstance(call.func, ast.Attribute) and call.func.attr in GROWING and is_chain(call.func.value):
        read = tuple({ast.unparse(x): x for part in given for x in reads(part)}.values())
        yield Assignment(as_read(call.func.value), read, called=called, grows=True)
        return  # a value that is put into a list is not changed
    yield from (Assignment(as_read(x), read, called=called) for x in read)
    tables = (table for x in read if (table := untransposed(x)) is not x)  # of np.add.at(E.T, ...), E too
    yield from (Assignment(as_read(x), read, called=called) for x in tables)


def names_of_calls(*values: ast.AST) -> frozenset[str]:
    """The names of the functions that are called in expressions: f and g of f(x) + net.g(y); () of table[0](x)."""
    return frozenset(name_of_call(n) or "()" for value in values for n in ast.walk(value) if isinstance(n, ast.Call))


def as_read(target: ast.expr) -> ast.expr:
    """A target as something that is read."""
    return ast.parse(ast.unparse(target), mode="eval").body


def pair_targets(target: ast.expr, value: ast.expr) -> Iterator[Assignment]:
    """a, b = f(x), g(y) is taken apart, so that each target has its own inputs."""
    both = isinstance(target, (ast.Tuple, ast.List)) and isinstance(value, (ast.Tuple, ast.List))
    if both and len(target.elts) == len(value.elts):  # type: ignore[attr-defined]
        for t, v in zip(target.elts, value.elts, strict=True):  # type: ignore[attr-defined]
            yield from pair_targets(t, v)
    elif (items := items_of(value)) and is_chain(target):
        for key, v in items:
            if key is not None:
                place = ast.Subscript(as_read(target), key, ast.Load())
                yield Assignment(place, reads(v), called=names_of_calls(v))
    elif sum_of_itself(target, value):
        others = tuple(r for r in reads(value) if ast.unparse(r) != ast.unparse(target))
        yield Assignment(target, others, adds=True, called=names_of_calls(value))
    else:
        for t in flat_targets(target):
            yield Assignment(t, reads(value), each=item_by_item(value), called=names_of_calls(value))


def items_of(value: ast.expr) -> list[tuple[ast.expr | None, ast.expr]]:
    """(key or place, item) of a dict, a list or a tuple that is written out."""
    if isinstance(value, ast.Dict):
        return [*zip(value.keys, value.values, strict=True)]
    if isinstance(value, (ast.List, ast.Tuple)) and not any(isinstance(x, ast.Starred) for x in value.elts):
        return [(ast.Constant(k), x) for k, x in enumerate(value.elts)]
    return []


def sum_of_itself(target: ast.expr, value: ast.expr) -> bool:
    """x = x + ..., written out, of one term or of more."""
    first: ast.AST = value
    while isinstance(first, ast.BinOp) and isinstance(first.op, (ast.Add, ast.Sub)):
        first = first.left
    return first is not value and ast.unparse(first) == ast.unparse(target)


def item_by_item(value: ast.expr) -> ast.ListComp | None:
    """[w - lr * g for w, g in zip(ws, gs)]: one loop over lists that have names, without a condition."""
    if not isinstance(value, ast.ListComp) or len(value.generators) != 1 or value.generators[0].ifs:
        return None
    return value if sources(value.generators[0]) else None


def sources(loop: ast.comprehension) -> dict[str, ast.expr]:
    """Loop variable → the list that it runs through, for loops over a list, zip or enumerate."""
    call = loop.iter.func.id if isinstance(loop.iter, ast.Call) and isinstance(loop.iter.func, ast.Name) else ""
    lists = loop.iter.args if isinstance(loop.iter, ast.Call) else [loop.iter]
    targets = loop.target.elts if isinstance(loop.target, ast.Tuple) else [loop.target]
    if call == "enumerate" and len(targets) == 2 and len(lists) == 1:
        targets = targets[1:]
    elif call not in ("", "zip") or (isinstance(loop.iter, ast.Call) and not call):
        return {}
    plain = len(lists) == len(targets) and all(isinstance(t, ast.Name) for t in targets)
    return {t.id: x for t, x in zip(targets, lists, strict=True) if is_chain(x)} if plain else {}  # type: ignore[attr-defined]


class Item(ast.NodeTransformer):
    """The names of a loop replaced by the k-th items of their lists."""

    def __init__(self, lists: Mapping[str, ast.expr], k: int) -> None:
        self.lists, self.k = lists, k

    def visit_Name(self, node: ast.Name) -> ast.AST:
        lists = self.lists.get(node.id)
        return node if lists is None else ast.Subscript(lists, ast.Constant(self.k), ast.Load())


@lru_cache(maxsize=4096)
def reads_of_item(value: ast.ListComp, k: int) -> tuple[ast.expr, ...]:
    """What the k-th item is made of.

    >>> made = ast.parse("[w - lr * g for w, g in zip(ws, net.gs)]", mode="eval").body
    >>> [ast.unparse(x) for x in reads_of_item(made, 1)]
    ['ws[1]', 'lr', 'net.gs[1]']
    """
    return reads(Item(sources(value.generators[0]), k).visit(copy.deepcopy(value.elt)))


def return_assignments(value: ast.expr) -> Iterator[Assignment]:
    if isinstance(value, (ast.Tuple, ast.List)):
        for k, v in enumerate(value.elts):
            yield Assignment(None, reads(v), key=k, called=names_of_calls(v))
    elif isinstance(value, ast.Dict):
        for key, v in zip(value.keys, value.values, strict=True):
            place = key.value if isinstance(key, ast.Constant) else MISSING
            yield Assignment(None, reads(v), key=place, called=names_of_calls(v))
    else:
        yield Assignment(None, reads(value), each=item_by_item(value), called=names_of_calls(value))


def flat_targets(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, (ast.Tuple, ast.List)):
        for inner in target.elts:
            yield from flat_targets(inner)
    elif isinstance(target, ast.Starred):
        yield from flat_targets(target.value)
    else:
        yield target


def reads(value: ast.AST) -> tuple[ast.expr, ...]:
    """The longest chains of names, attributes and indices in an expression."""
    found: list[ast.expr] = []
    waiting: list[ast.AST] = [value]
    while waiting:
        node = waiting.pop(0)
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)) and is_chain(node):
            found.append(node)
            waiting += indices(node)
        else:
            waiting += [
                x for x in ast.iter_child_nodes(node) if isinstance(x, (ast.expr, ast.comprehension, ast.keyword))
            ]
    return tuple({ast.unparse(x): x for x in found}.values())


def is_chain(node: ast.AST) -> bool:
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return isinstance(node, ast.Name)


def untransposed(node: ast.expr) -> ast.expr:
    """E of E.T."""
    while isinstance(node, ast.Attribute) and node.attr == "T":
        node = node.value
    return node


def indices(node: ast.AST) -> list[ast.AST]:
    """The expressions in the brackets of a chain, which are read too."""
    found: list[ast.AST] = []
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        if isinstance(node, ast.Subscript):
            found.append(node.slice)
        node = node.value
    return found


def forget_edited_files() -> None:
    """Read files again that were edited since, as a module that a notebook loads again."""
    known = len(linecache.cache)
    linecache.checkcache()
    if len(linecache.cache) < known:
        statements_of.cache_clear()


@lru_cache(maxsize=64)
def statements_of(filename: str) -> dict[int, Statement]:
    """Line → the innermost statement on it; empty if the source is not available."""
    text = "".join(linecache.getlines(filename))
    try:
        tree = Plain().visit(ast.parse(text))
    except (SyntaxError, ValueError):
        return {}
    found: dict[int, Statement] = {}
    joined, plain = ids_on_shared_lines(tree), dict[int, Statement]()  # plain: those made of joined statements
    loops, conditions = lines_of_heads(tree, LOOPS), lines_of_heads(tree, (ast.If,))
    for node in ast.walk(tree):  # breadth first, so that inner statements come later and overwrite outer ones
        if isinstance(node, ast.stmt) and not isinstance(node, NESTED):
            made = replace(Statement.of(node), in_line=node.lineno in loops, arguments=calls_in(node))
            made = replace(made, guarded=node.lineno in conditions and not isinstance(node, ast.If))
            last = node.body[0].lineno - 1 if getattr(node, "body", None) else node.end_lineno or node.lineno  # type: ignore[attr-defined]
            beside = found.get(node.lineno)
            if beside is not None and id(beside) in plain and id(node) in joined:
                made = beside.joined_with(made)
            if id(node) in joined:
                plain[id(made)] = made
            found.update(dict.fromkeys(range(node.lineno, max(last, node.lineno) + 1), made))
    return found


def lines_of_heads(tree: ast.AST, kinds: tuple[type, ...]) -> set[int]:
    """The lines on which a loop, or a condition, has its body beside it."""
    heads = (node for node in ast.walk(tree) if isinstance(node, kinds))
    return {node.lineno for node in heads if node.body[0].lineno == node.lineno}  # type: ignore[attr-defined]


def ids_on_shared_lines(tree: ast.AST) -> set[int]:
    """The ids of the statements that share their one line with the statement before or after them: a = x; b = y."""
    found: set[int] = set()
    for node in ast.walk(tree):
        for block in (getattr(node, name, None) for name in ("body", "orelse", "finalbody")):
            for one, next_one in itertools.pairwise(block if isinstance(block, list) else ()):
                if one.lineno == one.end_lineno == next_one.lineno == next_one.end_lineno:
                    found |= {id(one), id(next_one)}
    return found
