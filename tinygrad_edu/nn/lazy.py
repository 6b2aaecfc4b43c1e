"""Layers that learn their input's width from their first input, under PyTorch's names: nn.LazyLinear(256)."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.nn.convolution import Conv1d, Conv2d
from tinygrad_edu.nn.layers import Linear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm1d, BatchNorm2d


class Lazy(Module):
    """A layer before its first input: it has no weights yet. With the first input it becomes the layer itself.

    Until then its model's `parameters()` raises a SettingError that says so: an optimizer would not know of them.

    >>> from tinygrad_edu import nn
    >>> model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
    >>> model(np.ones((5, 3))).shape, model[0].weight.shape
    ((5, 1), (8, 3))
    """

    layer: type[Module]
    axis: int  # of the input, whose length is the layer's first argument
    waits = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        inspect.signature(self.layer).bind(1, *arguments, **options)  # a TypeError now, not at the first input
        self.given = arguments, options

    def __getattr__(self, name: str) -> Any:
        more = "" if name.startswith("_") else " before its first input: call the model once, as in model(X[:1])"
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{more}")

    def describe(self) -> str:
        return type(self).__name__

    def forward(self, x: ArrayLike) -> Any:
        """Make the weights, and give the output of the layer."""
        width, (arguments, options) = np.shape(x)[self.axis], self.__dict__.pop("given")
        self.__class__ = self.layer  # type: ignore[assignment]
        self.__init__(width, *arguments, **options)  # type: ignore[misc]
        for name, parameter in self.named_parameters():
            parameter.label = self.__dict__.get("place", "") + name
        return self.forward(x)


def lazy(layer: type[Module], axis: int) -> type[Lazy]:
    """The lazy form of a layer."""
    name = f"Lazy{layer.__name__}"
    text = (
        f"{layer.__name__} without its first argument, the width of the input, learned from its first input.\n\n"
        f"The other arguments are those of {layer.__name__}; see Lazy."
    )
    return type(name, (Lazy,), {"layer": layer, "axis": axis, "__doc__": text, "__module__": __name__})


LAYERS = {f"Lazy{layer.__name__}": lazy(layer, axis) for layer, axis in {
    Linear: -1, Conv1d: 1, Conv2d: 1, BatchNorm1d: 1, BatchNorm2d: 1,
}.items()}  # fmt: skip
globals().update(LAYERS)  # pickle looks for a class in the module that the class names
