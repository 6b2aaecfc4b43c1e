"""What a notebook is given of a drawing: pictures that are not cut off, in trusted notebooks and in others."""

import base64

import pytest

from tinygrad_edu import Value
from tinygrad_edu.draw import draw, render

needs_graphviz = pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")


def long_chain():
    node = Value(0.5, label="x")
    for _ in range(30):
        node = node.tanh()
    return node


@needs_graphviz
def test_a_wide_picture_is_as_wide_as_the_cell_at_most():
    svg = draw(long_chain())._repr_mimebundle_()["image/svg+xml"]
    head = svg[svg.index("<svg") :].partition(">")[0]
    assert 'pt" style="' in head
    assert 'max-width: 100%; height: auto"' in head
    assert ' height="' not in head
    assert "viewBox=" in head, "without it the picture would not shrink"


@needs_graphviz
def test_a_notebook_that_is_not_trusted_gets_a_png():
    bundle = draw(long_chain())._repr_mimebundle_()
    assert base64.b64decode(bundle["image/png"]).startswith(b"\x89PNG")
    assert bundle["text/plain"].startswith("<Computation graph")


def test_without_graphviz_there_is_the_text_alone(monkeypatch):
    monkeypatch.setattr(render, "commands", lambda form: iter(()))
    assert list(draw(long_chain())._repr_mimebundle_()) == ["text/plain"]
