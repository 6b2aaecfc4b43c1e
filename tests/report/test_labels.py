"""The words of charts: numbers beside axes that tell each other apart, names in legends, links of a report."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.browser import resize
from tests.interop import node
from tests.report.test_ticks import PLOTS
from tinygrad_edu.charts.axes import LONGEST, tick_texts
from tinygrad_edu.charts.chart import WIDEST, Chart, Line, Panel, label, text_width

RNG = np.random.default_rng(0)
SCALES = [(1.0, 1e-6), (1.48e17, 1e11), (0.1, 1e-9), (3e-9, 1e-13), (1.0, 2.0), (100.0, 37.0), (1e-5, 1e5)]


@pytest.mark.parametrize(("low", "step"), SCALES)
def test_ticks_have_texts_that_differ_and_say_their_numbers(low, step):
    ticks = [low + k * step for k in range(4)]
    texts, base = tick_texts(ticks)
    assert len(set(texts)) == 4
    assert max(map(len, texts)) <= LONGEST
    told = np.array(list(map(float, texts))) + float(base.lstrip("+ ") or 0.0)
    assert told == pytest.approx(ticks, abs=0.02 * step + 1e-12 * low)


@pytest.mark.slow
def test_drawn_ticks_of_random_axes_differ(tmp_path):
    pytest.importorskip("matplotlib")
    for _ in range(12):
        low = 10.0 ** RNG.uniform(-8, 17)
        curve = low * (1.0 + np.linspace(1, 0, 20) * 10.0 ** RNG.uniform(-6, 1))
        for name in ("training", "x"):
            svg = Chart([Panel("Loss", [Line(name, curve)])], "s").picture("svg").decode()
            beside = re.findall(r"text-anchor: end[^>]*>([^<+]+)</text>", svg)
            assert len(beside) > 1
            assert len(set(beside)) == len(beside), beside
            assert max(map(len, beside)) <= LONGEST + 2, beside


def test_ticks_of_the_pages_differ_too(tmp_path):
    axes = [(low, low + 3 * step) for low, step in SCALES]
    calls = f"for (const [a, b] of {node.literal(axes)}) found.push(plots.texts(plots.ticks(a, b, 4)).texts.join('|'));"
    for told in node.run(PLOTS.read_text(encoding="utf-8") + calls, tmp_path):
        texts = told.split("|")
        assert len(texts) > 1
        assert len(set(texts)) == len(texts), texts
        assert max(map(len, texts)) <= 9, texts


NAMES = [
    "W" * 60,
    "i" * 60,
    "字" * 40,
    "a long name of many words that goes on and on, lr=0.1",
    "cost in $ \\alpha $x^2$",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_legend_fits_and_keeps_its_signs(browser, tmp_path, name):
    assert text_width(label(name)) <= WIDEST
    chart = tg.compare({name: [1.0, 0.5], "b": [1.0, 0.25]})
    if "$" in name:
        assert name in chart.picture("svg").decode()
    browser.get(chart.save(tmp_path / "names.html").as_uri())
    for width in (400, 700, 1200):
        resize(browser, width)
        outside = """
          const frame = document.querySelector("figure svg").getBoundingClientRect();
          return [...document.querySelectorAll("figure svg text")].filter(text => {
            const at = text.getBoundingClientRect();
            return at.right > frame.right + 1 || at.left < frame.left - 1;
          }).map(text => text.textContent)"""
        assert browser.execute_script(outside) == []


def test_runs_are_named_by_what_differs_and_not_cut():
    runs = []
    for sizes, activation, lr in (
        ([2, 8, 8, 1], "tanh", 0.1),
        ([2, 16, 16, 16, 1], "sigmoid", 0.25),
        ([2, 4, 1], "relu", 1),
    ):
        model = tg.nn.MLP(sizes, activation=activation, seed=0)
        optimizer = tg.optim.SGD(model.parameters(), lr=lr * 0.01)
        runs.append(tg.fit(model, *tg.data.xor_gate(), loss="mse", optimizer=optimizer, epochs=2))
    told = repr(tg.compare(runs))
    assert "…" not in told
    assert "sizes=2-8-8-1" in told


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 560, 700, 820, 1000])
def test_no_link_of_a_report_is_cut(browser, tmp_path, width):
    model = tg.nn.MLP([2, 3, 1], seed=0)
    run = tg.fit(model, *tg.data.xor_gate(), loss="mse", optimizer=tg.optim.SGD(model.parameters(), lr=0.1), epochs=5)
    path = tmp_path / "report.html"
    tg.report(run, diagnosis=None, path=path)
    resize(browser, width)
    browser.get(path.as_uri())
    right = "return Math.max(...[...document.querySelectorAll('nav a')].map(a => a.getBoundingClientRect().right))"
    assert browser.execute_script(right) <= width
