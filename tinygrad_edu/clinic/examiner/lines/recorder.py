"""A run of the learner's own code, followed line by line.

`record_run` calls a function under `sys.settrace`. Before a statement of the learner's runs, the values that it reads
are noted; after it, those that it wrote.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.lookup import MISSING, look_up
from tinygrad_edu.clinic.examiner.learner.patch_math import is_installed
from tinygrad_edu.clinic.examiner.lines.recording import (
    HANDED,
    INSIDE,
    NOTE,
    NUMBER,
    RESULT,
    Key,
    Recording,
    Written,
    arrays_handed,
    as_numbers,
    item_of_returned,
    key_of,
    values_in,
)
from tinygrad_edu.clinic.examiner.lines.statements import (
    Assignment,
    Statement,
    forget_edited_files,
    items_of_display,
    names_of_calls,
    reads,
    reads_of_item,
    sources,
    statements_of,
    untransposed,
)

MOST = 60_000  # statements that are recorded
CLIPPING = ("clip", "norm", "min", "max")  # parts of names that a function which clips its gradients has to use
WORK = 8.0  # work until recording stops: about seconds, but counted in operations so that a slow machine gets as far


class Recorder:
    """The trace function, and the statements that are under way in each frame."""

    def __init__(self) -> None:
        self.recording = Recording()
        self.open: dict[int, tuple[Any, Statement, list[Before]]] = {}
        self.results: dict[int, dict[str, list[Key]]] = {}  # frame → results of the functions that it called
        self.own: dict[Any, bool] = {}
        self.loops: dict[tuple[int, int], list[list[Before]]] = {}  # (frame, line) → the rounds still to come
        self.lines: dict[int, int] = {}  # frame → its current line
        self.count = 0

    def run(self, function: Callable[..., Any], *arguments: Any) -> Recording:
        before, self.recording.handed = sys.gettrace(), arguments
        sys.settrace(self.enter)
        try:
            self.recording.result = function(*arguments)
        finally:
            sys.settrace(before)
        return self.recording

    def enter(self, frame: Any, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code not in self.own:
            self.own[code] = not is_installed(frame.f_globals) and not code.co_name.startswith("<gen")
            if self.own[code]:
                self.note_constants(frame)
        if not (self.own[code] and self.recording.complete):
            return None
        try:
            self.receive(frame)
        except Exception:  # as in `step`: the learner's program must go on
            self.recording.complete = False
        return self.step

    def note_constants(self, frame: Any) -> None:
        """The positive numbers that a function has in its text, reads from its module or is called with."""
        code = frame.f_code
        held = (*code.co_consts, *map(frame.f_globals.get, code.co_names), *frame.f_locals.values())
        numbers = [abs(float(x)) for x in held if type(x) in (int, float) and x]
        names = (code.co_name, *code.co_names, *code.co_varnames)
        clips = any(word in name for word in CLIPPING for name in names)
        known, self.recording.clips = self.recording.numbers, self.recording.clips or clips
        known[:] = [*numbers, *known] if clips else [*known, *numbers]

    def receive(self, frame: Any) -> None:
        """Arguments that a call makes on its own line: layer.backward(d * mask)."""
        waiting = self.open.get(id(frame.f_back))
        if waiting is None or frame.f_back is not waiting[0]:
            return
        caller, statement, _ = waiting
        code = frame.f_code
        for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
            given = frame.f_locals.get(name)
            items = items_handed(statement, code.co_name, given)
            for k, x in enumerate([given] if items is None else given):
                for array in arrays_handed(x):
                    made = self.recording.made.get(key_of(array))
                    if made is None or (made.view and not made.line):
                        read = None if items is None else items[k]
                        inputs = self.read_for(caller, statement, code.co_name, read)
                        where = {"file": caller.f_code.co_filename, "line": statement.first, "inputs": inputs}
                        self.recording.note(array, variable=f"{HANDED}{code.co_name}", **where)

    def read_for(self, caller: Any, statement: Statement, name: str, item: ast.expr | None) -> tuple[Key, ...]:
        """What the arguments are made of that a line hands to a function of this name, or else to all that it calls.

        item: of a list that is written out in the call, the one that is meant.
        """
        own = [call for called, call in statement.arguments if called == name]
        given = [x for call in own or dict(statement.arguments).values() for x in (*call.args, *call.keywords)]
        given = given if item is None else [item]
        names, world = caller.f_locals, caller.f_globals
        keys = [k for x in given for read in reads(x) for k in self.inputs(read, names, world)]
        called, results = names_of_calls(*given), self.results.get(id(caller), {})
        keys += [k for inner, found in results.items() if inner in called for k in found]
        return tuple(dict.fromkeys(keys))

    def step(self, frame: Any, event: str, argument: Any) -> Any:
        if not self.recording.complete:
            return None
        try:
            if event in ("line", "return"):
                self.finish(frame, argument if event == "return" else MISSING)
                self.results.pop(id(frame), None)
            if event == "return" and id(frame.f_back) in self.open:
                self.hand_back(frame, argument)
            if event == "line":
                self.start(frame)
            elif event == "return":
                self.lines.pop(id(frame), None)
        except Exception:  # inspecting a learner's object may raise anything; their program must go on
            self.recording.complete = False
        return self.step

    def hand_back(self, frame: Any, result: Any) -> None:
        """Note the values that a learner's function returns: the calling line reads them."""
        arrays = [x for x in map(as_numbers, values_in(result)) if x is not None]
        if frame.f_code.co_name == "<lambda>":  # its one expression is not followed as statements are
            given = [k for x in frame.f_locals.values() for y in values_in(x) if (k := self.recording.note(y))]
            where = {"file": frame.f_code.co_filename, "line": frame.f_code.co_firstlineno, "inputs": tuple(given)}
            for x in (x for x in arrays if x.size > 1 and key_of(x) not in self.recording.made):
                self.recording.note(x, variable=RESULT, **where)
        keys = [key for x in arrays if (key := key_of(x)) in self.recording.made]
        self.recording.work += sum(NOTE + NUMBER * x.size for x in arrays)
        held = self.results.setdefault(id(frame.f_back), {})
        held.setdefault(frame.f_code.co_name, []).extend(keys[:INSIDE])

    def start(self, frame: Any) -> None:
        statement = statements_of(frame.f_code.co_filename).get(frame.f_lineno)
        self.count += 1
        if self.count > MOST or self.recording.work > WORK:
            self.recording.complete = False
        if statement is not None and frame.f_code.co_name != "<lambda>":
            names, world = frame.f_locals, frame.f_globals
            before = self.round_of(frame, statement) if statement.rounds else None
            if before is None:
                before = [self.before(a, names, world) for a in (*statement.assignments, *statement.returns)]
            self.open[id(frame)] = (frame, statement, before)
        self.lines[id(frame)] = frame.f_lineno

    def round_of(self, frame: Any, statement: Statement) -> list[Before]:
        """The next round of a loop over items that are written out: all of them are made when it begins."""
        place, names, world = (id(frame), statement.first), frame.f_locals, frame.f_globals
        inside = statement.first <= self.lines.get(id(frame), 0) <= statement.last  # not entered for the first time
        if place not in self.loops or not inside:
            self.loops[place] = [[self.before(a, names, world) for a in turn] for turn in statement.rounds]
        return self.loops[place].pop(0) if self.loops[place] else []

    def before(self, assignment: Assignment, names: Any, world: Any) -> Before:
        inputs: list[Key] = []
        for read in assignment.reads:
            inputs += self.inputs(read, names, world) if read not in assignment.late else []
        old = look_up(assignment.target, names, world) if assignment.target is not None else None
        kept = old.copy() if isinstance(old, np.ndarray) else old
        target = assignment.target
        whole = look_up(target.value, names, world) if isinstance(target, ast.Subscript) else None
        around = self.recording.note(whole) if isinstance(whole, np.ndarray) else None
        held = frozenset(self.inputs(target, names, world)) if assignment.grows and target is not None else frozenset()
        items = self.items(assignment, names, world)
        return Before(assignment, tuple(dict.fromkeys(inputs)), kept, around, items, held)

    def items(self, assignment: Assignment, names: Any, world: Any) -> list[tuple[Key, ...]]:
        """The inputs of each item of a list that is made item by item."""
        if assignment.each is None:
            return []
        lists = [look_up(x, names, world) for x in sources(assignment.each.generators[0]).values()]
        if not all(isinstance(x, (list, tuple)) and len(x) <= INSIDE for x in lists):
            return []
        found = []
        for k in range(min(map(len, lists))):
            keys = [key for x in reads_of_item(assignment.each, k) for key in self.inputs(x, names, world)]
            found.append(tuple(dict.fromkeys(keys)))
        return found

    def inputs(self, read: ast.expr, names: Any, world: Any) -> list[Key]:
        """The keys of the values that a chain stands for; a part of an array is entered as a view of it."""
        value = look_up(read, names, world)
        if value is MISSING and isinstance(read, (ast.Attribute, ast.Subscript)):
            return self.inputs(read.value, names, world)
        behind = self.behind(read, names, world)  # before its parts, so that the whole array comes first in the order
        keys = [self.recording.note(x) for x in values_in(value)]
        found = [key for key in keys if key]
        if found and behind and behind != found[0]:
            made = self.recording.made[found[0]]
            if not made.inputs and not made.line:
                made.inputs, made.view = (behind,), True
        return found

    def behind(self, read: ast.expr, names: Any, world: Any) -> Key | None:
        """The array of which x[...] or x.T is a part, entered with the array of which that one is a part."""
        if not isinstance(read, (ast.Attribute, ast.Subscript)):
            return None
        inside = isinstance(look_up(read.value, names, world), np.ndarray)
        return next(iter(self.inputs(read.value, names, world)), None) if inside else None

    def finish(self, frame: Any, returned: Any) -> None:
        waiting = self.open.pop(id(frame), None)
        if waiting is None:
            return
        _, statement, befores = waiting
        names, world, file = frame.f_locals, frame.f_globals, frame.f_code.co_filename
        results = self.results.get(id(frame), {})
        # functions that are called by another name than their own: activation.slope(z), act_prime(z)
        known = {name for before in befores for name in before.assignment.called}
        renamed = results.keys() - known
        for before in [self.late(b, names, world) for b in befores] if statement.in_line else befores:
            if statement.guarded and before.is_left(names, world):
                continue
            called = before.assignment.called | (renamed if before.assignment.called else frozenset())
            inner = [k for name, keys in results.items() if name in called for k in keys]
            late = [key for read in before.assignment.late for key in self.inputs(read, names, world)]
            inputs = tuple(dict.fromkeys((*before.inputs, *late, *inner)))
            where = {"file": file, "line": statement.first, "inputs": inputs}
            if before.assignment.target is None:
                if returned is not MISSING:
                    self.enter_returned(before, returned, where)
            else:
                self.enter_written(before, names, world, where)

    def late(self, before: Before, names: Any, world: Any) -> Before:
        """An assignment of a loop on one line: its names are bound when the line ends, and not when it begins."""
        written = before.assignment.target
        reads = [x for x in before.assignment.reads if written is None or ast.unparse(x) != ast.unparse(written)]
        inputs = [key for read in reads for key in self.inputs(read, names, world)]
        return Before(before.assignment, tuple(dict.fromkeys(inputs)), None)

    def enter_returned(self, before: Before, returned: Any, where: dict[str, Any]) -> None:
        key = before.assignment.key
        part = returned if key is None else item_of_returned(returned, key)
        self.enter_values(before, part, RESULT, where)

    def enter_values(self, before: Before, new: Any, name: str, where: dict[str, Any]) -> None:
        """Enter new values; if a list was built item by item, each item with its own inputs."""
        if before.items and isinstance(new, list) and len(new) == len(before.items):
            for item, inputs in zip(new, before.items, strict=True):
                for value in values_in(item):
                    self.recording.note(value, variable=name, **{**where, "inputs": inputs})
            return
        for value in values_in(new):
            array = as_numbers(value) if before.held else None
            if array is None or key_of(array) not in before.held:
                self.recording.note(value, variable=name, **where)

    def enter_written(self, before: Before, names: Any, world: Any, where: dict[str, Any]) -> None:
        target = before.assignment.target
        assert target is not None
        new, name = look_up(target, names, world), ast.unparse(target)
        old = before.old if as_numbers(before.old) is not None else None
        if before.assignment.adds and as_numbers(new) is not None and old is not None:
            increment = np.asarray(new) - old if np.shape(old) == np.shape(new) or np.ndim(old) == 0 else new
            part = self.recording.note(np.asarray(increment, dtype=float), variable=f"what is added to {name}", **where)
            before_key = self.recording.note(old)
            total = {**where, "inputs": tuple(k for k in (part, before_key) if k)}
            self.recording.note(new, variable=name, total=True, **total)
        else:
            self.enter_values(before, new, name, where)
            part = key_of(array) if (array := as_numbers(new)) is not None else None
        if isinstance(target, ast.Subscript):
            self.enter_container(target, names, world, where, before)
            holder, index = look_up(target.value, names, world), look_up(target.slice, names, world)
            self.recording.note_entry(holder, index, Written(part, where["file"], where["line"], name))

    def enter_container(self, target: ast.Subscript, names: Any, world: Any, where: Any, before: Before) -> None:
        """The whole array, after a part of it was written."""
        whole = look_up(target.value, names, world)
        if isinstance(whole, np.ndarray):
            part = as_numbers(look_up(target, names, world))
            keys = (key_of(part),) if part is not None else before.inputs
            keys += (before.around,) if before.around else ()
            self.recording.note(whole, variable=ast.unparse(target.value), total=True, **{**where, "inputs": keys})
            table, held = untransposed(target.value), key_of(whole)
            if table is not target.value and held:  # of E.T[k] = x, E is written too
                own = {**where, "inputs": (held,)}
                self.recording.note(look_up(table, names, world), variable=ast.unparse(table), total=True, **own)


