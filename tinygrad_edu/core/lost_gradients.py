"""A derivative at plain numbers consists of plain numbers; a loss that trains what it depends on may have missed that.

`grad(u)(x)` of an array x is an array, even where u reads the weights of a network: x may take a thousand steps, and a
graph of all of them is rarely wanted. But as a part of the loss that trains these weights (a physics-informed network,
a gradient penalty) it is a constant, and training would silently do something else. In `fit`, in a compiled function
and in another transform, where it is known that a loss is computed, the derivative stays a node.

So such numbers remember where they come from (`derivative_numbers.py`), also in what NumPy computes of them, until they
become a constant of a graph. `backward()` then compares what it reaches with what the constants came from. Nothing is
said of numbers that reach no graph, of signs and comparisons (their derivative is 0), of copies, and of a step: in
x - rate·g(x) the derivative has moved the point where it was taken, as in adversarial training and in sampling.
"""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.user_line import warn_user

MOST = 4  # origins that numbers remember before the dead ones are left out: a running mean collects one in each round
# operations that hand a gradient on unchanged, or times a constant: a number that is added there changes no gradient
SUMS, SCALED = ("add", "sub"), ("mul", "div")
# operations in which numbers are the input of a layer: a derivative of a network that becomes its input has moved one
LAYERS = frozenset({"matmul", "conv", "conv_transpose"})
LINEAR = frozenset({*SUMS, "neg", "pos", "sum", "mean", "reshape"})
COUNTER = itertools.count()
# An array that is made of a list of derivatives, or filled by them, remembers nothing: NumPy reads their numbers and
# asks nobody. So those of small ones are kept until the next backward pass, and looked for in the arrays of its graph.
NUMBERS: dict[float, Derivation] = {}
FEW, MANY = 16, 1000  # numbers of one derivative, and of all
RECENT: list[tuple[float, Origins]] = []  # numbers made of a derivative since the last backward pass: added_numbers.py
MARKED: set[str] = set()  # where such numbers have become part of a graph: "operands" of nodes, "Tensors", "Values"
REMEMBERING: list[None] = []  # not empty once there are numbers that remember a derivative: until then none are sought


class LostGradientWarning(UserWarning):
    """A loss trains weights that a derivative in it depends on too, but that derivative is plain numbers.

    Or it adds a number that is a penalty of its weights, made of plain numbers as in 0.01 * np.sum(w.data**2).

    >>> import warnings, numpy as np
    >>> from tinygrad_edu import Tensor, grad
    >>> w, x = Tensor(2.0, requires_grad=True, label="w"), np.array([1.0, 3.0])
    >>> slope = grad(lambda x: np.sum(w * x**2))(x)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     np.sum((slope - w * x) ** 2).backward()
    >>> print(caught[0].message)
    this loss contains numbers made of a derivative of <lambda> at plain numbers, and they are constants: ...
    """


class Derivation:
    """Where plain numbers come from: a derivative, what it depends on beside its arguments, and these arguments.

    `leaves`: by the id of its array, a weak reference to the array of each Tensor, which an optimizer's step replaces;
    by its own id, each Value and its number. `points`: the arguments, as `point_of` keeps them.
    `moved`: the numbers are the point itself after a step along the derivative.
    """

    __slots__ = ("leaves", "moved", "name", "number", "points")

    def __init__(self, name: str, leaves: Mapping[int, Any], points: Sequence[Any], moved: bool = False) -> None:
        self.name, self.leaves, self.points, self.moved = name, leaves, points, moved
        self.number = next(COUNTER)  # the newest one knows the newest points

    def concerns(self, x: Node) -> bool:
        """Does the derivative depend on the numbers that this leaf has now?"""
        array = getattr(x, "array", None)
        if array is None:
            known = self.leaves.get(id(x))
            return known is not None and known[0] is x and known[1] == x.data
        known = self.leaves.get(id(array))
        return known is not None and known() is array

    def is_alive(self) -> bool:
        return any(isinstance(x, tuple) or x() is not None for x in self.leaves.values())

    def is_at(self, x: ArrayLike) -> bool:
        """Was the derivative taken at x?"""
        here = point_of(x)
        if isinstance(here, float):
            return any(isinstance(p, float) and p == here for p in self.points)
        return here is not None and any(isinstance(p, weakref.ref) and p() is here() for p in self.points)


Origins = dict[Any, Derivation]  # by the ids of the leaves


def origins_of(name: str, leaves: Iterable[Node], points: Iterable[Any]) -> Origins:
    """Those of a derivative of the function `name`; empty if it depends on nothing but its arguments."""
    known = {}
    for x in leaves:
        array = getattr(x, "array", None)
        known[id(x if array is None else array)] = (x, x.data) if array is None else reference_to(array)
    if not known:
        return {}
    return {
        tuple(known): Derivation(name or "a function", known, [p for x in points if (p := point_of(x)) is not None])
    }


def reference_to(array: ArrayLike) -> Callable[[], Any]:
    """A weak reference; to one of NumPy's numbers, which a program may have given to a Tensor, one that holds it."""
    return weakref.ref(array) if hasattr(array, "__array_finalize__") else lambda: array


def point_of(x: ArrayLike) -> Any:
    """What tells an argument again: a number itself, of an array a weak reference to the array that has the memory."""
    if isinstance(x, (float, int)):
        return float(x)
    if not hasattr(x, "__array_finalize__"):  # no array: NumPy's numbers of other kinds, nodes
        return None
    while hasattr(x.base, "__array_finalize__"):
        x = x.base
    return weakref.ref(x)


