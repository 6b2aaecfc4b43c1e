"""What Matplotlib gives us, which ships no types: Any to a type checker."""

from typing import Any

Canvas = Any  # Matplotlib's Axes, on which a case draws
