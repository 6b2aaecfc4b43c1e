"""Layers that learn their input's width from their first input, under PyTorch's names: nn.LazyLinear(256)."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.nn.convolution import Conv1d, Conv2d
from tinygrad_edu.nn.inputs import as_array
from tinygrad_edu.nn.layers import Linear
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm1d, BatchNorm2d
from tinygrad_edu.nn.parameters import LazyParameter, convert


class Lazy(Module):
    """A layer before its first input: its weights have no numbers yet. With that input it becomes the layer itself.

    An optimizer may be made before; what needs the numbers (`fit`, `state_dict`, a shape) raises a SettingError.

    >>> from tinygrad_edu import nn
    >>> model = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.LazyLinear(1))
    >>> model(np.ones((5, 3))).shape, model[0].weight.shape
    ((5, 1), (8, 3))
    """

    layer: type[Module]
    axis: int  # input axis whose length is the layer's first argument
    least = 1  # least number of axes of an input
    always: tuple[str, ...] = ("weight",)  # parameters that exist whatever the arguments
    waits = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        given = inspect.signature(self.layer).bind(1, *arguments, **options)  # raises a TypeError now
        self.given = arguments, options
        named = given.arguments
        for name in ("weight", "bias") if named.get("bias", True) and named.get("affine", True) else self.always:
            setattr(self, name, LazyParameter(f"{type(self).__name__}.{name}"))

    def __getattr__(self, name: str) -> Any:
        more = "" if name.startswith("_") else " before its first input: call the model once, as in model(X[:1])"
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}{more}")

    def describe(self) -> str:
        return type(self).__name__

    def wait_for(self, dtype: Dtype) -> None:
        """Make the weights in this dtype, when they are made. Errors: DtypeError."""
        convert(Tensor([0.0]), dtype)  # only to check the dtype
        self.given = self.given[0], {**self.given[1], "dtype": dtype}

    def forward(self, x: ArrayLike) -> Any:
        """Make the weights, and give the output of the layer; if it refuses the input, the layer stays lazy."""
        kind, kept, shape = type(self), dict(vars(self)), np.shape(as_array(x))
        waiting = {name: each for name, each in kept.items() if isinstance(each, LazyParameter)}
        if MODES.tensor_trace is not None:
            what = f"{kind.__name__} has no weights before its first input: call the model once, as in model(X[:1])"
            raise SettingError(f"{what}, before it is compiled")
        if len(shape) < self.least:
            raise ShapeError(f"{kind.__name__}: the first input has shape {shape}: {self.least} axes are needed")
        try:
            return self.begin(x, shape[self.axis], waiting)
        except BaseException:
            self.__class__ = kind
            for parameter in waiting.values():
                LazyParameter.undo(parameter)
            vars(self).clear()
            vars(self).update(kept)
            raise

    def begin(self, x: ArrayLike, width: int, waiting: dict[str, LazyParameter]) -> Any:
        """Become the layer, and give its output."""
        arguments, options = self.__dict__.pop("given")
        self.__class__ = self.layer  # type: ignore[assignment]
        self.__init__(width, *arguments, **options)  # type: ignore[misc]
        for name, each in waiting.items():
            each.become(getattr(self, name))
            setattr(self, name, each)
        for name, parameter in self.named_parameters():
            parameter.label = self.__dict__.get("place", "") + name
        return self.forward(x)


class LazyLinear(Lazy):
    """Linear without its first argument, the width of the input, which it learns from its first input.

    The other arguments are those of Linear; see Lazy.

    >>> LazyLinear(2)(np.ones((4, 3))).shape
    (4, 2)
    """

    layer, axis = Linear, -1


class LazyConv1d(Lazy):
    """Conv1d without its first argument, the channels of the input, which it learns from its first input.

    The other arguments are those of Conv1d; see Lazy.

    >>> LazyConv1d(2, 3)(np.ones((4, 5, 8))).shape
    (4, 2, 6)
    """

    layer, axis, least = Conv1d, -2, 2


class LazyConv2d(Lazy):
    """Conv2d without its first argument, the channels of the input, which it learns from its first input.

    The other arguments are those of Conv2d; see Lazy.

    >>> LazyConv2d(2, 3)(np.ones((4, 5, 8, 8))).shape
    (4, 2, 6, 6)
    """

    layer, axis, least = Conv2d, -3, 3


class LazyBatchNorm1d(Lazy):
    """BatchNorm1d without its first argument, the channels of the input, which it learns from its first input.

    The other arguments are those of BatchNorm1d; see Lazy.

    >>> LazyBatchNorm1d()(np.ones((4, 2, 5))).shape
    (4, 2, 5)
    """

    layer, axis, least, always = BatchNorm1d, 1, 2, ()


class LazyBatchNorm2d(Lazy):
    """BatchNorm2d without its first argument, the channels of the input, which it learns from its first input.

    The other arguments are those of BatchNorm2d; see Lazy.

    >>> LazyBatchNorm2d()(np.ones((4, 2, 5, 5))).shape
    (4, 2, 5, 5)
    """

    layer, axis, least, always = BatchNorm2d, 1, 4, ()


LAYERS = {each.__name__: each for each in (LazyLinear, LazyConv1d, LazyConv2d, LazyBatchNorm1d, LazyBatchNorm2d)}
