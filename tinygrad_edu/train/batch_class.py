"""The class of the arrays that fit hands to code of the user's own: NumPy's, or one that knows PyTorch's names too.

`model(X)` of an array calls forward with that array. In fit its samples are a `PlainArray`, so that a forward written
for PyTorch runs: x.size(0), x.unsqueeze(1). Code that asks which class x is, or which attributes it has, would be told
something else than by `model(X)`. So such code gets NumPy's arrays, unless it also uses PyTorch's names.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from types import CellType, FunctionType, MethodType
from typing import Any

from tinygrad_edu.compile.user_code import is_foreign, is_own_class
from tinygrad_edu.core.methods.torch_words import class_for_code
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn.module import Module, modules_inside

SEEN = 256  # functions that are looked through


def class_of_batch(model: Any, loss: Any) -> type:
    """np.ndarray where code of the user's own asks for the class of its arrays and uses none of PyTorch's names."""
    return class_for_code(f.__code__ for f in functions_of(model, loss))


def functions_of(model: Any, loss: Any) -> Iterator[FunctionType]:
    """The user's own functions in a model and a loss, and those that they name."""
    places, seen = [model, loss], dict[int, Any]()
    while places and len(seen) < SEEN:
        x = places.pop()
        if id(x) in seen:
            continue
        seen[id(x)] = x
        if isinstance(x, Module):
            modules, leaves = modules_inside(x)
            hooks = [hook for _, each in modules if each.hooks for hook in (*each.hooks.before, *each.hooks.after)]
            forwards = [vars(each)["forward"] for _, each in modules if "forward" in vars(each)]
            called = [leaf for _, leaf in leaves if callable(leaf) and not isinstance(leaf, Tensor)]
            places += [*(type(each) for _, each in modules), *hooks, *forwards, *called]
        elif isinstance(x, type):
            places += [each for kind in x.__mro__ if is_own_class(kind) for each in vars(kind).values()]
        elif isinstance(x, (MethodType, staticmethod, classmethod)):
            places.append(x.__func__)
        elif isinstance(x, partial):
            places.append(x.func)
        elif isinstance(x, FunctionType):
            held = [cell.cell_contents for cell in x.__closure__ or () if cell != CellType()]
            if is_foreign(x.__globals__.get("__name__")):
                yield x
                held += [x.__globals__[name] for name in x.__code__.co_names if name in x.__globals__]
            places += [each for each in held if callable(each) and not isinstance(each, (Module, Tensor))]
        elif is_own_class(type(x)):
            places.append(type(x))
