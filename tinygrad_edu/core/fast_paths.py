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
    leaf = leaf_maker(value)
    for forms in (sums, products, quotients, powers):
        for name, form in forms(value, leaf).items():
            setattr(value, f"__{name}__", form)
    value.__neg__ = method_of_value(value, ops.neg)
    for operation in TABLE.values():
        if len(operation.parameters) == 1:
            setattr(value, operation.name, method_of_value(value, operation))


def leaf_maker(value: Any) -> Callable[[Any], Any]:
    """For `2.0 * x`: the plain number as a leaf; None where it is none, which `__apply__` knows what to do with."""

    def leaf(x: Any) -> Any:
        if x.__class__ is int:
            try:
                x = float(x)
            except OverflowError:
                return None
        elif x.__class__ is not float:
            return None
        made = new(value)
        made.data, made.grad, made.op, made.parents, made.partials = x, 0.0, None, (), ()
        made.label, made.spent = "", False
        return made

    return leaf


def sums(value: Any, leaf: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
    """a + b and a - b."""
    add, sub = ops.add, ops.sub

    def plus(self: Any, other: Any) -> Any:
        right = other if other.__class__ is value else leaf(other)
        if right is None or UNUSUAL:
            return value.__apply__(add, (self, other))
        made = new(value)
        made.data, made.grad, made.op = self.data + right.data, 0.0, add
        made.parents, made.partials = (self, right), (1.0, 1.0)
        return made

    def plus_reflected(self: Any, other: Any) -> Any:
        left = None if UNUSUAL else leaf(other)
        return value.__apply__(add, (other, self)) if left is None else left + self

    def minus(self: Any, other: Any) -> Any:
        right = other if other.__class__ is value else leaf(other)
        if right is None or UNUSUAL:
            return value.__apply__(sub, (self, other))
        made = new(value)
        made.data, made.grad, made.op = self.data - right.data, 0.0, sub
        made.parents, made.partials = (self, right), (1.0, -1.0)
        return made

    def minus_reflected(self: Any, other: Any) -> Any:
        left = None if UNUSUAL else leaf(other)
        return value.__apply__(sub, (other, self)) if left is None else left - self

    return {"add": plus, "radd": plus_reflected, "sub": minus, "rsub": minus_reflected}


def products(value: Any, leaf: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
    """a · b."""
    mul = ops.mul

    def times(self: Any, other: Any) -> Any:
        right = other if other.__class__ is value else leaf(other)
        if right is None or UNUSUAL:
            return value.__apply__(mul, (self, other))
        a, b = self.data, right.data
        made = new(value)
        made.data, made.grad, made.op, made.parents, made.partials = a * b, 0.0, mul, (self, right), (b, a)
        return made

    def times_reflected(self: Any, other: Any) -> Any:
        left = None if UNUSUAL else leaf(other)
        return value.__apply__(mul, (other, self)) if left is None else left * self

    return {"mul": times, "rmul": times_reflected}


def quotients(value: Any, leaf: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
    """a / b."""
    div = ops.div

    def over(self: Any, other: Any) -> Any:
        right = other if other.__class__ is value else leaf(other)
        if right is None or UNUSUAL or not right.data:
            return value.__apply__(div, (self, other))
        b = right.data
        made = new(value)
        made.data = y = self.data / b
        made.grad, made.op, made.parents, made.partials = 0.0, div, (self, right), (1.0 / b, -y / b)
        return made

    def over_reflected(self: Any, other: Any) -> Any:
        left = None if UNUSUAL else leaf(other)
        return value.__apply__(div, (other, self)) if left is None else left / self

    return {"truediv": over, "rtruediv": over_reflected}


def powers(value: Any, leaf: Callable[[Any], Any]) -> dict[str, Callable[..., Any]]:
    """x ** n; x ** 2 is the operation `square`."""
    power, square = ops.pow, ops.square

    def to_the_power(self: Any, other: Any) -> Any:
        if UNUSUAL or other.__class__ is value:
            return value.__apply__(power, (self, other))
        x = self.data
        if other.__class__ in (int, float) and other == 2:
            made = new(value)
            made.data, made.grad, made.op, made.parents, made.partials = x * x, 0.0, square, (self,), (2.0 * x,)
            return made
        right = leaf(other)
        if right is None or x <= 0.0 or x != x:
            return value.__apply__(power, (self, other))
        try:
            n, y = right.data, math.pow(x, right.data)
            made = new(value)
            made.data, made.grad, made.op, made.parents = y, 0.0, power, (self, right)
            made.partials = n * math.pow(x, n - 1.0 if n else 0.0), y * math.log(x)
        except (ArithmeticError, ValueError):
            return value.__apply__(power, (self, other))
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
            partials = derivatives(y, x)
        except (ArithmeticError, ValueError):
            return general(self)
        made = new(value)
        made.data, made.grad, made.op, made.parents, made.partials = y, 0.0, operation, (self,), partials
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
    stack = [root]
    while stack:
        x = stack[-1]
        if x.grad is opened:
            x.grad = listed
            order.append(stack.pop())
        elif x.grad is listed:
            stack.pop()
        else:
            x.grad = opened
            for parent in x.parents:
                if parent.parents:
                    if parent.grad is not listed:
                        stack.append(parent)
                elif parent.spent:
                    spent.append(parent)
    return order, spent


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
