"""The page of an animation: what its frames hold, and how it behaves in a real browser."""

import base64
import json
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.browser import focus, prefer, press, resize, shown
from tests.report.runs import HOSTILE, Page
from tinygrad_edu.errors import SettingError

X, Y = tg.data.moons(60, noise=0.2, seed=0)


def trained(sizes, X, y, loss, epochs=20, **settings):
    model = tg.nn.MLP(sizes, seed=0)
    return tg.fit(model, X, y, loss=loss, optimizer="adam", epochs=epochs, **{"compiled": False} | settings)


def of_plane(**settings):
    return trained([2, 5, 4, 1], X, (Y > 0).astype(float), "bce_with_logits", **settings)


def of_line():
    x = np.linspace(-1.0, 1.0, 30)[:, None]
    return trained([1, 4, 1], x, np.sin(3 * x), "mse")


def of_classes():
    return trained([2, 6, 3], *tg.data.spirals(60, arms=3), "cross_entropy")


def of_four_inputs():
    rng = np.random.default_rng(0)
    return trained([4, 20, 1], rng.normal(size=(30, 4)), rng.normal(size=(30, 1)), "mse")


RUNS = {"plane": of_plane, "line": of_line, "classes": of_classes, "four inputs": of_four_inputs}


def inside(text):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)[1])


# content of the page


@pytest.mark.parametrize("kind", RUNS)
def test_the_frames_hold_what_the_network_says_at_their_epochs(kind):
    run = RUNS[kind]()
    data = inside(tg.animate(run, frames=6).text)
    assert [frame["epoch"] for frame in data["frames"]] == [0, 1, 3, 7, 13, 20]
    assert data["curves"]["training"]["y"] == pytest.approx(run.loss_curve, rel=1e-4)
    last = data["frames"][-1]
    for matrix, (name, array) in zip(last["weights"], weights(run), strict=True):
        assert matrix == pytest.approx(array.ravel(), rel=1e-3), name
    if kind == "line":
        answers = run.model(np.array(data["ground"]["inputs"])[:, None]).array[:, 0]
        assert last["cells"] == pytest.approx(answers, abs=1e-4)
    elif kind == "four inputs":
        assert "a picture needs one number or two" in data["ground"]["why"]
        assert "cells" not in last
    else:
        assert classes_in(last["cells"], kind) == expected_classes(run, data["ground"])


def weights(run):
    return [(name, array) for name, array in run.model.state_dict().items() if name.endswith("weight")]


def classes_in(cells, kind):
    codes = np.frombuffer(base64.b64decode(cells), np.uint8)
    return (codes >> 5).tolist() if kind == "classes" else [int(code > 127) for code in codes if code != 127]


def expected_classes(run, ground):
    """By the model itself, over the same grid."""
    (x0, x1), (y0, y1) = ground["limits"]
    side = ground["side"]
    grid = np.stack([g.ravel() for g in np.meshgrid(np.linspace(x0, x1, side), np.linspace(y1, y0, side))], axis=1)
    outputs = run.model(grid).array
    if outputs.shape[1] > 1:
        return outputs.argmax(axis=1).tolist()
    codes = (127 + 127 * np.clip(outputs[:, 0] / 4.0, -1, 1)).round()
    return [int(code > 127) for code in codes if code != 127]


def test_the_gradients_are_those_of_the_loss():
    run = of_plane()
    frame = inside(tg.animate(run).text)["frames"][-1]
    run.model.zero_grad()
    run.job.loss(run.model(run.job.data[0]), run.job.data[1]).backward()
    found = run.model.gradients()
    for layer, length in frame["gradients"].items():
        own = [gradient for name, gradient in found.items() if name.startswith(layer)]
        assert length == pytest.approx(np.sqrt(sum(np.sum(g**2) for g in own)), rel=1e-3)


@pytest.mark.slow
def test_a_long_run_makes_a_small_page():
    run = trained([2, 8, 8, 1], X, Y, "mse", epochs=3000, compiled=True)
    assert len(tg.animate(run).text) < 700_000


