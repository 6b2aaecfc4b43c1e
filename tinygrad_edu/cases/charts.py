"""Charts that several cases share; each is given Matplotlib's axes, so that nothing is imported here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.cases.report import Trial

# Okabe and Ito's palette, which colour-blind readers can tell apart
BLUE, RED, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7f7f7f"


def bars(axes: Any, trials: Sequence[Trial], goal: str) -> None:
    """The share of the runs of each trial that reach the goal."""
    axes.barh([trial.change for trial in trials], [trial.reached / trial.runs for trial in trials], color=BLUE)
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel=f"share of runs with\n{goal}", title="how many runs succeed")


def at_moments(axes: Any, moments: Sequence[tuple[float, str]]) -> None:
    """A thin vertical line at each moment, labelled with what happens then."""
    for x, text in moments:
        axes.axvline(x, color=GREY, linewidth=0.8)
        axes.text(
            x, 0.02, f"{text} ", rotation=90, ha="right", va="bottom", color=GREY, transform=axes.get_xaxis_transform()
        )
