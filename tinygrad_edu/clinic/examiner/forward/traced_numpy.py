"""While a learner's forward is traced, NumPy and `math` in their modules are ours.

`np.zeros` gives an array that traced numbers can be written into, `np.array` takes lists of them, `math.exp` is the
operation of the same name, and the arrays that the program keeps know `.dot` of a traced one. Everything is put back
afterwards, whatever happens.
"""

from __future__ import annotations

import math
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward import (
    traced_functions as traced_functions,  # fills the tables of traced_array
)
from tinygrad_edu.clinic.examiner.forward.traced_array import TracedArray, array, has_nodes, unwrap, without_node, wrap
from tinygrad_edu.clinic.examiner.forward.traced_functions import as_strided, reversed_kernel, slide, slide_late
from tinygrad_edu.clinic.examiner.learner.patch_math import exchange as exchanged_math
from tinygrad_edu.clinic.examiner.learner.reachable import plain_python, preserve, spots_in
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED, TABLE
from tinygrad_edu.core.tensor import Tensor

MAKERS = ("zeros", "ones", "empty", "full", "eye", "identity", "zeros_like", "ones_like", "empty_like", "full_like",
          "arange", "linspace", "loadtxt", "meshgrid", "diag")  # fmt: skip
CONVERSIONS = ("array", "asarray", "asanyarray", "ascontiguousarray", "atleast_1d", "atleast_2d")


def maker(name: str) -> Callable[..., Any]:
    """np.zeros and its like, whose result can be written into."""
    plain = getattr(np, name)

    def make(*arguments: Any, **options: Any) -> Any:
        made = plain(*[x.numbers if isinstance(x, TracedArray) else x for x in arguments], **options)
        return without_node(made) if isinstance(made, np.ndarray) else made

    return make


def conversion(name: str) -> Callable[..., Any]:
    """np.asarray of a traced array is that array."""

    def convert(x: Any, *arguments: Any, **options: Any) -> Any:
        if isinstance(x, TracedArray) and name != "array":
            return getattr(np, name)(x) if name.startswith("atleast") else x
        return array(x, *arguments, **options)

    return convert


def of_lists(name: str) -> Callable[..., Any]:
    """np.sum of a list of traced numbers, which NumPy would take for plain ones."""
    plain = getattr(np, name)

    def call(*arguments: Any, **options: Any) -> Any:
        return plain(*[array(x) if isinstance(x, (list, tuple)) and has_nodes(x) else x for x in arguments], **options)

    return call


class Vectorized:
    """np.vectorize: the function, entry by entry."""

    def __init__(self, function: Callable[..., Any], *_: Any, **__: Any) -> None:
        self.function = function

    def __call__(self, *arrays: Any) -> Any:
        shapes = np.broadcast_shapes(*map(np.shape, arrays))
        flat = [np.ravel(np.broadcast_to(x, shapes)) for x in arrays]
        return np.reshape(array([self.function(*xs) for xs in zip(*flat, strict=True)]), shapes)


class Columns:
    """np.c_: arrays as columns."""

    def __getitem__(self, parts: Any) -> Any:
        columns = [np.reshape(x, (-1, 1)) if np.ndim(x) < 2 else x for x in parts]
        return np.concatenate(columns, axis=1)


class NumPy(types.ModuleType):
    """NumPy with these functions exchanged."""

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


LISTS = ("sum", "mean", "prod", "max", "min", "amax", "amin", "average", "dot", "matmul", "outer", "cumsum", "std",
         "var", "reshape", "transpose", "squeeze", "ravel", "argmax", "argmin", "clip")  # fmt: skip


class TracedModule(types.ModuleType):
    """A module of SciPy in which functions that we have as operations are replaced by ours."""

    def __init__(self, behind: types.ModuleType) -> None:
        super().__init__(behind.__name__)
        self.behind = behind

    def __getattr__(self, name: str) -> Any:
        return trace_form(getattr(self.behind, name))


OURS: dict[str, Any] = {
    **{name: of_lists(name) for name in LISTS},
    **{name: maker(name) for name in MAKERS},
    **{name: conversion(name) for name in CONVERSIONS},
    "copy": conversion("array"),  # as arrays, even for a list of arrays: states are written into it later
    "vectorize": Vectorized,
    "c_": Columns(),
}
LIBRARY, STRIDES = NumPy("numpy.lib"), NumPy("numpy.lib.stride_tricks")
vars(LIBRARY).update(vars(np.lib), stride_tricks=STRIDES)
vars(STRIDES).update(vars(np.lib.stride_tricks), as_strided=as_strided)
TRACED_NUMPY = NumPy("numpy")
vars(TRACED_NUMPY).update(OURS)
BY_IDENTITY = {id(getattr(np, name)): made for name, made in OURS.items()} | {
    id(np.lib): LIBRARY,
    id(np.lib.stride_tricks): STRIDES,
    id(np.lib.stride_tricks.as_strided): as_strided,
}
vars(TRACED_NUMPY).update(lib=LIBRARY)