@dataclass(frozen=True)
class Before:
    """An assignment before it is carried out: what it reads, and what its target held."""

    assignment: Assignment
    inputs: tuple[Key, ...]
    old: Any
    around: Key | None = None  # the array of which the target is a part
    items: Sequence[tuple[Key, ...]] = ()  # inputs of each item, if it is a list built item by item
    held: frozenset[Key] = frozenset()  # what a list or dict held before items were added

    def is_left(self, names: Any, world: Any) -> bool:
        """Has its target the numbers that it had before?"""
        old, target = as_numbers(self.old), self.assignment.target
        new = as_numbers(look_up(target, names, world)) if target is not None else None
        return old is not None and new is not None and key_of(old) == key_of(new)


def items_handed(statement: Statement, name: str, given: Any) -> list[ast.expr] | None:
    """The items of a list that is written out in a call of this name or, where there is none, in any: f([dW, db])."""
    calls = [call for called, call in statement.arguments if called == name] or [*dict(statement.arguments).values()]
    lists = [items_of_display(x) for call in calls for x in call.args] if isinstance(given, (list, tuple)) else []
    return next((items for items in lists if items and len(items) == len(given)), None)


def record_run(function: Callable[..., Any], *arguments: Any) -> Recording:
    """Call the function and write down what its lines made.

    >>> def f(x):
    ...     y = 2.0 * x
    ...     return y + 1.0
    >>> record_run(f, 3.0).result
    7.0
    """
    forget_edited_files()
    return Recorder().run(function, *arguments)
