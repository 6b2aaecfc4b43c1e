"""A small compiler for long programs of plain loops: from their text to LLVM, one statement at a time.

Numba infers the types of a whole function at once and handles arrays of every layout; on the 300 statements of the
network program that takes 4 s of 5 (measured). Here the type of each expression follows from its parts. Numba still
does the rest: signature, release of the GIL, machine code, cache.

The language: numbers and arrays in C order; assignments, `if`, `while`, `for` over a range or a few constants, `break`;
`raise IndexError("text")`; arithmetic, comparisons, `math`, the functions of intrinsics.py, and functions of the same
file, which are inlined. Both sides of `and` and `or` are computed, and so are those of `a if c else b` unless one of
them reads an array. The arithmetic is Numba's with error_model="numpy"; `fastmath` is set for each function.
"""

from __future__ import annotations

import ast
import builtins
import functools
import weakref
from collections.abc import Callable, Container, Iterable
from itertools import count
from pathlib import Path
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from tinygrad_edu.compile.backend import lanes, team
from tinygrad_edu.compile.backend.alias_scopes import Scopes
from tinygrad_edu.compile.backend.aliases import Builder, Context, IRValue, Signature
from tinygrad_edu.compile.backend.in_parts import share_loop
from tinygrad_edu.compile.backend.llvm_expressions import ARITHMETIC, COMPARISONS, MATHS, WHOLE, WORDS, Expressions
from tinygrad_edu.compile.backend.llvm_values import INT, NAMED, alignment, array_of, cast, parts, rebuilt, type_of
from tinygrad_edu.compile.backend.parse import full_name, only_moves, parse, walk

COUNTER = count()
Slot = Any  # (kind of value, addresses of its machine words)


class Text:
    """The functions and constants of a program."""

    def __init__(self, text: str) -> None:
        statements = parse(text).body
        self.functions = {node.name: node for node in statements if isinstance(node, ast.FunctionDef)}
        assigned = [node for node in statements if isinstance(node, ast.Assign)]
        self.constants = {node.targets[0].id: node.value for node in assigned if isinstance(node.targets[0], ast.Name)}
        self.lanes, self.each, self.one = 0, frozenset[str](), frozenset[str]()  # see lanes.py
        self.shared: dict[Any, int] = {}  # compiled functions, by name and kinds of arguments -> number
        self.number = next(COUNTER)

    def is_shared(self, name: str) -> bool:
        """Is it compiled once, and called?"""
        return self.decorated(name, "shared") or self.in_parts(name)

    def in_parts(self, name: str) -> bool:
        """May threads share its range, which its first two arguments are?"""
        return self.decorated(name, "parts")

    def decorated(self, name: str, word: str) -> bool:
        return any(isinstance(x, ast.Name) and x.id == word for x in self.functions[name].decorator_list)

    def flags(self, name: str) -> list[str]:
        """The decorator's `fastmath`, given directly or by name."""
        found: list[str] = []
        for decorator in self.functions[name].decorator_list:
            call = self.constants[decorator.id] if isinstance(decorator, ast.Name) else decorator
            assert isinstance(call, ast.Call)
            found += [flag for k in call.keywords if k.arg == "fastmath" for flag in ast.literal_eval(k.value)]
        return sorted(found)


def direct(fastmath: Iterable[str] = (), **_: Any) -> Callable[[Callable[..., None]], Any]:
    """Decorator: the function becomes an intrinsic of Numba that takes its arguments as one tuple.

    `lanes`, `each` and `one` are read from the text: see lanes.py.
    """

    def word_for(function: Callable[..., None]) -> Any:
        # weak, because Numba keeps every intrinsic for ever and must not keep the program
        of_program = weakref.ref(function)
        function.__globals__[f"__{function.__name__}__"] = function  # the program keeps its functions alive

        @intrinsic
        def word(context: Context, given: IRValue) -> Any:
            def build(target: IRValue, builder: Builder, signature: Signature, arguments: IRValue) -> Any:
                function = of_program()
                assert function is not None
                text = Text(text_around(function))
                text.lanes, text.each, text.one = lanes.settings_of(text.functions[function.__name__])
                values = cgutils.unpack_tuple(builder, arguments[0])
                known = [
                    array_of(target, builder, t, x) if isinstance(t, types.Array) else x
                    for t, x in zip(given.types, values, strict=True)
                ]
                if text.lanes:
                    known = lanes.side_by_side(builder, text, function.__name__, known)
                Statements(builder, text, function.__name__, known, target=target).run()
                return target.get_dummy_value()

            return types.void(given), build

        return word

    return word_for


def text_around(function: Callable[..., None]) -> str:
    """The program that a function belongs to."""
    kept = function.__globals__.get("__text__")
    return str(kept) if kept else Path(function.__code__.co_filename).read_text(encoding="utf-8")


