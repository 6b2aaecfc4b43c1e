"""`w = v; w += 1` in a function that a trace or a transform calls with nodes in place of arrays.

NumPy writes into the array, so v is its new contents too, and so is every view of it. A node never changes: `+=` makes
a further one, and v would still mean the old numbers. While the user's function runs, an `ArrayMemory` knows what `+=`
has written to, and reading an older node of the same memory is refused by name.

What lies in the same memory: an operation in VIEWS gives a view of its array, and the node that `+=` makes lies where
the one before lay. Whether two places overlap is asked of NumPy itself, with the same views of an array without
contents. For a node that stands for a Tensor nothing is refused: there `+=` makes a further node eagerly too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.modes import MODES, turn
from tinygrad_edu.core.operation import TABLE, ArrayOperation, Operation
from tinygrad_edu.core.shapes import as_tuple, is_basic
from tinygrad_edu.core.writes.write_guard import CLOCK
from tinygrad_edu.errors import DtypeError, ShapeError

VIEWS = frozenset({"broadcast_to", "diagonal", "getitem", "reshape", "transpose"})
# Functions written with these that give a view in NumPy too; of the others the result has memory of its own.
VIEWS_OF_SEVERAL_STEPS = {
    *("array_split", "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_arrays", "diag", "diff", "dsplit", "einsum"),
    *("expand_dims", "flip", "fliplr", "flipud", "hsplit", "matrix_power", "matrix_transpose", "moveaxis"),
    *("nan_to_num", "ravel", "real", "rollaxis", "rot90", "split", "squeeze", "swapaxes", "unstack", "vsplit"),
}
MOST_WORK = 10_000  # steps in which NumPy decides whether two views overlap; beyond, they count as overlapping
Entry = Operation | ArrayOperation
Step = tuple[Any, Mapping[str, Any]]  # an operation that gives a view, and its options
# By class of a node: is it a Tensor that the program itself has made, given the tick at which the function began?
MADE_BY_PROGRAM: dict[type, Callable[[Any, int], bool]] = {}


class ArrayMemory:
    """What `+=` has written to in one run of a user's function."""

    def __init__(self) -> None:
        self.begun = next(CLOCK)
        self.views: dict[Node, tuple[Any, Node, Mapping[str, Any]]] = {}  # of nodes that do not know it themselves
        self.before: dict[Node, Node] = {}  # the node that `+=` has made: the one in whose memory it lies
        self.writes: dict[Node, list[tuple[list[Step], Node]]] = {}  # by the node that owns the memory, in order
        self.of_tensor: dict[Node, bool] = {}  # would it be a Tensor eagerly? Of arguments that are Tensors: True

    def note_view(self, y: Node, operation: Entry, operands: Sequence[Node], options: Mapping[str, Option]) -> None:
        """Note that y, the result of an operation in VIEWS, lies in the memory of its operand."""
        if y is not operands[0]:
            self.views[y] = operation, operands[0], options

    def settle(self, name: str, found: Node, arguments: Sequence[Node]) -> Any:
        """The result of a function that is written with operations: a copy where NumPy gives one."""
        if name in VIEWS_OF_SEVERAL_STEPS or not hasattr(found, "parents") or self.view_of(found) is None:
            return found
        owners = {self.owner_of(x)[0] for x in arguments if hasattr(x, "parents") and hasattr(x, "shape")}
        return own_memory(found) if self.owner_of(found)[0] in owners else found

    def note_write(self, old: Node, new: Node) -> None:
        """Note that `new` was written over `old`. Errors: ShapeError, DtypeError where an array cannot hold it."""
        if new is old or self.stands_for_tensor(old):
            return
        refuse_misfit(old, new)
        root, steps = self.owner_of(old)
        self.before[new] = old
        self.writes.setdefault(root, []).append((steps, new))
        turn("written", True)

    def note_own_write(self, x: Node) -> None:
        """Note that x[i] = value has just turned x itself into the new numbers."""
        root, steps = self.owner_of(x)
        if root in self.writes:
            self.writes[root].append((steps, x))

    def view_of(self, x: Node) -> tuple[Any, Any, Mapping[str, Any]] | None:
        """(operation, node, options) of which x is a view."""
        if x in self.views:
            return self.views[x]
        name = getattr(x.op, "name", "")
        if name not in VIEWS or not hasattr(x.parents[0], "parents"):
            return None
        return (x.op, x.parents[0], x.options) if is_basic(x.options.get("index", ())) else None

    def is_array_without_axes(self, x: Node) -> bool:
        """Is it a view such as v[1, 1, ...], to which NumPy can write, and not a number, as v[1, 1] is?"""
        found = self.view_of(x)
        return found is not None and (
            found[0].name != "getitem" or any(i is Ellipsis for i in as_tuple(found[2]["index"]))
        )

    def owner_of(self, x: Node) -> tuple[Node, list[Step]]:
        """The node that owns the memory of x, and the views that lead from it to x."""
        steps = list[Step]()
        while True:
            view = self.view_of(x)
            if view is not None:
                operation, x, options = view
                steps.insert(0, (operation, options))
            elif x in self.before:
                x = self.before[x]
            else:
                return x, steps

    def is_old(self, x: Node) -> bool:
        """Was the memory of x written to after x was made?"""
        root, steps = self.owner_of(x)
        writes = self.writes.get(root, [])
        if not writes:
            return False
        while (view := self.view_of(x)) is not None:
            x = view[1]
        since = max((i + 1 for i, (_, new) in enumerate(writes) if new is x), default=0)
        return any(overlap(root, steps, written) for written, _ in writes[since:])

    def refuse_old(self, x: Node, error: Callable[[str], Exception]) -> None:
        """Errors: `error` with a message if x means numbers that `+=` has replaced under another name."""
        if self.writes and hasattr(x, "parents") and self.is_old(x):
            raise error(
                f"an array of shape {tuple(x.shape)} is read under one name after += (or another such operator) has "
                "written to it under another. NumPy changes the array, so both names mean the new numbers; here the "
                "function runs on nodes, which never change, and this name would mean the old ones. Write w = w + x "
                "instead of w += x if you want the old numbers, else read the name that was written to"
            )

    def stands_for_tensor(self, x: Node) -> bool:
        """Would x be a Tensor eagerly, because one of the things that it is computed from is?"""
        seen, stack = set[Any](), [x]
        while stack:
            node = stack.pop()
            if self.of_tensor.get(node, False) or (not node.parents and self.is_made_by_program(node)):
                self.of_tensor[x] = True
                return True
            if node not in self.of_tensor and node not in seen:
                seen.add(node)
                stack += [p for p in node.parents if hasattr(p, "parents")]
        self.of_tensor.update(dict.fromkeys(seen, False))
        return False

    def is_made_by_program(self, x: Node) -> bool:
        asked = MADE_BY_PROGRAM.get(x.__class__)
        return asked is not None and asked(x, self.begun)


