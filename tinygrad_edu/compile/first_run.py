"""The first run of each program, compared with the function itself.

A trace calls the function with nodes that stand for its arguments, and what the function asks of a node (its class, its
text, whether it is the same object as another) may be answered otherwise than for an array. No list of such questions
is complete. So the function itself runs once, on copies of the first arguments, and the program has to give the same
results: nesting, classes, dtypes, numbers, and what it writes into its arguments.

It is left out where the function would take long (about a second), where it raises an error by itself (`x / 0` of
Python's numbers), and where running it once more would change what cannot be put back (an iterator, a file).
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from tinygrad_edu.compile.call_state import CallState
from tinygrad_edu.compile.differences import Difference, changes, first_difference, largest, leaf_numbers
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.compile.rehearsal import refuse_other, rehearse
from tinygrad_edu.compile.uncompiled import plain
from tinygrad_edu.compile.untraceable import copy_of_array
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.transforms.derivatives import value_and_grad
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import TraceError

Function = Callable[..., Any]
MOST_WORK = 2**26  # numbers computed: about 0.2 s
# Of float64 and of float32: small changes of the arguments, relative, which are also what results may differ by, of the
# largest of their array; and what rounding may leave where the result is 0, of 1 or the largest number that f is given.
NUDGES, NOISE = (1e-9, 1e-5), (1e-12, 1e-5)
ROOM = 100.0  # times the change of the results when the arguments change by a nudge
WITHOUT_ARGUMENTS = 1e-3  # what they may differ by where no argument can be nudged


def compared(
    program: Any,
    f: Function,
    arguments: Sequence[Any],
    run: Callable[[], Any],
    look: Callable[[Any], Any] = lambda found: found,
    forget: Callable[[], None] = lambda: None,
    writes: bool = True,
    note: Callable[[Any], None] = lambda results: None,
    key: Any = None,
) -> Any:
    """run(); at the first run of a program, and of each further `key`, its results have to be those of f.

    `look`: what of the results of run() is compared; `forget`: called where they differ; `writes`: is what the
    arguments hold afterwards compared too? `note`: called with the results of f, before run().
    Errors: TraceError where they differ.
    """
    if key in program.compared:
        return run()
    given = list(tree_leaves(tuple(arguments)))
    own = own_run(f, arguments, program) if not overlap(given) else None
    calls = []
    if own is not None:
        note(own.results)
        calls = rehearse(f, partial(copies_of, own.arguments), program.before) if program.before is not None else []
    found = run()
    try:
        if own is not None:
            refuse_other(f, own.results, calls)
            single = program.has_float32() or any(map(is_single, given))
            noise = NOISE[single] * max(1.0, *[largest(leaf_numbers(x)) for x in [*given, *program.read_anew()]])
            own.refuse_difference(look(found), tuple(arguments) if writes else own.after, NUDGES[single], noise)
    except TraceError:
        forget()
        if program.before is not None:  # what its trace has changed in Python
            program.before.restore()
        raise
    program.before = None
    program.compared.add(key)
    return found


class OwnRun:
    """What the function itself gives for these arguments, and how they look afterwards.

    What it changes in Python is put back; but where its trace has changed nothing and there are other threads, a change
    would be theirs. `watched`: is that to be seen to?
    """

    def __init__(self, f: Function, arguments: Sequence[Any], watched: bool) -> None:
        self.f, self.arguments, self.watched = f, copies_of(tuple(arguments)), watched
        self.results, self.after = self.run(self.arguments)

    def run(self, arguments: Any, quiet: bool = True) -> tuple[Any, Any]:
        """(the results, the arguments afterwards) on copies. `quiet`: without NumPy's warnings about numbers."""
        copies, state = copies_of(arguments), CallState(f=self.f) if self.watched else None
        try:
            with np.errstate(all="ignore") if quiet else nullcontext():
                return self.f(*copies), copies
        finally:
            if state is not None:
                state.restore()

    def refuse_difference(self, found: Any, arguments: Sequence[Any], tolerance: float, noise: float) -> None:
        """Errors: TraceError where the program has given something else, or has written something else."""
        difference = self.difference_from(found, arguments, tolerance)
        if difference is None or (difference.in_numbers and self.is_sensitive(found, arguments, tolerance, noise)):
            return
        with suppress(Exception):  # f may look at np.geterr()
            self.results, self.after = self.run(self.arguments, quiet=False)
        if self.difference_from(found, arguments, tolerance) is not None:
            self.refuse(difference)

    def difference_from(self, found: Any, arguments: Sequence[Any], tolerance: float) -> Difference | None:
        difference = first_difference(found, self.results, "the result", tolerance)
        return difference or first_difference(arguments, self.after, "arguments", tolerance)

    def is_sensitive(self, found: Any, arguments: Sequence[Any], nudge: float, noise: float) -> bool:
        """Do the results of the function itself change as much when its arguments change by a nudge?"""
        own = self.results, self.after
        apart = changes((found, arguments), own)
        if not any(map(has_floats, tree_leaves(self.arguments))):
            room = [WITHOUT_ARGUMENTS * largest(leaf_numbers(y)) for y in tree_leaves(own)]
        else:
            try:
                runs = [self.run(nudged(self.arguments, nudge, seed)) for seed in range(2)]
            except Exception:  # so near to where it raises an error, its numbers say little
                return True
            room = [ROOM * max(both) for both in zip(*[changes(run, own) for run in runs], strict=True)]
        return all(a <= max(b, noise) for a, b in zip(apart, room, strict=True))

    def refuse(self, difference: Difference) -> None:
        name = getattr(self.f, "__name__", "the function")
        if other := getattr(self.f, "value_differs", ""):
            raise TraceError(
                f"{name} asks something that a derivative without jit answers otherwise (isinstance(x, np.ndarray), "
                "type(x), a text): that one calls it with Tensors, jit with nodes that answer as arrays do. "
                f"Here {other}, so the two are not derivatives of one function. Ask np.ndim(x) or x.shape, which all "
                "answer alike"
            )
        raise TraceError(
            f"{name} computes something else when it is compiled: {difference.seen}, where {name} by itself gives "
            f"{difference.expected}. Probably it asks something about its arguments that a compiled function answers "
            "otherwise (a class, a text, which object it is). Call it without jit"
        )


