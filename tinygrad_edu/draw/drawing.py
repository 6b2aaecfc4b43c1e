"""The drawing that `draw` returns: shown by notebooks, saved to files."""

from __future__ import annotations

import base64
import os
import subprocess
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygrad_edu import checks, packages, whole_files
from tinygrad_edu.charts.document import shrink_to_frame
from tinygrad_edu.draw.latex import Latex
from tinygrad_edu.draw.page import page
from tinygrad_edu.draw.render import ADVICE, available, render
from tinygrad_edu.errors import DrawError
from tinygrad_edu.pen import check_attributes

if TYPE_CHECKING:
    import graphviz

SUFFIXES = (".svg", ".png", ".pdf", ".dot", ".html")


@check_attributes
@dataclass(frozen=True, slots=True, repr=False)
class Drawing:
    """A picture of a computation graph as it was when `draw` was called; a notebook shows it as SVG.

    dot: the picture in the DOT language.
    summary: what the picture shows, in words.
    title: the text above the picture.
    time_limit: the seconds that the layout may take.
    collapsed_dot: a smaller picture, drawn where the layout of `dot` takes longer; "" where there is none.
    advice: what to do where the smaller picture takes too long too.
    views: what else the page (.html) shows, as DOT text by name: "nodes", "unfolded" (functions in all their
    operations) and "layers".
    story: what the page says of each node, by the node's name in `dot`.
    equations: the formulas of the graph in LaTeX, see `latex`.

    >>> from tinygrad_edu import Value
    >>> from tinygrad_edu.draw import draw
    >>> drawing = draw(Value(2.0, label="a") * Value(3.0, label="b"))
    >>> drawing.summary
    'Computation graph of 3 nodes: 1 operation; inputs a, b; output 6'
    >>> print(drawing.dot.splitlines()[0])
    digraph "computation graph" {
    """

    dot: str
    summary: str
    title: str = ""
    time_limit: float = 20.0
    collapsed_dot: str = ""
    advice: str = ""
    views: Mapping[str, str] = field(default_factory=dict)
    story: Mapping[str, Any] = field(default_factory=dict, compare=False)
    equations: tuple[str, ...] = field(default=(), compare=False)
    _pictures: dict[str, bytes] = field(default_factory=dict, init=False, compare=False)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture to a file; the suffix says how: .svg, .png, .pdf, .dot or .html.

        path: missing folders are made; the file is replaced in one step, so a failure leaves the old one.
        Returns the path written: with the suffix .dot, and a warning, where there is no Graphviz.
        Errors: DrawError for another suffix, or a layout that takes longer than the time limit.

        >>> import tempfile
        >>> from tinygrad_edu import Value
        >>> from tinygrad_edu.draw import draw
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     draw(Value(2.0, label="a").tanh()).save(folder + "/tanh.dot").name
        'tanh.dot'
        """
        path = checks.path("path", path, "save")
        suffix = file_form(path)
        content = self.dot.encode() if suffix == ".dot" else self.content(suffix)
        if content is None:
            path, content = path.with_suffix(".dot"), self.dot.encode()
            warnings.warn(f"{ADVICE} The picture's DOT text is in {path} instead.", stacklevel=2)
        replace(path, content)
        return path

    def source(self) -> graphviz.Source:
        """The picture as the graphviz package's Source: for other layout engines, and to change it by hand.

        >>> from tinygrad_edu import Value
        >>> from tinygrad_edu.draw import draw
        >>> draw(Value(2.0, label="a").tanh()).source().engine
        'dot'
        """
        found: graphviz.Source = packages.find("graphviz", "Drawing.source()").Source(self.dot, engine="dot")
        return found

    def latex(self) -> Latex:
        """The formula of the graph in LaTeX, which a notebook shows set; a line more for each value that is used twice.

        Errors: DrawError for a network as circles, and for a graph with more operations than anybody reads.

        >>> from tinygrad_edu import Value
        >>> from tinygrad_edu.draw import draw
        >>> print(draw((Value(2.0, label="a") * Value(3.0, label="b") + 1.0).tanh()).latex())
        \\tanh\\left(a \\cdot b + 1\\right)
        """
        if not self.equations:
            raise DrawError(f"there is no formula for so large a graph ({self.summary}): draw a smaller part of it")
        return Latex(self.equations)

    def content(self, suffix: str) -> bytes | None:
        """The content of a file with this suffix; None without Graphviz."""
        if suffix != ".html":
            return self.picture(suffix[1:])
        svg = self.picture("svg")
        if svg is None:
            return None
        views = {name: svg if dot == self.dot else self.further(dot) for name, dot in self.views.items()}
        shown = {name: picture.decode() for name, picture in views.items() if picture}
        return page(shown or {"nodes": svg.decode()}, self.title, self.summary, self.story).encode()

    def further(self, dot: str) -> bytes | None:
        """A further picture of the page; None where its layout takes too long: the page does without it."""
        try:
            return render(dot, "svg", self.time_limit)
        except subprocess.TimeoutExpired:
            return None

    def picture(self, form: str) -> bytes | None:
        """The picture as svg, png or pdf; None without Graphviz. It is laid out once and kept."""
        if form not in self._pictures:
            picture = self.render(form)
            if picture is None:
                return None
            self._pictures[form] = picture
        return self._pictures[form]

    def render(self, form: str) -> bytes | None:
        """The picture, or the collapsed one when its layout takes too long."""
        for dot in filter(None, (self.dot, self.collapsed_dot)):
            try:
                return render(dot, form, self.time_limit)
            except subprocess.TimeoutExpired:
                continue
        raise DrawError(f"the layout took more than time_limit={self.time_limit:g} s. {self.advice}")

    def _repr_svg_(self) -> str | None:
        svg = self.picture("svg")
        return None if svg is None else svg.decode()

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """What a notebook keeps: SVG as wide as the cell at most, and PNG for where it shows no SVG.

        JupyterLab removes SVG from a notebook that is not trusted (made by nbconvert, or sent by a colleague).
        """
        svg, png = self.picture("svg"), self.picture("png")
        bundle = {"text/plain": repr(self)}
        if svg and png:
            bundle |= {"image/svg+xml": shrink_to_frame(svg.decode()), "image/png": base64.b64encode(png).decode()}
        return bundle

    def __repr__(self) -> str:
        return f"<{self.summary}>" if available() else f"{self.dot}\n{ADVICE}"


def replace(path: Path, content: bytes) -> None:
    """Write a file in one step, in a folder that is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    whole_files.replace(path, content)


def file_form(path: Path) -> str:
    """The suffix of a picture's file. Errors: DrawError for one that cannot be written."""
    if path.suffix.lower() not in SUFFIXES:
        raise DrawError(f"cannot save a picture as {path.name!r}. Use one of {', '.join(SUFFIXES)}")
    return path.suffix.lower()