def own_memory(x: Node) -> Any:
    """The same numbers in memory of their own, while a user's function runs."""
    return x if MODES.memory is None else TABLE["pos"](x)


def refuse_misfit(old: Node, new: Node) -> None:
    """Errors: ShapeError and DtypeError where NumPy cannot write the result into the array."""
    if tuple(new.shape) != tuple(old.shape):
        raise ShapeError(
            f"+= writes into an array of shape {tuple(old.shape)}, and the result has shape {tuple(new.shape)}: write "
            "x = x + y"
        )
    if old.dtype.kind in "iub" and new.dtype.kind == "f":
        raise DtypeError(f"+= writes into an array of {old.dtype}, which cannot hold floats: write x = x + y")


def overlap(root: Node, first: list[Step], second: list[Step]) -> bool:
    """Do two views of the memory of a node share a number, be it in C or in Fortran order?"""
    shape = [with_plain_sizes(n) for n in root.shape]
    return any(share(np.empty(shape, bool, order), first, second) for order in ("C", "F"))


def share(array: ArrayLike, first: list[Step], second: list[Step]) -> bool:
    """Do they share a number of this array? Where that cannot be told, they count as sharing one."""
    try:
        return shares_memory(show(array, first), show(array, second))
    except Exception:
        return True


def shares_memory(a: ArrayLike, b: ArrayLike) -> bool:
    """Do two arrays share a number? Where NumPy would take too long to tell, they count as sharing one."""
    try:
        return bool(np.shares_memory(a, b, max_work=MOST_WORK))  # type: ignore[arg-type]
    except Exception:
        return True


def show(array: ArrayLike, steps: list[Step]) -> Any:
    """What the steps show of an array."""
    for operation, options in steps:
        array = operation.function(array, **{name: with_plain_sizes(x) for name, x in options.items()})
    return array


def with_plain_sizes(option: Option) -> Any:
    """An option with plain numbers for the sizes that a trace gives names."""
    if isinstance(option, (tuple, list)):
        return type(option)(map(with_plain_sizes, option))
    if isinstance(option, slice):
        return slice(*map(with_plain_sizes, (option.start, option.stop, option.step)))
    return getattr(option, "length", option)


def watched(y: Node, operation: Entry, operands: Sequence[Node], options: Mapping[str, Option] = {}) -> Any:
    """The result of an operation of a trace: what lies in the memory of an operand is noted, and a copy is a copy."""
    memory = MODES.memory
    if memory is None:
        return y
    if operation.name in VIEWS:
        if is_basic(options.get("index", ())):
            memory.note_view(y, operation, operands, options)
        return y
    # x·1 is x in a program, and another array in NumPy
    return y.as_copy() if any(y is x for x in operands) else y


def refuse_old(operands: Sequence[Node], error: Callable[[str], Exception]) -> None:
    """Errors: `error` with a message if one of them means numbers that `+=` has replaced. Asked if MODES.written."""
    for x in operands:
        MODES.memory.refuse_old(x, error)


@contextmanager
def watching(anew: bool = False) -> Iterator[ArrayMemory]:
    """A block in which a user's function runs on nodes; inside another one the same memory goes on, unless `anew`."""
    memory = MODES.memory
    with exchanged(ArrayMemory()) if memory is None or anew else nullcontext():
        yield MODES.memory


def unwatched() -> AbstractContextManager[None]:
    """A block in which the library computes with nodes of the user's function, old ones too: a derivative does."""
    return nullcontext() if MODES.memory is None else exchanged(None)


@contextmanager
def exchanged(memory: ArrayMemory | None) -> Iterator[None]:
    """A block with another memory, to which nothing has been written."""
    before, written = MODES.memory, MODES.written
    MODES.memory = memory
    if written:
        turn("written", False)
    try:
        yield
    finally:
        MODES.memory = before
        if MODES.written is not written:
            turn("written", written)
