"""Whole training runs inside compiled code: gather a batch, step, update, epoch after epoch.

All parameters lie in one flat buffer, and so do their gradients and each of the optimizer's memories: an update is one
loop over one vector. The weights that the step reads are views of that buffer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.compile import cache
from tinygrad_edu.compile.emit import HEADER
from tinygrad_edu.compile.fuse import Loop
from tinygrad_edu.compile.program import Array, Program, Trace
from tinygrad_edu.compile.sizes import Size
from tinygrad_edu.compile.trace import Traced
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TraceError

Rule = Callable[..., tuple[Any, ...]]
MEMORY_NAMES = ("m0", "m1", "m2")

EPOCHS = """
@njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def gather(X, Y, order, start, x, y):
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] = X[order[start + i], j]
        for j in range(y.shape[1]):
            y[i, j] = Y[order[start + i], j]


@njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
def keep(source, copy):  # a loop: Numba takes 0.5 s to compile copy[...] = source
    for i in range(source.shape[0]):
        for j in range(source.shape[1]):
            copy[i, j] = source[i, j]


@njit(error_model="numpy", nogil=True, cache=True, no_cfunc_wrapper=True)
def epochs(
    X, Y, orders, batch, {given}state, saved, gradient, {views}{full}{last}
    numbers, t, lr, {settings}previous, tol, losses, norms, control,
):
    # control: [stop when not 0, whole epochs done, 1 after NaN]; a run that is stopped or meets NaN goes back one epoch
    n = X.shape[0]
    for epoch in range(orders.shape[0]):
        keep(state, saved)
        total = 0.0
        for start in range(0, n, batch):
            if control[0] != 0:
                keep(saved, state)
                return
            size = min(batch, n - start)
            if size == batch:
                gather(X, Y, orders[epoch], start, x, y)
                step({step_full})
            else:
                gather(X, Y, orders[epoch], start, x_last, y_last)
                step({step_last})
            total += numbers[0] * size
            t += 1.0
            update({update})
        losses[epoch] = total / n
        if not (losses[epoch] - losses[epoch] == 0.0):
            keep(saved, state)
            control[2] = 1
            return
        square = 0.0
        for i in range(gradient.size):
            square += gradient[i] * gradient[i]
        norms[epoch] = math.sqrt(square)
        control[1] = epoch + 1
        if tol >= 0.0 and abs(losses[epoch] - previous) <= tol * abs(previous):
            return
        previous = losses[epoch]
"""


@dataclass(frozen=True)
class Recipe:
    """What is compiled: the loss of a batch, the parameters that it is differentiated by, and the update rule."""

    loss: Callable[[Any, Any], Any]  # (x, y) → one number
    parameters: Sequence[Tensor]
    rule: Rule
    settings: Mapping[str, Any]
    memories: int
    dtype: str
    accurate: bool = False


class TrainingProgram:
    """A recipe, compiled for batches of any size: `buffers` for one run, then `run` on them.

    Errors: TraceError where the loss uses what cannot be compiled.
    """

    def __init__(self, recipe: Recipe, x: Array, y: Array, batch: int) -> None:
        self.recipe = recipe
        self.step = step_program(recipe, x, y, batch)
        self.update, self.floats = update_program(recipe)
        self.given = [name for name in self.step.trace.captured if name not in self.parameter_names]
        self.text = self.module_text()

    @property
    def parameter_names(self) -> list[str]:
        """What the step calls the parameters, in the recipe's order."""
        found = {id(x): name for name, x in self.step.trace.captured.items()}
        return [found[id(p)] for p in self.recipe.parameters]

    def module_text(self) -> str:
        """Step, update and epochs in one module."""
        names = self.parameter_names
        views = [*names, *(f"d_{name}" for name in names)]
        buffers = list(self.step.buffers)
        last = [f"{name}_last" for name in buffers]
        memory = {"w": "state[0]", "g": "gradient"} | {m: f"state[{i + 1}]" for i, m in enumerate(MEMORY_NAMES)}
        text = EPOCHS.format(
            given=listed(self.given),
            views=listed(views),
            full=listed(["x", "y", *buffers]),
            last=listed(["x_last", "y_last", *last]),
            settings=listed(self.floats),
            step_full=", ".join(self.renamed(self.step.parameters, {})),
            step_last=", ".join(
                self.renamed(
                    self.step.parameters, dict(zip(["x", "y", *buffers], ["x_last", "y_last", *last], strict=True))
                )
            ),
            update=", ".join(self.renamed(self.update.parameters, memory)),
        )
        functions = self.step.functions + self.update.functions
        return HEADER + functions + self.step.function_text(False) + "\n" + self.update.function_text(False) + text

    @staticmethod
    def renamed(names: Sequence[str], names_here: Mapping[str, str]) -> list[str]:
        here = {"results": "numbers", **names_here}
        return [here.get(name, name) for name in names]

    def code(self) -> Callable[..., None]:
        """The compiled `epochs`."""
        return cache.load(self.text, "training").epochs  # type: ignore[no-any-return]


