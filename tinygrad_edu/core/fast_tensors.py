"""The operators and methods of Tensors, written out like those of Values in `fast_paths.py`: skip this file too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.fast_paths import with_name
from tinygrad_edu.core.modes import UNUSUAL
from tinygrad_edu.core.operation import ARRAY_TABLE, TABLE, Operation


def install_for_tensors(tensor: ArrayLike, record: Callable[..., Any], no_options: ArrayLike) -> None:
    """The same for Tensor; `record(operation, y, operands, options)` makes one."""
    arithmetic = {"add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": ops.div, "pow": ops.pow}
    for name, operation in arithmetic.items():
        setattr(tensor, f"__{name}__", operator_of_tensors(tensor, record, no_options, operation))
    general_power = tensor.__pow__

    def to_the_power(self: Node, other: ArrayLike) -> Any:
        """x ** 2 is the operation `square`: the derivative with respect to the exponent would cost a logarithm."""
        return self.square() if other.__class__ in (int, float) and other == 2 else general_power(self, other)

    tensor.__pow__ = to_the_power
    tensor.__matmul__ = product_of_tensors(tensor, record, no_options)
    for operation in TABLE.values():
        if len(operation.parameters) == 1:
            setattr(tensor, operation.name, method_of_tensor(tensor, record, no_options, operation))


def operator_of_tensors(
    tensor: ArrayLike, record: Callable[..., Any], no_options: ArrayLike, operation: Operation
) -> Callable[[Any, Any], Any]:
    """An operator of two Tensors, or of a Tensor and a float."""

    def operator(self: Node, other: ArrayLike) -> Any:
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


def product_of_tensors(tensor: ArrayLike, record: Callable[..., Any], no_options: ArrayLike) -> Callable[..., Any]:
    """The product of two Tensors of two axes or more."""
    general, operation = tensor.__matmul__, ARRAY_TABLE["matmul"]
    product, options = operation.function, operation.options

    def matmul(self: Node, other: ArrayLike) -> Any:
        if other.__class__ is not tensor or UNUSUAL or self.array.ndim < 2 or other.array.ndim < 2:
            return general(self, other)
        try:
            return record(operation, product(self.array, other.array), (self, other), options)
        except ValueError:
            return general(self, other)  # for its explanation

    matmul.__doc__ = operation.__doc__
    return matmul


def method_of_tensor(
    tensor: ArrayLike, record: Callable[..., Any], no_options: ArrayLike, operation: Operation
) -> Callable[..., Any]:
    """A method of one Tensor."""
    general = getattr(tensor, operation.name)

    def method(self: Node, *others: ArrayLike) -> Any:
        if others:
            return general(self, *others)
        return record(operation, operation.array_function(self.array), (self,), no_options)

    return with_name(method, operation)


def gradient_order(root: Node) -> list[Any]:
    """`topological` along the Tensors whose gradient is wanted, without a function call and a list for each node."""
    order: list[Any] = []
    seen: set[Any] = set()
    stack, kind = [root], root.__class__
    while stack:
        x = stack.pop()
        if x is None:
            order.append(stack.pop())
        elif x not in seen:
            seen.add(x)
            stack += (x, None)
            for parent in x.parents:
                if parent.__class__ is kind and parent.requires_grad and parent not in seen:
                    stack.append(parent)
    return order
