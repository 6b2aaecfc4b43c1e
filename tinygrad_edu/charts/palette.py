"""The colours of charts and pages, light and dark."""

from __future__ import annotations

from collections.abc import Mapping

# Contrast with any ground of the same theme is at least 4.5:1 for text, and at least 3:1 on `card` for lines and marks
# (WCAG 2.2, 1.4.3 and 1.4.11; computed in the tests). The series are darker and lighter tones of Okabe and Ito's
# palette, which colour-blind readers can tell apart.
LIGHT = {
    "ground": "#f6f7f9", "card": "#ffffff", "sunken": "#eef0f4", "line": "#d5d9e2", "control": "#767d8d",
    "ink": "#1b1f2a", "muted": "#565d6d", "accent": "#0b5cad", "on-accent": "#ffffff",
    "good": "#00694e", "watch": "#8a5300", "bad": "#b3261e", "grid": "#e3e6ec",
    "series-1": "#0072b2", "series-2": "#c24e00", "series-3": "#008560", "series-4": "#b0578f",
    "series-5": "#8a6d00", "series-6": "#3a84b8", "series-7": "#5b5f97", "series-8": "#5f6b7a",
    "box-input": "#dcedf9", "box-result": "#f4f5f8", "box-good": "#d9f1e7", "box-watch": "#fdebc8",
    "box-bad": "#fbdcd9", "box-constant": "#e8e8e8", "box-edge": "#6b7280",
}  # fmt: skip
DARK = {
    "ground": "#12151c", "card": "#1b1f29", "sunken": "#242a36", "line": "#363d4c", "control": "#858d9e",
    "ink": "#e8ebf2", "muted": "#a9b1c1", "accent": "#7ab8f5", "on-accent": "#0d1420",
    "good": "#5fd3a8", "watch": "#f0b755", "bad": "#ff8f86", "grid": "#2b3240",
    "series-1": "#5cb3ec", "series-2": "#ff9557", "series-3": "#3fcb9b", "series-4": "#e39ac7",
    "series-5": "#dcc04a", "series-6": "#9cc9ea", "series-7": "#a9acf0", "series-8": "#a3aebd",
    "box-input": "#173a55", "box-result": "#262c38", "box-good": "#12402f", "box-watch": "#4a3610",
    "box-bad": "#5a211e", "box-constant": "#33373f", "box-edge": "#8e97a8",
}  # fmt: skip
SERIES = [name for name in LIGHT if name.startswith("series-")]

# Placeholders that Matplotlib and Graphviz write for the theme's colours: each is a colour used nowhere else.
MARKS = {name: f"#0a0b{place:02x}" for place, name in enumerate(LIGHT)}


def apply_theme(svg: str) -> str:
    """A picture whose marks are colours of the theme: in the dark it is drawn in the dark ones.

    >>> apply_theme('<path style="stroke: #0a0b05"/>')
    '<path style="stroke: var(--ink)"/>'
    """
    for name, mark in MARKS.items():
        svg = svg.replace(mark, f"var(--{name})")
    return svg


def variables(colours: Mapping[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())
