"""Everything that a notebook shows, made by a real kernel and laid in a cell of several widths: nothing is cut off."""

import base64
import html
import re

import pytest

from tests.browser import prefer, resize
from tests.test_notebooks import EXAMPLES, nbclient, nbformat
from tinygrad_edu.draw import render

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")]

BEGIN = """
import numpy as np, tinygrad_edu as tg
X, y = tg.data.moons(40, noise=0.1, seed=0)
def train(lr, epochs=30):
    model = tg.nn.MLP([2, 8, 8, 8, 1], seed=0)
    optimizer = tg.optim.Adam(model.parameters(), lr=lr)
    return tg.fit(model, X, y, loss="mse", optimizer=optimizer, epochs=epochs, compiled=False, progress=False)
run = train(0.01)
def backward(x, W, b):
    return (x @ W + b).sum()
"""
SHOWN = {  # name: (a cell, whether it must show a picture in untrusted notebooks)
    "graph": ("tg.draw(tg.nn.losses.mse(run.model(X), y), title='A long title of many words ' * 4)", True),
    "graph of Values": ("tg.draw(tg.nn.MLP([2, 6, 6, 1], seed=0, backend='scalar'), collapse='none')", True),
    "chain": ("x = tg.Value(0.5, label='x')\\nfor _ in range(25): x = x.tanh()\\ntg.draw(x, direction='LR')", True),
    "network": ("tg.draw(run.model, style='network', color='health', inputs=X)", True),
    "formula": ("tg.draw((tg.Value(2.0, label='a') * 3.0).tanh()).latex()", False),
    "curves": ("tg.compare({'a name of many letters ' * 4: run, 'b': train(0.1)})", True),
    "plot": ("run.plot()", True),
    "animation": ("tg.animate(run)", False),
    "playground": ("tg.playground()", False),
    "diagnosis": ("tg.clinic.diagnose(run, X, y, budget_s=3)", False),
    "run": ("run", False),
    "report": ("tg.report(run, diagnosis=None)", False),
}


@pytest.fixture(scope="module")
def bundles(tmp_path_factory):
    """What the kernel gives for each, by type."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(EXAMPLES.parent))
        codes = [BEGIN, *(code.replace("\\n", "\n") for code, _ in SHOWN.values())]
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code) for code in codes])
        folder = str(tmp_path_factory.mktemp("notebook"))
        nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": folder}}).execute()
    told = [[output for output in cell.outputs if "data" in output] for cell in notebook.cells[1:]]
    assert all(len(outputs) == 1 for outputs in told), "one output for each cell"
    nbformat.validate(notebook)
    return {name: outputs[0].data for name, outputs in zip(SHOWN, told, strict=True)}


def inside(bundle):
    """What a notebook shows of a bundle: HTML before SVG before text."""
    if "text/html" in bundle:
        return bundle["text/html"]
    return bundle.get("image/svg+xml") or f"<pre>{html.escape(bundle['text/plain'])}</pre>"


OUTSIDE = """
  const cell = document.getElementById("cell").getBoundingClientRect();
  return [...document.querySelectorAll("#cell *")].filter(e => {
    const at = e.getBoundingClientRect();
    const scrolls = e.closest("[style*='overflow']") || (e.closest("pre") && e.tagName !== "PRE");
    return at.width && !scrolls && (at.right > cell.right + 1 || at.left < cell.left - 1);
  }).map(e => e.outerHTML.slice(0, 80));
"""


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", SHOWN)
def test_what_a_cell_shows_is_not_cut_off(browser, bundles, tmp_path, name):
    style = "pre { overflow-x: auto } body { margin: 0 }"
    page = tmp_path / "cell.html"
    for width in (360, 700, 1100):
        body = f'<div id="cell" style="width: {width}px">{inside(bundles[name])}</div>'
        page.write_text(f'<!DOCTYPE html><meta charset="utf-8"><style>{style}</style>{body}', encoding="utf-8")
        resize(browser, width + 40)
        prefer(browser, "light")
        browser.get(page.as_uri())
        assert browser.execute_script(OUTSIDE) == [], width


@pytest.mark.filterwarnings("default")
def test_jupyterlab_which_shows_svg_by_img_keeps_its_size(browser, bundles, tmp_path):
    """Without a width of its own the picture was as wide as the cell, and its letters twice those of the page."""
    svgs = [base64.b64encode(bundles[name]["image/svg+xml"].encode()).decode() for name in ("graph", "curves", "plot")]
    images = "".join(f'<p><img style="max-width: 100%" src="data:image/svg+xml;base64,{svg}"></p>' for svg in svgs)
    page = tmp_path / "images.html"
    page.write_text(f"<!DOCTYPE html>{images}", encoding="utf-8")
    resize(browser, 1800)
    browser.get(page.as_uri())
    found = browser.execute_script("return [...document.images].map(e => e.getBoundingClientRect().width)")
    asked = [float(re.search(r'<svg[^>]* width="([\d.]+)pt"', bundles[name]["image/svg+xml"])[1]) * 96 / 72
             for name in ("graph", "curves", "plot")]  # fmt: skip
    assert found == pytest.approx(asked, abs=1)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", [name for name, (_, picture) in SHOWN.items() if picture])
def test_where_it_is_not_trusted_there_is_a_picture(bundles, name):
    png = base64.b64decode(bundles[name]["image/png"])
    assert png.startswith(b"\x89PNG")
    wide, high = (int.from_bytes(png[k : k + 4], "big") for k in (16, 20))
    assert wide <= 2400 or "LR" in SHOWN[name][0] or "none" in SHOWN[name][0]  # in words a width was asked for
    assert high >= 100


@pytest.mark.filterwarnings("default")
def test_every_bundle_has_words_and_no_script_of_its_own(bundles):
    for name, bundle in bundles.items():
        assert bundle["text/plain"].strip(), name
        outside = re.sub(r'srcdoc="[^"]*"', "", bundle.get("text/html", ""))
        assert "<script" not in outside, name
        assert "<iframe" not in outside or "run this cell again" in outside, name
    assert 'href="out/report.html"' in bundles["report"]["text/html"]
    assert bundles["formula"]["text/latex"].startswith("$")
