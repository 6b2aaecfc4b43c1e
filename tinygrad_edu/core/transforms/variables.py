"""The nodes that a function is called with where a transform differentiates it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.formulas.readings import refuse_own_rules
from tinygrad_edu.core.modes import MODES, forgive, none_caught
from tinygrad_edu.core.pytree import own_nesting, tree_leaves, tree_map, with_leaves
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.array_makers import NEEDED, array_makers
from tinygrad_edu.core.tracing.askers import HERE, seen_in
from tinygrad_edu.core.tracing.identity import first_places
from tinygrad_edu.core.tracing.user_errors import is_of_user, without_numpys_words
from tinygrad_edu.core.value import Value
from tinygrad_edu.core.writes.other_names import refuse_old, watching
from tinygrad_edu.errors import DetachedError, DtypeError, GraphError


def variable(x: Node, dtype: Option = None) -> Any:
    """What the function is called with: a new node, so that only this use of x is differentiated by.

    It has the attributes that the program has given to x. `dtype`: of the arrays beside it, where a number becomes an
    array without axes.
    """
    refuse_own_rules(x)
    refuse_whole(x)
    made = new_variable(x, dtype)
    if isinstance(x, Tensor):
        vars(made).update(vars(x))
    if hasattr(type(made), "stands"):
        made.stands = Tensor if np.ndim(x) else value_or_tensor
    return made


def shared(f: Callable[..., Any], primals: Sequence[Any], nodes: ArrayLike) -> Any:
    """The nodes for the primals; where f asks whether two objects are one, one node for an array that is given twice.

    Then the gradient at each of its places is that by the array, as PyTorch's.
    """
    if len(primals) == 1 and not isinstance(primals[0], (dict, list, tuple)):  # 2 µs less
        return nodes
    leaves = list(tree_leaves(primals))
    if len(set(map(id, leaves))) == len(leaves):
        return nodes
    places = first_places(leaves)
    with seen_in(f):
        if not HERE.identity or len(set(places)) == len(places):
            return nodes
    made = list(tree_leaves(nodes))
    new = {places[i]: y for i, (x, y) in reversed(list(enumerate(zip(leaves, made, strict=True)))) if y is not x}
    return with_leaves(nodes, [new.get(place, y) for place, y in zip(places, made, strict=True)])


def refuse_whole(x: Node) -> None:
    """Errors: DtypeError for whole numbers in a compiled function, as Tensor(x) outside of one."""
    kind = getattr(x, "kind", None) if getattr(x, "sizes", ()) else None
    if kind is int or getattr(kind, "kind", "f") in "iub":
        raise DtypeError(
            "derivatives by whole numbers or truth values: integers have no gradient; give x.astype(float)"
        )


def value_or_tensor() -> tuple[Any, ...]:
    """What a number becomes: a Tensor where arrays are beside it."""
    return Value, Tensor


def new_variable(x: Node, dtype: Option) -> Any:
    if x is None:
        return None
    if isinstance(x, Value) or (isinstance(x, Tensor) and x.requires_grad):
        return ops.pos(x)
    batched = hasattr(MODES.tensor_trace, "of_samples")  # in a vmap numbers become Tensors too
    if MODES.tensor_trace is not None and (batched or dtype is not None or isinstance(x, (Tensor, np.ndarray))):
        return ops.pos(Tensor(x, dtype=dtype))
    if MODES.value_trace is not None:
        return MODES.value_trace(x)
    if isinstance(x, (Tensor, np.ndarray)):
        return Tensor(x, requires_grad=True)
    return Value(x) if dtype is None else Tensor(x, requires_grad=True, dtype=dtype)


def is_node(x: Node) -> bool:
    return isinstance(x, (Value, Tensor))


def call_with_nodes(f: Callable[..., Any], primals: tuple[Any, ...], dtype: Option) -> tuple[Any, Any]:
    """(new nodes for the primals, the result of f on them).

    Numbers alone are Values, and where f cannot work with these (x.T, np.tril(x * a)) arrays without axes.
    """
    try:
        return call_watched(f, primals, dtype)
    except (TypeError, ValueError, AttributeError, DetachedError) as error:
        if (other := without_numpys_words(error)) is not error:
            raise other from None
        if error.__class__ is DetachedError and not NEEDED:
            NEEDED.append(True)
            forgive(error)
            return call_with_nodes(f, primals, dtype)
        nodes = MODES.value_trace is not None or any(is_node(x) for x in tree_leaves(primals))
        if dtype is not None or nodes or is_of_user(error):
            raise
        try:
            found = call_watched(f, primals, np.dtype(float))
        except Exception:
            raise error from None
        forgive(error)
        return found


def call_watched(f: Callable[..., Any], primals: tuple[Any, ...], dtype: Option) -> tuple[Any, Any]:
    """(new nodes, the result). Errors: GraphError if f reads what `+=` has written to under another name."""
    outermost = MODES.memory is None
    with watching() as memory:
        variables = shared(f, primals, tree_map(functools.partial(variable, dtype=dtype), primals))
        if outermost:
            pairs = zip(tree_leaves(variables), tree_leaves(primals), strict=True)
            memory.of_tensor.update({x: True for x, given in pairs if isinstance(given, Tensor)})
        with none_caught(), array_makers() if NEEDED else nullcontext():
            y = f(*own_nesting(variables))
        if MODES.written:
            refuse_old(list(tree_leaves(y)), GraphError)
    return variables, y
