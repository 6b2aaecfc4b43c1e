"""A plain number that is added to a loss changes no gradient, and a penalty may have become one.

`loss + 0.01 * np.sum(W.data**2)` runs, and so does `loss + math.sqrt(g)` of a derivative g, but nothing is learnt from
them. Programs add numbers on purpose too: a normalization, a part that is fixed. So what is added must be the same
multiple of a penalty of the weights that the loss trains (or of a root, logarithm and so on of a derivative) in two
passes with different weights, which is no accident.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.lost_gradients import RECENT, LostGradientWarning, is_trained
from tinygrad_edu.core.user_line import users_frame, warn_user

SUMS = frozenset({"add", "sub", "neg", "pos", "sum", "mean"})  # what is added to one of these is added to the loss
LOOKS = 5  # passes of a line of the program in which a number is compared
NEAR = 20  # sums before the loss that are looked at
MANY, MOST = 100, 1_000_000  # lines that are remembered; numbers of all weights
SAME, MOVED = 1e-9, 1e-6  # relative: one multiple twice; a penalty that has changed
Sizes = dict[tuple[str, Any], tuple[float, str]]  # by kind and place: a penalty, and what it is in words
PLACES: dict[tuple[str, int], list[Sizes]] = {}
LEFT = [200]  # backward passes that are still looked at: a look takes 3 us, and a pass of few Values as long
OF_AN_OPTIMIZER = 50  # passes that are looked at after an optimizer was made
FUNCTIONS: dict[str, Callable[[float], float]] = {
    f"math.{name}": getattr(math, name)
    for name in ("sqrt", "exp", "log")  # not sin or tanh: of a small number they are that number itself
}


def warn_added(root: Node, leaves: Callable[[], Sequence[Node]]) -> None:
    """Warn of a number in a sum, the loss, that is the same multiple of a penalty twice. `leaves` gives its leaves."""
    LEFT[0] -= 1
    recent = [*RECENT]
    RECENT.clear()
    added = list(numbers_added(root)) if root.op.name in SUMS else []
    if not added:
        return
    frame = users_frame(sys._getframe(1))
    seen = PLACES.setdefault((frame.f_code.co_filename, frame.f_lineno), [])
    if len(seen) < LOOKS and sum(getattr(x, "size", 1) for x in leaves()) <= MOST:
        seen.append(multiples(added, {**penalties(leaves()), **functions_of(recent, leaves())}))
        compare(seen)
    if len(PLACES) > MANY:
        PLACES.clear()


def numbers_added(root: Node) -> Iterator[float]:
    """The plain numbers among what a loss is the sum of, as far as they stand near its end."""
    waiting = [root]
    for _ in range(NEAR):
        for p in operands(waiting.pop(0)):
            if not is_trained(p):
                number = getattr(p, "array", getattr(p, "data", p) if hasattr(p, "parents") else p)
                if getattr(number, "size", 1) == 1:
                    yield float(number.item() if hasattr(number, "item") else number)
            elif p.op is not None and p.op.name in SUMS and getattr(p, "size", 1) == 1:
                waiting.append(p)
        if not waiting:
            return


def operands(x: Node) -> tuple[Any, ...]:
    """What a node was computed from, plain numbers as they are."""
    if hasattr(x, "array"):
        return tuple(x.parents)
    return x.left if x.left.__class__ is tuple else tuple(p for p in (x.left, x.right) if p is not None)


def penalties(leaves: Sequence[Node]) -> Sizes:
    """The penalties of the weights: of each array, of all, and of all with two axes or more."""
    squares, sizes = [[size(x) for x in leaves] for size in (square_of, size_of)]
    matrices = [i for i, x in enumerate(leaves) if getattr(x, "ndim", 0) > 1]
    groups = [([i], name_of(x)) for i, x in enumerate(leaves[:MANY])]
    groups += [(list(range(len(leaves))), "all that the loss depends on"), (matrices, "all weight matrices")]
    found: Sizes = {}
    for places, name in groups:
        square = sum(squares[i] for i in places)
        each = {
            "the sum of squares": square,
            "the norm": math.sqrt(square),
            "the sum of the norms": sum(math.sqrt(squares[i]) for i in places),
            "the sum of the absolute values": sum(sizes[i] for i in places),
        }
        found |= {(kind, tuple(places)): (x, f"{kind} of {name}") for kind, x in each.items()}
    return found


def square_of(x: Node) -> float:
    """The sum of squares; of a Value without NumPy, which the scalar engine does not load."""
    if not hasattr(x, "array"):
        return float(x.data * x.data)
    row = x.array.ravel().astype(float)
    return float(row @ row)


def size_of(x: Node) -> float:
    """The sum of the absolute values."""
    return float(abs(x.array).sum(dtype=float) if hasattr(x, "array") else abs(x.data))


def name_of(x: Node) -> str:
    return x.label or f"{x!r:.60}"


def functions_of(recent: Sequence[Any], leaves: Sequence[Node]) -> Sizes:
    """What functions of Python's module math give for derivatives that depend on these leaves."""
    found: Sizes = {}
    for i, (number, origins) in enumerate(recent):
        for origin in [x for x in origins.values() if not x.moved and any(map(x.concerns, leaves))][:1]:
            for name, function in FUNCTIONS.items():
                found[name, i] = value_or_nan(function, number), f"{name} of a derivative of {origin.name}"
    return found


def value_or_nan(function: Callable[[float], float], x: float) -> float:
    try:
        return function(x)
    except (ValueError, OverflowError):
        return math.nan


def multiples(added: Sequence[float], sizes: Sizes) -> Any:
    """By the number added and the penalty: which multiple of it the number is, the penalty, and its words."""
    return {
        (k, *key): (number / size, size, words, number)
        for k, number in enumerate(added)
        for key, (size, words) in sizes.items()
        if number and size and math.isfinite(number / size)
    }


def compare(seen: list[Any]) -> None:
    """Warn if a number is the same multiple as in the pass before, of a penalty that has changed."""
    if len(seen) < 2:
        return
    before, now = seen[-2:]
    for key in [each for each in now if each in before]:
        (first, start, _, _), (ratio, size, words, number) = before[key], now[key]
        if abs(ratio - first) <= SAME * abs(ratio) and abs(size - start) > MOVED * abs(size):
            seen += [{}] * LOOKS  # told: no further looks
            warn_user(message(number, ratio, words), LostGradientWarning)
            return


def message(number: float, ratio: float, words: str) -> str:
    return (
        f"this loss adds {number:.4g}, a plain number that is {ratio:.4g} times {words}: it changes no gradient, so "
        "nothing is learnt from it. Compute it from the Tensors or Values themselves: without .data, .numpy(), "
        ".detach() and float(), and with np.sqrt in place of math.sqrt. A number that is for a report alone can be "
        "added after backward()"
    )
