"""A network in place of a function of the seed: its weights are drawn anew from each seed, without a model for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cached_property
from itertools import pairwise
from types import FunctionType
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.compile.user_code import is_foreign
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.init import draw_linear
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.nn.module import Module
from tinygrad_edu.train.config import model_arguments
from tinygrad_edu.train.samples import dtype_of_parameters

Array = np.ndarray[Any, Any]


def as_function(make_model: Callable[[int], Module] | Module) -> Callable[[int], Module]:
    """The function that gives the model of a seed. Errors: SettingError for a model that is not a plain MLP."""
    if not isinstance(make_model, Module):
        checks.function("make_model", make_model, "fit_many")
        return make_model
    if type(make_model) is not MLP:
        raise SettingError(
            f"fit_many({type(make_model).__name__}(...)): it cannot know how this model is drawn anew from each seed. "
            f"Give a function of the seed, such as lambda seed: {type(make_model).__name__}(...), or an nn.MLP"
        )
    return Redrawn(make_model)


def several(name: str, given: Any, example: str) -> list[Any]:
    """The seeds or rates of the runs."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise SettingError(f"fit_many({name}={given!r:.60}): give several, such as {name}={example}")
    return list(given)


class Redrawn:
    """MLPs with the settings of a given one."""

    def __init__(self, model: MLP) -> None:
        self.arguments = {**model_arguments(model), "dtype": str(dtype_of_parameters(model))}
        self.model = self(model.seed)
        if kinds(self.model) != kinds(model) or any(map(does_more, model.modules())):
            raise SettingError(
                "fit_many: the layers of this MLP have been changed since it was made, so its settings do not say how "
                "to make it anew from each seed: give a function of the seed"
            )

    def __call__(self, seed: int) -> MLP:
        """The model of a seed."""
        return MLP(**{**self.arguments, "seed": seed})

    @cached_property
    def parameters(self) -> list[Any]:
        """The parameters of the model that represents all."""
        return self.model.parameters()

    @cached_property
    def is_plain(self) -> bool:
        """Are all of its parameters weights and biases of its layers?"""
        return self.model.norm is None and all(isinstance(p, Tensor) for p in self.parameters)

    def weights(self, seed: int) -> list[Array]:
        """The numbers that the parameters of `self(seed)` begin with, in their order, without making it."""
        rng, model = np.random.default_rng(seed), self.model
        drawn = [draw_linear(model.init, rng, a, b, model.bias) for a, b in pairwise(model.sizes)]
        return [array for layer in drawn for array in layer if array is not None]


def kinds(model: Module) -> list[Any]:
    """The structure of a model, without its numbers."""
    arrays = [(name, x.shape, str(x.dtype), getattr(x, "requires_grad", True)) for name, x in model.named_arrays()]
    return [*arrays, *((name, type(module)) for name, module in model.named_modules())]


def does_more(module: Module) -> bool:
    """Does a module hold what its settings do not say: hooks, another forward, or a function of the user's?"""
    functions = [x for name, x in vars(module).items() if name == "forward" or isinstance(x, FunctionType)]
    hooked = module.hooks is not None and bool(module.hooks.before or module.hooks.after)
    return hooked or any(is_foreign(getattr(x, "__module__", "")) for x in functions)