class Statements(Expressions):
    """One call of a function: each variable has a place on the stack, which LLVM turns into registers."""

    def __init__(
        self,
        builder: Builder,
        text: Text,
        name: str,
        given: Iterable[Any],
        caller: Statements | None = None,
        target: IRValue = None,
    ) -> None:
        super().__init__(builder, text, text.flags(name))
        self.target = target  # Numba's target context
        self.function, self.caller = text.functions[name], caller
        self.scope: dict[str, Slot] = {}
        self.slots: dict[Any, Slot] = {} if caller is None else caller.slots
        self.loops: list[Any] = []  # for each open loop, the block after it
        self.memory = Scopes(builder.module, self.function) if caller is None else None
        self.end, self.result = builder.append_basic_block(f"{name}.end"), None
        for argument, value in zip(self.function.args.args, given, strict=True):
            self.bind(argument.arg, value)

    def run(self) -> Any:
        """The statements, and what the function returns."""
        self.block(self.function.body)
        if not self.builder.block.is_terminated:
            self.builder.branch(self.end)
        self.builder.position_at_end(self.end)
        return None if self.result is None else self.read(self.result)

    def call(self, name: str, given: list[Any]) -> Any:
        if self.text.is_shared(name):
            return self.call_shared(name, given)
        return Statements(self.builder, self.text, name, given, self, self.target).run()

    def call_shared(self, name: str, given: list[Any]) -> None:
        """Call a step that occurs more than once in the program: a function of machine code, made at its first call."""
        words = [x for value in given for x in parts(value)]
        kinds = tuple(map(type_of, given))
        key = f"{self.text.number}.{name}.{self.text.shared.setdefault((name, kinds), len(self.text.shared))}"
        if key not in self.builder.module.globals:
            kind = ir.FunctionType(ir.VoidType(), [x.type for x in words])
            function = ir.Function(self.builder.module, kind, key)
            function.linkage = "internal"
            function.attributes.add("noinline")
            if only_moves(self.text.functions[name]):
                function.attributes.add("optsize")
            inside = ir.IRBuilder(function.append_basic_block())
            known = rebuilt(kinds, iter(function.args))
            Statements(inside, self.text, name, known, target=self.target).run()
            inside.ret_void()
        function = self.builder.module.globals[key]
        if self.text.in_parts(name) and team.POSSIBLE:
            share_loop(self.builder, function, words[0], words[1], words[2:])
        else:
            self.builder.call(function, words)

    def mark(self, access: IRValue, node: ast.Subscript) -> Any:
        """A load or a store; an inlined function knows nothing of its caller's arrays."""
        if self.memory is not None and isinstance(node.value, ast.Name):
            self.memory.mark(access, node.value.id)
        return access

    # Variables

    def bind(self, name: str, value: IRValue) -> Slot:
        """Assign to a variable, which has one place for each type that it takes."""
        if self.text.lanes and name not in self.text.one:
            value = lanes.of_each_run(self.builder, value, self.text.lanes)
        key = (self.depth, self.function.name, name, type_of(value))
        if key not in self.slots:
            self.slots[key] = (type_of(value), [cgutils.alloca_once(self.builder, x.type) for x in parts(value)])
        for x, place in zip(parts(value), self.slots[key][1], strict=True):
            self.builder.store(x, place)
        self.scope[name] = self.slots[key]
        return self.scope[name]

    @property
    def depth(self) -> int:
        return 0 if self.caller is None else self.caller.depth + 1

    def read(self, slot: Slot) -> Any:
        kind, places = slot
        return rebuilt(kind, iter([self.builder.load(place) for place in places]))

    # Statements

    def block(self, statements: Iterable[ast.stmt]) -> None:
        for node in statements:
            if self.builder.block.is_terminated:
                break
            self.visit(node)

    def on_Assign(self, node: ast.Assign) -> None:  # noqa: N802  (named after the nodes of ast)
        self.store(node.targets[0], self.visit(node.value))

    def on_AugAssign(self, node: ast.AugAssign) -> None:  # noqa: N802
        old = ast.Name(node.target.id) if isinstance(node.target, ast.Name) else node.target
        self.store(node.target, self.binary(node, self.visit(old), self.visit(node.value)))

    def store(self, target: ast.expr, value: IRValue) -> None:
        if isinstance(target, ast.Name):
            self.bind(target.id, value)
        elif isinstance(target, ast.Tuple):
            for each, item in zip(target.elts, value, strict=True):
                self.store(each, item)
        else:
            assert isinstance(target, ast.Subscript)
            place = self.address(target)
            kind = place.type.pointee
            self.mark(self.builder.store(cast(self.builder, value, kind), place, align=alignment(kind)), target)

    def on_Expr(self, node: ast.Expr) -> None:  # noqa: N802
        if not isinstance(node.value, ast.Constant):  # a constant is a docstring
            self.visit(node.value)

    def on_Return(self, node: ast.Return) -> None:  # noqa: N802
        if node.value is not None:
            slot = self.bind("return", self.visit(node.value))
            if self.result not in (None, slot):
                raise self.refusal(node, "returns another type than before")
            self.result = slot
        self.builder.branch(self.end)

    def on_Break(self, node: ast.Break) -> None:  # noqa: N802
        self.builder.branch(self.loops[-1])

    def on_Raise(self, node: ast.Raise) -> None:  # noqa: N802
        """`raise IndexError("text")`: the function that Numba compiles ends with it."""
        assert isinstance(node.exc, ast.Call)
        kind, text = getattr(builtins, ast.unparse(node.exc.func)), ast.literal_eval(node.exc.args[0])
        self.target.call_conv.return_user_exc(self.builder, kind, (text,))

    def on_If(self, node: ast.If) -> None:  # noqa: N802
        blocks = [self.builder.append_basic_block(name) for name in ("then", "else", "end")]
        self.builder.cbranch(self.condition(node.test), *blocks[:2])
        before, scopes = self.scope, []
        for block, statements in zip(blocks, (node.body, node.orelse), strict=False):
            self.builder.position_at_end(block)
            self.scope = dict(before)
            self.block(statements)
            if not self.builder.block.is_terminated:
                self.builder.branch(blocks[2])
                scopes.append(self.scope)
        self.builder.position_at_end(blocks[2])
        self.scope = agree(scopes or [before])

    def on_While(self, node: ast.While) -> None:  # noqa: N802
        self.loop(node, lambda: self.condition(node.test), lambda: None)

    def on_For(self, node: ast.For) -> None:  # noqa: N802
        if isinstance(node.iter, ast.Tuple):
            for item in node.iter.elts:
                self.store(node.target, self.visit(item))
                self.block(node.body)
            return
        start, stop, step, rising = self.range_of(node)
        builder, place = self.builder, cgutils.alloca_once(self.builder, start.type)
        builder.store(start, place)

        def going() -> Any:
            self.store(node.target, builder.load(place))
            return builder.icmp_signed("<" if rising else ">", builder.load(place), stop)

        def further() -> None:
            builder.store(builder.add(builder.load(place), step, flags=["nsw"]), place)

        self.loop(node, going, further)

    def range_of(self, node: ast.For) -> tuple[Any, Any, Any, bool]:
        """Start, stop and step of a range, and does it rise? It falls if the step is written with a minus."""
        if not (isinstance(node.iter, ast.Call) and full_name(node.iter.func) == "range"):
            raise self.refusal(node.iter, "is not a range")
        given = node.iter.args
        start = self.visit(given[0]) if len(given) > 1 else INT(0)
        step = self.visit(given[2]) if len(given) == 3 else INT(1)
        rising = len(given) < 3 or not isinstance(given[2], ast.UnaryOp)
        return start, self.visit(given[min(1, len(given) - 1)]), step, rising

    def loop(self, node: ast.While | ast.For, going: Callable[[], Any], further: Callable[[], None]) -> None:
        test, body, end = (self.builder.append_basic_block(name) for name in ("test", "body", "end"))
        before = dict(self.scope)
        self.builder.branch(test)
        self.builder.position_at_end(test)
        self.builder.cbranch(going(), body, end)
        self.builder.position_at_end(body)
        self.loops.append(end)
        self.block(node.body)
        if not self.builder.block.is_terminated:
            further()
            self.builder.branch(test)
        self.loops.pop()
        changed = [name for name, slot in before.items() if self.scope.get(name, slot) is not slot]
        if changed and not set(changed) <= names_in(getattr(node, "target", None)):
            raise self.refusal(node, f"changes the type of {', '.join(changed)} from one round to the next")
        self.builder.position_at_end(end)
        self.scope = before


