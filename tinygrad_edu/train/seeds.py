"""What the seed of a run reaches: layers that draw, unless they were given a generator or a seed of their own."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import numpy as np

from tinygrad_edu.nn.inputs import Unseeded
from tinygrad_edu.nn.module import Module

OF_LAYERS = 3  # beside the seed: orders are drawn from [seed], held-out samples from [seed, 2]


def seed_layers(modules: Iterable[Module], seed: int) -> None:
    """Give each layer that was made without a generator, such as nn.Dropout(0.1), one of its own, from the seed."""
    for i, module in enumerate(modules):
        for name, x in vars(module).items():
            if isinstance(x, np.random.Generator) and isinstance(x.bit_generator.seed_seq, Unseeded):
                vars(module)[name] = np.random.default_rng(Unseeded([seed, OF_LAYERS, i]))


class GlobalDraws:
    """Do a run's own functions draw from the generators of the whole process, which its seed does not set?"""

    def __init__(self) -> None:
        self.before = global_states()

    def note(self) -> str:
        """For `run.how`."""
        now = global_states()
        names = [name for name, state in now.items() if state != self.before[name]]
        told = " and ".join(names)
        return f"; it drew from {told}, which seed= does not set: to repeat it, call {told} first" if names else ""


def global_states() -> dict[str, Any]:
    """The states of the generators, by what sets them."""
    state: Any = np.random.get_state()
    _, key, place, *rest = state
    return {"np.random.seed(...)": (key.tobytes(), place, rest), "random.seed(...)": random.getstate()}
