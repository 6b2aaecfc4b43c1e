"""PyTorch's names on the gradient of a parameter without axes, which is a NumPy number here: w.grad.zero_().

It stays a number, so that round(w.grad, 4), f"{w.grad:.3f}" and json.dumps work. A number cannot be written to: names
that end in an underscore change the gradient of the Tensor that it was read from, and give the new number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Node, Option
from tinygrad_edu.core.methods.plain_arrays import UPDATES, PlainArray, write

BORROWED = ("norm", "clamp", "clip", "pow", "sqrt", "abs", "add", "sub", "mul", "div", "dim", "numel", "nelement",
            "float", "double", "to", "type", "square", "exp", "log", "neg", "isnan", "isinf", "isfinite",
            "sign")  # fmt: skip


def borrow(name: str) -> Callable[..., Any]:
    """The method of a plain array of that number."""

    def method(self: Any, *arguments: ArrayLike, **options: Option) -> Any:
        found = getattr(np.asarray(self).view(PlainArray), name)
        found = found(*arguments, **options) if callable(found) else found
        return found[()] if isinstance(found, np.ndarray) and not found.ndim else found

    method.__name__, method.__doc__ = name, f"`{name}` of the number, as of an array."
    return method


def update_number(name: str) -> Callable[..., Any]:
    """The method x.name(...), which changes the gradient that the number was read from."""

    def update(self: Any, *arguments: ArrayLike, **options: Option) -> Any:
        current = self.owner.gradient
        array = np.array(self if current is None else current)
        write(array, name, arguments, options)
        if current is not None:
            self.owner.gradient = array[()]
        return number_of(array[()], self.owner)

    update.__name__, update.__doc__ = name, f"PyTorch's `{name}`: changes the gradient, and gives the new number."
    return update


class Number64(np.float64):
    """What `w.grad` gives of a Tensor without axes: a NumPy number with PyTorch's names.

    >>> from tinygrad_edu import Tensor
    >>> w = Tensor(3.0, requires_grad=True)
    >>> for _ in range(2):
    ...     (w * w).backward()
    >>> f"{w.grad:.1f}", w.grad.norm().item(), w.grad.zero_().item(), w.grad.item()
    ('12.0', 12.0, 0.0, 0.0)
    """

    owner: Node


class Number32(np.float32):
    """Of float32."""

    owner: Node


KINDS: dict[Any, Any] = {np.float64: Number64, np.float32: Number32}


def number_of(x: Any, owner: Node) -> Any:
    """A NumPy number that knows PyTorch's names and whose gradient it is; any other thing as it is."""
    kind = KINDS.get(type(x))
    if kind is None:
        return x
    found = kind(x)
    found.owner = owner
    return found


def read_gradient(x: Node) -> Any:
    """The gradient that backward left, as what a user reads; an array is the same object each time."""
    found = x.gradient
    if found.__class__ is np.ndarray:
        found = x.gradient = found.view(PlainArray)
    return number_of(found, x) if isinstance(found, np.generic) else found


def itself(x: Any) -> Any:
    """The number itself: it has no history."""
    return x


# NumPy looks for the dtype of a subclass at its first base, so the names are set on each class.
for kind in KINDS.values():
    for each in UPDATES:
        setattr(kind, each, update_number(each))
    for each in BORROWED:
        setattr(kind, each, borrow(each))
    for each in ("detach", "clone", "cpu"):
        setattr(kind, each, itself)
    kind.data, kind.numpy = property(itself), lambda x: np.asarray(x)
    kind.__repr__ = lambda x: repr(np.asarray(x)[()])
    kind.__copy__ = kind.__deepcopy__ = lambda x, _memo=None: np.asarray(x)[()]  # without the Tensor that it is of
