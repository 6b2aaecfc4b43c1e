"""What a module keeps in its attributes: leaves, and results that a forward pass has put there, which are no state."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from dis import get_instructions
from types import CodeType, FrameType, FunctionType
from typing import Any

from tinygrad_edu.compile.user_code import names_in
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn.parameters import LazyParameter, is_kept, is_parameter, needs_gradient

Named = list[tuple[str, Any]]  # (name, module or leaf)
CONTAINERS = (list, tuple, dict)
PLAIN = frozenset([bool, int, float, str, type(None)])  # attributes that hold no parameter and no module
HOLDERS = frozenset([Tensor, *CONTAINERS])
FILLING = {"append", "extend", "insert", "setdefault", "update"}  # methods that put things into a list or dict


def leaves_of(attribute: Any, name: str, module: Any = None) -> list[tuple[str, Any]]:
    """The leaves of one attribute except plain numbers and texts: itself, or the contents of a list or dict.

    module: the one whose forward has added to it, to leave out what it added.
    """
    if module is not None:
        return without_added(leaves_of(attribute, name), name, module.kept_before)
    if not isinstance(attribute, CONTAINERS):
        return [(name, attribute)] if type(attribute) not in PLAIN else []
    found: list[tuple[str, Any]] = []
    for key, each in list(attribute.items()) if isinstance(attribute, dict) else enumerate(attribute):
        if isinstance(each, CONTAINERS):
            found += leaves_of(each, f"{name}.{key}")
        elif type(each) not in PLAIN:
            found.append((f"{name}.{key}", each))
    return found


def without_added(leaves: Named, name: str, before: Sequence[str]) -> Named:
    """The leaves without the constants that were not there before."""
    prefix = name.rpartition(".")[0]
    place = f"{prefix}." if prefix else ""
    return [(key, leaf) for key, leaf in leaves if not is_kept(leaf) or key.removeprefix(place) in before]


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
    """Is a forward of this module running in the frame or around it, or a call of it, which may have hooks?"""
    while frame is not None:
        code = frame.f_code
        calls = code.co_name in ("forward", "__call__") and code.co_argcount
        if calls and frame.f_locals.get(code.co_varnames[0]) is module:
            return True
        frame = frame.f_back
    return False


def watch_containers(kind: Any) -> None:
    """Let a class of the user's own that fills containers note what its forward puts there."""
    if not kind.__module__.startswith("tinygrad_edu.") and fills_containers(kind):
        kind.__call__ = call_and_note(kind.__call__)


def fills_containers(kind: type) -> bool:
    """Does a method of this class, other than __init__, put things into a list or dict?"""
    own = [f.__code__ for name, f in vars(kind).items() if isinstance(f, FunctionType) and name != "__init__"]
    return any(not FILLING.isdisjoint(names_in(code)) or sets_items(code) for code in own)


def sets_items(code: CodeType) -> bool:
    """Does it, or a function inside it, contain x[key] = ...?"""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return any(each.opname == "STORE_SUBSCR" for each in get_instructions(code)) or any(map(sets_items, inner))


def call_and_note(call: Callable[..., Any]) -> Callable[..., Any]:
    """`__call__` of a class that fills containers: constants that were not there before are results of forward."""

    @functools.wraps(call)
    def called(module: Any, *inputs: Any, **options: Any) -> Any:
        before = constants_in_containers(module)
        output = call(module, *inputs, **options)
        known = {*module.kept_results, *module.kept_before, *module.buffer_names}
        for name, now in constants_in_containers(module).items():
            if name in known:
                continue
            if name not in before:
                object.__setattr__(module, "kept_results", (*module.kept_results, name))
            elif len(now) > len(before[name]):
                object.__setattr__(module, "kept_before", (*module.kept_before, name, *before[name]))
        return output

    return called


def constants_in_containers(module: Any) -> dict[str, list[str]]:
    """By the name of each list, tuple and dict that holds Tensors without gradient: the names of these."""
    held = [(name, x) for name, x in vars(module).items() if isinstance(x, CONTAINERS) and x]
    found = {name: [place for place, leaf in leaves_of(x, name) if is_kept(leaf)] for name, x in held}
    return {name: places for name, places in found.items() if places}


def kept_in(modules: Named, leaves: Named) -> dict[str, Any]:
    """`arrays_to_keep`, of what a module contains."""
    made = [(name, leaf) for name, leaf in leaves if not isinstance(leaf, LazyParameter)]
    return {**{name: leaf for name, leaf in made if is_parameter(leaf)}, **dict(buffers_in(modules, made))}


def buffers_in(modules: Named, leaves: Named) -> Iterator[tuple[str, Any]]:
    """(name, array) of the buffers among what a module contains."""
    for place, module in modules:
        for name in module.buffer_names:
            if getattr(module, name) is not None:
                yield f"{place}.{name}" if place else name, getattr(module, name)
    yield from ((name, leaf) for name, leaf in leaves if is_kept(leaf) and not is_parameter(leaf))


def untrained(module: Any) -> Named:
    """(name, array) of buffers and of frozen parameters: what no optimizer changes."""
    frozen = [(name, x) for name, x in module.named_arrays() if not needs_gradient(x)]
    return [*module.named_buffers(), *frozen]


def inside_first(module: Any, path: tuple[Any, ...]) -> Iterator[Any]:
    """All inside a module in the order of its attributes, each after what it contains; then the module."""
    path = (*path, module)
    for child in module.children():
        if not any(child is above for above in path):
            yield from inside_first(child, path)
    yield module