def joined(*each: Origins) -> Origins:
    """The origins of numbers that are computed from several."""
    found: Origins = {}
    for origins in each:
        for key, origin in origins.items():
            if key not in found or (found[key].moved, -found[key].number) > (origin.moved, -origin.number):
                found[key] = origin
    return found if len(found) <= MOST else {key: x for key, x in found.items() if x.is_alive()}


def note_numbers(numbers: Iterable[float], origins: Origins) -> None:
    """Keep the numbers of a small derivative; 0, 1 and the like may stand in any array."""
    if len(NUMBERS) > MANY:
        NUMBERS.clear()
    for origin in origins.values():
        NUMBERS.update((x, origin) for x in numbers if not x.is_integer())


def filled_by(array: Node) -> Origins:
    """Those of the derivatives that an array was filled by: its first number and its last come from two of them."""
    if not NUMBERS or getattr(array, "size", 0) < 2 or hasattr(array, "requires_grad"):
        return {}
    first, last = NUMBERS.get(float(array.flat[0])), NUMBERS.get(float(array.flat[-1]))
    return {} if first is None or last is None or first is last else {tuple(first.leaves): first}


def after_step(origins: Origins) -> Origins:
    """The origins of a point that has moved along its derivative."""
    return {key: Derivation(x.name, x.leaves, x.points, moved=True) for key, x in origins.items()}


def mark(made: Node, operands: Iterable[Any]) -> Node:
    """The node, which has the origins of the constants among its operands from now on."""
    each = [getattr(x, "_origins", None) for x in operands if not getattr(x, "requires_grad", False)]
    if (found := [x for x in each if x]) and MODES.recording:
        made._origins = joined(*found)
        MARKED.add("operands" if made._parents else "Tensors")
    return made


def warn_lost(order: Sequence[Node], reached: Iterable[Node]) -> None:
    """Warn of constants of a graph that came from a derivative by way of the leaves which a backward pass has reached.

    `order`: the inner nodes, each after its parents; `reached`: the leaves, perhaps with inner nodes among them.
    """
    found_any = any(holds_origins(order)) or (NUMBERS and any(filled_by(p) for x in order for p in x.parents))
    if not found_any:
        NUMBERS.clear()
        return
    leaves = [x for x in reached if not x.parents]
    found = [
        (origin, added, beside)
        for origins, added in terms(order)
        for origin in origins.values()
        if (beside := [x for x in leaves if origin.concerns(x)])
    ]
    NUMBERS.clear()
    # a point that has moved is meant as numbers, but not if nothing depends on where it is
    only_added = all(added for _, added, _ in found)
    for origin, added, beside in found:
        if only_added or not origin.moved:
            warn_user(message(origin.name, beside, added), LostGradientWarning)
            return


def holds_origins(order: Sequence[Node]) -> Iterator[bool]:
    """Is there a constant with origins among the operands of these nodes?"""
    if not hasattr(order[-1], "_parents"):  # Values; their `parents` would make nodes of plain numbers
        for x in order:
            operands = x.left if x.left.__class__ is tuple else (x.left, x.right)
            yield any(getattr(p, "_origins", None) for p in operands)
        return
    for x in order:
        yield hasattr(x, "_origins")
    if "Tensors" in MARKED:
        for x in order:
            yield any(hasattr(p, "_origins") for p in x._parents)


def message(name: str, leaves: Sequence[Node], added: bool) -> str:
    kind = "Tensor" if hasattr(leaves[0], "array") else "Value"
    others = f" (and {len(leaves) - 1} more)" if len(leaves) > 1 else ""
    what = "they only add a number to it, which changes no gradient" if added else "they are constants"
    return (
        f"this loss contains numbers made of a derivative of {name} at plain numbers, and {what}: through them, "
        f"backward() adds nothing to {leaves[0].label or repr(leaves[0])}{others}. If the derivative is to be trained "
        f"too, give it a {kind}, as in tg.grad(f)(tg.{kind}(x)). If you mean its numbers, all is right: a copy of them "
        "(g.copy(), float(g)) says so, as does tg.no_grad() where they are computed"
    )


def terms(order: Sequence[Node]) -> Iterator[tuple[Origins, bool]]:
    """(origins, is it only added to the loss?) of each constant of a graph that has origins."""
    linear = set(order[-1:])
    for x in reversed(order):
        wanted = [p for p in x.parents if is_trained(p)]
        if x in linear and (x.op.name in LINEAR or (x.op.name in SCALED and len(wanted) == 1 and not divides(x))):
            linear.update(wanted)
        for y in (x, *x.parents):
            if (y is x or not is_trained(y)) and (origins := getattr(y, "_origins", None) or filled_by(y)):
                yield after_step(origins) if is_input(x, origins) else origins, x in linear and x.op.name in SUMS


def is_input(x: Node, origins: Origins) -> bool:
    """Does a layer multiply the numbers by a weight, or its transpose, that their derivative depends on?"""
    weights = [q for p in x.parents if is_trained(p) for q in (p, *p.parents)] if x.op.name in LAYERS else []
    return any(origin.concerns(q) for origin in origins.values() for q in weights)


def divides(x: Node) -> bool:
    """Is it a constant over a node?"""
    return x.op.name == "div" and not is_trained(x.parents[0])


def is_trained(x: Node) -> bool:
    """Is an operand a node that a gradient goes to? A Value that was written as a number is none."""
    return bool(getattr(x, "requires_grad", not getattr(x, "is_constant", True)))
