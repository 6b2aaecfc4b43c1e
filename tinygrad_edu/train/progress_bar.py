"""Progress bars: tqdm's in terminals, HTML in notebooks, or none if tqdm is not installed."""

from __future__ import annotations

import html
import sys
import time
import warnings
from typing import Any, Protocol, Self

from tinygrad_edu import packages

DELAY_S = 0.5  # a bar in a notebook that was not asked for appears only in runs longer than this
EVERY_S = 0.1


def is_wanted(progress: bool | None) -> bool:
    """Is a bar to be shown? By default in terminals and notebooks."""
    return (sys.stderr.isatty() or in_notebook()) if progress is None else bool(progress)


def in_notebook() -> bool:
    """Does a notebook's kernel run this? IPython in a terminal has none."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return hasattr(shell, "kernel")


def bar(total: int, unit: str, shown: bool, initial: int = 0, title: str = "", asked: bool = True) -> Any:
    """A bar over `total` units, cleared at the end: a context manager with `update(n)`.

    asked: did the user ask for it? Then its absence is worth a sentence.
    """
    if not shown:
        return NoBar()
    if not packages.available("tqdm"):
        if asked:
            warnings.warn("no progress bar without tqdm: `pip install tqdm` installs it", stacklevel=4)
        return NoBar()
    if in_notebook():
        return NotebookBar(total, unit, initial, title, 0.0 if asked else DELAY_S)
    from tqdm import tqdm

    return tqdm(total=total, initial=initial, unit=unit, desc=title or None, mininterval=EVERY_S, leave=False)


def say(line: str) -> None:
    """A line above the bar, if there is one."""
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(line)
    else:
        print(line)


class Bar(Protocol):
    """What a run uses of a progress bar: tqdm's, or NoBar."""

    n: Any

    def update(self, n: int = 1) -> Any:
        """Count further units as done."""


class NoBar:
    """A bar that shows nothing."""

    n = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def update(self, n: int = 1) -> None:
        """Count further units as done."""
        self.n += n

    def close(self) -> None:
        """Does nothing: there is no bar to clear."""


class NotebookBar(NoBar):
    """A bar of HTML, which every notebook renders, with tqdm's times and rates beside it.

    tqdm's own, `tqdm.notebook`, needs ipywidgets, and leaves nothing to see where a notebook is opened without them.
    """

    def __init__(self, total: int, unit: str, initial: int, title: str, delay: float) -> None:
        self.total, self.unit, self.title, self.first = total, unit, title, initial
        self.n, self.begin, self.last = initial, time.monotonic(), time.monotonic() + delay - EVERY_S
        self.handle: Any = None

    def __exit__(self, *error: Any) -> None:
        self.close()

    def update(self, n: int = 1) -> None:
        """Count more units as done; the bar is drawn again ten times a second at most."""
        self.n += n
        if time.monotonic() - self.last >= EVERY_S:
            self.last = time.monotonic()
            self.show(self.html())

    def html(self) -> str:
        """At most as wide as the cell; the text wraps in a narrow one."""
        from tqdm import tqdm

        spent = time.monotonic() - self.begin
        text = tqdm.format_meter(self.n, self.total, spent, unit=self.unit, initial=self.first, bar_format=METER)
        name = html.escape(f"{self.title}: " if self.title else "")
        bar = f'<progress value="{self.n}" max="{max(self.total, 1)}" style="width: 40%; min-width: 6em"></progress>'
        return f'<div style="max-width: 100%; overflow-wrap: anywhere">{name}{bar} {html.escape(text)}</div>'

    def show(self, content: str) -> None:
        """Replace what the cell shows."""
        notebook = packages.find("IPython.display", "a progress bar in a notebook")
        if self.handle is None:
            self.handle = notebook.display(notebook.HTML(content), display_id=True)
        else:
            self.handle.update(notebook.HTML(content))

    def close(self) -> None:
        """Take the bar away."""
        if self.handle is not None:
            self.show("")


METER = "{n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}]"
