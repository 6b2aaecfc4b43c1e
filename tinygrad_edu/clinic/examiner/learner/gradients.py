"""The learner's gradients, brought to the names and shapes of the parameters.

Keys may be those of the parameters or what people call a gradient: dW1, d_W1, grad_W1, W1_grad, gW1, dL_dW1. Lists,
tuples and objects are matched by place. Where the learner's own update would broadcast, (4,) is taken for (1, 4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.inputs import finite_array
from tinygrad_edu.clinic.examiner.learner.structure import Structure, is_number
from tinygrad_edu.errors import ExaminerError, NameNotFoundError, unknown_name

Array = np.ndarray[Any, Any]
BEFORE = r"(?:dL_?d_?|dloss_?d?_?|dJ_?d_?|dE_?d_?|delta_|nabla_|gradients?_|grads?_|d_|g_|d|g|grad)"
AFTER = r"(?:_gradients?|_grads?|_g|_d|grad|\.grad|\.g|\.d)"


@dataclass
class Given:
    """The gradients by parameter; `missing`: parameters for which there is none, `absent`: those not named at all."""

    grads: dict[str, Array]
    missing: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    single: frozenset[str] = field(default_factory=frozenset)  # names of gradients in single precision
    # names of gradients given as one number for a whole array
    stretched: frozenset[str] = field(default_factory=frozenset)


def spellings(name: str) -> set[str]:
    """What a gradient's key may stand for: dW1 → W1.

    >>> sorted(spellings("layers[0].dW"))
    ['layers[0].W', 'layers[0].dW']
    """
    head, dot, last = name.rpartition(".")
    found = {name}
    for pattern in (f"^{BEFORE}(?=.)", f"{AFTER}$"):
        cut = re.sub(pattern, "", last, count=1, flags=re.IGNORECASE)
        if cut and cut != last:
            found.add(f"{head}{dot}{cut}")
    found |= {re.sub(f"{AFTER}$", "", name)} if re.search(f"{AFTER}$", name) else set()
    return {x for x in found if x}


def match_gradients(names: Sequence[str], form: Structure, grads: Any, *, returned: bool = False) -> Given:
    """One gradient for each parameter. Errors: NameNotFoundError for keys that no parameter has.

    returned: by the learner's backward, which may have more in its dict than gradients of parameters.
    """
    if not isinstance(grads, (Mapping, list, tuple, np.ndarray)) and not Structure.of(grads).leaves:
        raise ExaminerError(
            f"grads must be a dict of name → array, or of the form of params, or your backward; this is {grads!r:.60}"
        )
    if isinstance(grads, Mapping) and isinstance(form.given, Mapping):
        return finish_arrays(form, by_key(names, grads, strict=not returned or not knows_all(names, grads)))
    theirs = Structure.of(grads)
    if theirs.names == list(names):
        return finish_arrays(form, {leaf.name: leaf.given for leaf in theirs.leaves})
    if isinstance(grads, Mapping):
        return finish_arrays(form, by_key(names, {leaf.name: leaf.given for leaf in theirs.leaves}))
    return finish_arrays(form, by_place(names, form, grads, theirs))


def knows_all(names: Sequence[str], grads: Mapping[Any, Any]) -> bool:
    """Is there a gradient for every parameter, whatever else there is?"""
    known = {n.lower() for key in grads for n in spellings(str(key))}
    return all(name.lower() in known for name in names)


def by_place(names: Sequence[str], form: Structure, grads: Any, theirs: Structure) -> dict[str, Any]:
    """Lists and tuples: the first gradient belongs to the first parameter."""
    if isinstance(grads, (list, tuple)) and len(grads) == len(names):
        return dict(zip(names, grads, strict=True))
    if len(theirs.leaves) == len(names):
        return {name: leaf.given for name, leaf in zip(names, theirs.leaves, strict=True)}
    if len(names) == 1:
        return {names[0]: grads}
    if not isinstance(grads, (list, tuple, np.ndarray)):
        return by_key(names, {leaf.name: leaf.given for leaf in theirs.leaves}, strict=False)
    raise ExaminerError(
        f"grads has {len(theirs.leaves)} arrays for {len(names)} parameters ({', '.join(names)}): "
        "give a dict of name → array, such as {'W1': dW1, 'b1': db1}, or one gradient for each, in the same order"
    )


def by_key(names: Sequence[str], grads: Mapping[Any, Any], *, strict: bool = True) -> dict[str, Any]:
    """The gradients by parameter name; a key such as "dW" stands for "W"."""
    flat: dict[str, Any] = {}
    for key, x in grads.items():
        inner = Structure.of(x)
        if str(key) in names or x is None or not inner.leaves or (len(inner.leaves) == 1 and not inner.leaves[0].path):
            flat[str(key)] = x
        else:
            flat |= {
                f"{key}{leaf.name if leaf.name.startswith('[') else '.' + leaf.name}": leaf.given
                for leaf in inner.leaves
            }
    exact = {key: key for key in flat if key in names}
    for key in [k for k in flat if k not in exact]:
        fits = {n for n in names if n in spellings(key)} or {
            n for n in names if n.lower() in map(str.lower, spellings(key))
        }
        fits -= set(exact.values())
        if len(fits) == 1:
            exact[key] = fits.pop()
    missing = [n for n in names if n not in exact.values()]
    extra = [key for key in flat if key not in exact]
    if strict and extra and missing:
        raise NameNotFoundError(
            f"grads has nothing for {', '.join(map(repr, missing))}, and no parameter is called {extra[0]!r}. "
            f"A gradient that you do not compute is 0: pass np.zeros_like(params[{missing[0]!r}])"
        )
    # dA1, dz and similar names are intermediate results, which may be there
    others = [key for key in extra if spellings(key) == {key}]
    if strict and others:
        raise unknown_name("gradient", others[0], list(names))
    return {name: flat[key] for key, name in exact.items()}


def finish_arrays(form: Structure, found: Mapping[str, Any]) -> Given:
    """Arrays, in the shape of the parameter where NumPy's own broadcasting would bring them there."""
    grads, missing, single, stretched = {}, [], [], []
    for leaf in form.leaves:
        x = found.get(leaf.name)
        if x is None or (isinstance(x, float) and np.isnan(x)):
            missing.append(leaf.name)
            continue
        array = finite_array(f"grads[{leaf.name!r}]", x)
        if getattr(x, "dtype", None) == np.float32:
            single.append(leaf.name)
        shape = np.shape(leaf.array)
        if array.shape != shape and broadcasts(array.shape, shape):
            stretched += [leaf.name] if array.size < int(np.prod(shape)) else []
            array = np.array(np.broadcast_to(array, shape))
        grads[leaf.name] = array
    absent = tuple(name for name in missing if name not in found)
    return Given(grads, tuple(missing), absent, frozenset(single), frozenset(stretched))


def broadcasts(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Would w - lr·g keep the shape of w?"""
    try:
        return np.broadcast_shapes(shape, wanted) == wanted
    except ValueError:
        return False


def of_call(result: Any, owner: Any) -> Any:
    """The gradients in what a backward has returned: itself, the part beside a loss, or what it left on its object."""
    if result is None:
        return getattr(owner, "__self__", None)
    if isinstance(result, tuple) and len(result) == 2:
        numbers = [is_number(x) or (isinstance(x, np.ndarray) and not x.ndim) for x in result]
        held = [isinstance(x, (Mapping, list, tuple)) for x in result]
        for k in (0, 1):
            if numbers[k] and held[1 - k]:
                return result[1 - k]
    return result
