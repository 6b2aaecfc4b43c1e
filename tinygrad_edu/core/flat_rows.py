"""Operations that are flat in one of their inputs, as floor is: no gradient passes there, not even an infinite one.

>>> from tinygrad_edu.core import ops
>>> flat_inputs(ops.floor), flat_inputs(ops.where), flat_inputs(ops.relu)
(frozenset({0}), frozenset({0}), frozenset())
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tinygrad_edu.core.operation import Operation
from tinygrad_edu.core.operators import Operators


class Unknown(Operators):
    """Any number: what comes of it is unknown too, so that only derivatives written as plain 0 are known."""

    __slots__ = ()
    __hash__ = object.__hash__

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Any:
        return Unknown()

    def __and__(self, other: object) -> Unknown:
        return self

    __or__ = __rand__ = __ror__ = __and__

    def __invert__(self) -> Unknown:
        return self


class Flat(float):
    """The derivative of a flat row on floats: times anything it is 0, where 0·∞ would be NaN."""

    __slots__ = ()

    def __mul__(self, other: object) -> float:
        return 0.0

    __rmul__ = __mul__


@functools.cache
def flat_inputs(operation: Operation) -> frozenset[int]:
    """The inputs whose derivative is the number 0 everywhere."""
    unknown = Unknown()
    found = operation.partials(unknown, *[unknown] * len(operation.parameters)) if operation.partials else ()
    return frozenset(i for i, d in enumerate(found) if d.__class__ is float and d == 0.0)


def stop_gradients(rows: Iterable[Operation]) -> None:
    """Let each row give Flat as its derivative by such an input."""
    for row in rows:
        flat = flat_inputs(row)
        if flat:
            row.__dict__["float_partials"] = with_flat(row.float_partials, flat)


def with_flat(partials: Callable[..., tuple[Any, ...]], flat: frozenset[int]) -> Callable[..., tuple[Any, ...]]:
    """`partials` with Flat in the places of these arguments."""
    nothing = Flat(0.0)

    def found(*numbers: float) -> tuple[Any, ...]:
        return tuple([nothing if i in flat else d for i, d in enumerate(partials(*numbers))])

    return found
