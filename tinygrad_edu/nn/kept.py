"""What a module keeps in its attributes: leaves, and results that a forward pass has put there, which are no state."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn.parameters import is_kept

CONTAINERS = (list, tuple, dict)
PLAIN = frozenset([bool, int, float, str, type(None)])  # attributes that hold no parameter and no module
HOLDERS = frozenset([Tensor, *CONTAINERS])


def leaves_of(attribute: Any, name: str) -> list[tuple[str, Any]]:
    """The leaves of one attribute except plain numbers and texts: itself, or the contents of a list or dict."""
    if not isinstance(attribute, CONTAINERS):
        return [(name, attribute)] if type(attribute) not in PLAIN else []
    found: list[tuple[str, Any]] = []
    for key, each in list(attribute.items()) if isinstance(attribute, dict) else enumerate(attribute):
        if isinstance(each, CONTAINERS):
            found += leaves_of(each, f"{name}.{key}")
        elif type(each) not in PLAIN:
            found.append((f"{name}.{key}", each))
    return found


def results_with(module: Any, name: str, value: Any) -> tuple[str, ...]:
    """The names of a module's results once `name` is set to `value`.

    `self.h = h.detach()` in forward, or `self.h = h` under no_grad, is a Tensor without gradient, as a constant is. It
    is a result, and no part of the state, where forward sets it under a name that held no constant before. So a running
    mean that was made in __init__, and that forward replaces, stays a part of the state, as a registered buffer does.
    """
    known: tuple[str, ...] = module.kept_results
    if not any(is_kept(leaf) for _, leaf in leaves_of(value, name)):
        return known
    before = vars(module).get(name) if name not in known else None
    constant = any(is_kept(leaf) for _, leaf in leaves_of(before, name))
    if constant or name in module.buffer_names or not in_forward(module, sys._getframe(2)):
        return tuple(other for other in known if other != name)
    return known if name in known else (*known, name)


def in_forward(module: Any, frame: FrameType | None) -> bool:
    """Is a forward of this module running in the frame or around it?"""
    while frame is not None:
        code = frame.f_code
        if code.co_name == "forward" and code.co_argcount and frame.f_locals.get(code.co_varnames[0]) is module:
            return True
        frame = frame.f_back
    return False
