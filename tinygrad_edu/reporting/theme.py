"""The style sheet of a report, and the contrast of colours."""

from __future__ import annotations

from importlib.resources import files

from tinygrad_edu.charts.palette import DARK, LIGHT, variables


def style_sheet() -> str:
    """The whole style sheet of the page: the two lists of colours, then page.css."""
    dark = variables(DARK)
    return (
        f":root {{ color-scheme: light; {variables(LIGHT)} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{ color-scheme: dark; {dark} }} }}\n"
        f":root[data-theme=dark] {{ color-scheme: dark; {dark} }}\n" + asset("page.css")
    )


def asset(name: str) -> str:
    """A text file of this folder."""
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def contrast(one: str, other: str) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio").

    >>> round(contrast("#000000", "#ffffff"), 1)
    21.0
    """
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    """The relative luminance of an sRGB colour (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
