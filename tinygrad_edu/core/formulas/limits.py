"""How a function of one argument behaves far from 0: its range, and the sides on which it is flat."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tinygrad_edu.core.aliases import ArrayLike

FAR = (30.0, 47.0, 71.0)  # inputs far enough out for a slope to be near its limit; none is a multiple of sine's period
ENDLESS = 300.0  # larger outputs count as infinite (log 1e300 is 690)
FLAT = 0.005  # a slope below this lets almost no gradient through: tanh beyond ±0.9975


def lowest_and_highest(function: Callable[[Any], Any]) -> tuple[float, float]:
    """The range of a function on a net of points from -1e300 to 1e300; beyond ENDLESS it counts as infinite.

    >>> lowest_and_highest(abs)
    (0.0, inf)
    """
    import numpy

    dense, far = numpy.linspace(-20.0, 20.0, 4001), numpy.logspace(-300.0, 300.0, 61)
    # where logarithms, inverses, tangents and cosines have their poles and extremes
    ends = numpy.array([0.0, 1.0, math.pi / 2.0, math.pi])
    points = numpy.concatenate([-far, -ends, dense, ends, far])
    with numpy.errstate(all="ignore"):
        found = numpy.asarray(function(points), dtype=float).reshape(len(points), -1)
        known = numpy.where(numpy.isnan(found), 0.0, found)
        extremes = points[[known.min(axis=1).argmin(), known.max(axis=1).argmax()], None]
        close = extremes + numpy.linspace(-0.01, 0.01, 401)  # one step of the grid `dense` to either side
        near = numpy.asarray(function(close.ravel()), dtype=float)
    found = numpy.concatenate([found.ravel(), near.ravel()])
    found = found[~numpy.isnan(found)]
    low, high = float(found.min(initial=math.inf)), float(found.max(initial=-math.inf))
    return (-math.inf if low < -ENDLESS else round(low, 12) + 0.0), (
        math.inf if high > ENDLESS else round(high, 12) + 0.0
    )


def slope(operation: Any, x: ArrayLike) -> Any:
    """dy/dx of a row of the table at each entry of x, its other arguments at their defaults."""
    import numpy

    x = numpy.asarray(x, dtype=float)
    arguments = operation.complete((x,))
    with numpy.errstate(all="ignore"):
        found = operation.array_partials(operation.on_arrays(*arguments), *arguments)[0]
        return numpy.broadcast_to(numpy.asarray(found, dtype=float), x.shape)


def flat_sides(operation: Any) -> tuple[bool, bool]:
    """Does the slope go to 0 towards -∞, and towards +∞?

    >>> from tinygrad_edu import ops
    >>> flat_sides(ops.tanh), flat_sides(ops.relu), flat_sides(ops.leaky_relu)
    ((True, True), (True, False), (False, False))
    """
    low, high = (bool((abs(slope(operation, [sign * x for x in FAR])) < FLAT).all()) for sign in (-1.0, 1.0))
    return low, high


class Curve:
    """An operation as a function of its first argument: how an activation behaves."""

    if TYPE_CHECKING:  # the attributes of a table row that the methods below use

        def on_arrays(self, *arguments: ArrayLike) -> Any: ...
        def complete(self, arguments: tuple[Any, ...]) -> tuple[Any, ...]: ...

    @functools.cached_property
    def range(self) -> tuple[float, float]:
        """The lowest and the highest y of one argument, ±inf if it has no bound; found on a grid of points.

        >>> from tinygrad_edu import ops
        >>> ops.sigmoid.range, ops.relu.range, ops.sin.range
        ((0.0, 1.0), (0.0, inf), (-1.0, 1.0))
        """
        return lowest_and_highest(lambda x: self.on_arrays(*self.complete((x,))))

    def slope(self, x: ArrayLike) -> Any:
        """dy/dx of an activation at a number or at each entry of an array, the other arguments at their defaults."""
        return slope(self, x)

    @functools.cached_property
    def flat_sides(self) -> tuple[bool, bool]:
        """Does the slope go to 0 towards -∞, and towards +∞?"""
        return flat_sides(self)

    @property
    def saturates(self) -> bool:
        """Is it steep in the middle, and flat on both sides, as sigmoid and tanh are?"""
        return all(self.flat_sides) and max(map(abs, self.range)) < math.inf and abs(self.slope(0.0)) > FLAT

    @property
    def rectifies(self) -> bool:
        """Does it have a flat side on which units die, without saturating on both sides, as relu does?"""
        return any(self.flat_sides) and not self.saturates
