"""The same meaning, three times as fast: skip this file. Nothing is computed here that `__apply__` would not compute.

`Value.__apply__` says what an operation means. It asks many questions (is a trace running, is an argument a plain
number, is it an array?) whose answers are nearly always the same, and it looks the derivative up in the table. Here the
usual case of the operators and methods is written out, and every other case goes to `__apply__`.
`tests/core/fast/test_fast_paths.py` compares the two, bit for bit.

A node is made by `new(value)` and assignments, not by `Value(...)`, which would take half of an expression's time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.modes import UNUSUAL
from tinygrad_edu.core.operation import TABLE, Operation

new = object.__new__


def install_for_values(value: ArrayLike) -> None:
    """Put the fast forms over Value's operators and methods."""
    for forms in (sums, differences, products, quotients, powers):
        for name, form in forms(value).items():
            setattr(value, f"__{name}__", form)
    value.__neg__ = method_of_value(value, ops.neg)
    for operation in TABLE.values():
        if len(operation.parameters) == 1:
            setattr(value, operation.name, method_of_value(value, operation))


# In the operators below, a number beside a Value stays a plain float in `left` or `right`; `Value.parents` turns it
# into a leaf when asked. One assignment per line: four in one statement would build a tuple first.

MOST = 2**53  # integers up to here are exact as floats; for larger ones `__apply__` decides


def sums(value: ArrayLike) -> dict[str, Callable[..., Any]]:
    """a + b."""
    add = ops.add

    def plus(self: Node, other: ArrayLike) -> Any:
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

    def plus_reflected(self: Node, other: ArrayLike) -> Any:
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


def differences(value: ArrayLike) -> dict[str, Callable[..., Any]]:
    """a - b."""
    sub = ops.sub

    def minus(self: Node, other: ArrayLike) -> Any:
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

    def minus_reflected(self: Node, other: ArrayLike) -> Any:
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


def products(value: ArrayLike) -> dict[str, Callable[..., Any]]:
    """a · b."""
    mul = ops.mul

    def times(self: Node, other: ArrayLike) -> Any:
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

    def times_reflected(self: Node, other: ArrayLike) -> Any:
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


def quotients(value: ArrayLike) -> dict[str, Callable[..., Any]]:
    """a / b."""
    div = ops.div

    def over(self: Node, other: ArrayLike) -> Any:
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

    def over_reflected(self: Node, other: ArrayLike) -> Any:
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


def powers(value: ArrayLike) -> dict[str, Callable[..., Any]]:
    """x ** n for a number n; x ** 2 is the operation `square`."""
    power, square = ops.pow, ops.square

    def to_the_power(self: Node, other: ArrayLike) -> Any:
        x = self.data
        if UNUSUAL or not (other.__class__ is float or (other.__class__ is int and -MOST < other < MOST)):
            return value.__apply__(power, (self, other))
        if other == 2:
            return square_number(self, x)
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
        made.d_right = None  # y·log x, computed on demand: see Value.partials
        return made

    def square_number(self: Node, x: float) -> Any:
        made = new(value)
        made.data = x * x
        made.grad = 0.0
        made.op = square
        made.left = self
        made.d_left = 2.0 * x
        made.right = None
        return made

    return {"pow": to_the_power}


def method_of_value(value: ArrayLike, operation: Operation) -> Callable[..., Any]:
    """A method of one Value."""
    function, derivatives = operation.float_function, operation.float_partials
    general = getattr(value, operation.name)

    def method(self: Node, *others: ArrayLike) -> Any:
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

    return with_name(method, operation)


def with_name(method: Callable[..., Any], operation: Operation) -> Callable[..., Any]:
    method.__name__, method.__doc__ = operation.name, operation.__doc__
    return method
