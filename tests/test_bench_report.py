"""bench: what the report and the chart show, and what is missing is named."""

import sys
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from bench.speed import chart, command, readme
from bench.speed.child import Result
from bench.speed.report import cells, duration, markdown, number
from bench.speed.timing import Timing
from bench.speed.workload import OURS
from bench.speed.workloads import ROWS
from tests.bench_rows import TOY, WEIGHT

pytestmark = pytest.mark.slow


# The report


def made_up(ours, theirs):
    return {TOY.name: Result({OURS: Timing(1.0, [ours]), "micrograd": Timing(9.0, [theirs])}, threads={"openblas": 1})}


def table(toy, ours, theirs, **more):
    return markdown([toy], made_up(ours, theirs), "1 May 2026", **more)


NONE = "## Losing cells\n\nNone.\n"
OUTCOMES = [  # (our time, theirs, the cells, the list of losing cells)
    (1e-3, 4e-3, "| 4.00 ms to 4.00 ms | 4.00x | 3x: met |", NONE),
    (
        2e-3,
        4e-3,
        "| 2.00x | 3x: **MISSED** |",
        "## Losing cells\n\n- toy against micrograd: 2.00x, required 3x (missed)\n",
    ),
    (8e-3, 4e-3, "| 0.500x **LOST** | 3x: **MISSED** |", "- toy against micrograd: 0.500x, required 3x (missed)\n"),
]


@pytest.mark.parametrize(("ours", "theirs", "row", "losing"), OUTCOMES)
def test_lost_and_missed_cells_are_marked_and_listed(toy, ours, theirs, row, losing):
    text = table(toy, ours, theirs)
    assert row in text
    assert losing in text


def test_a_cell_can_be_lost_and_yet_as_fast_as_required(toy):
    text = table(replace(toy, at_least={"micrograd": 0.4}), 2.0, 1.0)
    assert "| 0.500x **LOST** | 0.4x: met |" in text
    assert "- toy against micrograd: 0.500x, required 0.4x\n" in text


def test_a_cell_without_a_requirement_has_an_empty_place(toy):
    assert "| 4.00x |  |" in table(replace(toy, at_least={}), 1.0, 4.0)


def test_the_report_names_machine_date_versions_threads_and_what_is_missing(toy):
    text = table(toy, 1.0, 4.0)
    assert "toy: not_a_package is not installed, skipped" in text
    assert f"Python {sys.version.split()[0]}; 1 May 2026" in text
    assert f"{OURS} 1.0, micrograd 1.0, numpy 1.0" in text
    assert f"| toy | 1 | {OURS} | 1.00 s |" in text
    assert "a sum (threads in force: openblas 1)" in text
    assert "![" not in text
    assert "openblas 1 **instead of 2**)" in table(replace(toy, threads=2), 1.0, 4.0)
    assert "](bench.svg)" in table(toy, 1.0, 4.0, chart="bench.svg")


def test_limits_have_a_table_of_their_own(toy):
    text = markdown([WEIGHT], {"weight": Result(quantities=WEIGHT.measure())}, "today")
    assert "| weight | 2 | big | 3.00 kg | 2 kg: **MISSED** |" in text
    assert "| weight | 2 | small | 0.500 kg | 1 kg: met |" in text
    assert "- weight, big: 3.00 kg, at most 2 kg (missed)\n" in text
    assert "| workload |" not in text
    assert "| limit |" not in markdown([WEIGHT], {"weight": Result(failure="it broke")}, "today")


def test_a_limit_that_the_system_cannot_tell_is_named(tmp_path, toy, monkeypatch):
    monkeypatch.setitem(ROWS, "weight", replace(WEIGHT, needs="/not/here"))
    assert command.measured({"weight": 1}) == {}
    assert "- weight: this system has no /not/here, skipped" in markdown([ROWS["weight"]], {}, "today")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(2.5, "2.50 s"), (1234.5, "1,234 s"), (4e-3, "4.00 ms"), (2.34e-5, "23.4 µs"), (7e-8, "70.0 ns")],
)
def test_durations_have_three_digits(seconds, text):
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("x", "text"), [(0.853, "0.853"), (4.0, "4.00"), (99.96, "100."), (1234.5, "1,234"), (0.0, "0.00")]
)
def test_numbers_have_three_digits(x, text):
    assert number(x) == text


