"""A module of Values as one of Tensors, with the same numbers: what is trained again is trained on arrays."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn import parameters
from tinygrad_edu.nn.module import Module

Shared = dict[int, Tensor]  # array of Values (by id) -> the Tensor that replaces it, because layers may share one


def of_tensors(model: Module) -> Module:
    """The module itself, or, where it holds Values, a copy of it on the back end of Tensors."""
    kept = [array for _, array in (*model.named_arrays(), *model.named_buffers())]
    if not any(holds_values(array) for array in kept):
        return model
    twin, shared = copy.deepcopy(model), Shared()
    for module in twin.modules():
        for name, attribute in list(vars(module).items()):
            trained = name not in module.buffer_names
            setattr(module, name, "tensor" if name == "backend" else with_tensors(attribute, shared, trained))
    twin.label_parameters()
    return twin


def holds_values(attribute: Any) -> bool:
    return isinstance(attribute, np.ndarray) and attribute.dtype.kind == "O"


def with_tensors(attribute: Any, shared: Shared, trained: bool) -> Any:
    """An attribute of a module: arrays of Values, also in lists and dicts, as Tensors."""
    if holds_values(attribute):
        array = parameters.copy_numbers_of(attribute)
        return shared.setdefault(id(attribute), Tensor(array, requires_grad=trained))
    if isinstance(attribute, (list, tuple)):
        return type(attribute)(with_tensors(each, shared, trained) for each in attribute)
    if isinstance(attribute, dict):
        return {name: with_tensors(each, shared, trained) for name, each in attribute.items()}
    return attribute
