"""Digits and capital letters as pen strokes, and how far from the pen each point of the sheet lies.

A letter stands in a box of 6 by 10 units, x to the right from 0 to 6, y down from 0 to 10. A stroke is a polyline, so
the ink of a pen of width w covers the points at a distance of at most w/2 from it: one array of distances for each
character serves every width, size, slant and place.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LEFT, TOP, RIGHT, BOTTOM = -3, -3, 9, 13  # the sheet: the letter's box with a margin of 3 units
FINE = 6  # distances stored per unit: interpolated halfway, the error is at most 1/24 of a unit
ARC_STEP = 10.0  # degrees; a chord of an arc of radius 5 is off by 0.02 units


def line(*corners: tuple[float, float]) -> Array:
    """A polyline through the points (x, y): (points, 2)."""
    return np.array(corners, dtype=float)


def arc(x: float, y: float, across: float, down: float, start: float, stop: float) -> Array:
    """Part of an ellipse around (x, y) with these half axes: angles in degrees, 0 is to the right and 90 below."""
    angles = np.radians(np.linspace(start, stop, round(abs(stop - start) / ARC_STEP) + 1))
    return np.stack([x + across * np.cos(angles), y + down * np.sin(angles)], axis=1)


STROKES: dict[str, tuple[Array, ...]] = {
    "0": (arc(3, 5, 2.5, 5, 0, 360),),
    "1": (line((1.2, 2.2), (3.4, 0), (3.4, 10)), line((1.4, 10), (5.4, 10))),
    "2": (arc(3, 2.9, 2.8, 2.9, -175, 35), line((5.29, 4.56), (0.2, 10), (6, 10))),
    "3": (arc(2.9, 2.5, 2.6, 2.5, -155, 90), arc(2.9, 7.5, 2.9, 2.5, -90, 155)),
    "4": (line((4.5, 10), (4.5, 0), (0, 7), (6, 7)),),
    "5": (line((5.4, 0), (1, 0), (0.6, 4.6)), arc(2.8, 6.8, 3, 3.2, -137, 145)),
    "6": (arc(3, 6.8, 2.8, 3.2, 0, 360), arc(5.6, 6.8, 5.4, 6.8, 180, 262)),
    "7": (line((0, 0), (6, 0), (2, 10)),),
    "8": (arc(3, 2.4, 2.4, 2.4, 0, 360), arc(3, 7.4, 2.9, 2.6, 0, 360)),
    "9": (arc(3, 3.2, 2.8, 3.2, 0, 360), arc(0.4, 3.2, 5.4, 6.8, 0, 82)),
    "A": (line((0, 10), (3, 0), (6, 10)), line((1.1, 6.4), (4.9, 6.4))),
    "B": (
        line((2.8, 0), (0, 0), (0, 10), (3.2, 10)), line((0, 4.8), (3, 4.8)),
        arc(2.8, 2.4, 2.5, 2.4, -90, 90), arc(3.2, 7.4, 2.8, 2.6, -90, 90),
    ),
    "C": (arc(3.3, 5, 3.3, 5, -45, -315),),
    "D": (line((2, 10), (0, 10), (0, 0), (2, 0)), arc(2, 5, 4, 5, -90, 90)),
    "E": (line((6, 0), (0, 0), (0, 10), (6, 10)), line((0, 4.9), (4.6, 4.9))),
    "F": (line((6, 0), (0, 0), (0, 10)), line((0, 4.9), (4.6, 4.9))),
    "G": (arc(3.3, 5, 3.3, 5, -50, -330), line((3.6, 5.6), (6.16, 5.6), (6.16, 7.5))),
    "H": (line((0, 0), (0, 10)), line((6, 0), (6, 10)), line((0, 4.9), (6, 4.9))),
    "I": (line((3, 0), (3, 10)), line((1, 0), (5, 0)), line((1, 10), (5, 10))),
    "J": (line((2, 0), (5.6, 0)), line((4.8, 0), (4.8, 7.4)), arc(2.5, 7.4, 2.3, 2.6, 0, 170)),
    "K": (line((0, 0), (0, 10)), line((5.8, 0), (0, 6.2)), line((2.1, 4), (6, 10))),
    "L": (line((0, 0), (0, 10), (5.8, 10)),),
    "M": (line((-0.4, 10), (-0.4, 0), (3, 6), (6.4, 0), (6.4, 10)),),
    "N": (line((0, 10), (0, 0), (6, 10), (6, 0)),),
    "O": (arc(3, 5, 3.8, 5, 0, 360),),
    "P": (line((3, 0), (0, 0), (0, 10)), line((0, 5.4), (3, 5.4)), arc(3, 2.7, 2.8, 2.7, -90, 90)),
    "Q": (arc(3, 4.8, 3.6, 4.8, 0, 360), line((3.4, 6.8), (6.6, 10.6))),
    "R": (
        line((3, 0), (0, 0), (0, 10)), line((0, 5.2), (3, 5.2)), arc(3, 2.6, 2.7, 2.6, -90, 90),
        line((2.6, 5.2), (6, 10)),
    ),
    "S": (arc(3, 2.5, 2.6, 2.5, -25, -255), arc(3, 7.45, 2.8, 2.55, -105, 160)),
    "T": (line((-0.2, 0), (6.2, 0)), line((3, 0), (3, 10))),
    "U": (line((0, 0), (0, 7)), arc(3, 7, 3, 3, 180, 0), line((6, 7), (6, 0))),
    "V": (line((0, 0), (3, 10), (6, 0)),),
    "W": (line((-0.6, 0), (1.2, 10), (3, 3), (4.8, 10), (6.6, 0)),),
    "X": (line((0, 0), (6, 10)), line((6, 0), (0, 10))),
    "Y": (line((0, 0), (3, 4.8), (6, 0)), line((3, 4.8), (3, 10))),
    "Z": (line((0, 0), (6, 0), (0, 10), (6, 10)),),
}  # fmt: skip
DIGITS = "0123456789"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@functools.cache
def distances(character: str) -> Array:
    """How far each point of the sheet is from the nearest stroke, in units: (y, x), FINE of them for each unit."""
    x, y = np.meshgrid(np.arange(LEFT * FINE, RIGHT * FINE + 1), np.arange(TOP * FINE, BOTTOM * FINE + 1))
    points = np.stack([x, y], axis=-1) / FINE
    ends = [pair for stroke in STROKES[character] for pair in itertools.pairwise(stroke)]
    nearest = functools.reduce(np.minimum, (distance_squared(points, a, b) for a, b in ends))
    return np.sqrt(nearest, dtype=np.float32)


def distance_squared(points: Array, a: Array, b: Array) -> Array:
    """From each point (..., 2) to the line from a to b: |p - a - t·(b - a)|², t the foot of the perpendicular."""
    along = b - a
    t = np.clip((points - a) @ along / (along @ along), 0.0, 1.0)
    off = points - a - t[..., None] * along
    return np.asarray(np.sum(off * off, axis=-1))
