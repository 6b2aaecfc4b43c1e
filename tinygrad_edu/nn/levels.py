"""Stacked and bidirectional recurrent layers: what `num_layers` and `bidirectional` add."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu import checks, ops
from tinygrad_edu.core.aliases import ArrayLike, Model, State
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.module import Module


class Levels(Module):
    """The layers beside the first one: `reverse`, which reads the series from its end, and `deeper`.

    `make(in_features)` makes a layer of one level and one direction.
    """

    def __init__(
        self, hidden: int, num_layers: int, bidirectional: bool, dropout: Dropout | None, make: Callable[[int], Any]
    ) -> None:
        width = hidden * (1 + bidirectional)
        self.reverse = None
        self.deeper = [[make(width) for _ in range(1 + bidirectional)] for _ in range(num_layers - 1)]
        self.dropout = dropout

    def run(self, first: ArrayLike, x: ArrayLike, state: State) -> tuple[Any, Any]:
        """(outputs of the last level, all final states: (levels·directions, ...))."""
        given = self.split(state, first)
        found: list[Any] = []
        layers = [[first] if self.reverse is None else [first, self.reverse], *self.deeper]
        for number, level in enumerate(layers):
            if number and self.dropout is not None:
                x = self.dropout(x)
            outputs = []
            for backwards, layer in enumerate(level):
                y, last = layer.run(turn_batch(x) if backwards else x, given[len(found)])
                outputs.append(turn_batch(y) if backwards else y)
                found.append(last)
            x = ops.concatenate(outputs, axis=-1) if len(outputs) > 1 else outputs[0]
        return x, self.join(found)

    def count(self) -> int:
        """The number of states."""
        return (1 + len(self.deeper)) * (1 if self.reverse is None else 2)

    def split(self, state: State, first: ArrayLike) -> list[Any]:
        """A state for each layer. Errors: ShapeError."""
        if state is None:
            return [None] * self.count()
        parts = state if isinstance(state, tuple) else (state,)
        if any(not ops.expand_dims(part, 0).ndim > 1 or part.shape[0] != self.count() for part in parts):
            raise ShapeError(
                f"{type(first).__name__}: the state needs {self.count()} entries along its first axis, one for each "
                f"layer and direction; the shapes are {', '.join(str(part.shape) for part in parts)}"
            )
        each = [tuple(part[i] for part in parts) for i in range(self.count())]
        return each if isinstance(state, tuple) else [s[0] for s in each]

    def join(self, states: list[Any]) -> Any:
        """The states of all layers as one array, or as a tuple of several."""
        if isinstance(states[0], tuple):
            return tuple(ops.stack(list(each), axis=0) for each in zip(*states, strict=True))
        return ops.stack(states, axis=0)


def turn_batch(x: ArrayLike) -> Any:
    """The times of (time, in) or (batch, time, in) in reverse order."""
    return ops.flip(x, axis=-2)


def levels(
    layer: Model,
    num_layers: int,
    bidirectional: bool,
    dropout: float,
    rng: Any,
    make: Callable[[int], Any],
) -> Levels | None:
    """The further layers that a layer needs; None if it is one layer in one direction. Errors: SettingError."""
    name = type(layer).__name__
    checks.whole("num_layers", num_layers, owner=name)
    checks.flag("bidirectional", bidirectional, name)
    checks.number("dropout", dropout, "[0, 1)", name)
    if dropout and num_layers == 1:
        raise SettingError(f"{name}(dropout={dropout}, num_layers=1): dropout acts between layers, and there is one")
    if num_layers == 1 and not bidirectional:
        return None
    reverse = make(layer.in_features) if bidirectional else None
    made = Levels(
        layer.hidden_features, num_layers, bidirectional, Dropout(dropout, rng=rng) if dropout else None, make
    )
    made.reverse = reverse
    return made