def test_other_things_are_refused(tmp_path):
    with pytest.raises(SettingError, match="frames"):
        tg.animate(of_plane(epochs=2), frames=1)
    with pytest.raises(SettingError, match=r"end in \.html"):
        tg.animate(of_plane(epochs=2)).save(tmp_path / "page.png")


def test_a_notebook_gets_a_frame_that_cannot_reach_it():
    frame = Page(tg.animate(of_plane(epochs=2))._repr_html_()).all("iframe")[0]
    assert frame["sandbox"] == "allow-scripts allow-downloads"
    assert frame["srcdoc"].startswith("<!DOCTYPE html>")


MODELS = {
    "layers in a row": (lambda nn: nn.Sequential(nn.Linear(2, 4, rng=0), nn.Tanh(), nn.Linear(4, 1, rng=1)), (2,)),
    "batch norm": (lambda nn: nn.MLP([2, 4, 1], seed=0, norm="batch"), (2,)),
    "convolution": (lambda nn: nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.Flatten(), nn.Linear(32, 1)), (1, 6, 6)),
    "recurrent": (lambda nn: nn.Sequential(nn.RNN(2, 3, rng=0), nn.last_output, nn.Linear(3, 1, rng=0)), (5, 2)),
    "Values": (lambda nn: nn.MLP([2, 3, 1], seed=0, backend="scalar"), (2,)),
    "float32": (lambda nn: nn.MLP([2, 4, 1], seed=0, dtype="float32"), (2,)),
    "many weights": (lambda nn: nn.MLP([2, 200, 200, 1], seed=0), (2,)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_is_shown_or_it_says_what_is_not(name):
    make, shape = MODELS[name]
    rng, model = np.random.default_rng(0), make(tg.nn)
    inputs, targets = rng.normal(size=(12, *shape)), rng.normal(size=(12, 1))
    run = tg.fit(model, inputs, targets, loss="mse", optimizer="adam", epochs=4, compiled=False)
    data = inside(tg.animate(run).text)
    assert [frame["epoch"] for frame in data["frames"]] == [0, 1, 2, 3, 4]
    assert data["ground"]["kind"] == ("plane" if shape == (2,) else "")
    assert bool(data["ground"]["why"]) == (shape != (2,))
    assert isinstance(data["network"], dict if "weights" in data["frames"][0] else str)
    assert set(data["frames"][0]["gradients"]) == {key.rpartition(".")[0] for key in model.gradients()}


PARTS = {
    "convolution": "of a convolution the sum of each kernel",
    "recurrent": "of a recurrent layer the weights of its inputs",
    "layers in a row": "",
}


@pytest.mark.parametrize("name", PARTS)
def test_the_picture_of_the_weights_has_every_layer_and_says_what_it_leaves_out(name):
    make, shape = MODELS[name]
    rng, model = np.random.default_rng(0), make(tg.nn)
    run = tg.fit(model, rng.normal(size=(12, *shape)), np.ones((12, 1)), loss="mse", optimizer="adam", epochs=2)
    data = inside(tg.animate(run).text)
    assert len(data["frames"][-1]["weights"]) == 2
    assert len(data["network"]["widths"]) == 3
    assert PARTS[name] in data["network"]["shown"]
    assert bool(data["network"]["shown"]) == bool(PARTS[name])
    first, last = (np.concatenate(data["frames"][k]["weights"]) for k in (0, -1))
    assert not np.array_equal(first, last)


def of_twelve_classes():
    rng = np.random.default_rng(0)
    return trained([2, 6, 12], rng.normal(size=(60, 2)), rng.permutation(np.arange(60) % 12), "cross_entropy", 2)


def test_twelve_classes_are_told_apart():
    run = of_twelve_classes()
    data = inside(tg.animate(run).text)
    codes = np.frombuffer(base64.b64decode(data["frames"][-1]["cells"]), np.uint8)
    assert (codes // data["ground"]["levels"]).tolist() == expected_classes(run, data["ground"])


# in a browser


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_classes_beyond_the_palette_have_colours_of_their_own(browser, tmp_path, scheme):
    prefer(browser, scheme)
    browser.get(tg.animate(of_twelve_classes()).save(tmp_path / "classes.html").as_uri())
    strokes = "return [...document.querySelectorAll('#answers .legend line')].map(e => getComputedStyle(e).stroke)"
    colours = browser.execute_script(strokes)
    numbers = np.array([[int(part) for part in re.findall(r"\d+", colour)[:3]] for colour in colours])
    apart = np.abs(numbers[:, None] - numbers[None]).sum(axis=-1) + 1000 * np.eye(12)
    assert apart.min() >= 20


@pytest.mark.slow
@pytest.mark.parametrize("depth", [4, 12, 20, 40])
def test_a_deep_network_can_be_read(browser, tmp_path, depth):
    run = trained([2, *[4] * depth, 1], X, Y, "mse", epochs=1)
    address = tg.animate(run).save(tmp_path / "deep.html").as_uri()
    for width in (1000, 1600):
        resize(browser, width)
        browser.get(address)
        radius = "return document.querySelector('#network circle').getBoundingClientRect().width / 2"
        assert browser.execute_script(radius) > 6
        count = "return document.querySelectorAll('#network line.edge').length"
        assert browser.execute_script(count) == 2 * 4 + 16 * (depth - 1) + 4

    resize(browser, 400)  # here the captions of 30 layers were only 4 px high
    browser.get(address)
    heights = "return [...document.querySelectorAll('#network text')].map(x => 12 * x.getScreenCTM().d)"
    found = browser.execute_script(heights)
    assert len(found) > depth
    assert min(found) >= 8.5
    assert browser.execute_script("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.slow
def test_one_epoch_is_a_dot_that_is_seen(browser, tmp_path):
    browser.get(tg.animate(trained([2, 3, 1], X, Y, "mse", epochs=1)).save(tmp_path / "one.html").as_uri())
    assert browser.execute_script("return document.querySelector('#losses circle').getBoundingClientRect().width") >= 8


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    return {
        kind: tg.animate(make(), title=HOSTILE).save(folder / f"{kind}.html").as_uri() for kind, make in RUNS.items()
    }


@pytest.fixture
def opened(browser, pages):
    def get(name, width=1280, scheme="light"):
        resize(browser, width)
        prefer(browser, scheme)
        browser.get(pages[name])
        return browser

    return get


def said(page):
    return page.find_element("css selector", "#said").text


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("width", [400, 900, 1600])
def test_no_complaint_no_request_no_overflow(opened, name, width):
    page = opened(name, width)
    assert page.get_log("browser") == []
    assert page.title == HOSTILE
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert shown(page, ".card svg, .card canvas") >= 3
    unnamed = (
        "return [...document.querySelectorAll('[role=img]')].filter(e => !e.ariaLabel && e.checkVisibility()).length"
    )
    assert page.execute_script(unnamed) == 0


@pytest.mark.slow
def test_keys_step_jump_and_play(opened):
    page = opened("plane")
    assert said(page) == "Before the first epoch"
    press(page, "ARROW_RIGHT")
    assert said(page).startswith("Epoch 1: loss 0.")
    press(page, "END")
    assert said(page).startswith("Epoch 20: loss ")
    press(page, "HOME")
    before = page.execute_script("return document.querySelector('#network line.edge').getAttribute('stroke-width')")
    press(page, "SPACE")
    page.execute_async_script("setTimeout(arguments[0], 1000)")
    assert int(page.find_element("css selector", "#epoch").get_property("value")) > 4
    press(page, "SPACE")
    assert page.find_element("css selector", "#play").text == "Play"
    after = page.execute_script("return document.querySelector('#network line.edge').getAttribute('stroke-width')")
    assert before != after
    focus(page, "#epoch")
    press(page, "ARROW_LEFT")
    assert page.find_element("css selector", "#epoch").get_attribute("aria-valuetext") == said(page)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_plane_is_drawn_in_the_theme(opened, scheme):
    page = opened("plane", scheme=scheme)
    press(page, "END")
    pixel = page.execute_script(
        "const c = document.querySelector('#answers canvas'), p = c.getContext('2d');"
        "return [...p.getImageData(0, 0, c.width, c.height).data].filter((x, i) => i % 4 < 3 && i % 400 < 3)"
    )
    colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", colour)[:3])) < 80) == (scheme == "dark")
    assert len(set(pixel)) > 20, "more than one colour"
