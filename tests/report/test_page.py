"""The page of a run: its structure, its safety, and what it says where something is not known."""

import itertools
import re
import subprocess
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.report.runs import HOSTILE, Card, Page, of_moons, of_spirals
from tinygrad_edu.charts import palette
from tinygrad_edu.charts.axes import thin_points
from tinygrad_edu.draw import render
from tinygrad_edu.errors import CheckpointError, SettingError, ShapeError
from tinygrad_edu.reporting import theme
from tinygrad_edu.train import Histograms, Run

pytest.importorskip("matplotlib")
needs_graphviz = pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")


@pytest.fixture(scope="module")
def run():
    return of_moons()


@pytest.fixture(scope="module")
def bare():
    """A run without histograms: its page is made in a fifth of the time."""
    return of_moons(sizes=(2, 3, 1), epochs=3, callbacks=[])


@pytest.fixture(scope="module")
def text(run, tmp_path_factory):
    path = tg.report(run, path=tmp_path_factory.mktemp("report") / "new" / "run.html", diagnosis=Card(), title=HOSTILE)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def written(run, tmp_path, **options):
    return tg.report(run, path=tmp_path / "run.html", **{"diagnosis": None} | options).read_text(encoding="utf-8")


# Structure


@pytest.mark.slow
def test_every_element_is_closed(page):
    assert page.unbalanced == []
    assert page.stack == []


def test_ids_are_unique_and_references_lead_somewhere(page, text):
    ids = [a["id"] for _, a, _ in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    names = ("aria-labelledby", "aria-describedby", "for")
    wanted = {a[name] for _, a, _ in page.elements for name in names if name in a}
    wanted |= {a["href"][1:] for _, a, _ in page.elements if "href" in a}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", text))
    assert wanted <= set(ids)
    assert len(wanted) > 10


def test_every_picture_has_a_name(page):
    pictures = page.all("svg")
    assert len(pictures) >= 2 * 2 + 1 + 1 + 3 * 3 * 2  # two charts in two scales, the plane, the graph, three layers
    assert all(a["role"] == "img" and len(a["aria-label"]) > 20 for a in pictures)
    assert not page.all("img")
    names = [a["aria-label"] for a in pictures]
    assert any(re.match(r"Loss \(mse\) over 12 epochs: training from .* Logarithmic scale\.", name) for name in names)


def test_headings_and_landmarks(page):
    levels = [int(tag[1]) for tag, _, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(page.all(landmark)) == 1
    assert page.all("html") == [{"lang": "en"}]
    assert page.words("h2") == [
        "Summary", "Diagnosis", "Curves", "What it has learned", "Network", "Layers over time", "Reproduce this run"
    ]  # fmt: skip


def test_every_control_has_a_label_and_every_chart_a_table(page):
    labelled = {a["for"] for a in page.all("label") if "for" in a}
    for _, attributes, above in [e for e in page.elements if e[0] == "input"]:
        assert attributes.get("id") in labelled or "label" in above
    assert len(page.all("fieldset")) == len(page.all("legend")) == 2
    for tag, _, above in page.elements:
        if tag == "table":
            assert "section" in above
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("scope" in a for a in page.all("th"))
    figures = text_of_figures(page)
    assert figures
    assert all(tags.count("table") == 1 for tags in figures)


def text_of_figures(page):
    """The tags inside each figure."""
    found = []
    for tag, _, above in page.elements:
        if tag == "figure":
            found.append([])
        elif "figure" in above:
            found[-1].append(tag)
    return found


def test_what_scrolls_can_be_reached_by_keyboard(page):
    scrolling = [a for _, a, _ in page.elements if a.get("class") == "scroll"]
    assert len(scrolling) > 5
    assert all(a["tabindex"] == "0" and a["aria-label"] for a in scrolling)


# Safety


def test_nothing_is_loaded_from_anywhere(page, text):
    assert "//" not in re.sub(r"^ *//.*$", "", text, flags=re.MULTILINE)  # apart from the script's comments
    assert "@import" not in text
    assert not page.all("link")
    assert not [a for _, a, _ in page.elements if "src" in a]
    assert all(a["href"].startswith("#") for _, a, _ in page.elements if "href" in a)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]


@pytest.mark.slow
def test_user_text_is_never_markup(page, text, tmp_path):
    assert len(page.all("script")) == 1
    assert page.words("h1") == [HOSTILE]
    assert "<img" not in text
    run = of_moons(epochs=2)
    run.config |= {HOSTILE: HOSTILE, "loss": HOSTILE}
    run.stop_reason = run.how = HOSTILE
    for parameter in run.model.parameters():
        parameter.label = HOSTILE
    for snapshot in run.job.settings.callbacks[0].snapshots:
        snapshot.layers[HOSTILE + "|"] = snapshot.layers.pop("layers.0")
    hostile = written(run, tmp_path)
    assert len(Page(hostile).all("script")) == 1
    assert "<img" not in hostile
    assert "onerror" in hostile  # only as text
    assert not [a for _, a, _ in Page(hostile).elements if "onerror" in a]


@pytest.mark.slow
def test_the_same_run_gives_the_same_bytes(run, text, tmp_path):
    assert written(run, tmp_path, diagnosis=Card(), title=HOSTILE) == text


# Colours


TEXT = [(ink, ground) for ink in ("ink", "muted", "accent") for ground in ("ground", "card", "sunken")] + [
    ("on-accent", "accent"), ("card", "ink"), ("good", "box-good"), ("watch", "box-watch"), ("bad", "box-bad"),
    *[(ink, box) for ink in ("ink", "muted") for box in palette.LIGHT if box.startswith("box-") and box != "box-edge"],
]  # fmt: skip
MARKS = [*palette.SERIES, "control", "good", "watch", "bad", "box-edge"]


@pytest.mark.parametrize("colours", [palette.LIGHT, palette.DARK], ids=["light", "dark"])
def test_contrast_is_that_of_wcag_aa(colours):
    assert theme.contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)  # a well-known near miss
    poor = {pair: theme.contrast(*map(colours.get, pair)) for pair in TEXT}
    poor |= {(mark, "card"): theme.contrast(colours[mark], colours["card"]) + 1.5 for mark in MARKS}
    assert {pair: round(ratio, 2) for pair, ratio in poor.items() if ratio < 4.5} == {}


