"""Charts of runs: run.plot(), tg.compare, their files, their words, and what they refuse."""

import importlib
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.report.runs import HOSTILE, Page
from tinygrad_edu.charts.chart import DASHES, Chart, Line, Panel, curve_names, draw_panel, label, legend_height, series
from tinygrad_edu.charts.palette import MARKS
from tinygrad_edu.charts.pictures import HEIGHT, WIDTH, Canvas, style
from tinygrad_edu.errors import DrawError, SettingError
from tinygrad_edu.reporting import compare

matplotlib = pytest.importorskip("matplotlib")
X, Y = tg.data.moons(60, noise=0.2, seed=0)


def run(lr=0.01, optimizer=tg.optim.SGD, epochs=12, **settings):
    model = tg.nn.MLP([2, 4, 1], seed=0)
    settings = {"compiled": False} | settings
    return tg.fit(model, X, Y, loss="mse", optimizer=optimizer(model.parameters(), lr=lr), epochs=epochs, **settings)


def many(rates=(0.03, 0.3), seeds=6):
    return tg.fit_many(
        lambda seed: tg.nn.MLP([2, 3, 1], seed=seed), *tg.data.xor_gate(), loss="mse", epochs=20, tol=0.01,
        optimizer=lambda parameters: tg.optim.SGD(parameters, lr=0.1), seeds=range(seeds), learning_rates=rates,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs():
    return [run(0.01), run(0.1, validation=0.2), run(0.05, tg.optim.Adam)]


def test_the_names_are_the_settings_that_differ(runs):
    names = [line.name for line in tg.compare(runs).panels[0].lines]
    assert names[0] == "optimizer=SGD, lr=0.01, validation=None"
    assert [line.name for line in tg.compare([runs[0], run(0.5)]).panels[0].lines] == ["lr=0.01", "lr=0.5"]
    assert [line.name for line in tg.compare([runs[0], runs[0]]).panels[0].lines] == ["run 1", "run 2"]


@pytest.mark.parametrize("kind", ["list", "names", "dict"])
def test_runs_are_named_by_the_user(runs, kind):
    given = {
        "list": tg.compare(runs[:2]),
        "names": tg.compare(runs[:2], ["a", "b"]),
        "dict": tg.compare({"a": runs[0], "b": runs[1]}),
    }[kind]
    lines = given.panels[0].lines
    assert [line.curve.tolist() for line in lines[:2]] == [runs[0].loss_curve.tolist(), runs[1].loss_curve.tolist()]
    assert lines[2].curve.tolist() == runs[1].validation_curve.tolist()
    assert lines[2].colour == lines[1].colour
    assert lines[2].dash != lines[1].dash
    if kind != "list":
        assert [line.name for line in lines] == ["a", "b", "b, validation"]


def test_many_seeds_are_a_median_a_band_and_the_seeds_behind():
    outcome = many()
    panel = tg.compare(outcome).panels[0]
    assert curve_names(panel) == ["lr=0.03", "lr=0.3"]
    assert sum(line.faint for line in panel.lines) == 12
    median = next(line.curve for line in panel.lines if line.name == "lr=0.3")
    assert median[-1] == pytest.approx(np.median(outcome.losses[1]))
    assert np.isfinite(median).all(), "a run that has ended counts with its last loss"
    low, high = panel.bands[1].low, panel.bands[1].high
    assert (low <= median).all()
    assert (median <= high).all()


def test_estimators_and_plain_losses_are_curves_too(runs):
    warning = pytest.importorskip("sklearn.exceptions").ConvergenceWarning
    with pytest.warns(warning):
        fitted = tg.estimators.MLPRegressor(max_iter=5, random_state=0, tol=0.0).fit(X, Y.ravel())
    chart = tg.compare({"estimator": fitted, "run": runs[0], "by hand": [3.0, 2.0, 1.0]})
    assert [len(line.curve) for line in chart.panels[0].lines] == [5, 12, 3]


@pytest.mark.parametrize(
    ("runs", "names", "said"),
    [
        ([], None, "0 curves"), (["abc"], None, "str is not a run"), ([object()], None, "object is not a run"),
        ([[1.0, 2.0]], ["a", "b"], "2 names for 1 run"), ([[1.0]] * 33, None, "33 curves"), ([[]], None, "0 curves"),
    ],
)  # fmt: skip
def test_what_is_no_run_is_refused(runs, names, said):
    with pytest.raises(SettingError, match=said):
        tg.compare(runs, names)


def test_a_run_is_plotted_with_all_its_curves(runs):
    loss, lengths = runs[1].plot().panels
    assert [line.name for line in loss.lines] == ["training", "validation"]
    assert [line.name for line in lengths.lines] == ["gradient", "update"]
    assert loss.title == "Loss (mse)"


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf", "html"])
@pytest.mark.parametrize("curve", [[1.0], [1.0, np.nan, np.inf, 2.0], [0.0, -1.0], [np.nan], [1e300, 1e-300]], ids=str)
def test_every_curve_is_drawn_in_every_form(tmp_path, suffix, curve):
    chart = tg.compare({"$x_": curve, "_b$\\frac": curve[::-1], HOSTILE: curve})
    content = chart.save(tmp_path / "folder" / f"chart.{suffix}").read_bytes()
    assert content.startswith({"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "html": b"<!DOCTYPE"}[suffix])
    if suffix == "svg":
        ET.fromstring(content)
    if suffix == "html":
        page = Page(content.decode())
        assert page.unbalanced == []
        assert page.all("script") == []
        assert page.all("img") == []
        assert "://" not in re.sub(r'xmlns="[^"]*"', "", content.decode()), "nothing is loaded"


def test_other_suffixes_are_refused(tmp_path, runs):
    with pytest.raises(DrawError, match=r"Use one of \.svg, \.png, \.pdf, \.html"):
        tg.compare(runs).save(tmp_path / "chart.gif")
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_gets_a_fluid_svg_and_a_png(runs):
    bundle = tg.compare(runs)._repr_mimebundle_()
    head = bundle["image/svg+xml"].partition(">")[0]
    assert 'pt" style="' in head
    assert 'max-width: 100%; height: auto"' in head
    assert ' height="' not in head
    assert "viewBox=" in head
    assert "<style" not in bundle["image/svg+xml"], "a rule would be for the whole notebook"
    ET.fromstring(bundle["image/svg+xml"])
    assert set(bundle) == {"text/plain", "image/svg+xml", "image/png"}


def test_labels_are_not_formulas():
    from matplotlib.figure import Figure

    from tinygrad_edu.charts.palette import LIGHT
    from tinygrad_edu.charts.pictures import Canvas

    figure = Figure()
    axes = figure.add_subplot()
    names = ["$\\frac", "_hidden", "a_b^2", "two\nlines"]
    draw_panel(Canvas(figure, axes, LIGHT), Panel("p", [Line(name, np.ones(2)) for name in names]))
    assert [text.get_text() for text in axes.get_legend().get_texts()] == [label(name) for name in names]
    assert Chart([Panel("p", [Line(n, np.ones(2)) for n in names])], "s").picture("svg")


def test_a_run_without_an_epoch_says_so():
    model = tg.nn.MLP([2, 4, 1], seed=0)
    given = {"optimizer": tg.optim.SGD(model.parameters(), lr=1e300), "epochs": 5, "compiled": False, "batch_size": 7}
    ended = tg.fit(model, X * 1e200, Y, loss="mse", **given)
    assert ended.n_epochs == 0
    with pytest.raises(SettingError, match="no epoch was finished"):
        ended.plot()
    with pytest.raises(SettingError, match="0 curves"):
        tg.compare([ended])


def test_a_run_out_of_a_file_is_plotted(tmp_path, runs):
    for name in ("run.json", "run.safetensors"):
        again = tg.train.Run.load(runs[1].save(tmp_path / name))
        assert again.plot().summary == runs[1].plot().summary


def test_long_names_that_differ_at_their_end_are_told_apart_in_the_legend():
    names = ["a network of many words, with lr=" + "0" * 30 + end for end in ("1", "2", "1, validation")]
    assert len({label(name) for name in names}) == 3
    assert all(len(label(name)) <= 40 for name in names)


@pytest.mark.parametrize("count", [2, 9, 16, 17, 32])
@pytest.mark.parametrize("validation", [False, True])
def test_no_two_lines_of_a_chart_look_the_same(count, validation):
    curve = np.linspace(1.0, 0.5, 3)
    entries = [compare.ComparedCurve(f"run {i}", curve, curve if validation else np.empty(0)) for i in range(count)]
    drawn, note = compare.drawable_pairs(entries)
    lines = [line for place, entry in enumerate(drawn) for line in compare.compare_lines(entry, place, drawn)]
    looks = {(series(line.colour), DASHES[line.dash % len(DASHES)]) for line in lines}
    assert len(looks) == len(lines) >= count
    assert bool(note) == (validation and count > 16), "what is left out is said"
    assert len(lines) == (2 * count if validation and count <= 16 else count)


def test_rates_are_rounded_where_that_tells_the_runs_apart(runs):
    def names(*rates):
        return [line.name for line in tg.compare([run(rate, epochs=1) for rate in rates]).panels[0].lines]

    assert names(0.3 / 11, 0.4 / 11) == ["lr=0.02727", "lr=0.03636"]
    assert names(0.1, 0.100001) == ["lr=0.1", "lr=0.100001"]


@pytest.mark.parametrize("rows", [2, 6, 24, 32])
def test_the_space_of_a_legend_is_the_height_it_takes(rows):
    panel = Panel("Loss", [Line(f"a name as long as a legend has: {i}", np.ones(2), i) for i in range(rows)])
    with matplotlib.rc_context(style(dict(MARKS))):
        figure = importlib.import_module("matplotlib.figure").Figure(
            figsize=(WIDTH, HEIGHT + legend_height(panel)), dpi=72
        )
        draw_panel(Canvas(figure, figure.add_axes((0.14, 0.4, 0.8, 0.5))), panel)
        figure.canvas.draw()
        taken = figure.axes[0].get_legend().get_window_extent().height / 72
    assert taken < legend_height(panel) < taken + 0.15
