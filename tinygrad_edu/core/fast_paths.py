"""The same meaning, three times as fast: skip this file. Nothing is computed here that `__apply__` would not compute.

`Value.__apply__` and `Tensor.__apply__` say what an operation means. They ask many questions (is a trace at work, is
an argument a plain number, is it an array?) to which the answer is nearly always the same, and they look the derivative
up in the table. Here the usual case of the operators and methods is written out, and every other case handed to
`__apply__`. `tests/core/test_fast_paths.py` holds the two against each other, bit for bit.

A node is made by `new(value)` and assignments, not by `Value(...)`: half of an expression's time would be spent there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.modes import UNUSUAL
from tinygrad_edu.core.operation import TABLE, Operation

new = object.__new__


def install_for_values(value: Any) -> None:
    """Put the fast forms over Value's operators and methods."""
    for forms in (sums, differences, products, quotients, powers):
        for name, form in forms(value).items():
            setattr(value, f"__{name}__", form)
    value.__neg__ = method_of_value(value, ops.neg)
    for operation in TABLE.values():
        if len(operation.parameters) == 1:
            setattr(value, operation.name, method_of_value(value, operation))


# In the operators below a number beside a Value stays a plain float in `left` or `right`; `Value.parents` makes a leaf
# of it when somebody asks. One assignment a line: four in one would make a tuple first.

MOST = 2**53  # whole numbers up to here are floats exactly; of larger ones `__apply__` says whether they fit


def sums(value: Any) -> dict[str, Callable[..., Any]]:
    """a + b."""
    add = ops.add

    def plus(self: Any, other: Any) -> Any:
        kind = other.__class__
        if kind is value:
            b = other.data
        elif kind is float:
            b = other
        else:
            return (
                plus(self, float(other))
                if kind is int and -MOST < other < MOST
                else value.__apply__(add, (self, other))
            )
        if UNUSUAL:
            return value.__apply__(add, (self, other))
        made = new(value)
        made.data = self.data + b
        made.grad = 0.0
        made.op = add
        made.left = self
        made.d_left = 1.0
        made.right = other
        made.d_right = 1.0
        return made

    def plus_reflected(self: Any, other: Any) -> Any:
        b = self.data
        if UNUSUAL or not (other.__class__ is float or (other.__class__ is int and -MOST < other < MOST)):
            return value.__apply__(add, (other, self))
        a = float(other)
        made = new(value)
        made.data = a + b
        made.grad = 0.0
        made.op = add
        made.left = a
        made.d_left = 1.0
        made.right = self
        made.d_right = 1.0
        return made

    return {"add": plus, "radd": plus_reflected}


def differences(value: Any) -> dict[str, Callable[..., Any]]:
    """a - b."""
    sub = ops.sub

    def minus(self: Any, other: Any) -> Any:
        kind = other.__class__
        if kind is value:
            b = other.data
        elif kind is float:
            b = other
        else:
            return (
                minus(self, float(other))
                if kind is int and -MOST < other < MOST
                else value.__apply__(sub, (self, other))
            )
        if UNUSUAL:
            return value.__apply__(sub, (self, other))
        made = new(value)
        made.data = self.data - b
        made.grad = 0.0
        made.op = sub
        made.left = self
        made.d_left = 1.0
        made.right = other
        made.d_right = -1.0
        return made

    def minus_reflected(self: Any, other: Any) -> Any:
        b = self.data
        if UNUSUAL or not (other.__class__ is float or (other.__class__ is int and -MOST < other < MOST)):
            return value.__apply__(sub, (other, self))
        a = float(other)
        made = new(value)
        made.data = a - b
        made.grad = 0.0
        made.op = sub
        made.left = a
        made.d_left = 1.0
        made.right = self
        made.d_right = -1.0
        return made

    return {"sub": minus, "rsub": minus_reflected}


