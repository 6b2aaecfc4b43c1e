"""The operators and methods of Tensors, written out like those of Values in `values.py`: skip this file too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.fast.values import with_name
from tinygrad_edu.core.modes import UNUSUAL
from tinygrad_edu.core.operation import ARRAY_TABLE, TABLE, Operation


def install_for_tensors(tensor: ArrayLike, record: Callable[..., Any], no_options: ArrayLike) -> None:
    """Install the fast operators of Tensor; `record(operation, y, operands, options)` makes a result."""
    arithmetic = {"add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": ops.div, "pow": ops.pow}
    for name, operation in arithmetic.items():
        setattr(tensor, f"__{name}__", operator_of_tensors(tensor, record, no_options, operation))
    general_power = tensor.__pow__

    def to_the_power(self: Node, other: ArrayLike) -> Any:
        """x ** 2 is the operation `square`: the derivative with respect to the exponent would cost a logarithm."""
        return self.square() if other.__class__ in (int, float) and other == 2 else general_power(self, other)

    tensor.__pow__ = to_the_power
    tensor.__neg__ = negative_of_tensor(tensor, record, no_options)
    tensor.__matmul__ = product_of_tensors(tensor, record, no_options)
    for name, operation in {"add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": ops.div}.items():
        setattr(tensor, f"__r{name}__", reflected_operator(tensor, record, no_options, operation))
    for operation in TABLE.values():
        if len(operation.parameters) == 1:
            method = method_of_tensor(tensor, record, no_options, operation)
            setattr(tensor, operation.name, method)
            if operation.partials is not None:
                operation.quick[tensor] = method


def operator_of_tensors(
    tensor: ArrayLike, record: Callable[..., Any], no_options: ArrayLike, operation: Operation
) -> Callable[[Any, Any], Any]:
    """An operator of two Tensors, or of a Tensor and a float."""
    function = operation.array_function

    def operator(self: Node, other: ArrayLike) -> Any:
        if UNUSUAL:  # a trace for example, in which the Tensors a function reads from outside are inputs too
            return tensor.__apply__(operation, (self, other))
        try:
            if other.__class__ is tensor:  # no local variable holds other.array: the write guard counts its references
                return record(operation, function(self.array, other.array), (self, other), no_options)
            if other.__class__ is float or other.__class__ is int:
                return record(operation, function(self.array, other), (self, other), no_options)
        except (ValueError, OverflowError):
            pass  # the general form below raises with an explanation
        return tensor.__apply__(operation, (self, other))

    return operator


def negative_of_tensor(tensor: ArrayLike, record: Callable[..., Any], no_options: ArrayLike) -> Callable[[Any], Any]:
    """-x of a Tensor."""

    def negative(self: Node) -> Any:
        if UNUSUAL:
            return tensor.__apply__(ops.neg, (self,))
        return record(ops.neg, np.negative(self.array), (self,), no_options)

    return negative


def reflected_operator(
    tensor: ArrayLike, record: Callable[..., Any], no_options: ArrayLike, operation: Operation
) -> Callable[[Any, Any], Any]:
    """An operator of a float and a Tensor."""
    function = operation.array_function

    def operator(self: Node, other: ArrayLike) -> Any:
        if UNUSUAL or not (other.__class__ is float or other.__class__ is int):
            return tensor.__apply__(operation, (other, self))
        try:
            return record(operation, function(other, self.array), (other, self), no_options)
        except (ValueError, OverflowError):
            return tensor.__apply__(operation, (other, self))  # raises with an explanation

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
            return general(self, other)  # raises with an explanation

    matmul.__doc__ = operation.__doc__
    return matmul


def method_of_tensor(
    tensor: ArrayLike, record: Callable[..., Any], no_options: ArrayLike, operation: Operation
) -> Callable[..., Any]:
    """A method of one Tensor."""
    general = getattr(tensor, operation.name)
    function: Any = None  # looked up at the first call, so that SciPy is imported only if needed

    def method(self: Node, *others: ArrayLike) -> Any:
        nonlocal function
        if others:
            return general(self, *others)
        if function is None:
            function = operation.array_function
        return record(operation, function(self.array), (self,), no_options)

    return with_name(method, operation)
