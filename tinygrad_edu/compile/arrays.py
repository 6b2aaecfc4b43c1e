"""`jit` of functions of arrays: one program for each structure of the arguments, whatever the sizes."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.program import Array, Program, Trace, number_array
from tinygrad_edu.compile.trace import Traced, traced
from tinygrad_edu.core.containers import leaves, mapped
from tinygrad_edu.core.conversion import FLOATS
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import DtypeError, OperandError

Function = Callable[..., Any]


class ArrayFunction:
    """A function of arrays, compiled: for results alone, and for one result with all its gradients.

    A program serves every size; another nesting, number of axes, dtype, or an axis that becomes 1 long makes a new
    one. Tensors and arrays that the function closes over are read anew at every call.
    """

    def __init__(self, f: Function, accurate: bool = False) -> None:
        self.f, self.accurate = f, accurate
        self.programs: dict[Any, list[Program]] = {}

    def source(self, name: str) -> str:
        """The newest program's text."""
        return list(self.programs.values())[-1][-1].text

    def backward(self, arguments: Sequence[Any]) -> Any:
        """The result, its gradient added to the Tensors that the function closes over."""
        program, arrays, sizes = self.prepared(arguments, by="closed over")
        numbers, out = program.run(arrays, sizes)
        found = dict(zip(program.shapes, out, strict=True)) | dict(zip(program.scalars, numbers, strict=True))
        for name, x in program.trace.captured.items():
            if f"d_{name}" in found:
                g = np.asarray(found[f"d_{name}"], dtype=x.dtype)
                x.grad = g if x.grad is None else x.grad + g
        return found["result"]

    def call(self, arguments: Sequence[Any]) -> Any:
        """The results as plain numbers and arrays."""
        program, arrays, sizes = self.prepared(arguments, by="")
        return restored(program, *program.run(arrays, sizes))

    def value_and_gradients(self, arguments: Sequence[Any]) -> tuple[Any, Any]:
        """(result, gradients nested like the arguments)."""
        program, arrays, sizes = self.prepared(arguments, by="arguments")
        numbers, out = program.run(arrays, sizes)
        found = dict(zip(program.scalars, numbers, strict=True)) | dict(zip(program.shapes, out, strict=True))
        names = iter(list(program.trace.inputs))
        nested = mapped(lambda _: found.get(f"d_{next(names)}"), tuple(arguments))
        return found["result"], nested

    def prepared(self, arguments: Sequence[Any], by: str) -> tuple[Program, list[Any], dict[str, int]]:
        """The program for these arguments, its inputs and their sizes; traced now if there is none yet.

        `by`: what it differentiates by, "arguments", "closed over" (Tensors that require a gradient) or "" for nothing.
        """
        given = [checked(x) for x in leaves(tuple(arguments))]
        key = (by, repr(mapped(lambda _: 0, tuple(arguments))), *map(structure, given))
        for program in self.programs.get(key, []):
            arrays = [*given, *map(number_array, program.trace.captured.values())]
            sizes = program.sizes(arrays)
            if sizes is not None and [structure(x) for x in arrays[len(given) :]] == program.captured_structure:
                return program, laid_out(arrays, program.dtype), sizes
        program = self.traced(arguments, given, by)
        self.programs.setdefault(key, []).append(program)
        arrays = [*given, *map(number_array, program.trace.captured.values())]
        sizes = program.sizes(arrays)
        assert sizes is not None
        return program, laid_out(arrays, program.dtype), sizes

    def traced(self, arguments: Sequence[Any], given: list[Any], by: str) -> Program:
        trace, numbers = Trace(), iter(given)
        names = parameter_names(self.f, len(arguments))
        nodes = [mapped(lambda _, n=n: trace.input(n, next(numbers)), x) for n, x in zip(names, arguments, strict=True)]
        own = list(trace.inputs.values())
        trace.results = trace.run(lambda: mapped(as_traced, self.f(*nodes)))
        outputs = list(leaves(trace.results))
        if not outputs or not all(isinstance(y, Traced) for y in outputs):
            raise OperandError(
                f"a compiled function returns what it computes from its arguments, not {trace.results!r:.80}"
            )
        if by:
            closed_over = [trace.inputs[k] for k, x in trace.captured.items() if getattr(x, "requires_grad", False)]
            wanted = own if by == "arguments" else closed_over
            found = trace.gradients(wanted)
            results = {"result": trace.results} | {f"d_{x.name}": g for x, g in zip(wanted, found, strict=True)}
        else:
            results = {f"result{i}": y for i, y in enumerate(outputs)}
        captured = [number_array(x) for x in trace.captured.values()]
        program = Program(trace, results, common_dtype([*given, *captured]), accurate=self.accurate)
        program.captured_structure = [structure(x) for x in captured]
        return program


def as_traced(y: Any) -> Any:
    """A result that was computed from closed-over Tensors alone becomes part of the program too."""
    return traced(y) if isinstance(y, Tensor) else y


def parameter_names(f: Function, count: int) -> list[str]:
    """The function's own names for its arguments, as far as it has them."""
    try:
        names = [p.name for p in inspect.signature(f).parameters.values() if p.kind != p.VAR_POSITIONAL]
    except (TypeError, ValueError):
        names = []
    return [*names[:count], *(f"x{i}" for i in range(len(names), count))]


def checked(x: Any) -> Any:
    """An argument as a number or an array of floats."""
    array = number_array(x)
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"a compiled function takes real numbers and arrays of them, not {x!r:.60} ({array.dtype})")
    return array if array.ndim else float(array)


def structure(x: Any) -> Any:
    """What a program depends on: axes, which of them are 1 long, and the dtype."""
    return (tuple(n == 1 for n in np.shape(x)), str(getattr(x, "dtype", "")))


def common_dtype(arrays: Sequence[Any]) -> str:
    """float32 where every array is float32, else float64."""
    dtypes = {x.dtype for x in arrays if isinstance(x, np.ndarray) and x.ndim}
    return "float32" if dtypes == {FLOATS[1]} else "float64"


def laid_out(arrays: Sequence[Any], dtype: str) -> list[Any]:
    """Arrays in C order and one dtype, numbers as they are."""
    return [np.ascontiguousarray(x, dtype) if np.ndim(x) else np.dtype(dtype).type(x) for x in arrays]


def restored(program: Program, numbers: list[float], arrays: list[Array]) -> Any:
    """The results in the nesting that the function returns."""
    found = dict(zip(program.scalars, numbers, strict=True)) | dict(zip(program.shapes, arrays, strict=True))
    parts = iter(range(len(found)))
    return mapped(lambda _: found[f"result{next(parts)}"], program.trace.results)
