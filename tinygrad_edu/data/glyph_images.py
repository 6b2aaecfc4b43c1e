"""Images of digits and letters, drawn with strokes that vary in position, size, slant and width."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checks import number, whole
from tinygrad_edu.data.arguments import generator_of
from tinygrad_edu.data.datasets import classes
from tinygrad_edu.data.strokes import BOTTOM, DIGITS, FINE, LEFT, RIGHT, STROKES, TOP, distances
from tinygrad_edu.errors import SettingError, unknown_name
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]
HEIGHT = 0.66  # height of a letter as a share of the image's
BLOCK = 500  # images drawn at a time, with 2 MB per intermediate array; 100 to 1,000 are equally fast


@check_arguments
def glyphs(
    samples: int = 1000,
    characters: str = DIGITS,
    *,
    size: int = 30,
    shift: float = 2.0,
    scale: float = 0.15,
    slant: float = 0.2,
    width: tuple[float, float] = (1.5, 3.0),
    noise: float = 0.05,
    seed: int = 0,
) -> tuple[Array, Array]:
    """Grey images of digits and letters: X (samples, size·size) from 0, paper, to 1, ink; y (samples,) class numbers.

    y[i] is the index in `characters` of the one that X[i] shows. Shift, scale, slant and width are drawn uniformly for
    each image. Greys are rounded to 256 levels. Classes are balanced, in random order. 10,000 images take 0.6 s.
    samples: the number of images; 1000.
    characters: the digits and letters (A to Z) to draw; the ten digits.
    size: the width and height of an image, in pixels; 30. X.reshape(-1, size, size) are the pictures.
    shift: the largest shift along each axis, in pixels; 2.
    scale: the largest change of size, as a share; 0.15.
    slant: the largest slant, sideways per step up; 0.2.
    width: the smallest and the largest width of the pen, in pixels; (1.5, 3).
    noise, seed: the standard deviation of the noise of each pixel, 0.05; the seed of the random generator, 0.
    Errors: SettingError for a bad setting or a character named twice; NameNotFoundError for one that cannot be drawn.

    >>> X, y = glyphs(200, "AB")
    >>> X.shape, np.bincount(y).tolist(), float(X.min()), float(X.max())
    ((200, 900), [100, 100], 0.0, 1.0)
    """
    count, side = whole("samples", samples), whole("size", size, 8)
    sheets = np.stack([distances(character) for character in drawable(characters)])
    rng = generator_of(seed)
    y = classes(rng, count, len(characters))
    poses = Poses.draw(rng, count, side, shift, scale, slant, width)
    grain = number("noise", noise, "[0, inf)")
    X = np.empty((count, side * side))
    for start in range(0, count, BLOCK):
        block = slice(start, start + BLOCK)
        grey = poses.at(block).ink(sheets, y[block], side)
        grey += np.float32(grain) * rng.standard_normal(grey.shape, dtype=np.float32)
        X[block] = np.rint(np.clip(grey, 0.0, 1.0) * 255.0).reshape(len(grey), -1)
    X /= 255.0
    return X, y


def drawable(characters: str) -> str:
    """The characters, checked: there are strokes for each, and none is named twice."""
    if not isinstance(characters, str) or not characters or len(set(characters)) < len(characters):
        raise SettingError(f"characters={characters!r}: give a string of different digits and capital letters")
    for character in characters:
        if character not in STROKES:
            raise unknown_name("character", character, STROKES)
    return characters


@dataclass(frozen=True)
class Poses:
    """How each glyph is drawn: arrays of shape (samples, 1, 1), to go with (samples, rows, columns)."""

    right: Array  # pixels
    down: Array
    unit: Array  # pixels
    slant: Array
    width: Array  # pixels

    @classmethod
    def draw(
        cls,
        rng: np.random.Generator,
        count: int,
        side: int,
        shift: float,
        scale: float,
        slant: float,
        width: tuple[float, float],
    ) -> Poses:
        """Random poses within the bounds."""
        moved, leaning = number("shift", shift, "[0, inf)"), number("slant", slant, "[0, inf)")
        number("scale", scale, "[0, 1)", what="so that letters do not shrink to nothing")
        if np.shape(width) != (2,) or not 0.0 < width[0] <= width[1] < np.inf:
            raise SettingError(f"width={width!r}: give two numbers above 0, the smaller one first")
        low = np.array([-moved, -moved, 1.0 - scale, -leaning, width[0]])
        high = np.array([moved, moved, 1.0 + scale, leaning, width[1]])
        poses = rng.uniform(low, high, (count, 5)) * (1.0, 1.0, HEIGHT * side / 10.0, 1.0, 1.0)
        return cls(*poses.astype(np.float32).T[:, :, None, None])

    def at(self, block: slice) -> Poses:
        """Some of them."""
        return Poses(self.right[block], self.down[block], self.unit[block], self.slant[block], self.width[block])

    def ink(self, sheets: Array, y: Array, side: int) -> Array:
        """The share of each pixel that ink covers, as if the edge of a stroke were straight: (samples, side, side)."""
        pixel = np.arange(side, dtype=np.float32) - np.float32((side - 1) / 2.0)
        v = (pixel[:, None] - self.down) / self.unit  # (samples, side, 1): units below the middle of the letter
        u = (pixel - self.right) / self.unit + self.slant * v  # (samples, side, side)
        far = interpolate(sheets, y[:, None, None], v + np.float32(5.0), u + np.float32(3.0))
        covered: Array = np.clip(self.width / 2.0 - far * self.unit + np.float32(0.5), 0.0, 1.0)
        return covered


def interpolate(sheets: Array, which: Array, y: Array, x: Array) -> Array:
    """The distances on each sheet between the four points around (y, x), in units; beyond the edge, those at the edge.

    sheets (characters, rows, columns); which (samples, 1, 1); y (samples, side, 1); x (samples, side, side).
    """
    _, rows, columns = sheets.shape
    row = np.clip((y - TOP) * FINE, 0.0, (BOTTOM - TOP) * FINE - 1e-3)
    column = np.clip((x - LEFT) * FINE, 0.0, (RIGHT - LEFT) * FINE - 1e-3)
    i, j = np.floor(row), np.floor(column)
    across, below = column - j, row - i  # subtracting an int64 array would give float64
    corner = (which * rows + i.astype(np.intp)) * columns + j.astype(np.intp)
    flat = sheets.ravel()
    upper = flat.take(corner) * (1.0 - across) + flat[1:].take(corner) * across
    lower = flat[columns:].take(corner) * (1.0 - across) + flat[columns + 1 :].take(corner) * across
    mixed: Array = upper * (1.0 - below) + lower * below
    return mixed