def own_run(f: Function, arguments: Sequence[Any], program: Any) -> OwnRun | None:
    """The run of the function itself; None where it is left out."""
    if program.work() > MOST_WORK or PythonState(f=f).opaque:
        return None
    try:
        return OwnRun(f, arguments, program.changes_python or threading.active_count() == 1)
    except Exception:  # it is the user's own, or about what only a compiled function does, such as 1 / 0.0
        return None


def on_leaves(f: Function, leaf: Callable[[Any], Any]) -> Function:
    """f with each leaf of its results as leaf(x)."""

    @functools.wraps(f)
    def with_leaves(*arguments: Any) -> Any:
        return tree_map(leaf, f(*arguments))

    return with_leaves


def float_of(x: Any) -> Any:
    """A single number as a float: on the tape there are no others."""
    return float(x.data) if isinstance(x, Value) else float(x) if isinstance(x, (int, np.generic)) else x


def with_gradients(f: Function, wanted: Iterable[int] | None) -> Function:
    """(f, its gradients by these arguments, None in place of the others) as plain numbers and arrays, without jit."""

    def both(*arguments: Any) -> tuple[Any, Any]:
        y = plain(f(*copies_of(arguments)))
        places = sorted(wanted) if wanted else list(range(len(arguments)))
        value, gradients = value_and_grad(f, tuple(places))(*copies_of(arguments))
        differs = first_difference(plain(value), y, f"the value of tg.value_and_grad({name})", max(NUDGES))
        vars(both)["value_differs"] = f"{differs.seen}, and {name} by itself {differs.expected}" if differs else ""
        found = tree_map(lambda _: None, arguments)
        for i, g in zip(places, gradients, strict=True):
            found = (*found[:i], tree_map(plain, g), *found[i + 1 :])
        return y, found

    both.__name__ = name = getattr(f, "__name__", "the function")
    return both


def copies_of(arguments: Any) -> Any:
    """The arguments with copies of arrays, one for an array that is given twice."""
    made: dict[int, Any] = {}
    return tree_map(lambda x: made.setdefault(id(x), copy_of_array(x)), arguments)


def overlap(given: Sequence[Any]) -> bool:
    """Do two of the arrays share memory, without being one and the same?"""
    arrays = list({id(x): x for x in given if isinstance(x, np.ndarray)}.values())
    return any(np.may_share_memory(a, b) for a, b in combinations(arrays, 2))


def nudged(arguments: Any, nudge: float, seed: int) -> Any:
    """The arguments with each float changed by a small part of it, a 0 by one of the largest, up or down at random."""
    rng, made = np.random.default_rng(seed), dict[int, Any]()

    def change(x: ArrayLike) -> Any:
        if not has_floats(x):
            return x
        array = leaf_numbers(x)
        steps = np.where(array == 0.0, largest(array) or 1.0, array) * rng.choice([-nudge, nudge], array.shape)
        moved = (array + steps).astype(array.dtype)
        return moved if isinstance(x, np.ndarray) else type(x)(moved)

    return tree_map(lambda x: made[id(x)] if id(x) in made else made.setdefault(id(x), change(x)), arguments)


def is_single(x: ArrayLike) -> bool:
    return getattr(x, "dtype", None) == np.float32


def has_floats(x: ArrayLike) -> bool:
    """Is it an argument that can be nudged?"""
    return isinstance(x, float) or (type(x) in (np.ndarray, Tensor) and leaf_numbers(x).dtype.kind == "f")
