"""Programs of the guided path in a page: `<!-- program: 01_... -->` becomes the text, its output and its pictures.

Each program is run while the site is built, in a folder of its own, so that a page shows what the program prints
today. A formatter cannot rewrite the mark: it is a comment of HTML, not a line of Python.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"<!-- program: (\w+) -->")
SOURCE = re.compile(r"<!-- source: (\w+) -->")  # the text alone: it takes a cluster, or minutes
PICTURES = "tutorial/pictures"  # where they stand in the site
TIMEOUT_S = 900  # the longest takes 8 s on a quiet machine


@dataclass(frozen=True)
class Ran:
    """A program that was run: its text, what it printed, and the pictures it wrote (SVG text by file name)."""

    text: str
    output: str
    pictures: dict[str, str]

    @property
    def markdown(self) -> str:
        shown = "\n\n".join(f"![{alt_text(name)}](pictures/{name})" for name in self.pictures)
        return f"```python\n{self.text}\n```\n\nIt prints:\n\n```text\n{self.output}\n```\n\n{shown}"


@cache
def run(name: str) -> Ran:
    """Run examples/NAME.py. Errors: FileNotFoundError, or RuntimeError with what it printed; they end the build."""
    from tinygrad_edu.draw.page import fluid

    file = (ROOT / "examples" / f"{name}.py").resolve(strict=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "PYTHONHASHSEED": "0"}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, str(file)], cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
        )
        if done.returncode:
            raise RuntimeError(f"examples/{name}.py failed:\n{done.stderr}")
        written = sorted(Path(folder).glob("out/*.svg"))
        pictures = {path.name: fluid(path.read_text(encoding="utf-8")) for path in written}
    return Ran(file.read_text(encoding="utf-8").rstrip(), done.stdout.rstrip(), pictures)


def listing(name: str) -> str:
    """The text of examples/NAME.py, under its name. Errors: FileNotFoundError, which ends the build."""
    text = (ROOT / "examples" / f"{name}.py").read_text(encoding="utf-8").rstrip()
    return f'```{{.python title="examples/{name}.py"}}\n{text}\n```'


def alt_text(file: str) -> str:
    return "Picture: " + file.removesuffix(".svg").partition("_")[2].replace("_", " ")


def on_files(files: Any, config: Any) -> Any:
    """Add the pictures of all programs that the pages name to the site."""
    from mkdocs.structure.files import File

    for page in [file for file in files if file.src_uri.endswith(".md")]:
        for name in MARK.findall(page.content_string):
            for picture, text in run(name).pictures.items():
                files.append(File.generated(config, f"{PICTURES}/{picture}", content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """The page with each mark replaced."""
    markdown = SOURCE.sub(lambda found: listing(found[1]), markdown)
    return MARK.sub(lambda found: run(found[1]).markdown, markdown)
