"""The main job: both back ends side by side over the whole run, its pictures, and what it does without its extras."""

import io
import re
import sys

import numpy as np
import pytest

from tinygrad_edu import demo as module
from tinygrad_edu.demo import Lockstep, demo, over_rounds, progress, relative_difference
from tinygrad_edu.draw import render

pytestmark = pytest.mark.slow

STARTS = {".svg": b"<?xml", ".png": b"\x89PNG\r\n\x1a\n", ".dot": b"digraph"}
needs_pictures = pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The demo as `make demo` runs it."""
    out = tmp_path_factory.mktemp("demo") / "out"
    return demo(out), out


def test_the_back_ends_agree_over_the_whole_run(whole):
    runs, _ = whole
    assert [run.gate for run in runs] == ["OR", "XOR"]
    for run in runs:
        assert {len(losses) for losses in run.losses.values()} == {2000}
        assert 0.0 < run.gradient_difference <= 1e-12
        assert 0.0 < run.loss_difference <= 1e-12
        np.testing.assert_allclose(run.losses["scalar"], run.losses["tensor"], rtol=1e-12)


def test_both_gates_are_learned(whole):
    for run in whole[0]:
        assert np.mean(run.losses["tensor"][-4:]) < 1e-3
        assert float(re.search(r"1 - mean error +([\d.]+)%", run.line())[1]) > 97.0


@needs_pictures
def test_pictures_begin_with_the_bytes_of_their_format(whole):
    pytest.importorskip("matplotlib")
    pictures = sorted(whole[1].iterdir())
    assert [p.name for p in pictures] == [
        "loss.png", "xor_scalar.png", "xor_scalar.svg", "xor_tensor.png", "xor_tensor.svg",
    ]  # fmt: skip
    for picture in pictures:
        assert picture.read_bytes().startswith(STARTS[picture.suffix]), picture


@needs_pictures
@pytest.mark.parametrize(
    ("backend", "words"),
    [("scalar", ["x0", "layers.0.weight[2,1]", "tanh"]), ("tensor", ["layers.1.weight", "squared_error"])],
)
def test_the_graph_shows_inputs_weights_operations_and_the_loss(backend, words, whole):
    svg = (whole[1] / f"xor_{backend}.svg").read_text(encoding="utf-8")
    for word in [*words, "loss", "grad", f"XOR, one sample, {backend} back end"]:
        assert f">{word}" in svg


# Differences are measured


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [([1.0, 2.0], [1.0, 2.0], 0.0), ([0.0, 0.0], [0.0, 0.0], 0.0), ([1.0, 4.0], [1.0, 3.0], 0.25), ([0.0], [2.0], 1.0)],
)
def test_relative_difference_is_of_the_largest_entry(a, b, expected):
    assert relative_difference(np.array(a), np.array(b)) == expected


def test_a_weight_moved_by_a_billionth_is_seen():
    """The comparison would find a difference if there were one."""
    run = Lockstep("XOR")
    weight = run.models["tensor"].layers[0].weight
    weight.data = weight.data * (1.0 + 1e-9)
    for i in range(4):
        run.step(i)
    assert min(run.gradient_difference, run.loss_difference) > 1e-11


def test_over_rounds_leaves_out_the_last_incomplete_round():
    steps, means = over_rounds([1.0, 3.0, 5.0, 7.0, 100.0], 2)
    assert (steps.tolist(), means.tolist()) == ([2, 4], [2.0, 6.0])


# Short runs, logs, terminals


@pytest.mark.parametrize("steps", [1, 3, 5])
def test_a_short_run_is_drawn_too(steps, tmp_path, capsys):
    assert [len(run.losses["scalar"]) for run in demo(tmp_path, steps)] == [steps, steps]
    assert f"over {2 * steps} steps" in capsys.readouterr().out


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(("stream", "bar"), [(Terminal, True), (io.StringIO, False)])
def test_the_bar_is_for_terminals(stream, bar, monkeypatch):
    monkeypatch.setattr(sys, "stderr", stream())
    assert list(progress(5, "XOR")) == [0, 1, 2, 3, 4]
    assert ("XOR" in sys.stderr.getvalue()) == bar


# Without the extra `viz`


def test_without_matplotlib_one_sentence_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    demo(tmp_path, steps=4)
    advice = 'No loss plot without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.'
    assert capsys.readouterr().out.splitlines()[-1] == advice
    assert not list(tmp_path.glob("loss*"))
    assert list(tmp_path.glob("xor*"))


def test_without_graphviz_the_dot_text_is_written(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(render, "commands", lambda form: iter(()))
    monkeypatch.setattr(module, "has_matplotlib", lambda: False)
    demo(tmp_path, steps=4)
    assert capsys.readouterr().out.count("pip install") == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["xor_scalar.dot", "xor_tensor.dot"]
    assert all(p.read_bytes().startswith(STARTS[".dot"]) for p in tmp_path.iterdir())