def test_both_themes_have_the_same_names_and_every_name_used_is_one(text):
    assert palette.LIGHT.keys() == palette.DARK.keys()
    used = set(re.findall(r"var\(--([\w-]+)\)", text)) - {"width"}
    assert used <= palette.LIGHT.keys()
    body = text.partition("<body>")[2]
    assert not re.search(r"(?:fill|stroke)[:=]\s*\"?#", body), "a colour that the dark theme does not change"


# facts that are not known


def test_without_histograms_it_says_how_to_get_them(bare, tmp_path):
    text = written(bare.save(tmp_path / "run.json"), tmp_path)  # that file does not contain the weights
    assert "tg.fit(..., callbacks=[tg.train.Histograms()])" in text


@pytest.mark.slow
def test_without_a_diagnosis_it_says_how_to_get_one(bare, tmp_path):
    assert "tg.report(run, diagnosis=tg.clinic.diagnose(run))" in written(bare, tmp_path)
    assert "5 of 5 seeds recover" in written(bare, tmp_path, diagnosis=Card())


def test_a_run_without_an_epoch(tmp_path):
    run = Run(np.empty(0), np.empty(0), "stopped in epoch 1: the loss became NaN", "eager", None)
    text = written(run, tmp_path)
    assert "No epoch was finished" in text
    assert "the loss became NaN" in text


def test_a_curve_with_nan_and_zeros(tmp_path):
    run = Run(np.array([1.0, np.nan, 0.0, 2.0]), np.array([np.nan, np.inf, 1.0, -1.0]), "done", "eager", None)
    text = written(run, tmp_path)
    assert "Linear only" in text
    assert "NaN" in text


def test_one_epoch(tmp_path):
    assert "over 1 epoch:" in written(of_moons(sizes=(2, 1), epochs=1), tmp_path)


