"""A run of the learner's own code, line by line: which values each line made, and of which others.

`record_run` calls a function under `sys.settrace`. Before a statement of the learner's runs, the values that it reads
are noted; after it, those that it wrote. A value is known by its numbers: the first line that made it counts.
"""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.patch_math import is_installed
from tinygrad_edu.clinic.examiner.reachable import attributes
from tinygrad_edu.clinic.examiner.statements import (
    MISSING,
    Assignment,
    Statement,
    look_up,
    reads_of_item,
    sources,
    statements_of,
)

Array = np.ndarray[Any, Any]
Key = tuple[Any, ...]
MOST = 60_000  # statements that are recorded
WORK = 8.0  # work until recording stops: about seconds, but counted in operations so that a slow machine gets as far
NOTE, NUMBER = 4e-6, 8e-9  # work per recorded value, and per number in it
RESULT = "the result"  # stands for the name of a returned value
NAMES = 40  # names kept per value
INSIDE = 400  # values examined per container


@dataclass(eq=False)
class Made:
    """A value, the line that made it, and the values of which it is made. `total`: of x += ..., the sum so far."""

    key: Key
    value: Array
    order: int
    file: str = ""
    line: int = 0
    variable: str = ""
    inputs: tuple[Key, ...] = ()
    total: bool = False
    view: bool = False  # it is only a part or a transpose of its one input
    remark: str = ""  # what is wrong with it, if more is known than its numbers show
    # (file, line, variable, order) of each assignment to a name
    named: list[tuple[str, int, str, int]] = field(default_factory=list)

    @property
    def source(self) -> str:
        return linecache.getline(self.file, self.line).strip()


@dataclass
class Recording:
    """All values in order of creation; `result` of the call; `complete`: was it recorded to the end?"""

    made: dict[Key, Made] = field(default_factory=dict)
    result: Any = None
    complete: bool = True
    error: BaseException | None = None
    work: float = 0.0

    def note(self, value: Any, *, again: bool = False, **where: Any) -> Key | None:
        """The key of a value; what is new is entered with where it comes from."""
        array = as_numbers(value)
        if array is None:
            return None
        self.work += NOTE + NUMBER * array.size
        key = key_of(array)
        if key not in self.made:
            self.made[key] = Made(key, array.copy(), len(self.made), **where)
        made = self.made[key]
        if where and made.view and not made.line:  # a part of an array that was read before it was assigned to a name
            made.file, made.line, made.variable = where["file"], where["line"], where.get("variable", "")
            made.inputs = made.inputs or where["inputs"]
        if where and len(made.named) < NAMES:
            made.named.append((where["file"], where["line"], where.get("variable", ""), len(self.made)))
        return key


def as_numbers(x: Any) -> Array | None:
    """A float, or an array of floats; a mask is one of zeros and ones."""
    if isinstance(x, np.ndarray):
        if x.dtype.kind == "b" and x.size > 1:
            return np.asarray(x, dtype=float)
        return np.asarray(x) if x.dtype.kind == "f" and x.size else None
    if isinstance(x, (float, np.floating)):
        return np.asarray(float(x))
    return None


def key_of(array: Array) -> Key:
    return (array.shape, hash(array.tobytes()))


def values_in(x: Any, deep: int = 3) -> Iterator[Any]:
    """The numbers in a value: itself, or those in lists, dicts and the learner's objects."""
    if as_numbers(x) is not None:
        yield x
    elif isinstance(x, dict) and deep:
        for inner in [*x.values()][:INSIDE]:
            yield from values_in(inner, deep - 1)
    elif isinstance(x, (list, tuple)) and deep:
        if x and len(x) <= INSIDE and all(isinstance(y, float) for y in x):
            yield np.array(x)
        for inner in [*x][:INSIDE]:
            yield from values_in(inner, deep - 1)
    elif deep and not isinstance(x, (str, bytes, type)) and x is not MISSING:
        for inner in attributes(x).values():
            yield from values_in(inner, min(deep - 1, 2))


class Recorder:
    """The trace function, and the statements that are under way in each frame."""

    def __init__(self) -> None:
        self.recording = Recording()
        self.open: dict[int, tuple[Any, Statement, list[Before]]] = {}
        self.results: dict[int, dict[str, list[Key]]] = {}  # frame → results of the functions that it called
        self.own: dict[Any, bool] = {}
        self.count = 0

    def run(self, function: Callable[..., Any], *arguments: Any) -> Recording:
        before = sys.gettrace()
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
        return self.step if self.own[code] and self.recording.complete else None

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
        except Exception:  # inspecting a learner's object may raise anything; their program must go on
            self.recording.complete = False
        return self.step

    def hand_back(self, frame: Any, result: Any) -> None:
        """Note the values that a learner's function returns: the calling line reads them."""
        arrays = [x for x in map(as_numbers, values_in(result)) if x is not None]
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
            before = [self.before(a, names, world) for a in (*statement.assignments, *statement.returns)]
            self.open[id(frame)] = (frame, statement, before)

    def before(self, assignment: Assignment, names: Any, world: Any) -> Before:
        inputs: list[Key] = []
        for read in assignment.reads:
            inputs += self.inputs(read, names, world)
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
        for before in [self.late(b, names, world) for b in befores] if statement.in_line else befores:
            inner = [k for name, keys in results.items() if name in before.assignment.called for k in keys]
            inputs = tuple(dict.fromkeys((*before.inputs, *inner)))
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
        if isinstance(target, ast.Subscript):
            self.enter_container(target, names, world, where, before)

    def enter_container(self, target: ast.Subscript, names: Any, world: Any, where: Any, before: Before) -> None:
        """The whole array, after a part of it was written."""
        whole = look_up(target.value, names, world)
        if isinstance(whole, np.ndarray):
            part = as_numbers(look_up(target, names, world))
            keys = (key_of(part),) if part is not None else before.inputs
            keys += (before.around,) if before.around else ()
            self.recording.note(whole, variable=ast.unparse(target.value), total=True, **{**where, "inputs": keys})


@dataclass(frozen=True)
class Before:
    """An assignment before it is carried out: what it reads, and what its target held."""

    assignment: Assignment
    inputs: tuple[Key, ...]
    old: Any
    around: Key | None = None  # the array of which the target is a part
    items: Sequence[tuple[Key, ...]] = ()  # inputs of each item, if it is a list built item by item
    held: frozenset[Key] = frozenset()  # what a list or dict held before items were added


def item_of_returned(returned: Any, key: Any) -> Any:
    try:
        return returned[key]
    except (KeyError, IndexError, TypeError):
        return returned


def record_run(function: Callable[..., Any], *arguments: Any) -> Recording:
    """Call the function and write down what its lines made.

    >>> def f(x):
    ...     y = 2.0 * x
    ...     return y + 1.0
    >>> record_run(f, 3.0).result
    7.0
    """
    return Recorder().run(function, *arguments)
