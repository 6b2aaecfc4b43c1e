"""The parts of a report: health, the plane, the program that does a run again, the file of data, the command."""

import html

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.report.runs import of_moons, of_spirals
from tinygrad_edu import nn, optim
from tinygrad_edu.charts.pictures import element
from tinygrad_edu.cli import main
from tinygrad_edu.clinic import diagnose_curve
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.sequence import last_output
from tinygrad_edu.reporting.boundary import boundary_html
from tinygrad_edu.reporting.network import health, healths, network_html
from tinygrad_edu.reporting.record import ReportedRun, record_of
from tinygrad_edu.reporting.settings import program_lines
from tinygrad_edu.train import Histograms, Run, fit
from tinygrad_edu.train.histograms import LayerState, measure_layers
from tinygrad_edu.train.spread import spread_of

pytest.importorskip("matplotlib")


# Health


def state(gradient=1.0, stuck=0.0, saturated=0.0, weights=(1.0, 2.0)):
    spreads = spread_of(np.ones(3)), spread_of(np.full(3, gradient), True), spread_of(np.array(weights))
    return LayerState(*spreads, stuck, saturated)


SIGNS = [  # (state, size of the largest gradient, level, words)
    (state(), 1.0, "good", ""),
    (state(stuck=float("nan")), 1.0, "good", ""),
    (state(stuck=0.2), 1.0, "good", ""),
    (state(stuck=0.5), 1.0, "watch", "50% of its units are flat"),
    (state(stuck=0.9), 1.0, "bad", "90% of its units are flat"),
    (state(saturated=0.5), 1.0, "watch", "50% of its activations are saturated"),
    (state(saturated=0.9), 1.0, "bad", "90% of its activations are saturated"),
    (state(gradient=1e-3), 1.0, "watch", "0.1% of the largest"),
    (state(gradient=1e-7), 1.0, "bad", "1e-07 of the largest"),
    (state(gradient=0.0), 1.0, "bad", "its gradient is 0"),
    (state(weights=(1.0, np.nan)), 1.0, "bad", "50% of its numbers are NaN"),
]


@pytest.mark.parametrize(("state", "largest", "level", "words"), SIGNS)
def test_signs_of_health(state, largest, level, words):
    found = health(state, largest)
    assert found.level == level
    assert words in found.why


@pytest.mark.parametrize(
    ("activation", "init", "level"), [("relu", "he_uniform", "good"), ("sigmoid", "glorot_uniform", "bad")]
)
def test_ten_sigmoid_layers_lose_the_gradient_and_ten_relu_layers_do_not(activation, init, level):
    model = nn.MLP([2, *[16] * 10, 1], activation=activation, init=init, seed=0)
    found = healths(measure_layers(model, losses.find("mse"), tg.data.moons(100)))
    assert found["layers.0"].level == level


# The plane


def record(X, y, outputs=1, loss="mse", width=2):
    model = nn.MLP([width, 3, outputs], seed=0)
    run = Run(np.ones(1), np.ones(1), "done", "eager", model, {"loss": loss})
    return record_of(run, X, y)


RNG = np.random.default_rng(0)
PLANE = RNG.normal(size=(30, 2))
PICTURES = [  # (X, y, settings, words)
    (PLANE, (PLANE[:, :1] > 0).astype(float), {}, "of 30 samples are on the right side"),
    (PLANE, (PLANE[:, :1] > 0).astype(float), {"loss": "bce_with_logits"}, "taken for 0"),
    (PLANE, np.arange(30) % 3, {"outputs": 3, "loss": "cross_entropy"}, "taken for 2"),
    (PLANE, np.eye(3)[np.arange(30) % 3], {"outputs": 3}, "taken for 2"),
    (PLANE, PLANE[:, :1] ** 2, {}, "off by"),
    (PLANE[:, :1], PLANE[:, 1:], {"width": 1}, "off by"),
    (PLANE[:1], np.ones((1, 1)), {}, "off by"),
    (np.zeros((4, 2)), np.array([[0.0], [1.0], [0.0], [1.0]]), {}, "of 4 samples"),
]


@pytest.mark.parametrize(("X", "y", "settings", "words"), PICTURES)
def test_each_kind_of_answer_is_drawn(X, y, settings, words):
    found = boundary_html(record(X, y, **settings))
    assert words in found
    assert found.count("<svg") == 1


NONE = [
    (PLANE, PLANE, {"outputs": 2}, "one number or class is needed"),
]


