"""The statements of one function, line by line; each variable is declared where it first gets a value."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from tinygrad_edu.compile.languages import values
from tinygrad_edu.compile.languages.expressions import Expressions, Host
from tinygrad_edu.compile.languages.program_text import names_of_stores, read_names
from tinygrad_edu.compile.languages.values import LETTERS, Array, Number

INDENT = "    "
DECLARED = re.compile(r"^ *\w+ (\w+__\d+) = ")


class FunctionWriter(Expressions):
    """One function, for arguments of certain kinds."""

    def __init__(self, writer: Host, function: ast.FunctionDef, given: Sequence[Any], entry: bool = False) -> None:
        super().__init__(writer)
        self.function, self.is_entry = function, entry
        self.live, self.result = read_names(function), "void"
        stores = Counter(names_of_stores(function.body))
        self.unsteady = {self.language.variable(name) for name, count in stores.items() if count > 1}
        self.scope: dict[str, Any] = {}
        self.visible: list[set[str]] = [set()]  # variables declared so far, per open block
        self.hoisted: list[str] | None = None  # declarations to put before the current `if`
        self.kinds: dict[str, str] = {}  # kind of the variable that has the plain name
        self.parameters: list[tuple[str, Any]] = []
        for argument, value in zip(function.args.args, given, strict=True):
            self.take(argument.arg, value)

    def take(self, name: str, value: Any) -> None:
        """A parameter; of an array its sizes too, but for those that are 1."""
        ident = self.identifier(name, value.kind)
        self.visible[0].add(ident)
        if isinstance(value, Number):
            self.scope[name] = Number(ident, value.kind)
        else:
            sizes = [n if n.text == "1" else Number(f"{ident}__{k}", "int") for k, n in enumerate(value.shape)]
            at = values.whole(0) if self.is_entry else self.language.offset(ident)
            self.scope[name] = Array(ident, value.kind, tuple(sizes), at, value.in_rows)
        self.parameters.append((ident, self.scope[name]))

    def all_parameters(self) -> list[tuple[str, str]]:
        """(name, kind) of each, where the kind of an array ends in []."""
        found: list[tuple[str, str]] = []
        for ident, value in self.parameters:
            if isinstance(value, Number):
                found.append((ident, value.kind))
            else:
                found.append((ident, f"{value.kind}[]"))
                found += [(value.at.text, "int")] if value.at.text != "0" else []
                found += [(n.text, "int") for n in value.shape if n.text != "1"]
        return found

    def body(self) -> list[str]:
        """All lines, without declarations of sizes that are never read."""
        lines = self.block(self.function.body)
        counts = Counter(re.findall(r"\w+__\d+", "\n".join(lines)))
        return [line for line in lines if not any(counts[name] == 1 for name in DECLARED.findall(line))]

    def block(self, statements: Iterable[ast.stmt]) -> list[str]:
        return [line for node in statements for line in self.visit(node)]

    def inner(self, statements: Iterable[ast.stmt]) -> list[str]:
        """The lines of a block within braces."""
        self.visible.append(set())
        lines = self.block(statements)
        self.visible.pop()
        return [INDENT + line for line in lines]

    # Variables

    def identifier(self, name: str, kind: str) -> str:
        """The identifier of a variable: its name for the first kind it has, with a letter added for other kinds."""
        first = self.kinds.setdefault(name, kind)
        return self.language.variable(name) + ("" if first == kind else f"_{LETTERS[kind]}")

    def bind(self, name: str, value: Any) -> list[str]:
        """Give a variable its value."""
        self.forget({self.language.variable(name)})
        ident = self.identifier(name, value.kind)
        lines: list[str] = []
        if isinstance(value, Array):
            lines, value = self.with_sizes(ident, value)
        lines = [*self.assign(ident, value), *lines]
        if isinstance(value, Number):
            self.scope[name] = Number(ident, value.kind)
        else:
            self.scope[name] = Array(ident, value.kind, value.shape, self.language.offset(ident), value.in_rows)
        return lines

    def with_sizes(self, ident: str, x: Array) -> tuple[list[str], Array]:
        """The array with sizes copied to variables of its own if the variables that they are made of will change."""
        lines, shape = [], list(x.shape)
        for k, n in enumerate(shape):
            if Array("", "", (n,), n).depends_on(self.unsteady):
                lines += self.assign(f"{ident}__{k}", n)
                shape[k] = Number(f"{ident}__{k}", "int")
        return lines, replace(x, shape=tuple(shape))

    def assign(self, ident: str, value: Any) -> list[str]:
        """A variable gets its value; it is declared here, or before the outermost `if` around."""
        new = not any(ident in block for block in self.visible)
        if new and self.hoisted is not None:
            self.hoisted += self.language.declare(ident, value)
        if new:
            self.visible[-1 if self.hoisted is None else self.hoisted_depth].add(ident)
        return self.language.assign(ident, value, declare=new and self.hoisted is None)

    hoisted_depth = -1  # depth of the block around the current `if`

    def forget(self, names: set[str]) -> None:
        """Forget arrays whose sizes depend on variables that change."""
        for name, value in list(self.scope.items()):
            if isinstance(value, Array) and value.depends_on(names):
                del self.scope[name]

    # Statements

    def on_Assign(self, node: ast.Assign) -> list[str]:  # noqa: N802  (named after the nodes of ast)
        target = node.targets[0]
        if isinstance(target, ast.Name) and target.id in self.writer.known:
            self.scope[target.id] = Number(self.language.variable(target.id), "int")
            return []
        if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
            pairs = [pair for pair in zip(target.elts, node.value.elts, strict=True) if not self.is_dead(pair[0])]
            target, node = ast.Tuple([x for x, _ in pairs]), ast.Assign([target], ast.Tuple([x for _, x in pairs]))
        return [] if self.is_dead(target) else self.store(target, self.visit(node.value))

    def is_dead(self, target: ast.expr) -> bool:
        """Is it a variable that nothing reads?"""
        return isinstance(target, ast.Name) and target.id not in self.live

    def store(self, target: ast.expr, value: Any) -> list[str]:
        if isinstance(target, ast.Name):
            return self.bind(target.id, value)
        if isinstance(target, ast.Tuple):
            names = {x.id for x in target.elts if isinstance(x, ast.Name)}
            later = {n for x in value[1:] if isinstance(x, Number) for n in names if n == x.text}
            if later:
                raise self.refused(target, "is an assignment whose parts need each other")
            return [line for x, each in zip(target.elts, value, strict=True) for line in self.store(x, each)]
        place = self.visit(target)
        return [f"{place.text} = {self.cast(value, place.kind).text};"]

    def on_AugAssign(self, node: ast.AugAssign) -> list[str]:  # noqa: N802
        if self.is_dead(node.target):
            return []
        old = ast.Name(node.target.id) if isinstance(node.target, ast.Name) else node.target
        return self.store(node.target, self.binary(node, self.visit(old), self.visit(node.value)))

    def on_Expr(self, node: ast.Expr) -> list[str]:  # noqa: N802
        return [] if isinstance(node.value, ast.Constant) else [f"{self.visit(node.value).text};"]

    def on_Return(self, node: ast.Return) -> list[str]:  # noqa: N802
        if node.value is None:
            return [self.language.leave(self.is_entry)]
        value = self.visit(node.value)
        if self.result not in ("void", value.kind):
            raise self.refused(node, "returns another type than before")
        self.result = value.kind
        return [f"return {value.text};"]

    def on_Break(self, node: ast.Break) -> list[str]:  # noqa: N802
        return ["break;"]

    def on_Raise(self, node: ast.Raise) -> list[str]:  # noqa: N802
        """`raise IndexError("text")`, which the program's entry ends with."""
        if not self.is_entry:
            raise self.refused(node, "stands in an inner function")
        assert isinstance(node.exc, ast.Call)
        return [self.language.fail(ast.literal_eval(node.exc.args[0]))]

    def on_If(self, node: ast.If) -> list[str]:  # noqa: N802
        test, outermost = self.condition(node.test), self.hoisted is None
        if outermost:
            self.hoisted, self.hoisted_depth = [], len(self.visible) - 1
        before, scopes, lines = self.scope, [], []
        for head, statements in ((f"if ({test.text}) {{", node.body), ("} else {", node.orelse)):
            self.scope = dict(before)
            inside = self.inner(statements)
            lines += [head, *inside] if statements else []
            if not (statements and isinstance(statements[-1], (ast.Break, ast.Return, ast.Raise))):
                scopes.append(self.scope)
        self.scope = agree(scopes or [before])
        declarations, self.hoisted = (self.hoisted or [], None) if outermost else ([], self.hoisted)
        return [*declarations, *lines, "}"]

    def on_While(self, node: ast.While) -> list[str]:  # noqa: N802
        return self.loop(node, lambda: f"while ({self.condition(node.test).text}) {{")

    def on_For(self, node: ast.For) -> list[str]:  # noqa: N802
        if isinstance(node.iter, ast.Tuple):
            return [x for item in node.iter.elts for x in (*self.store(node.target, self.visit(item)),
                    *self.block(node.body))]  # fmt: skip
        return self.loop(node, lambda: self.head(node))

    def head(self, node: ast.For) -> str:
        """The counter, which is a variable of the loop alone; it falls where the step is written with a minus."""
        if not (isinstance(node.iter, ast.Call) and ast.unparse(node.iter.func) == "range"):
            raise self.refused(node.iter, "is not a range")
        assert isinstance(node.target, ast.Name)
        given = [self.visit(x) for x in node.iter.args]
        start, stop = (given[0], given[1]) if len(given) > 1 else (values.whole(0), given[0])
        ident, falls = self.identifier(node.target.id, "int"), len(given) == 3 and given[2].text.startswith("-")
        self.scope[node.target.id] = Number(ident, "int")
        self.visible[-1].add(ident)
        step = f"{ident} += {given[2].text}" if len(given) == 3 else f"{ident}++"
        declared = self.language.declaration("int", ident)
        return (
            f"for ({declared} = {start.text}; {ident} {'>' if falls else '<'} {stop.within(values.SHIFT)}; {step}) {{"
        )

    def loop(self, node: ast.For | ast.While, head: Any) -> list[str]:
        before, hoisted, self.hoisted = dict(self.scope), self.hoisted, None
        self.forget({self.language.variable(name) for name in names_of_stores(node.body)})
        self.visible.append(set())
        first = head()
        lines = [first, *self.inner(node.body), "}"]
        self.visible.pop()
        self.scope, self.hoisted = before, hoisted
        self.forget({self.language.variable(name) for name in names_of_stores(node.body)})
        return lines


def agree(scopes: list[dict[str, Any]]) -> dict[str, Any]:
    """The variables that have a value, of one type, whichever way was taken."""
    return {name: x for name, x in scopes[0].items() if all(s.get(name) == x for s in scopes)}
