"""Small data sets, reproducible from a seed and without a download; and the orders and batches for training.

Read datasets.py first, then preparation.py and batching.py; shipped.py holds measured data, strokes.py and
glyph_images.py draw letters, image_folders.py reads pictures.
"""

from typing import TYPE_CHECKING

from tinygrad_edu.data.batching import Batches, batches, orders
from tinygrad_edu.data.datasets import (
    and_gate,
    blobs,
    bumps,
    circles,
    moons,
    or_gate,
    plane,
    quadrants,
    sine,
    spirals,
    xor_gate,
)
from tinygrad_edu.data.glyph_images import glyphs
from tinygrad_edu.data.image_folders import read_image_folders, write_image_folders
from tinygrad_edu.data.preparation import Scaling, lagged, min_max, one_hot, standardize, train_test_split
from tinygrad_edu.data.shipped import SEXES, SPECIES, body_metrics, iris, lynx
from tinygrad_edu.data.strokes import DIGITS, LETTERS
from tinygrad_edu.elsewhere import habits

__all__ = [
    "DIGITS", "LETTERS", "SEXES", "SPECIES", "Batches", "Scaling", "and_gate", "batches", "blobs", "body_metrics",
    "bumps", "circles", "glyphs", "iris", "lagged", "lynx", "min_max", "moons", "one_hot", "or_gate", "orders",
    "plane", "quadrants", "read_image_folders", "sine", "spirals", "standardize", "train_test_split",
    "write_image_folders", "xor_gate",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__, __dir__ = habits(__name__, __all__)