@pytest.mark.parametrize(("X", "y", "settings", "words"), NONE)
def test_what_cannot_be_drawn_is_said(X, y, settings, words):
    found = boundary_html(record(X, y, **settings))
    assert words in found
    assert "<svg" not in found


def test_answers_that_are_not_finite_are_said():
    found = record(PLANE, PLANE[:, :1])
    found.model.layers[1].bias.data = np.array([np.nan])
    assert "NaN or infinite" in boundary_html(found)


def test_the_counts_are_those_of_numpy():
    X, y = tg.data.moons(80)
    run = of_moons(sizes=(2, 8, 1), callbacks=[])
    wrong = int(np.sum(np.sign(run.model(X).numpy()) != y))
    assert f"{80 - wrong} of 80 samples" in boundary_html(record_of(run, X, y))


def test_the_model_is_left_as_it_was():
    run = of_moons(sizes=(2, 8, 1), callbacks=[])
    run.model.train()
    before = [(p.array.copy(), p.grad) for p in run.model.parameters()]
    boundary_html(record_of(run))
    assert run.model.training
    for p, (array, grad) in zip(run.model.parameters(), before, strict=True):
        np.testing.assert_array_equal(p.array, array)
        assert p.grad is grad


# the program that repeats a run


def rate(how):
    return optim.schedules.warmup(optim.schedules.cosine(0.05, 40), 10) if how == "schedule" else 0.05


SETTINGS = [
    (lambda p: optim.Adam(p, lr=0.02), {}),
    (lambda p: optim.SGD(p, lr=rate("schedule"), momentum=0.9, nesterov=True), {"batch_size": 7, "seed": 4}),
    (lambda p: optim.RMSprop(p, lr=0.01), {"shuffle": False, "tol": 1e-3, "patience": 2, "validation": 0.25}),
    (lambda p: optim.Adagrad(p, lr=0.1), {"clip_norm": 0.5, "batch_size": 10}),
]


@pytest.mark.parametrize("from_file", [False, True])
@pytest.mark.parametrize(("make", "settings"), SETTINGS)
def test_the_program_of_the_report_does_the_run_again(make, settings, from_file, tmp_path):
    X, y = tg.data.moons(40)
    model = nn.MLP([2, 5, 1], activation="sigmoid", init="he_normal", bias=False, seed=7)
    optimizer = make(model.parameters())
    run = fit(model, X, y, loss="mse", optimizer=optimizer, epochs=5, compiled=False, **settings)
    known = Run.load(run.save(tmp_path / "run.json")) if from_file else run
    names = {"X": X, "y": y}
    exec("\n".join(program_lines(known)), names)
    np.testing.assert_allclose(names["run"].loss_curve, run.loss_curve, rtol=1e-12)
    np.testing.assert_allclose(names["run"].validation_curve, run.validation_curve, rtol=1e-12)


def test_a_model_of_ones_own_and_a_lambda_are_left_open():
    model = nn.Linear(2, 1, rng=0)
    optimizer = optim.SGD(model.parameters(), lr=lambda t: 0.1 / (1 + t))
    run = fit(model, *tg.data.moons(9), loss=lambda p, t: ((p - t) ** 2).mean(), optimizer=optimizer, epochs=1)
    lines = "\n".join(program_lines(run))
    assert "model = ...  # Linear: 3 parameters" in lines
    assert "lr=..., " in lines
    compile(lines, "program", "exec")


def test_a_run_of_something_else_has_no_program():
    assert list(program_lines(Run(np.ones(1), np.ones(1), "", "", None))) == []


def test_recurrent_networks_are_shown_too():
    model = nn.Sequential(nn.GRU(1, 3, rng=0), last_output, nn.Linear(3, 1, rng=1))
    X = np.random.default_rng(0).normal(size=(10, 4, 1))
    histograms = Histograms()
    optimizer = optim.Adam(model.parameters())
    settings = {"loss": "mse", "optimizer": optimizer, "epochs": 2, "compiled": False, "callbacks": [histograms]}
    run = fit(model, X, X.sum(axis=1), **settings)
    assert list(histograms.snapshots[-1].layers)[-1] == "layers.2"
    assert "The answers are off by" in boundary_html(record_of(run))
    assert "no sign of trouble" in network_html(record_of(run))


# SVG


