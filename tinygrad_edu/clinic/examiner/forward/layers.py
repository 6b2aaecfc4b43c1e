"""A layer of a traced forward, and where parameters enter it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.clinic.examiner.forward.program import Step


@dataclass(frozen=True, eq=False)
class Use:
    """A place where a parameter enters: slot `slot` of `step`; `data` is the slot of what it is multiplied by."""

    step: int
    slot: int
    parameter: str
    data: int = -1

    @property
    def is_weight(self) -> bool:
        return self.data >= 0


@dataclass(eq=False)
class Layer:
    """A layer at one time: z, the uses of its parameters, and the step of its activation (-1 without one)."""

    z: int
    uses: list[Use]
    activation: int = -1
    number: int = 0
    is_output: bool = False
    time: int = -1  # number of the time step if a layer is used several times, else -1
    after: frozenset[int] = frozenset()  # indices of the z of the layers that feed this one
    unit: str = "time step"  # or "sample" if the forward takes one at a time; or "neuron", or "use"
    title: str = ""  # what to call it if the program has no layers

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(use.parameter for use in self.uses))

    @property
    def weights(self) -> list[Use]:
        return [use for use in self.uses if use.is_weight]

    @property
    def biases(self) -> list[Use]:
        return [use for use in self.uses if not use.is_weight]

    @property
    def end(self) -> int:
        return self.z if self.activation < 0 else self.activation

    @property
    def where(self) -> str:
        if self.title:
            return self.title
        return "output layer" if self.is_output else f"hidden layer {self.number}"


def neighbours(steps: Sequence[Step], layers: Sequence[Layer], layer: Layer) -> tuple[str, ...]:
    """The weights of all neurons of a layer, where each neuron has its own and the same numbers come in."""
    if steps[layer.z].y.size != 1:
        return ()
    beside = [x for x in layers if steps[x.z].y.size == 1 and incoming(steps, x) == incoming(steps, layer)]
    names = [name for x in beside for name in x.names]
    return tuple(names) if len(beside) > 1 and len(set(names)) == len(names) else ()


def incoming(steps: Sequence[Step], layer: Layer) -> list[Any]:
    """The inputs of a layer's products: step numbers, or constants."""
    both = [(steps[use.step], use.data) for use in layer.weights]
    return [step.parents[k] if step.parents[k] >= 0 else step.operand(k).tolist() for step, k in both]
