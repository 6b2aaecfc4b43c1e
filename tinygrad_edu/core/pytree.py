"""Arguments that hold several numbers or arrays: dicts, lists and tuples of them, walked leaf by leaf."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import OperandError

SHALLOW, DEEPEST = 50, 100_000  # nestings that are surely walked, and so many that there may be no end


def tree_leaves(tree: ArrayLike) -> Iterator[Any]:
    """The leaves of nested dicts, lists and tuples, in their order. Errors: OperandError for too deep ones.

    >>> list(tree_leaves({"W": 1.0, "b": [2.0, 3.0]}))
    [1.0, 2.0, 3.0]
    """
    if not isinstance(tree, (dict, list, tuple)):
        yield tree
        return
    stack = [branches_of(tree)]
    while stack:
        for branch in stack[-1]:
            if isinstance(branch, (dict, list, tuple)):
                stack.append(branches_of(branch))
                if len(stack) > SHALLOW and len(stack) > sys.getrecursionlimit() // 4:  # a list may contain itself
                    refuse_deep(tree)
                break
            yield branch
        else:
            stack.pop()


def branches_of(tree: ArrayLike) -> Iterator[Any]:
    return iter(list(tree.values()) if isinstance(tree, dict) else tree)


def refuse_deep(tree: ArrayLike) -> None:
    """Errors: OperandError for a tree whose nesting, walked by functions that call themselves, overflows the stack.

    Called after a RecursionError, which may also be one of the user's function.
    """
    level, depth = {id(tree): tree}, 0
    while level and depth < DEEPEST:
        inside = [each for x in level.values() for each in (x.values() if isinstance(x, dict) else x)]
        level = {id(x): x for x in inside if isinstance(x, (dict, list, tuple))}
        depth += 1
    if depth > SHALLOW:
        known = f"{depth - 1} deep" if depth < DEEPEST else "in itself, or without end"
        raise OperandError(
            f"an argument or a result is a list, tuple or dict nested {known}: some {sys.getrecursionlimit() // 4} are "
            "walked (sys.setrecursionlimit). Put the numbers side by side, in one list or array"
        )


def given_leaves(tree: ArrayLike) -> list[Any]:
    """The leaves without None, which means "not given" in an argument, as in JAX."""
    return [x for x in tree_leaves(tree) if x is not None]


def tree_map(function: Callable[..., Any], tree: ArrayLike, *others: ArrayLike) -> Any:
    """The same nesting with function(leaf, its counterparts in the other trees) at every leaf.

    >>> tree_map(lambda a, b: a + b, {"x": 1, "y": (2, 3)}, {"x": 10, "y": (20, 30)})
    {'x': 11, 'y': (22, 33)}

    Errors: OperandError where the tree is nested too deep.
    """
    try:
        return map_branches(function, tree, *others)
    except RecursionError:
        refuse_deep(tree)
        raise


def map_branches(function: Callable[..., Any], tree: ArrayLike, *others: ArrayLike) -> Any:
    """`tree_map`, which calls itself for each branch."""
    if isinstance(tree, dict):
        found = {key: map_branches(function, branch, *[other[key] for other in others]) for key, branch in tree.items()}
        return found if type(tree) is dict else rebuild_dict(tree, found)
    if isinstance(tree, (list, tuple)):
        return rebuild(tree, [map_branches(function, *branches) for branches in zip(tree, *others, strict=True)])
    return function(tree, *others)


def leaf_pairs(tree: ArrayLike, other: ArrayLike) -> Iterator[tuple[Any, Any]]:
    """The leaves of two trees of the same nesting in pairs; those of dicts by key, whatever their order.

    Errors: OperandError where the nestings differ.

    >>> list(leaf_pairs({"W": 1.0, "b": 2.0}, {"b": 20.0, "W": 10.0}))
    [(1.0, 10.0), (2.0, 20.0)]
    """
    if isinstance(tree, dict) and isinstance(other, dict) and tree.keys() == other.keys():
        pairs = [(branch, other[key]) for key, branch in tree.items()]
    elif isinstance(tree, (list, tuple)) and isinstance(other, (list, tuple)) and len(tree) == len(other):
        pairs = list(zip(tree, other, strict=True))
    elif isinstance(tree, (dict, list, tuple)) or isinstance(other, (dict, list, tuple)):
        raise OperandError(f"{outline(other)} is nested otherwise than {outline(tree)}, whose counterpart it has to be")
    else:
        yield tree, other
        return
    for branch, counterpart in pairs:
        yield from leaf_pairs(branch, counterpart)


def outline(tree: ArrayLike) -> str:
    """What a tree is, in a few words.

    >>> outline({"W": 1.0}), outline([1.0, 2.0]), outline(3.0)
    ("a dict of ['W']", 'a list of 2', 'one float')
    """
    if isinstance(tree, dict):
        return f"a dict of {list(tree)}"
    return (
        f"a {type(tree).__name__} of {len(tree)}" if isinstance(tree, (list, tuple)) else f"one {type(tree).__name__}"
    )


def own_nesting(tree: ArrayLike) -> Any:
    """The same leaves in dicts and lists of their own, which a function that writes to its arguments may change."""
    return tree_map(lambda leaf: leaf, tree)


def leaf_names(tree: ArrayLike, name: str) -> Iterator[str]:
    """What a program calls each leaf of the tree of that name.

    >>> list(leaf_names({"W": 1.0, "b": [2.0, 3.0]}, "p"))
    ["p['W']", "p['b'][0]", "p['b'][1]"]
    """
    branches = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, (list, tuple)) else None
    if branches is None:
        yield name
    else:
        for key, branch in branches:
            yield from leaf_names(branch, f"{name}[{key!r}]")


def rebuild(tree: ArrayLike, branches: Iterable[Any]) -> Any:
    """Such a list or tuple as this one, of its class and with its attributes, of other branches.

    Errors: OperandError where its class lets nobody make one.
    """
    kind = type(tree)
    if kind is list or kind is tuple:
        return kind(branches)
    try:
        made = emptied(tree) if isinstance(tree, list) else tuple_of(kind, list(branches))
        if isinstance(tree, list):
            made.extend(branches)
        elif getattr(tree, "__dict__", None):
            vars(made).update(vars(tree))
    except Exception as error:
        raise own_container(kind, error) from error
    return made


def tuple_of(kind: type[Any], branches: list[Any]) -> Any:
    """A tuple of that class. `__new__` has had its say on the first one; some classes of C allow nothing else."""
    try:
        return tuple.__new__(kind, branches)
    except TypeError:
        return kind(branches)


def rebuild_dict(tree: ArrayLike, found: dict[Any, Any]) -> Any:
    """Such a dict as this one, an OrderedDict for example, of other entries. Errors: as of `rebuild`."""
    try:
        made = emptied(tree)
        for key, branch in found.items():  # update() of a Counter would add
            made[key] = branch
    except Exception as error:
        raise own_container(type(tree), error) from error
    return made


def emptied(tree: ArrayLike) -> Any:
    """A copy without contents: a defaultdict keeps its factory, an object its attributes."""
    made = copy.copy(tree)
    made.clear()
    return made


def own_container(kind: type[Any], error: Exception) -> OperandError:
    return OperandError(
        f"a {kind.__name__} cannot be made again with other numbers ({type(error).__name__}: {error}): give and return "
        "a list, tuple or dict"
    )


class OwnContainer:
    """The class of a container that is no plain list, tuple or dict, and its attributes, compared like a nesting."""

    __slots__ = ("like", "settings")

    def __init__(self, tree: ArrayLike) -> None:
        kind = type(tree)
        try:
            self.like = rebuild(tree, [None] * len(tree)) if isinstance(tree, tuple) else emptied(tree)
            self.settings = self.like.__reduce_ex__(4)[1:3]  # how to make it: a factory, attributes
        except Exception as error:
            raise own_container(kind, error) from error
        for name, x in getattr(tree, "__dict__", {}).items():
            if hasattr(type(x), "parents") or type(x).__hash__ is None:
                raise OperandError(
                    f"a {kind.__name__} with .{name}, a {type(x).__name__}: a compiled function cannot tell whether an "
                    "attribute has changed, and gives none back. Put it into the container, or give and return a dict"
                )

    def __eq__(self, other: object) -> bool:
        alike = isinstance(other, OwnContainer) and type(self.like) is type(other.like)
        return alike and bool(self.settings == other.settings)  # type: ignore[attr-defined]

    def __hash__(self) -> int:
        return hash(type(self.like))


def with_leaves(tree: ArrayLike, leaves: Iterable[Any]) -> Any:
    """The same nesting with other leaves, taken in their order.

    >>> with_leaves({"W": [1, 2], "b": 3}, "xyz")
    {'W': ['x', 'y'], 'b': 'z'}
    """
    rest = iter(leaves)
    return tree_map(lambda _: next(rest), tree)


def flatten(tree: ArrayLike, found: list[Any]) -> Any:
    """Adds the leaves of a tree to `found` and returns its nesting, which can be compared and hashed; see `unflatten`.

    >>> found = []
    >>> nesting = flatten({"W": [1.0, 2.0], "b": 3.0}, found)
    >>> found, unflatten(nesting, iter([10.0, 20.0, 30.0]))
    ([1.0, 2.0, 3.0], {'W': [10.0, 20.0], 'b': 30.0})
    """
    kind = type(tree)
    if isinstance(tree, dict):
        form = kind if kind is dict else OwnContainer(tree)
        return form, tuple(tree), tuple([flatten(branch, found) for branch in tree.values()])
    if not isinstance(tree, (list, tuple)):
        found.append(tree)
        return None
    form = kind if kind is tuple or kind is list else OwnContainer(tree)
    if any(issubclass(each, (dict, list, tuple)) for each in set(map(type, tree))):
        return form, tuple([flatten(branch, found) for branch in tree])
    found += tree  # only leaves: a fast path for long lists
    return form, len(tree)


def unflatten(nesting: ArrayLike, found: Iterator[Any]) -> Any:
    """A tree of that nesting with the next leaves."""
    if nesting is None:
        return next(found)
    form, branches = nesting[0], nesting[-1]
    each = islice(found, branches) if isinstance(branches, int) else [unflatten(x, found) for x in branches]
    if len(nesting) == 3:
        made = dict(zip(nesting[1], each, strict=True))
        return made if form is dict else rebuild_dict(form.like, made)
    return rebuild(form.like, each) if isinstance(form, OwnContainer) else form(each)
