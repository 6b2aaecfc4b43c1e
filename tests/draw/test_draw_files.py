"""Pictures as files and in notebooks: with, without, and with a slow Graphviz."""

import os
import re
import sys
import time

import pytest

from tests.draw.test_draw import needs_graphviz, perceptron, stand_in, tanh_of_product
from tinygrad_edu.draw import draw
from tinygrad_edu.draw import render as render_module
from tinygrad_edu.errors import DrawError

# Files and notebooks


FIRST_BYTES = {
    "svg": b"<?xml",
    "png": b"\x89PNG\r\n\x1a\n",
    "pdf": b"%PDF-",
    "dot": b"digraph",
    "html": b"<!DOCTYPE html>",
}


@needs_graphviz
@pytest.mark.parametrize("suffix", FIRST_BYTES)
def test_save_writes_the_format_of_the_suffix(suffix, tmp_path):
    path = draw(tanh_of_product()).save(tmp_path / "new" / f"picture.{suffix}")
    assert path == tmp_path / "new" / f"picture.{suffix}"
    assert path.read_bytes().startswith(FIRST_BYTES[suffix])
    assert os.listdir(path.parent) == [path.name]


@needs_graphviz
def test_png_is_drawn_for_dense_screens(tmp_path):
    drawing = draw(tanh_of_product())
    width = int.from_bytes(drawing.save(tmp_path / "a.png").read_bytes()[16:20], "big")
    points = int(re.search(r'width="(\d+)pt"', drawing._repr_svg_())[1])
    assert width == pytest.approx(2 * points, rel=0.01)


@needs_graphviz
def test_page_stands_alone_and_says_what_it_shows(tmp_path):
    page = draw(tanh_of_product(), title="a < b").save(tmp_path / "a.html").read_text(encoding="utf-8")
    assert '<html lang="en">' in page
    assert "<title>a &lt; b</title>" in page
    assert 'role="group" aria-label="Computation graph of 4 nodes: 2 operations; inputs a, b; output y = -1"' in page
    assert "color-scheme: light dark" in page
    assert "<?xml" not in page
    assert not re.search(r'(src|href)="', page)


@needs_graphviz
def test_notebooks_get_svg_and_the_picture_is_made_once(monkeypatch):
    drawing = draw(tanh_of_product())
    svg = drawing._repr_svg_()
    assert "<svg" in svg
    assert "Helvetica,Arial,sans-serif" in svg
    assert repr(drawing) == f"<{drawing.summary}>"
    monkeypatch.setattr(render_module, "run_layout", None)
    assert drawing._repr_svg_() == svg


def test_a_picture_does_not_change_with_its_nodes():
    node = tanh_of_product()
    drawing = draw(node)
    before = drawing.dot
    node.data = 5.0
    assert drawing.dot == before != draw(node).dot


@pytest.mark.parametrize("name", ["a.jpg", "a", "a.svg.gz"])
def test_other_suffixes_are_refused_with_the_ones_that_work(name, tmp_path):
    with pytest.raises(DrawError, match=r"\.svg, \.png, \.pdf, \.dot, \.html"):
        draw(tanh_of_product()).save(tmp_path / name)


