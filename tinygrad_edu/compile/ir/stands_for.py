"""The class that eager code would see in place of a node: of an array, a NumPy number, a Python number or a Tensor.

A node knows what it is computed from. Of a Tensor comes a Tensor; of arrays come arrays, and NumPy's numbers where no
axis is left; of Python's numbers, by Python's operators, come Python's. Inputs and what a transform makes say it
themselves (`stands`). Where NumPy has an array without axes for some of its functions and a number for others, and
the node does not say which, it may be either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.constants import is_constant
from tinygrad_edu.compile.ir.dims import ACTIVE
from tinygrad_edu.compile.ir.truth import FLOAT
from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.methods.plain_arrays import PlainArray
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing import stands_for
from tinygrad_edu.core.tracing.stands_for import said
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import TraceError

NODES = (Tensor, Value)
NUMBER, WITHOUT_AXES = object(), object()  # as `stands`: a number of NumPy, or an array without axes, if not a Tensor
# NumPy functions that give an array where all axes are gone; all others give a number.
GIVE_ARRAYS = frozenset({
    np.where, np.select, np.broadcast_to, np.copy, np.tensordot, np.zeros_like, np.ones_like, np.full_like,
    np.piecewise, np.choose,
})  # fmt: skip
VIEWS = frozenset({np.reshape, np.squeeze, np.transpose, np.swapaxes, np.moveaxis})  # an array, of an array
UNSURE = ("where", "broadcast_to")  # operations of which both are made, inside other functions
# operators; x**2 is a square
OF_PYTHON = {"add", "sub", "mul", "div", "pow", "square", "reciprocal", "neg", "pos", "abs", "mod", "floor_divide"}
MOVES = {"window", "reshape", "transpose", "broadcast_to", "gather"}


def mark(x: Node, kind: Option) -> Any:
    """Let a node say what it stands for."""
    x.stands = kind
    return x


def mark_like(x: Node, like: Node) -> Any:
    """Let the state or entry of a round say what it stands for, as what it is an entry of."""
    kind = origin(like)
    return mark(x, kind if issubclass(kind, NODES) else np.ndarray if x.sizes else NUMBER)


def mark_result(y: Node, function: Option, arguments: ArrayLike) -> Any:
    """What a NumPy function gives: a number or an array, where no axis is left."""
    if is_new_number(y, arguments):
        arrays = function in GIVE_ARRAYS or (function in VIEWS and is_array(arguments[0]))
        y.stands = WITHOUT_AXES if arrays else NUMBER
    return y


def mark_entry(operation: Option, y: Node, arguments: ArrayLike, options: Option) -> Any:
    """x[0] of an array is a number, x[..., 0] an array without axes."""
    if operation.name == "getitem" and is_new_number(y, arguments):
        index = options["index"]
        parts = index if type(index) is tuple else (index,)  # `in` would compare them, and some may be nodes
        y.stands = WITHOUT_AXES if any(each is Ellipsis for each in parts) else NUMBER
    return y


def is_new_number(y: Node, arguments: ArrayLike) -> bool:
    """Is it a node without axes that says nothing yet, and not one of the arguments?"""
    found = getattr(y, "sizes", None) == () and not hasattr(y, "stands")
    return found and not any(y is x for x in arguments)


def is_array(x: Node) -> bool:
    """Does it have axes, or stand for an array without axes?"""
    found = said(x)
    return bool(np.ndim(x)) or found is WITHOUT_AXES or (type(found) is tuple and issubclass(found[0], np.ndarray))


def eager_classes(x: Node) -> tuple[Any, ...]:
    """The class, or several where it is not known which."""
    if not ACTIVE.traces:  # left behind by a trace
        return (type(x),)
    ACTIVE.traces[-1].asked.add("class")
    marked = said(x)
    if type(marked) is tuple:
        return marked
    found = origin(x)
    if issubclass(found, NODES) or (found is not float and x.sizes):
        return (found,)
    if found is float:
        return (bool if x.dtype == np.bool_ else int if x.kind is int else float,)
    if marked is WITHOUT_AXES or (marked is None and x.op.name in MOVES and is_array(x.parents[0])):
        return (np.ndarray,)
    return (*number_classes(x), *((np.ndarray,) if marked is None and x.op and x.op.name in UNSURE else ()))


def number_classes(x: Node) -> tuple[Any, ...]:
    """Those of a NumPy number: float32 or float64 where both take part."""
    trace, floats = ACTIVE.traces[-1], (np.float32, np.float64)
    if x.dtype.kind == "f" and trace.floats == np.float32:
        leaves = [each for each in topological(x, lambda x: x.parents) if each.op is None and not is_constant(each)]
        if trace.mixed or any(not each.sizes or each.dtype.kind != "f" for each in leaves):
            return floats
    return floats if x.dtype.kind == "f" and trace.mixed else (x.dtype.type,)


def origin(x: Node) -> Any:
    """Tensor, np.ndarray, PlainArray, or float for Python's numbers: what the node's numbers come from."""
    for each in topological(x, lambda x: () if hasattr(x, "origin") else x.parents):
        if not hasattr(each, "origin"):
            each.origin = origin_by_parents(each)
    return x.origin


def origin_by_parents(x: Node) -> Any:
    marked = said(x)
    if type(marked) is tuple:
        kind = marked[0]
        return float if kind in (bool, int) else np.ndarray if issubclass(kind, np.generic) else kind
    if x.op is None:
        return float if is_constant(x) and not x.sizes and not x.options else np.ndarray
    found = {each.origin for each in x.parents}
    elementwise = x.op.name in TABLE
    if kind := next((each for each in found if issubclass(each, NODES)), None):
        return PlainArray if elementwise and x.op.partials is None and kind is Tensor else kind
    if found == {float} and elementwise and not x.sizes and marked is None:
        return float if x.op.name in OF_PYTHON or x.op.partials is None else np.ndarray
    keeps = PlainArray in found and (x.op.name in MOVES or x.kind is not FLOAT)  # as its __array_wrap__ does
    return PlainArray if keeps else np.ndarray


def refuse_question(x: Node, what: str) -> None:
    """Errors: TraceError, because the answer depends on a number, or on a class that is not known."""
    raise TraceError(
        f"a compiled function asks for {what} of {x!r}, which is not known while it is traced: ask np.ndim(x) for its "
        "axes, choose with tg.ops.where(condition, a, b), or call the function without jit"
    )


def let_nodes_answer(kind: Option) -> None:
    """Let a class of nodes say what they stand for."""
    kind.eager_classes, kind.refuse_question = eager_classes, refuse_question
    stands_for.let_answer(kind)
