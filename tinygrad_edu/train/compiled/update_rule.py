"""The rule of an optimizer as one loop over all weights."""

from __future__ import annotations

from tinygrad_edu.compile.ir.dims import Size
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.passes.fuse import Loop
from tinygrad_edu.compile.program import ProgramBody
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train.compiled.task import MEMORY_NAMES, CompiledTask


def update_body(recipe: CompiledTask) -> tuple[ProgramBody, list[str]]:
    """The rule as one loop over all weights, and which of its settings are given at run time.

    Settings that are 0, or not floats, belong to the program's structure.
    """
    trace = Trace()
    vectors = [Traced((Size(2, "weights"),), name=name) for name in ("w", "g", *MEMORY_NAMES[: recipe.memories])]
    floats = [name for name, x in recipe.settings.items() if isinstance(x, float) and x != 0.0]
    numbers = [Traced((), name=name) for name in ("t", "lr", *floats)]
    trace.inputs = {x.name: x for x in [*vectors, *numbers]}
    t, lr, *rest = numbers
    zeros = {name: Nothing() for name, x in recipe.settings.items() if isinstance(x, float) and x == 0.0}
    settings = {**recipe.settings, **zeros, **dict(zip(floats, rest, strict=True))}
    w, *memory = trace.run(lambda: recipe.rule(*vectors, t, lr, **settings))
    results = {"w": w} | dict(zip(MEMORY_NAMES, memory, strict=False))
    body = ProgramBody(trace, results, recipe.dtype, recipe.accurate, letter="u", wide=True)
    if sum(isinstance(step, Loop) and bool(step.sizes) for step in body.steps) != 1:
        raise TraceError("an update rule has to be one loop over the weights, because it writes in place")
    return body, floats


class Nothing(float):
    """A setting that is 0: what is multiplied by it is neither computed nor read, so that 0·∞ is 0 here."""

    def __mul__(self, other: object) -> float:
        return 0.0
