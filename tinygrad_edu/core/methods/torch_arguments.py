"""Methods with PyTorch's arguments, where the function of the same name has others: x.where(condition, y)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.errors import DetachedError, OperandError, SettingError

OTHER_ARGUMENTS = {"where", "polygamma", "add", "sub", "subtract", "div", "divide", "true_divide"}  # than the function


class TorchArguments:
    """Methods of Values and Tensors that read their arguments as PyTorch does."""

    __slots__ = ()
    __apply__: Callable[..., Any]

    def where(self, condition: ArrayLike, other: ArrayLike) -> Any:
        """x where the condition is True, `other` elsewhere: x.where(x > 0, 0.0).

        Errors: OperandError for a condition of numbers: np.where(x, a, b), with x as the condition, may be meant.
        """
        if not holds_truth(condition):
            raise OperandError(
                "x.where(condition, y) takes truth values as its condition, such as x > 0, not numbers "
                f"({condition!r:.60}). With x as the condition write np.where(x, a, b)"
            )
        return ops.where(condition, self, other)

    def polygamma(self, n: int) -> Any:
        """The n-th derivative of the digamma function at x."""
        return self.__apply__(TABLE["polygamma"], (n, self))

    def add(self, *other: ArrayLike, alpha: float = 1) -> Any:
        """x + alpha·other."""
        return self.__apply__(ops.add, ops.add.complete((self, *(y if alpha == 1 else alpha * y for y in other))))

    def sub(self, *other: ArrayLike, alpha: float = 1) -> Any:
        """x - alpha·other."""
        return self.__apply__(ops.sub, ops.sub.complete((self, *(y if alpha == 1 else alpha * y for y in other))))

    def div(self, *other: ArrayLike, rounding_mode: str | None = None) -> Any:
        """x / other; rounded down for rounding_mode="floor", towards 0 for "trunc". Errors: SettingError."""
        if rounding_mode not in (None, "floor", "trunc"):
            raise SettingError(f'x.div(rounding_mode={rounding_mode!r}): None, "floor" or "trunc"')
        if rounding_mode == "floor":
            return self.__apply__(TABLE["floor_divide"], (self, *other))
        quotient = self.__apply__(ops.div, ops.div.complete((self, *other)))
        return ops.trunc(quotient) if rounding_mode else quotient

    subtract, divide, true_divide = sub, div, div


def refuse_out(name: str, out: ArrayLike) -> None:
    """Errors: DetachedError for NumPy's out=, an array to write into."""
    if out is not None:
        raise DetachedError(f"{name}(out=) would write into an array and lose the gradient: use y = {name}(...)")


def holds_truth(condition: ArrayLike) -> bool:
    """Is it of truth values, as comparisons give them?"""
    dtype = getattr(condition, "dtype", None)
    return isinstance(condition, bool) if dtype is None else str(dtype) == "bool"