def no_commands(form):
    return iter(())


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "html"])
def test_without_graphviz_the_dot_text_is_saved(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(render_module, "commands", no_commands)
    drawing = draw(tanh_of_product())
    with pytest.warns(UserWarning, match=r"pip install \"tinygrad_edu\[viz\]\"") as caught:
        path = drawing.save(tmp_path / f"picture.{suffix}")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert path == tmp_path / "picture.dot"
    assert path.read_text(encoding="utf-8") == drawing.dot
    assert os.listdir(tmp_path) == ["picture.dot"]


def test_without_graphviz_notebooks_show_the_dot_text(monkeypatch):
    monkeypatch.setattr(render_module, "commands", no_commands)
    drawing = draw(tanh_of_product())
    assert drawing._repr_svg_() is None
    assert repr(drawing).startswith("digraph")
    assert repr(drawing).endswith("install the Graphviz program (dot).")


def fake_graphviz(monkeypatch, program):
    """A Python program in the place of dot, which begins within 10 ms of the processor: it reads no site-packages."""
    monkeypatch.setattr(render_module, "commands", lambda form: iter([[sys.executable, "-I", "-S", "-c", program]]))


SLEEP = "import time; time.sleep(60)"
SLOW_IN_FULL = "import sys, time; 'grouped by' in sys.stdin.read() or time.sleep(60); print('<svg>groups</svg>')"


@pytest.mark.slow
def test_a_slow_layout_is_collapsed(monkeypatch):
    fake_graphviz(monkeypatch, SLOW_IN_FULL)
    drawing = draw(perceptron(2, 3, 1), time_limit=3)
    assert drawing._repr_svg_().strip() == "<svg>groups</svg>"
    assert "The layout takes more than 3 s: 37 nodes drawn as 3 boxes, grouped by layer" in drawing.collapsed_dot
    assert "grouped by" not in drawing.dot


@pytest.mark.parametrize("collapse", ["none", "layer", "operation"])
def test_a_layout_that_stays_slow_is_an_error_with_numbers(collapse, monkeypatch):
    fake_graphviz(monkeypatch, SLEEP)
    drawing = draw(perceptron(2, 3, 1), time_limit=0.2, collapse=collapse)
    start = time.perf_counter()
    with pytest.raises(DrawError, match=r"time_limit=0\.2 s.* 37 nodes.*max_nodes= \(it is 300\).*collapse="):
        drawing._repr_svg_()
    assert time.perf_counter() - start < 10


@stand_in
def test_a_slow_dot_program_on_the_path_is_ended(monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text(f"#!{sys.executable}\n{SLEEP}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(DrawError, match="took more than time_limit"):
        draw(tanh_of_product(), time_limit=0.3).save(tmp_path / "a.svg")
    assert os.listdir(tmp_path) == ["dot"]


@pytest.mark.slow
@pytest.mark.parametrize("program", ["raise SystemExit('no such font')", SLEEP])
def test_a_failure_leaves_the_old_file(program, monkeypatch, tmp_path):
    old = tmp_path / "a.svg"
    old.write_text("old")
    fake_graphviz(monkeypatch, program)
    with pytest.raises(DrawError, match=r"no such font|time_limit"):
        draw(tanh_of_product(), time_limit=0.3).save(old)
    assert old.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.svg"]


def test_a_traceback_of_graphviz_is_told_by_its_last_line():
    said = render_module.complaint_in(
        "Traceback (most recent call last):\n  File ...\nOSError: No space left on device\n"
    )
    assert said == "OSError: No space left on device"
    assert render_module.complaint_in("Error: <stdin>: syntax error in line 1\nnear 'x'\n").endswith("near 'x'")


def test_a_full_disk_leaves_the_old_file(monkeypatch, tmp_path):
    old = tmp_path / "a.dot"
    old.write_text("old")
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        draw(tanh_of_product()).save(old)
    assert old.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.dot"]


def test_a_broken_dot_program_gives_way_to_the_next(monkeypatch):
    works = [sys.executable, "-c", "print('<svg/>')"]
    monkeypatch.setattr(render_module, "commands", lambda form: iter([["/nowhere/dot"], works]))
    assert draw(tanh_of_product())._repr_svg_().strip() == "<svg/>"


@stand_in
def test_dot_on_the_path_comes_first(monkeypatch, tmp_path):
    program = tmp_path / "dot"
    program.write_text(f"#!{sys.executable}\nimport sys; sys.stdin.read(); print(*sys.argv[1:])\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    drawing = draw(tanh_of_product())
    assert drawing.picture("png") == b"-Tpng -Gdpi=144\n"
    assert drawing.picture("svg") == b"-Tsvg\n"
