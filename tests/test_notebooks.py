"""The notebooks: valid, stored without outputs, and run from top to bottom with their pictures as SVG."""

import re
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")
pytest.importorskip("matplotlib")

from tinygrad_edu.draw import render  # noqa: E402  (after what says that the extra `test` is missing)

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"
PICTURES = {"backprop_picture_by_picture": 7, "why_does_my_network_not_converge": 3}  # number of SVG pictures
NOTEBOOKS = pytest.mark.parametrize("name", PICTURES)


CELL = 900.0  # points that fit in a notebook's cell beside the prompt, in a window of 1,400 pixels


def width(svg):
    """In points; 0 for a picture that takes the width it is given."""
    given = re.search(r'<svg[^>]*? width="([\d.]+)(pt|%)"', svg)
    return 0.0 if given[2] == "%" else float(given[1])


def read(name):
    return nbformat.read(EXAMPLES / f"{name}.ipynb", as_version=4)


def test_every_notebook_is_listed_here():
    assert {path.stem for path in EXAMPLES.glob("*.ipynb")} == set(PICTURES)


@NOTEBOOKS
def test_a_notebook_is_valid_and_begins_with_what_one_learns(name):
    notebook = read(name)
    nbformat.validate(notebook)
    assert notebook.cells[0].cell_type == "markdown"
    assert "You will" in notebook.cells[0].source


@NOTEBOOKS
def test_a_notebook_is_stored_without_outputs(name):
    cells = [cell for cell in read(name).cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in cells] == [([], None)] * len(cells)


@NOTEBOOKS
@pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")
@pytest.mark.filterwarnings("default")  # warnings of the kernel's own libraries; those of the cells are checked below
def test_a_notebook_runs_and_shows_its_drawings(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    notebook = read(name)
    client = nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()  # raises if a cell does: the cells assert what they claim
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    drawings = [output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert len(drawings) == PICTURES[name]
    assert all("</svg>" in drawing for drawing in drawings)
    assert all(width(drawing) <= CELL for drawing in drawings), "cut off at the right"
    in_both_forms = [set(output.data) for output in outputs if "image/svg+xml" in output.get("data", {})]
    assert all("image/png" in forms for forms in in_both_forms), "nothing to see where the notebook is not trusted"


# Progress bars

BARS = """
import numpy as np, tinygrad_edu as tg
from tinygrad_edu.train import progress_bar
progress_bar.EVERY_S = 0.0
X, y = tg.data.xor_gate()
def run(epochs, **settings):
    model = tg.nn.MLP([2, 3, 1], seed=0)
    return tg.fit(model, X, y, loss="mse", optimizer="adam", epochs=epochs, compiled=False, **settings)
"""
CELLS = {
    "asked for": ("run(5, progress=True);", True),
    "long, by default": ("progress_bar.DELAY_S = 0.0; run(5);", True),
    "short, by default": ("progress_bar.DELAY_S = 60.0; run(5);", False),
    "refused": ("run(5, progress=False);", False),
}


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.filterwarnings("default")
def test_a_notebook_shows_the_bar_as_html_and_takes_it_away(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(EXAMPLES.parent))
    code, bar = CELLS[name]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(BARS), nbformat.v4.new_code_cell(code)])
    seen = []
    client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(tmp_path)}})
    update = client.process_message
    client.process_message = lambda message, *rest: (seen.append(message), update(message, *rest))[1]
    client.execute()
    pictures = [m["content"]["data"].get("text/html", "") for m in seen if "data" in m["content"]]
    assert [output for output in notebook.cells[1].outputs if output.get("name") == "stderr"] == []
    assert any("<progress " in text and "/5 epoch" in text for text in pictures) == bar
    left = [output.get("data", {}).get("text/html", "") for output in notebook.cells[1].outputs]
    assert not any("<progress" in text for text in left), "it is gone at the end"
