"""A derivative at plain numbers consists of plain numbers; a backward pass that may have been meant for it says so.

`grad(u)(x)` of an array x is an array, even where u reads the weights of a network: x may take a thousand steps, and a
graph of all of them is rarely wanted. But as a part of the loss that trains these weights (a physics-informed network,
a gradient penalty) it is a constant, and training would silently do something else. In `fit`, in a compiled function
and in another transform, where it is known that a loss is computed, the derivative stays a node.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

MOST = 1000  # weights to remember: a program that never calls backward() would collect those of all its calls
# by id: a leaf that plain derivatives depend on, its array (another one has nothing to do with them), and the function
LOST: dict[int, tuple[Any, Any, str]] = {}


class LostGradientWarning(UserWarning):
    """A loss reaches weights that a derivative in it may depend on too, but that derivative is plain numbers.

    >>> import numpy as np
    >>> from tinygrad_edu import Tensor, grad
    >>> w, x = Tensor(2.0, requires_grad=True, label="w"), np.array([1.0, 3.0])
    >>> slope = grad(lambda x: np.sum(w * x**2))(x)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     np.sum((slope - w * x) ** 2).backward()
    >>> print(caught[0].message)
    <lambda> was differentiated at plain numbers, and the result is plain numbers: through it, backward() adds ...
    """


def note_lost(name: str, order: Iterable[Any], inputs: Sequence[Any]) -> None:
    """Remember the leaves of a graph that were not differentiated by."""
    own = {id(x) for x in inputs}
    leaves = {id(x): (x, x.array, name) for x in order if not x.parents and id(x) not in own}
    if leaves:
        if len(LOST) > MOST:
            LOST.clear()
        LOST.update(leaves)


def warn_lost(reached: Iterable[Any], stacklevel: int) -> None:
    """Warn if a backward pass has reached leaves that plain derivatives depend on, and forget them."""
    found = [LOST[id(x)] for x in reached if id(x) in LOST and x.array is LOST[id(x)][1]]
    LOST.clear()
    if not found:
        return
    (leaf, _, name), others = found[0], f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    warnings.warn(
        f"{name} was differentiated at plain numbers, and the result is plain numbers: through it, backward() adds "
        f"nothing to {leaf.label or repr(leaf)}{others}. If the derivative is a part of this loss, give it a Tensor, "
        "as in tg.grad(f)(tg.Tensor(x)); if you want its numbers only, compute it under tg.no_grad()",
        LostGradientWarning,
        stacklevel=stacklevel,
    )
