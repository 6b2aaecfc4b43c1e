"""`make site`: the notebooks and the course in JupyterLite, which runs Python in the reader's browser.

    python docs/browser.py OUT

The pages hold the package itself; Python, NumPy and SciPy come from where Pyodide publishes them when a page opens.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tinygrad_edu.course import folder

ROOT = Path(__file__).parents[1]
INSTALL = "%pip install -q tinygrad-edu"  # JupyterLite installs from the site itself
# given, because JupyterLite asks for a kernel if a notebook names none
KERNEL = {"name": "python", "display_name": "Python (Pyodide)"}


def with_install(text: str) -> str:
    """A notebook that begins by installing the package, for the browser's Python."""
    notebook = json.loads(text)
    notebook["metadata"]["kernelspec"] = KERNEL
    first = {"cell_type": "code", "id": "install", "metadata": {}, "source": [INSTALL], "execution_count": None}
    notebook["cells"].insert(0, {**first, "outputs": []})
    return json.dumps(notebook, indent=1)


def write_contents(contents: Path) -> list[Path]:
    """The notebooks of examples/ and of the course; returns their paths."""
    folder.write(contents / "course")
    for notebook in (ROOT / "examples").glob("*.ipynb"):
        (contents / notebook.name).write_bytes(notebook.read_bytes())
    notebooks = sorted(contents.rglob("*.ipynb"))
    for notebook in notebooks:
        notebook.write_text(with_install(notebook.read_text(encoding="utf-8")), encoding="utf-8")
    return notebooks


def build(out: Path) -> None:
    """The site, into `out`."""
    with tempfile.TemporaryDirectory() as scratch:
        wheels, contents = Path(scratch, "wheels"), Path(scratch, "contents")
        contents.mkdir()
        subprocess.run([sys.executable, "-m", "build", "--wheel", "--outdir", wheels, ROOT], check=True)
        write_contents(contents)
        (wheel,) = wheels.glob("*.whl")
        subprocess.run(
            [sys.executable, "-m", "jupyter", "lite", "build", "--lite-dir", scratch, "--contents", contents,
             "--output-dir", out.resolve(), "--piplite-wheels", wheel],
            check=True, cwd=scratch,
        )  # fmt: skip


if __name__ == "__main__":
    build(Path(sys.argv[1]))
    print(f"wrote {sys.argv[1]}: python -m http.server -d {sys.argv[1]}, then open the address that it prints")