def names_in(node: ast.AST | None) -> set[str]:
    return {x.id for x in ast.walk(node) if isinstance(x, ast.Name)} if node else set()


def agree(scopes: list[dict[str, Any]]) -> dict[str, Any]:
    """The variables that have a value of one type whichever branch was taken."""
    return {name: slot for name, slot in scopes[0].items() if all(s.get(name) is slot for s in scopes)}


@functools.lru_cache(256)
def understands(text: str) -> bool:
    """Is everything in a module's functions in the language? Rules that depend on types are not checked.

    A model of the user's own is traced anew by each `fit`, mostly to the same text, and this is a third of that time.
    """
    program = Text(text)
    known = program.functions.keys() | program.constants.keys() | WORDS.keys()
    statements = [x for function in program.functions.values() for x in function.body]
    return all(knows(node, known) for x in statements for node in walk(x))


def library(owner: str) -> Container[str]:
    """Names that may follow the dot."""
    return MATHS if owner == "math" else NAMED if owner == "np" else ["view"]


def knows(node: ast.AST, names: Container[str]) -> bool:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in names or node.func.id in ("range", "IndexError")  # IndexError is called in a `raise`
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Attribute) and node.func.attr in library(full_name(node.func.value))
    if isinstance(node, (ast.BinOp, ast.AugAssign)):
        return isinstance(node.op, (ast.Pow, *WHOLE, *ARITHMETIC))
    if isinstance(node, ast.Compare):
        return len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS
    return not isinstance(node, (ast.stmt, ast.expr)) or hasattr(Statements, f"on_{type(node).__name__}")
