"""Aliases for Matplotlib's objects: it ships no types, so they are Any to a type checker."""

from typing import Any

Canvas = Any  # Matplotlib's Axes, on which a case draws
