"""Is the user's own code called with the samples? It may write into them, as `x -= x.mean()` does in forward.

An eager step is given a copy of its rows by indexing. Whatever else calls the model or the loss with the arrays of the
run, or with views of them, such as validation and comparisons, hands copies to the user's own code.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import FunctionType
from typing import Any

import numpy as np

from tinygrad_edu.compile.user_code import is_foreign, is_own_class
from tinygrad_edu.nn.losses import Loss
from tinygrad_edu.nn.module import Module, modules_inside
from tinygrad_edu.train.batch_class import class_of_batch


def runs_own_code(model: Any, loss: Any = None) -> bool:
    """Is a class, hook, forward or function in the model, or the loss, not of this library?"""
    if not isinstance(model, Module) or not (loss is None or isinstance(loss, Loss)):
        return True
    modules, leaves = modules_inside(model)
    if any(is_own_class(type(x)) or x.hooks is not None or "forward" in vars(x) for _, x in modules):
        return True
    return any(is_own_function(x) for _, x in leaves)


def are_own(callbacks: Iterable[Any]) -> bool:
    """Is one of them a function, or not of this library?"""
    return any(is_foreign(type(each).__module__) or isinstance(each, FunctionType) for each in callbacks)


def is_own_function(x: Any) -> bool:
    """Is it a function, method or callable object of the user's own?"""
    while isinstance(x, partial):
        x = x.func
    module = getattr(x, "__module__", None) or type(x).__module__
    return callable(x) and is_foreign(module)


def for_own_code(model: Any, loss: Any, *arrays: Any) -> tuple[Any, ...]:
    """Arrays to call them with: copies where code of the user's own may write into them."""
    if not runs_own_code(model, loss):
        return arrays
    return for_model(model, loss, [array.copy() if isinstance(array, np.ndarray) else array for array in arrays])


def for_model(model: Any, loss: Any, arrays: Iterable[Any]) -> tuple[Any, ...]:
    """Arrays of the class that the user's own code in them is given."""
    return as_class(class_of_batch(model, loss), arrays)


def as_class(kind: type, arrays: Iterable[Any]) -> tuple[Any, ...]:
    """Arrays that a forward written for PyTorch understands, x.size(0), x.view(n, -1), or NumPy's: `class_of_batch`."""
    return tuple(x.view(kind) if type(x) is np.ndarray and kind is not np.ndarray else x for x in arrays)