def test_long_curves_keep_their_peaks_and_short_their_points():
    curve = np.ones(100_000)
    curve[777], curve[99_000] = 5.0, 0.1
    places = thin_points(curve)
    assert len(places) <= 502
    assert {0, 777, 99_000, 99_999} <= set(places.tolist())


@pytest.mark.filterwarnings("default")
def test_without_graphviz_the_table_of_layers_stays(bare, tmp_path, monkeypatch):
    monkeypatch.setattr(render, "commands", lambda form: iter(()))
    text = written(bare, tmp_path)
    assert "No picture without Graphviz" in text
    assert "no sign of trouble" in text


def test_without_matplotlib_the_page_says_what_to_install(bare, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    text = written(bare, tmp_path)
    assert "No charts without Matplotlib" in text
    assert "tg.nn.MLP" in text


def test_importing_the_report_loads_no_plots():
    code = "import tinygrad_edu as tg, sys; tg.report; print('matplotlib' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


# Arguments


def test_other_data_than_that_of_the_training(bare, tmp_path):
    X, y = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]]), np.array([[1.0], [-1.0], [1.0]])
    assert "of 3 samples are on the right side" in written(bare, tmp_path, X=X, y=y)


WRONG = [
    ({"X": np.zeros((3, 2))}, SettingError, "give both X and y"),
    ({"X": np.zeros((3, 2)), "y": np.zeros((4, 1))}, ShapeError, "X has 3 rows and y has 4"),
    ({"X": np.full((3, 2), np.nan), "y": np.zeros((3, 1))}, SettingError, "NaN"),
    ({"X": np.zeros((3, 5)), "y": np.zeros((3, 1))}, ShapeError, "5"),
    ({"X": np.zeros((0, 2)), "y": np.zeros((0, 1))}, SettingError, "no samples"),
]


@pytest.mark.parametrize(("options", "error", "words"), WRONG)
def test_wrong_data_is_refused_and_no_file_is_left(bare, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        written(bare, tmp_path, **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_from_a_file_with_and_without_weights(bare, tmp_path):
    X, y = np.array([[0.0, 0.0], [1.0, 1.0]]), np.array([[1.0], [-1.0]])
    whole = written(bare.save(tmp_path / "run.safetensors"), tmp_path, X=X, y=y)
    assert "of 2 samples are on the right side" in whole
    curves = written(bare.save(tmp_path / "run.json"), tmp_path)
    assert "The model is not in this record" in curves
    assert "tg.nn.MLP(" in curves


@pytest.mark.parametrize("content", ["", "{", "[]", '{"loss_curve": 3}'])
def test_a_file_of_another_form_is_refused(content, tmp_path):
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(CheckpointError):
        tg.report(tmp_path / "run.json", path=tmp_path / "run.html", diagnosis=None)


@pytest.mark.slow
@needs_graphviz
@pytest.mark.parametrize("make", [of_spirals, lambda: of_moons(backend="scalar", epochs=2, batch_size=30)])
def test_classes_and_values(make, tmp_path):
    text = written(make(), tmp_path)
    assert "samples are on the right side" in text
    assert "Computation graph of" in text
    assert Page(text).unbalanced == []


@pytest.mark.slow
def test_histograms_can_be_given(tmp_path):
    histograms = Histograms()
    run = of_moons(callbacks=[histograms], epochs=3)
    path = histograms.save(tmp_path / "h.json")
    run.save(tmp_path / "run.json")
    text = written(tmp_path / "run.json", tmp_path, histograms=Histograms.load(path))
    assert "epoch 1|epoch 2|epoch 3" in text


def test_a_run_out_of_a_file_says_that_held_out_samples_are_among_those_given(tmp_path):
    X, y = tg.data.moons(40, seed=0)
    model = tg.nn.MLP([2, 3, 1], seed=0)
    run = tg.fit(model, X, y, loss="mse", optimizer="sgd", epochs=2, validation=0.25)
    run.save(tmp_path / "run.safetensors")
    words = "those held out in training among them"
    for samples, told in ((slice(None), True), (slice(30), False)):
        path = tg.report(
            tmp_path / "run.safetensors", X[samples], y[samples], diagnosis=None, path=tmp_path / "page.html"
        )
        assert (words in path.read_text()) is told
