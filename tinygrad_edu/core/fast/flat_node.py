"""How a Value keeps its parents and partial derivatives: flat, for speed. Skip this file, read `parents`, `partials`.

Two tuples would do the same but take half as much time again: each is one more object for the garbage collector. So
the operands are kept in `left` and `right` and the derivatives in `d_left` and `d_right`; a plain number beside a Value
(2.0 in `2.0 * x`) stays a float until the parents are asked for. With three operands or more, `left` and `d_left` are
tuples.
"""

from __future__ import annotations

from typing import Any, Self

from tinygrad_edu.core.operation import Operation
from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.places import Place

# marks a leaf, in its unused slot `right`, that was a plain number in an expression and not a Value
CONSTANT = "constant"


class FlatNode(Operators):
    """The memory of a Value: number, gradient, operation, parents, partials, label."""

    __slots__ = ("_label", "_spent", "d_left", "d_right", "data", "grad", "left", "op", "place", "right")

    data: float
    grad: float
    op: Operation | None
    left: Any  # None in a leaf; the three slots below may then be unset
    d_left: Any
    right: Any  # None with one operand; CONSTANT or unset in a leaf
    d_right: Any
    place: Place | None  # where the program made it; only with `record_lines` on
    # of a root: backward has run; of a leaf: an optimizer has used the gradient; may be unset in other nodes
    spent: bool

    @property
    def label(self) -> str:
        """The name shown in pictures and errors."""
        return getattr(self, "_label", "")

    @label.setter
    def label(self, text: str) -> None:
        self._label = text

    @property
    def is_constant(self) -> bool:
        """Is it a plain number of an expression, the 2 of `2 * x`? Not so once it has a label."""
        return self.left is None and getattr(self, "right", None) == CONSTANT and not self.label

    @property
    def _origins(self) -> Any:
        """Of a plain number that a derivative has given: which one (see `lost_gradients.py`)."""
        return getattr(self, "d_left", None) if self.left is None else None

    @property
    def parents(self) -> tuple[Self, ...]:
        """The inputs of the operation. A plain number among them becomes a leaf when it is first asked for."""
        left = self.left
        if left is None:
            return ()
        if left.__class__ is tuple:
            return left
        if left.__class__ is float:
            left = self.left = self.as_leaf(left, self.d_left)
        if self.right.__class__ is float:
            self.right = self.as_leaf(self.right, self.partials[1])
        return (left,) if self.right is None else (left, self.right)

    @parents.setter
    def parents(self, inputs: tuple[Any, ...]) -> None:
        self.left, self.right = (inputs, None) if len(inputs) > 2 else (*inputs, None, None)[:2]

    @property
    def partials(self) -> tuple[float, ...]:
        """∂self/∂parent for each of the parents."""
        if self.left is None:
            return ()
        if self.left.__class__ is tuple:
            return self.d_left  # type: ignore[no-any-return]
        if self.right is None:
            return (self.d_left,)
        if self.d_right is None:  # derivative of x ** n with respect to n: rarely needed, and it takes a logarithm
            assert self.op is not None
            inputs = [x if x.__class__ is float else x.data for x in (self.left, self.right)]
            self.d_right = self.op.partials_on_floats(self.data, inputs)[1]
        return self.d_left, self.d_right

    @partials.setter
    def partials(self, numbers: tuple[float, ...]) -> None:
        self.d_left, self.d_right = (numbers, None) if len(numbers) > 2 else (*numbers, None, None)[:2]

    def as_leaf(self, number: float, partial: float) -> Self:
        """A plain number of this expression as a node. It is used only here: its gradient is this one term."""
        leaf: Self = self.__class__(number)  # type: ignore[call-arg]
        leaf.grad = self.grad * partial if self.grad else 0.0
        leaf.right = CONSTANT
        return leaf
