"""A page with a program in it: one file that loads nothing, shown by notebooks in a frame of its own."""

from __future__ import annotations

import html
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tinygrad_edu import checks
from tinygrad_edu.charts.document import document
from tinygrad_edu.charts.palette import DARK, LIGHT, variables
from tinygrad_edu.charts.text import clean
from tinygrad_edu.core.methods.spellings import Missing
from tinygrad_edu.draw.page import as_json
from tinygrad_edu.errors import SettingError
from tinygrad_edu.pen import check_attributes
from tinygrad_edu.whole_files import replace

SCRIPT = re.compile(r"\w+\.js")
# an untrusted notebook removes the frame
ADVICE = "If nothing is shown above, the notebook is not trusted: run this cell again."
FRAME_HEIGHT = 760  # pixels, in a notebook


if sys.platform == "win32":
    from pathlib import WindowsPath as LocalPath
else:
    from pathlib import PosixPath as LocalPath


class WrittenPage(LocalPath):
    """The path of a page that was written, which a notebook shows as a link to it.

    >>> WrittenPage("out/report.html")._repr_html_()
    '<a href="out/report.html" target="_blank">out/report.html</a>'
    """

    def _repr_html_(self) -> str:
        return f'<a href="{quote(self.as_posix())}" target="_blank">{html.escape(str(self))}</a>'

    save = Missing("save", 'the path where the page is made, as in tg.report(run, path="page.html"): it is on disk now')


@check_attributes
@dataclass(frozen=True, repr=False)
class Page:
    """What `tg.animate` and `tg.playground` give: `.save("page.html")` writes it, a notebook shows it.

    text: the whole page, which works without a network; summary: what it shows, in words.

    >>> Page("<!DOCTYPE html>...", "A page")
    <A page: .save("page.html") writes it>
    """

    text: str
    summary: str

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page, in one step; missing folders are made. Errors: SettingError for a name not ending in .html.

        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Page("<!DOCTYPE html>...", "A page").save(folder + "/page.html").name
        'page.html'
        """
        path = checks.path("path", path, "save")
        if path.suffix.lower() not in (".html", ".htm"):
            raise SettingError(f"cannot save a page as {path.name!r}: the name must end in .html")
        return write_file(path, self.text)

    def _repr_html_(self) -> str:
        """A frame that may run the page's script and nothing else: it cannot reach the notebook around it."""
        # ASCII: in another encoding the script would not match the hash in the page's security policy.
        inside, name = (ascii_html(each) for each in (self.text, self.summary))
        style = f"width: 100%; height: {FRAME_HEIGHT}px; border: 0"
        may = "allow-scripts allow-downloads"
        frame = f'<iframe sandbox="{may}" title="{name}" style="{style}" srcdoc="{inside}"></iframe>'
        return f"{frame}<p>{name}. {ADVICE}</p>"

    def __repr__(self) -> str:
        return f'<{self.summary}: .save("page.html") writes it>'


def write_file(path: Path, text: str) -> WrittenPage:
    """Write a page in one step; missing folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path.resolve(), text.encode())
    return WrittenPage(path)


def ascii_html(text: str) -> str:
    """Text as HTML that every encoding reads alike.

    >>> ascii_html("1 < π")
    '1 &lt; &#960;'
    """
    return html.escape(text).encode("ascii", "xmlcharrefreplace").decode()


def write_page(title: str, lead: str, body: str, scripts: Sequence[str], data: Mapping[str, Any]) -> str:
    """The page around a body of HTML: scripts of this folder, or text of them, run in their order on `data`.

    title and lead: of the user, escaped here. The policy lets these scripts run, and nothing be loaded.
    """
    heading = html.escape(clean(title, 120))
    script = "\n".join(asset(each) if SCRIPT.fullmatch(each) else each for each in scripts)
    style = f""":root {{ color-scheme: light; {variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark; {variables(DARK)} }} }}
{asset("live.css")}"""
    inside = f"""
<header><h1>{heading}</h1><p class="lead">{html.escape(clean(lead, 600))}</p></header>
<noscript><p>This page needs JavaScript: it is all in this file.</p></noscript>
{body}
<script type="application/json" id="data">{as_json(data)}</script>
<script>{script}</script>
"""
    return document(heading, style, inside, script)


def asset(name: str) -> str:
    return (files(__package__) / "assets" / name).read_text(encoding="utf-8")