def of_scipy() -> dict[int, Any]:
    """The functions of scipy.special that we have as operations, if the learner has imported SciPy."""
    special = sys.modules.get("scipy.special")
    names = {"softmax": "softmax", "log_softmax": "log_softmax", "logsumexp": "logsumexp", "expit": "sigmoid"}
    known: dict[str, Any] = {**TABLE, **ARRAY_TABLE, **COMPOSED}
    known = {ours: known.get(ours) for ours in names.values()}
    found = {theirs: getattr(special, theirs, None) for theirs in names}
    signal = sys.modules.get("scipy.signal")
    windows = {name: getattr(signal, name, None) for name in SLIDING}
    return {
        id(f): on_traced(known[names[n]], f) for n, f in found.items() if f is not None and known[names[n]] is not None
    } | {id(f): sliding(SLIDING[name], f) for name, f in windows.items() if f is not None}


SLIDING = {"correlate2d": slide_late, "correlate": slide, "convolve2d": reversed_kernel, "convolve": reversed_kernel}


def sliding(ours: Callable[..., Any], plain: Callable[..., Any]) -> Callable[..., Any]:
    """A correlation or convolution where there is a graph to keep, with a border of zeros; else SciPy's own."""

    def call(x: Any, kernel: Any, mode: str = "full", *arguments: Any, **options: Any) -> Any:
        traced = any(isinstance(unwrap(a), Tensor) for a in (x, kernel))
        simple = not arguments and options.get("boundary", "fill") == "fill" and not options.get("fillvalue")
        if traced and simple:
            return ours(array(x), array(kernel), mode)
        return plain(
            *[y.numbers if isinstance(y, TracedArray) else y for y in (x, kernel)], mode, *arguments, **options
        )

    return call


def on_traced(operation: Any, plain: Callable[..., Any]) -> Callable[..., Any]:
    """The operation where there is a graph to keep, else the function that the learner has."""

    def call(x: Any, *arguments: Any, **options: Any) -> Any:
        traced = isinstance(unwrap(x), Tensor)
        return wrap(operation(unwrap(x), *arguments, **options)) if traced else plain(x, *arguments, **options)

    return call


def trace_form(x: Any) -> Any:
    """What replaces it while the forward runs; itself if we replace nothing."""
    if x is np:
        return TRACED_NUMPY
    if id(x) in BY_IDENTITY:
        return BY_IDENTITY[id(x)]
    if isinstance(x, types.ModuleType) and x.__name__.startswith("scipy"):
        return TracedModule(x)
    if callable(x) and str(getattr(x, "__module__", "")).startswith("scipy"):
        return of_scipy().get(id(x), x)
    if x is math or isinstance(x, types.BuiltinFunctionType):
        return exchanged_math(x)
    if plain_python(x) is not None:
        return plain_python(x)
    if type(x) is np.ndarray:
        return without_node(x) if x.dtype.kind in "fiu" else x
    if type(x) is tuple:
        new = tuple(map(trace_form, x))
        return new if any(a is not b for a, b in zip(x, new, strict=True)) else x
    return x


@contextmanager
def exchange_world(form: Callable[[Any], Any], *roots: Any) -> Iterator[None]:
    """Replace all that the roots lead to by another form; afterwards everything is as before the program ran."""
    with preserve(*roots):
        for place in [*spots_in(roots)]:
            new = form(place.value)
            if new is not place.value:
                place.put(new)
        yield


def trace_world(*roots: Any) -> Any:
    """Arrays that remember, and our NumPy."""
    return exchange_world(trace_form, *roots)


def object_maker(name: str) -> Callable[..., Any]:
    """np.zeros of objects, into which Values can be written."""
    plain = getattr(np, name)

    def make(*arguments: Any, dtype: Any = None, **options: Any) -> Any:
        if dtype is not None and np.dtype(dtype).kind not in "fO":
            return plain(*arguments, dtype=dtype, **options)
        like = [np.zeros(np.shape(x)) if isinstance(x, np.ndarray) and x.dtype == object else x for x in arguments]
        made = plain(*like, **options)
        return made.astype(object) if isinstance(made, np.ndarray) and made.dtype.kind == "f" else made

    return make


OF_OBJECTS: dict[str, Any] = {
    name: object_maker(name) for name in ("zeros", "ones", "empty", "full", "zeros_like", "ones_like", "empty_like")
}
OBJECT_NUMPY = NumPy("numpy")
vars(OBJECT_NUMPY).update(OF_OBJECTS)
OBJECTS_BY_IDENTITY = {id(getattr(np, name)): made for name, made in OF_OBJECTS.items()}


def object_form(x: Any) -> Any:
    """What replaces it while the forward runs on Values."""
    if x is np:
        return OBJECT_NUMPY
    return OBJECTS_BY_IDENTITY.get(id(x)) or plain_python(x) or exchanged_math(x)


def object_world(*roots: Any) -> Any:
    """Arrays of objects, and our operations for those of `math`."""
    return exchange_world(object_form, *roots)
