"""One call of a program of arrays: its inputs laid out, its results by name, its errors explained."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend.cache import call_first
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.passes.exact_range import COUNT, EXACT, refuse_computed
from tinygrad_edu.compile.program import Array, Program, number_array
from tinygrad_edu.compile.untraceable import untraceable
from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.formulas.readings import refuse_own_rules
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError

LARGEST = 2**63 - 1  # largest int64
CAREFUL = ", with care"  # ends what a program differentiates by, where a gradient of 0 must not meet an infinity


@dataclass(frozen=True)
class Call:
    """A program and what it needs to run on arguments of certain shapes and dtypes, worked out once."""

    program: Program
    sizes: dict[str, int]
    dtypes: list[Any]  # of each input; for a number its type
    # what the function closes over: (thing, its shape, its dtype at the time)
    captured: list[tuple[Any, tuple[int, ...], Any]]
    shapes: list[tuple[int, ...]]  # of the results that are arrays
    tensors: list[Tensor]  # Tensors that the function closes over
    of_results: list[Tensor]  # those that a result is computed from, and not only what it keeps or drops

    def fits(self) -> bool:
        """Have the arrays that the function closes over kept their shapes and dtypes?"""
        for x, shape, dtype in self.captured:
            array = number_array(x)
            if array.shape != shape or array.dtype != dtype:
                return False
        return True

    def outer_tensors(self) -> list[Tensor]:
        """The Tensors that the function closes over and that require a gradient, if a graph is being recorded."""
        return [x for x in self.tensors if x.requires_grad] if MODES.recording else []

    def outer_tensors_of_results(self) -> list[Tensor]:
        """Those of them that a result is computed from."""
        return [x for x in self.of_results if x.requires_grad] if MODES.recording else []

    def inputs(self, given: Iterable[Any]) -> list[Any]:
        """All inputs in C order and the program's dtype."""
        arrays = [*given, *[x for x, _, _ in self.captured]]
        found = [lay_out(x, dtype) for x, dtype in zip(arrays, self.dtypes, strict=True)]
        for i in self.program.whole:
            if found[i].__class__ is float:  # an array without axes goes in as a number
                refuse_inexact(int(arrays[i]), "float64")
            else:
                refuse_inexact(found[i], self.program.dtype)
        return found

    def run(self, inputs: list[Any]) -> tuple[list[float], list[Array]]:
        """(the single numbers, the arrays) that the program computes."""
        program = self.program
        numbers = np.empty(len(program.scalars))
        given, out = program.arguments(inputs, self.shapes, self.sizes)
        code = program.code
        compiled = getattr(code, "overloads", True)
        try:
            call_first(code, *given, numbers)
        except IndexError as error:
            raise outside(str(error), program, inputs) from None
        except Exception as error:
            if compiled:
                raise
            raise untraceable("the function", error) from error
        found = dict(zip(program.scalars, numbers.tolist(), strict=True))
        refuse_computed(found.pop(COUNT, 0.0), program.dtype)
        return list(found.values()), out

    def by_name(self, inputs: list[Any]) -> dict[str, Any]:
        """All results by name."""
        numbers, out = self.run(inputs)
        scalars = [name for name in self.program.scalars if name != COUNT]
        return dict(zip(scalars, numbers, strict=True)) | dict(zip(self.program.shapes, out, strict=True))


def prepare_call(program: Program, sizes: dict[str, int], arrays: Sequence[Any]) -> Call:
    nodes = program.trace.inputs.values()
    dtype = np.dtype(program.dtype)
    dtypes = [
        (np.dtype(np.int64) if node.integer else dtype) if np.ndim(x) else float
        for node, x in zip(nodes, arrays, strict=True)
    ]
    own = program.trace.captured.values()
    captured = [(x, a.shape, a.dtype) for x, a in zip(own, arrays[len(arrays) - len(own) :], strict=True)]
    tensors = {name: x for name, x in program.trace.captured.items() if isinstance(x, Tensor)}
    results = tree_leaves(program.trace.results) if tensors else ()
    used = {x for y in results if isinstance(y, Traced) for x in topological(y, lambda x: x.parents)}
    of_results = [x for name, x in tensors.items() if program.trace.inputs[name] in used]
    shapes = [out.shape for out in program.results(sizes)]
    return Call(program, sizes, dtypes, captured, shapes, list(tensors.values()), of_results)


def structure(x: ArrayLike) -> Any:
    """What a program depends on: the number of axes, which of them have length 1, and the dtype."""
    return (tuple(n == 1 for n in np.shape(x)), str(getattr(x, "dtype", "")))


def signature(arguments: Sequence[Any], by: str) -> tuple[Any, ...] | None:
    """Shapes and dtypes of arguments that are arrays, Tensors or numbers; None where there are others."""
    found: list[Any] = [by]
    for x in arguments:
        kind = x.__class__
        if kind is Tensor:
            x = x.array
            kind = x.__class__
        if kind is np.ndarray and x.dtype.kind in "fiub":
            found.append((x.shape, x.dtype))
        elif kind is float or kind is int:
            found.append(kind)
        else:
            return None
    return tuple(found)


def lay_out(x: ArrayLike, dtype: Dtype) -> Any:
    """An array in C order and its dtype; a number as a scalar of its type."""
    if x.__class__ is Tensor:
        x = x.array
    if dtype.__class__ is type:
        if x.__class__ is int:
            refuse_inexact(x, "float64")
        return dtype(x)
    if x.__class__ is np.ndarray and x.dtype == np.uint64:
        refuse_too_large(x)
    ready = x.__class__ is np.ndarray and x.dtype is dtype and x.flags.c_contiguous
    return x if ready else np.ascontiguousarray(x, dtype)


def check_argument(x: ArrayLike) -> Any:
    """An argument as a number or an array of floats."""
    refuse_own_rules(x)
    array = number_array(x)
    refuse_too_large(array)
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"a compiled function takes real numbers and arrays of them, not {x!r:.60} ({array.dtype})")
    if not array.ndim and array.dtype.kind in "iu":
        refuse_inexact(int(array), "float64")
    return array if array.ndim else float(array)


def refuse_too_large(x: Array) -> None:
    """Whole numbers are read as int64, in which 2⁶⁴ - 1 would be -1."""
    if x.dtype == np.uint64 and x.size and x.max() > LARGEST:
        raise ShapeError(
            f"whole numbers up to {x.max()}: an index cannot be above {LARGEST}; if they are numbers to compute with, "
            "give floats"
        )


def refuse_inexact(x: Any, dtype: str) -> None:
    """Errors: DtypeError for whole numbers that floats of the program's dtype would round."""
    limit = EXACT[dtype]
    low, high = (x, x) if x.__class__ is int else (int(x.min(initial=0)), int(x.max(initial=0)))
    if high > limit or low < -limit:
        raise DtypeError(
            f"whole numbers from {low} to {high}: a compiled function computes with {dtype}, which holds whole numbers "
            f"only up to {limit:,}; subtract an offset first, or call the function without jit"
        )


def outside(what: str, program: Program, inputs: Sequence[Any]) -> Exception:
    """The error for integers that are not valid indices of the array they index."""
    pairs = [(name, x) for name, x in zip(program.trace.inputs, inputs, strict=True) if np.ndim(x)]
    held = [f"{k} holds {x.min()} to {x.max()}" for k, x in pairs if x.dtype.kind == "i" and x.size]
    shapes = [f"{k} {x.shape}" for k, x in pairs]
    kind = ShapeError if what.startswith("an index") else SettingError
    return kind(f"{what}: {', '.join(held)}; the shapes are {', '.join(shapes)}")