# The chart

RATIOS = [
    (replace(TOY, name="won & met", at_least={"micrograd": 3.0}), 40.0),
    (replace(TOY, name="lost <", at_least={"micrograd": 0.8}), 0.5),
    (replace(TOY, name="free", at_least={}), 1.5),
]


def charted():
    rows = [row for row, _ in RATIOS]
    results = {row.name: Result({OURS: Timing(1.0, [1.0]), "micrograd": Timing(1.0, [r])}) for row, r in RATIOS}
    return rows, results


def test_bars_run_from_1_to_the_ratio():
    pytest.importorskip("matplotlib")
    axes = chart.figure(cells(*charted())).axes[0]
    assert axes.get_xscale() == "log"
    bars = [(bar.get_x() + bar.get_width(), tuple(bar.get_facecolor())) for bar in axes.patches]
    assert [round(end, 9) for end, _ in bars] == [40.0, 0.5, 1.5]
    assert bars[0][1] == bars[2][1] != bars[1][1]
    low, high = axes.get_xlim()
    assert low < 0.5
    assert high > 40.0


def test_the_chart_is_svg_with_its_text_and_the_same_each_time(tmp_path):
    pytest.importorskip("matplotlib")
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    assert all(chart.write([*charted()[0], WEIGHT], charted()[1], path) for path in paths)
    texts = [node.text for node in ElementTree.parse(paths[0]).iter("{http://www.w3.org/2000/svg}text")]
    assert {"won & met vs. micrograd", "lost < vs. micrograd", "40.0x", "0.500x"} <= set(texts)
    assert "required" not in texts  # our own requirements do not matter to a reader
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_each_bar_of_the_page_has_a_name_in_its_table(tmp_path, monkeypatch):
    """The chart has the table's words for rows and peers, in the same order."""
    pytest.importorskip("matplotlib")
    rows = [ROWS[name] for name in readme.LABELS]
    results = {row.name: Result({package: Timing(1.0, [1.0]) for package in row.peers}) for row in rows}
    table = [line.split(" | ")[:2] for line in readme.lines(results)]
    in_table = [f"{row.removeprefix('| ')} vs. {peer}".replace("`", "") for row, peer in table]
    axes = chart.figure(cells(rows, results), readme.name_of_bar).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == in_table
    published = ElementTree.parse(readme.CHART).iter("{http://www.w3.org/2000/svg}text")
    assert set(in_table) <= {node.text for node in published}


def contrast(colour, ground):
    """Of WCAG 2.1: (L₁ + 0.05) / (L₂ + 0.05), L the relative luminance."""

    def luminance(text):
        parts = [int(text[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [x / 12.92 if x <= 0.03928 else ((x + 0.055) / 1.055) ** 2.4 for x in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    high, low = sorted((luminance(colour), luminance(ground)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ground", ["#ffffff", "#0d1117", "#000000"])
@pytest.mark.parametrize("colour", [chart.INK, chart.FASTER, chart.SLOWER])
def test_colours_show_on_light_and_dark_grounds(colour, ground):
    # 3: the minimum for graphics in WCAG
    assert contrast(colour, ground) > (4.2 if colour == chart.INK else 3.0) - 0.01


@pytest.mark.parametrize(
    "results", [{}, {TOY.name: Result({OURS: Timing(1.0, [1.0])})}, {TOY.name: Result(failure="x")}]
)
def test_without_a_ratio_there_is_no_chart(results, tmp_path):
    assert not chart.write([TOY], results, tmp_path / "a.svg")
    assert not (tmp_path / "a.svg").exists()
