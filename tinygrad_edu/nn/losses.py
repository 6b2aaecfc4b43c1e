"""Losses on both back ends: of Tensors, or of arrays and lists of Values. Their common arguments: see core.losses.

>>> from tinygrad_edu.core.value import Value
>>> y = Value(0.5)
>>> huber([y], [3.0], delta=2.0, reduction="sum").backward()
>>> y.grad
-2.0
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_edu.core import array_operations as array_operations  # fills the table with the losses on arrays
from tinygrad_edu.core.losses.losses import Loss
from tinygrad_edu.core.operation import COMPOSED
from tinygrad_edu.elsewhere import habits
from tinygrad_edu.errors import unknown_name

# Each loss is declared once, in core, and found by its name here and everywhere else.
LOSSES: dict[str, Loss] = {name: entry for name, entry in COMPOSED.items() if isinstance(entry, Loss)}
globals().update(LOSSES)
if TYPE_CHECKING:  # the same for type checkers
    from tinygrad_edu.core.losses.class_losses import *  # noqa: F403
    from tinygrad_edu.core.losses.losses import *  # noqa: F403


def find(name: str | Callable[..., Any]) -> Callable[..., Any]:
    """A loss by name, or the function itself. Errors: NameNotFoundError.

    >>> find("mse").name
    'mse'
    """
    if callable(name):
        return name
    if not isinstance(name, str) or name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    return LOSSES[name]


__all__ = ["LOSSES", "Loss"]
__all__ += list(LOSSES)

if not TYPE_CHECKING:
    __getattr__, __dir__ = habits(__name__, __all__)