def products(value: Any) -> dict[str, Callable[..., Any]]:
    """a · b."""
    mul = ops.mul

    def times(self: Any, other: Any) -> Any:
        kind = other.__class__
        if kind is value:
            b = other.data
        elif kind is float:
            b = other
        else:
            return (
                times(self, float(other))
                if kind is int and -MOST < other < MOST
                else value.__apply__(mul, (self, other))
            )
        if UNUSUAL:
            return value.__apply__(mul, (self, other))
        a = self.data
        made = new(value)
        made.data = a * b
        made.grad = 0.0
        made.op = mul
        made.left = self
        made.d_left = b
        made.right = other
        made.d_right = a
        return made

    def times_reflected(self: Any, other: Any) -> Any:
        b = self.data
        if UNUSUAL or not (other.__class__ is float or (other.__class__ is int and -MOST < other < MOST)):
            return value.__apply__(mul, (other, self))
        a = float(other)
        made = new(value)
        made.data = a * b
        made.grad = 0.0
        made.op = mul
        made.left = a
        made.d_left = b
        made.right = self
        made.d_right = a
        return made

    return {"mul": times, "rmul": times_reflected}


def quotients(value: Any) -> dict[str, Callable[..., Any]]:
    """a / b."""
    div = ops.div

    def over(self: Any, other: Any) -> Any:
        kind = other.__class__
        if kind is value:
            b = other.data
        elif kind is float:
            b = other
        else:
            return (
                over(self, float(other))
                if kind is int and -MOST < other < MOST
                else value.__apply__(div, (self, other))
            )
        if UNUSUAL or not b:
            return value.__apply__(div, (self, other))
        made = new(value)
        made.data = y = self.data / b
        made.grad = 0.0
        made.op = div
        made.left = self
        made.d_left = 1.0 / b
        made.right = other
        made.d_right = -y / b
        return made

    def over_reflected(self: Any, other: Any) -> Any:
        b = self.data
        if UNUSUAL or not b or not (other.__class__ is float or (other.__class__ is int and -MOST < other < MOST)):
            return value.__apply__(div, (other, self))
        a = float(other)
        made = new(value)
        made.data = y = a / b
        made.grad = 0.0
        made.op = div
        made.left = a
        made.d_left = 1.0 / b
        made.right = self
        made.d_right = -y / b
        return made

    return {"truediv": over, "rtruediv": over_reflected}


def powers(value: Any) -> dict[str, Callable[..., Any]]:
    """x ** n for a number n; x ** 2 is the operation `square`."""
    power, square = ops.pow, ops.square

    def to_the_power(self: Any, other: Any) -> Any:
        x = self.data
        if UNUSUAL or not (other.__class__ is float or (other.__class__ is int and -MOST < other < MOST)):
            return value.__apply__(power, (self, other))
        if other == 2:
            return squared(self, x)
        if not x > 0.0:
            return value.__apply__(power, (self, other))
        n = float(other)
        try:
            y, slope = math.pow(x, n), n * math.pow(x, n - 1.0 if n else 0.0)
        except (ArithmeticError, ValueError):
            return value.__apply__(power, (self, other))
        made = new(value)
        made.data = y
        made.grad = 0.0
        made.op = power
        made.left = self
        made.d_left = slope
        made.right = n
        made.d_right = None  # y·log x, when somebody asks for it: see Value.partials
        return made

    def squared(self: Any, x: float) -> Any:
        made = new(value)
        made.data = x * x
        made.grad = 0.0
        made.op = square
        made.left = self
        made.d_left = 2.0 * x
        made.right = None
        return made

    return {"pow": to_the_power}


def method_of_value(value: Any, operation: Operation) -> Callable[..., Any]:
    """A method of one Value."""
    function, derivatives = operation.float_function, operation.float_partials
    general = getattr(value, operation.name)

    def bound(self: Any, *others: Any) -> Any:
        if others or UNUSUAL:
            return general(self, *others)
        x = self.data
        try:
            y = function(x)
            (slope,) = derivatives(y, x)
        except (ArithmeticError, ValueError):
            return general(self)
        made = new(value)
        made.data = y
        made.grad = 0.0
        made.op = operation
        made.left = self
        made.d_left = slope
        made.right = None
        return made

    return named(bound, operation)


