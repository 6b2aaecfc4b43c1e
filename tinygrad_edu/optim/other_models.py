"""Gradients that nobody uses: of a model that was made anew after its optimizer, as in a notebook."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any

from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim.held import TrainedParameters


def find_unused(optimizer: Any, names: Mapping[str, Any]) -> str:
    """The name of a model or parameter at hand with gradients that no optimizer holds; "" where there is none.

    names: the variables of the program that calls step().
    """
    own = set(map(id, optimizer.params))
    for name, x in [*names.items()]:
        parameters = [p for p in parameters_of(x) if has_gradient(p)]
        if parameters and own.isdisjoint(map(id, parameters)) and not is_held(parameters):
            return name
    return ""


def parameters_of(x: Any) -> list[Any]:
    """The parameters of a Module, or what a program without one trains: a leaf, or a list or a dict of leaves."""
    if isinstance(x, Module):
        return list(x.parameters())
    several = x if isinstance(x, (list, tuple)) else x.values() if isinstance(x, dict) else [x]
    return [p for p in several if isinstance(p, (Tensor, Value)) and not p.parents]


def has_gradient(p: Any) -> bool:
    """A Value always has a number there: 0 may be a gradient, or none."""
    return p.gradient is not None if isinstance(p, Tensor) else p.grad != 0.0


def is_held(parameters: list[Any]) -> bool:
    """Does an optimizer of the program hold one of them, and use it when its turn comes?

    All objects are looked through, which takes some hundredths of a second, once in a program that goes wrong.
    """
    wanted = set(map(id, parameters))
    rules = (x for x in gc.get_objects() if issubclass(type(x), TrainedParameters))
    return any(not wanted.isdisjoint(map(id, rule.given)) for rule in rules)