class Buffers:
    """The arrays of one run: the flat state and gradient with their views, batches and intermediate results."""

    def __init__(self, program: TrainingProgram, x: Array, y: Array, batch: int) -> None:
        self.program, self.batch = program, batch
        recipe, dtype = program.recipe, program.recipe.dtype
        total = sum(p.size for p in recipe.parameters)
        self.state = np.zeros((1 + recipe.memories, total), dtype)
        self.saved, self.gradient = np.zeros_like(self.state), np.zeros(total, dtype)
        shapes = [p.shape for p in recipe.parameters]
        self.weights, gradients = views(self.state[0], shapes), views(self.gradient, shapes)
        self.full = self.batch_arrays(x, y, batch)
        self.last = self.batch_arrays(x, y, len(x) % batch or batch)
        captured = program.step.trace.captured
        given = [np.ascontiguousarray(getattr(captured[k], "array", captured[k]), dtype) for k in program.given]
        self.fixed = (*given, self.state, self.saved, self.gradient, *self.weights, *gradients, *self.full, *self.last)
        self.numbers = np.zeros(1)

    def batch_arrays(self, x: Array, y: Array, rows: int) -> list[Array]:
        """x and y of a batch, and the intermediate results for it."""
        program, dtype = self.program, self.program.recipe.dtype
        xb, yb = np.empty((rows, x.shape[1]), dtype), np.empty((rows, y.shape[1]), dtype)
        captured = [getattr(a, "array", a) for a in program.step.trace.captured.values()]
        sizes = program.step.sizes([xb, yb, *captured])
        if sizes is None:
            raise TraceError("the sizes of this batch differ from those that the program was made for")
        return [xb, yb, *program.step.workspace_arrays(sizes)]


def step_program(recipe: Recipe, x: Array, y: Array, batch: int) -> Program:
    """Loss and gradients of one batch."""
    rows = 1 if batch == 1 else 2  # an axis that is not 1 long gets a name
    trace = Trace()
    xb, yb = trace.input("x", np.empty((rows, x.shape[1]))), trace.input("y", np.empty((rows, y.shape[1])))
    trace.results = trace.run(lambda: recipe.loss(xb, yb))
    found = {id(array): name for name, array in trace.captured.items()}
    missing = [p for p in recipe.parameters if id(p) not in found]
    if missing:
        raise TraceError(f"the loss does not depend on {missing[0]!r:.60}, or is computed outside of the trace")
    wanted = [trace.inputs[found[id(p)]] for p in recipe.parameters]
    gradients = trace.gradients(wanted)
    results = {"loss": trace.results} | {f"d_{x.name}": g for x, g in zip(wanted, gradients, strict=True)}
    return Program(trace, results, recipe.dtype, "step", recipe.accurate)


def update_program(recipe: Recipe) -> tuple[Program, list[str]]:
    """The rule as one loop over all weights, and which of its settings are given at run time.

    Settings that are 0, or not floats, belong to the program's structure.
    """
    trace = Trace()
    vectors = [Traced((Size(2, "n"),), name=name) for name in ("w", "g", *MEMORY_NAMES[: recipe.memories])]
    floats = [name for name, x in recipe.settings.items() if isinstance(x, float) and x != 0.0]
    numbers = [Traced((), name=name) for name in ("t", "lr", *floats)]
    trace.inputs = {x.name: x for x in [*vectors, *numbers]}
    t, lr, *rest = numbers
    settings = {**recipe.settings, **dict(zip(floats, rest, strict=True))}
    w, *memory = trace.run(lambda: recipe.rule(*vectors, t, lr, **settings))
    results = {"w": w} | dict(zip(MEMORY_NAMES, memory, strict=False))
    program = Program(trace, results, recipe.dtype, "update", recipe.accurate)
    if sum(isinstance(step, Loop) and bool(step.sizes) for step in program.steps) != 1:
        raise TraceError("an update rule has to be one loop over the weights, because it writes in place")
    return program, floats


def views(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Pieces of a flat array in the shapes given."""
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    return [flat[e - math.prod(s) : e].reshape(s) for e, s in zip(ends, shapes, strict=True)]


def listed(names: Sequence[str]) -> str:
    return "".join(f"{name}, " for name in names)