def inner_nodes(root: Any) -> tuple[list[Any], list[Any]]:
    """The inner nodes that a Value depends on, each after its parents, with gradient 0: `topological` without its set.

    Also the leaves whose gradient an optimizer has used, some more than once.

    Which nodes have been seen is told by the very object that their `.grad` is, in place of a set of them (which is
    slower and, for a million nodes, larger than the processor's cache): `opened` while the parents of a node are
    waited for, `listed` when it stands in the order.
    """
    opened, listed = float("0.0"), float("0.0")  # two objects; Python's constants 0.0 would be one
    order: list[Any] = []
    spent: list[Any] = []
    stack: list[Any] = []
    x = root
    while True:
        mark = x.grad
        if mark is not listed:
            ahead = None  # a parent that has to be listed before x
            if mark is not opened:
                x.grad = opened
                left, right = x.left, x.right
                if left.__class__ is tuple:  # three parents and more: one after the other
                    spent.extend(p for p in left if p.left is None and p.spent)
                    stack += (x, *(p for p in left if p.left is not None))
                    x = stack.pop()
                    continue
                if left.__class__ is not float:
                    if left.left is None:
                        if left.spent:
                            spent.append(left)
                    elif left.grad is not listed:
                        ahead = left
                if right is not None and right.__class__ is not float:
                    if right.left is None:
                        if right.spent:
                            spent.append(right)
                    elif right.grad is not listed:
                        stack += (x,) if ahead is None else (x, ahead)
                        x = right
                        continue
                if ahead is not None:
                    stack.append(x)
                    x = ahead
                    continue
            x.grad = listed
            order.append(x)
        if not stack:
            return order, spent
        x = stack.pop()


def accumulate(order: list[Any]) -> None:
    """The chain rule from the root down: parent.grad += node.grad · ∂node/∂parent, for nodes of `inner_nodes`."""
    for x in reversed(order):
        g = x.grad
        if g:  # a path without gradient contributes none, even through an infinite derivative
            left, right = x.left, x.right
            if left.__class__ is tuple:
                for parent, partial in zip(left, x.d_left, strict=True):
                    parent.grad += g * partial
                continue
            if left.__class__ is not float:
                left.grad += g * x.d_left
            if right is not None and right.__class__ is not float:
                right.grad += g * x.d_right


def install_for_tensors(tensor: Any, record: Callable[..., Any], no_options: Any) -> None:
    """The same for Tensor; `record(operation, y, operands, options)` makes one."""
    arithmetic = {"add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": ops.div, "pow": ops.pow}
    for name, operation in arithmetic.items():
        setattr(tensor, f"__{name}__", operator_of_tensors(tensor, record, no_options, operation))
    general_power = tensor.__pow__

    def to_the_power(self: Any, other: Any) -> Any:
        """x ** 2 is the operation `square`: the derivative by a constant exponent would cost a logarithm."""
        return self.square() if other.__class__ in (int, float) and other == 2 else general_power(self, other)

    tensor.__pow__ = to_the_power
    for operation in TABLE.values():
        if len(operation.parameters) == 1:
            setattr(tensor, operation.name, method_of_tensor(tensor, record, no_options, operation))


def operator_of_tensors(
    tensor: Any, record: Callable[..., Any], no_options: Any, operation: Operation
) -> Callable[[Any, Any], Any]:
    """An operator of two Tensors, or of a Tensor and a float."""

    def operator(self: Any, other: Any) -> Any:
        if other.__class__ is tensor:
            right = other.array
        elif other.__class__ is float or other.__class__ is int:
            right = other
        else:
            return tensor.__apply__(operation, (self, other))
        try:
            return record(operation, operation.array_function(self.array, right), (self, other), no_options)
        except (ValueError, OverflowError):
            return tensor.__apply__(operation, (self, other))  # for its explanation

    return operator


def method_of_tensor(
    tensor: Any, record: Callable[..., Any], no_options: Any, operation: Operation
) -> Callable[..., Any]:
    """A method of one Tensor."""
    general = getattr(tensor, operation.name)

    def bound(self: Any, *others: Any) -> Any:
        if others:
            return general(self, *others)
        return record(operation, operation.array_function(self.array), (self,), no_options)

    return named(bound, operation)


def named(method: Callable[..., Any], operation: Operation) -> Callable[..., Any]:
    method.__name__, method.__doc__ = operation.name, operation.__doc__
    return method