def test_the_svg_of_a_page_has_ids_of_its_own_and_no_address():
    svg = (
        '<?xml version="1.0"?><!DOCTYPE svg PUBLIC "x" "http://a/b"><svg xmlns="http://www.w3.org/2000/svg" '
        'width="10pt" height="5pt" viewBox="0 0 10 5"><metadata>http://c</metadata><!-- a --><title>t</title>'
        '<defs><clipPath id="p"><path id="unused" d="M0 0"/></clipPath></defs>'
        '<g clip-path="url(#p)" class="node"><use xlink:href="#p"/></g></svg>'
    )
    found = element(svg, 'a "name"')
    assert found.startswith('<svg role="img" aria-label="a &quot;name&quot;" viewBox="0 0 10 5"')
    assert "http" not in found
    assert "unused" not in found
    name = found.partition('id="')[2].partition('"')[0]
    assert found.count(f"#{name}") == 2


# The command


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with a run, its histograms and its data."""
    folder = tmp_path_factory.mktemp("run")
    histograms = Histograms()
    of_moons(epochs=3, callbacks=[histograms]).save(folder / "run.safetensors")
    histograms.save(folder / "histograms.json")
    np.savetxt(folder / "moons.csv", np.hstack(tg.data.moons(30)), delimiter=",")
    (folder / "wide.csv").write_text("1,2,3,4,5\n")
    return folder


@pytest.mark.slow
def test_the_command_writes_the_page(saved, tmp_path, capsys):
    page = tmp_path / "page.html"
    options = ["--data", str(saved / "moons.csv"), "--histograms", str(saved / "histograms.json"), "--title", "<b>"]
    assert main(["report", str(saved / "run.safetensors"), *options, "-o", str(page)]) == 0
    assert capsys.readouterr() == (f"wrote {page}\n", "")
    text = page.read_text(encoding="utf-8")
    for words in ("of 30 samples are on the right side", "no sign of trouble", "epoch 1|epoch 2", "<h1>&lt;b&gt;</h1>"):
        assert words in text


def test_the_command_writes_into_out_by_default(saved, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["report", str(saved / "run.safetensors")]) == 0
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_the_command_adds_what_the_curve_tells(saved, tmp_path, capsys):
    page = tmp_path / "page.html"
    assert main(["report", str(saved / "run.safetensors"), "--diagnose", "-o", str(page)]) == 0, capsys.readouterr().err
    text = page.read_text(encoding="utf-8")
    assert "There is no diagnosis" not in text
    card = str(diagnose_curve(Run.load(saved / "run.safetensors").loss_curve))
    assert html.escape(card.splitlines()[0]) in text


def test_classes_in_a_file_are_whole_numbers(tmp_path, capsys):
    of_spirals().save(tmp_path / "run.safetensors")
    X, y = tg.data.spirals(20)
    np.savetxt(tmp_path / "spirals.csv", np.column_stack([X, y]), delimiter=",")
    page = tmp_path / "page.html"
    command = ["report", str(tmp_path / "run.safetensors"), "--data", str(tmp_path / "spirals.csv"), "-o", str(page)]
    assert main(command) == 0, capsys.readouterr().err
    assert "of 20 samples are on the right side" in page.read_text(encoding="utf-8")


WRONG = [  # (arguments, exit code, words)
    (["missing.json"], 2, "missing.json"),
    (["histograms.json"], 1, "is not a run"),
    (["run.safetensors", "--data", "missing.csv"], 2, "missing.csv"),
    (["run.safetensors", "--data", "histograms.json"], 2, "histograms.json has no samples"),
    (["run.safetensors", "--data", "wide.csv"], 1, "4"),
    (["run.safetensors", "--histograms", "moons.csv"], 1, "holds no histograms"),
]


@pytest.mark.parametrize(("arguments", "code", "words"), WRONG)
def test_the_command_says_what_is_wrong_in_one_sentence(saved, arguments, code, words, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(saved)
    assert main(["report", *arguments, "-o", str(tmp_path / "page.html")]) == code
    err = capsys.readouterr().err
    assert err.startswith("tinygrad-edu: ")
    assert words in err
    assert err.count("\n") == 1
    assert not (tmp_path / "page.html").exists()


def test_a_record_without_a_model_has_no_data():
    assert record_of(Run(np.ones(1), np.ones(1), "", "", None), np.ones((2, 2)), np.ones(2)).data is None
    assert isinstance(record_of(of_moons(epochs=1, callbacks=[])), ReportedRun)
