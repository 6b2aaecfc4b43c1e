"""The memory of one run of a training program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.program import Array
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.train.compiled.program import TrainingProgram


class Buffers:
    """The memory of one run: the flat state and gradient, and room for a batch and its intermediate results."""

    def __init__(
        self, program: TrainingProgram, parameters: Sequence[Tensor], data: Sequence[Array], batch: int
    ) -> None:
        dtype, layout = program.dtype, program.layout(parameters, data, batch)
        total = sum(p.size for p in parameters)
        self.state = np.zeros((1 + program.memories, total), dtype)
        work, whole = np.zeros(layout.work, dtype), np.zeros(layout.whole, dtype=np.int64)
        self.drawn = layout.drawn
        self.fixed = (self.state, np.zeros_like(self.state), np.zeros(total, dtype), work, whole, layout.sizes)
        captured = dict(zip(program.step.trace.captured, program.captures(parameters), strict=True))
        found = [captured[name] for name in program.given]
        kinds = [np.int64 if program.step.trace.inputs[name].integer else dtype for name in program.given]
        self.given: list[Any] = [
            np.array(a, k, order="C") if np.ndim(a) else np.dtype(k).type(a) for a, k in zip(found, kinds, strict=True)
        ]
        self.names = list(program.given)
        self.followed = [self.given[program.given.index(name)] for name in program.followed]
        self.given += [np.zeros_like(a) for a in self.followed]
        self.places = [list(program.step.trace.captured).index(name) for name in program.given]

    def read(self, captured: Sequence[Any]) -> None:
        """Read the present values of everything the program receives besides the parameters."""
        for i, place in enumerate(self.places):
            if np.ndim(self.given[i]):
                self.given[i][...] = captured[place]
            else:
                self.given[i] = self.given[i].dtype.type(captured[place])
