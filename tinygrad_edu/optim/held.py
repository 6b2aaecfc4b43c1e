"""The parameters of an optimizer: those that are trained, and frozen ones, which it takes up once they are trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn.parameters import is_parameter, trained


class TrainedParameters:
    """The parameters that an optimizer was given.

    One that is frozen (requires_grad=False) when the optimizer is made is held back: so a step, a compiled program,
    weight decay and files have only what is trained. It joins `params` at its place, without steps and memory, once it
    requires a gradient. One that is frozen later stays where it is, without a gradient.
    """

    given: Sequence[Any] = ()  # all parameters, in their order
    held: Any = ()  # those that it trains, and those that were frozen later
    held_back: Sequence[Any] = ()  # those of them that were frozen, and still are

    def hold(self, given: Sequence[Any], all_of_them: bool = False) -> None:
        """Begin with these; frozen ones too where there are no others."""
        for p in given:
            is_parameter(p)  # marks what is trained now: it stays a parameter when it is frozen
        self.given, now = given, trained(given)
        self.held = list(given if all_of_them or not now else now)
        self.held_back = [] if len(self.held) == len(given) else [p for p in given if not p.requires_grad]

    def hold_all(self) -> None:
        """Hold frozen parameters too, as a group does."""
        for p in self.held_back:
            self.join(p)
        self.held_back = []

    @property
    def params(self) -> Any:
        """The parameters that it trains."""
        if self.held_back and any([p.requires_grad for p in self.held_back]):  # noqa: C419  (a generator takes longer)
            for p in trained(self.held_back):
                self.join(p)
            self.held_back = [p for p in self.held_back if not p.requires_grad]
        return self.held

    @params.setter
    def params(self, params: Sequence[Any]) -> None:
        self.given, self.held, self.held_back = params, params, []

    def join(self, p: Tensor) -> None:
        """Take a parameter up at its place among those given."""
        known, before = {id(q) for q in self.held}, next(k for k, q in enumerate(self.given) if q is p)
        place = sum(id(q) in known for q in self.given[:before])
        self.held.insert(place, p)
        self.take_up(place, p)

    def take_up(self, i: int, p: Tensor) -> None:
        """What else an optimizer keeps for each parameter."""
