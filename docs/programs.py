"""Programs of the guided path in a page: `<!-- program: 01_... -->` becomes the text, its output and its pictures.

Each program is run while the site is built, in a folder of its own, so that a page shows what the program prints
today. A formatter cannot rewrite the mark: it is a comment of HTML, not a line of Python. Where SEEN names a folder,
what it holds of a program is taken in place of a run: the tests have just run it there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
MARK = re.compile(r"<!-- program: (\w+) -->")
SOURCE = re.compile(r"<!-- source: (\w+) -->")  # only the text: running it takes a cluster, or minutes
PICTURES = "tutorial/pictures"  # folder of the pictures in the site
TIMEOUT_S = 900  # the longest program takes 8 s on an idle machine
COLUMNS = re.compile(r"\S {2,}\S")  # an output with a table: wrapped on a telephone, it could not be read
PAGE = 120  # letters in a line of the page on a screen of 1,400 px
SEEN = "TINYGRAD_EDU_EXAMPLES_SEEN"


@dataclass(frozen=True)
class Ran:
    """A program that was run: its text, what it printed, and the files it wrote into out/ (text by file name)."""

    text: str
    output: str
    written: dict[str, str]

    @property
    def pictures(self) -> dict[str, str]:
        from tinygrad_edu.charts.document import shrink_to_frame

        return {name: shrink_to_frame(text) for name, text in sorted(self.written.items()) if name.endswith(".svg")}

    @property
    def markdown(self) -> str:
        shown = "\n\n".join(f"![{alt_text(name)}](pictures/{name})" for name in self.pictures)
        output = self.output.rstrip()
        fits = max(map(len, output.split("\n"))) <= PAGE
        kind = f"{{.text .{'columns' if fits else 'narrow-columns'}}}" if COLUMNS.search(output) else "text"
        return f"```python\n{self.text}\n```\n\nIt prints:\n\n```{kind}\n{output}\n```\n\n{shown}"


@cache
def run(name: str) -> Ran:
    """Run examples/NAME.py. Errors: FileNotFoundError, or RuntimeError with what it printed; they end the build."""
    file = (ROOT / "examples" / f"{name}.py").resolve(strict=True)
    # as it is in the folder that `tinygrad-edu examples` makes
    text = file.read_text(encoding="utf-8").rstrip().replace(f"python examples/{file.name}", f"python {file.name}")
    seen = Path(os.environ.get(SEEN, "")) / f"{name}.json"
    if SEEN in os.environ and seen.exists():
        return Ran(text, **json.loads(seen.read_text(encoding="utf-8")))
    with tempfile.TemporaryDirectory() as folder:
        output = printed_by(file, folder)
        return Ran(text, output, {path.name: path.read_text(encoding="utf-8") for path in Path(folder).glob("out/*")})


def printed_by(file: Path, folder: str) -> str:
    """What a copy of the program in this folder prints, in a process of its own: no line has a path of this machine."""
    copy = shutil.copy(file, folder)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [sys.executable, copy], cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    if done.returncode:
        raise RuntimeError(f"examples/{file.name} failed:\n{done.stderr}")
    return done.stdout


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
    """The page with each mark replaced, and sessions in the colours of sessions: their output is not a program."""
    markdown = SOURCE.sub(lambda found: listing(found[1]), markdown)
    markdown = MARK.sub(lambda found: run(found[1]).markdown, markdown)
    return markdown.replace("```python\n>>> ", "```pycon\n>>> ")
