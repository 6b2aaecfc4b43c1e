"""The page of a graph in a real browser: steps, panel, layers, zoom, keyboard and themes, loading nothing."""

import json
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.browser import prefer, press, resize, shown, text_outside, webdriver, work_of
from tests.pace import slowness
from tinygrad_edu import Value
from tinygrad_edu.draw import draw, render

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")]
HOSTILE = "</script><script>window.stolen = 1</script><img src=x onerror='window.stolen = 2'>"


def neuron(label="a"):
    a, b, c = Value(0.5, label=label), Value(-1.0, label="b"), Value(0.8, label="c")
    y = (a * b + c).tanh()
    y.label = "y"
    y.backward()
    return y


def network(backend="tensor"):
    model = tg.nn.MLP([2, 3, 1], seed=0, backend=backend)
    X, y = tg.data.xor_gate()
    loss = tg.nn.losses.mse(model(X[:1]), y[:1])
    loss.backward()
    return loss


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    nodes = {"neuron": neuron(), "scalar": network("scalar"), "tensor": network(), "hostile": neuron(HOSTILE)}
    return {name: draw(x, title=name).save(folder / f"{name}.html").as_uri() for name, x in nodes.items()}


@pytest.fixture
def opened(browser, pages):
    def get(name, width=1280):
        resize(browser, width)
        prefer(browser, "light")
        browser.get_log("browser")  # drop what another page has logged
        browser.get(pages[name])
        return browser

    return get


def text(page, selector):
    return page.find_element("css selector", selector).text


def click(page, name):
    page.find_element("css selector", f"#{name}").click()


@pytest.mark.parametrize("name", ["neuron", "scalar", "tensor", "hostile"])
@pytest.mark.parametrize("width", [400, 800, 1600])
def test_no_complaint_no_request_no_overflow(opened, name, width):
    page = opened(name, width)
    assert page.get_log("browser") == []
    assert page.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert page.execute_script("return window.stolen || 0") == 0


@pytest.mark.parametrize("width", [400, 1280])  # at 400 the whole graph is drawn small
@pytest.mark.parametrize("name", ["neuron", "scalar", "tensor"])
def test_text_stays_inside_its_box(opened, name, width):
    near = text_outside(opened(name, width), "#sheet", inside=2.0)
    assert [said for said in near if not said.startswith(("1:", "2:"))] == []


def test_a_function_unfolds(browser, tmp_path):
    x = Value(2.0, label="a") * Value(-3.0, label="b")
    browser.get(draw(1.0 / (1.0 + tg.ops.exp(-x))).save(tmp_path / "sigmoid.html").as_uri())
    operations = "svg:not([hidden]) g.node[data-id^=op]"
    assert len(browser.find_elements("css selector", operations)) == 2
    press_on(browser, "g.node[aria-label='sigmoid: unfold it']")
    assert len(browser.find_elements("css selector", operations)) == 5
    assert len(browser.find_elements("css selector", f"{operations}:not(.dim)")) == 4
    assert "div" in text(browser, "#panel").lower() or "/" in text(browser, "#panel")


def press_on(page, selector):
    """Enter on a node, as from a keyboard."""
    page.find_element("css selector", selector).send_keys(webdriver.Keys.ENTER)


KNOWN_GRADIENTS = """
  return [...document.querySelectorAll("svg:not([hidden]) g.node:not(.dim) text:not(.dim)")]
    .filter(e => e.textContent.trim() === "grad").length;
"""


def test_the_steps_tell_the_forward_and_the_backward_pass_in_numbers(opened):
    page = opened("neuron")
    told, known = [text(page, "#said")], []
    for _ in range(7):
        press(page, "ARROW_RIGHT")
        told.append(text(page, "#said"))
        known.append(page.execute_script(KNOWN_GRADIENTS))
    assert known == [0, 0, 0, 1, 2, 4, 6], "none before it is whole: y; tanh's input; the sum's two; the product's two"
    assert told[0].startswith("Step 0 of 7. The whole graph")
    assert "Forward: v2 = a × b = 0.5 × (-1) = -0.5" in told[1]
    assert "Forward: y = tanh(v4) = tanh(0.3) = 0.2913" in told[3]
    assert "∂L/∂y = 1 starts the pass" in told[4]
    assert "∂L/∂v4 += ∂L/∂y · ∂y/∂v4 = 1 · 0.9151 = 0.9151" in told[5]
    assert "∂L/∂a += ∂L/∂v2 · ∂v2/∂a = 0.9151 · -1 = -0.9151" in told[7]


def test_a_node_shows_its_numbers_by_click_and_by_key(opened):
    page = opened("neuron")
    page.execute_script("document.querySelector('g.node[data-id=n0]').dispatchEvent(new Event('click'))")
    assert re.search(r"a\nvalue\s+0\.5\s+gradient\s+-0\.9151", text(page, "#panel"))
    page.execute_script("document.querySelector('g.node[data-id=n5]').focus()")
    press(page, "ENTER")
    assert "dy/dx" in text(page, "#panel"), "the formula of tanh"
    assert shown(page, "g.node.now") == 1


def test_tab_reaches_every_node_and_each_says_what_it_is(opened):
    page = opened("neuron")
    names = page.execute_script("return [...document.querySelectorAll('g.node[tabindex]')].map(g => g.ariaLabel)")
    assert "input a: value 0.5, gradient -0.9151" in names
    assert "Result y: value 0.2913, gradient 1" in names


@pytest.mark.parametrize("name", ["scalar", "tensor"])
def test_layers_fold_and_open(opened, name):
    page = opened(name)
    set_to = "const s = document.getElementById('layers'); s.value = arguments[0]; s.dispatchEvent(new Event('change'))"
    page.execute_script(set_to, "*folded")
    assert shown(page, "svg[data-view=layers]") == 1
    assert shown(page, "svg[data-view=nodes]") == 0
    group = (
        "[...document.querySelectorAll('svg[data-view=layers] g.node')].find(g => g.textContent.includes('layers.1'))"
    )
    page.execute_script(f"{group}.dispatchEvent(new Event('click'))")
    assert shown(page, "svg[data-view=nodes]") == 1
    assert page.execute_script("return document.getElementById('layers').value") == "layers.1"
    assert page.execute_script("return document.querySelectorAll('svg[data-view=nodes] g.node.dim').length") > 2


def test_zoom_pan_and_fit_change_what_is_seen(opened):
    page = opened("tensor")
    box = "return document.querySelector('svg[data-view=nodes]').getAttribute('viewBox').split(' ').map(Number)"
    whole = page.execute_script(box)
    press(page, "ADD")
    click(page, "zoom-in")
    nearer = page.execute_script(box)
    assert nearer[2] < 0.8 * whole[2]
    sheet = page.find_element("css selector", "#sheet")
    webdriver.ActionChains(page).drag_and_drop_by_offset(sheet, 120, 0).perform()
    assert page.execute_script(box)[0] < nearer[0]
    click(page, "fit")
    assert page.execute_script(box) == pytest.approx(whole)


def test_a_tall_graph_begins_at_its_top_and_can_be_seen_whole(opened):
    page = opened("tensor")
    box = "return document.querySelector('svg[data-view=nodes]').getAttribute('viewBox').split(' ').map(Number)"
    assert page.execute_script(box)[3] < 900
    click(page, "whole")
    assert page.execute_script(box)[3] > 1000
    click(page, "fit")
    for _ in range(12):
        press(page, "ARROW_RIGHT")
    seen = "const a = document.querySelector('svg:not([hidden]) g.node.now').getBoundingClientRect(); return a.top >= 0"
    assert page.execute_script(seen)
    assert opened("neuron").find_element("css selector", "#whole").is_displayed() is False


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_light_and_dark_follow_the_system(opened, browser, scheme, dark):
    page = opened("neuron")
    prefer(browser, scheme)
    colour = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", colour)[:3])) < 80) == dark


def test_a_graph_of_300_nodes_opens_in_under_a_second(browser, tmp_path):
    node = Value(0.5, label="x")
    for _ in range(298):
        node = node.tanh()
    node.backward()
    address = draw(node).save(tmp_path / "long.html").as_uri()
    assert work_of(browser, address, "#said") < 1.0 * slowness()  # 0.15 s measured
    assert browser.find_element("css selector", "#said").text


def test_a_collapsed_graph_zooms_and_has_its_steps(browser, tmp_path):
    browser.get(draw(network("scalar"), max_nodes=5).save(tmp_path / "few.html").as_uri())
    assert browser.get_log("browser") == []
    assert shown(browser, "#steps") == 1
    assert shown(browser, "svg") == 1
    press(browser, "ARROW_RIGHT")
    assert shown(browser, "g.node.now") == 1  # the box that contains the first node


def test_labels_are_data_in_the_page():
    page = draw(neuron(HOSTILE)).content(".html").decode()
    inside = re.search(r'<script type="application/json" id="story">(.*?)</script>', page, re.DOTALL)[1]
    assert "<" not in inside
    assert any("script" in node["name"] for node in json.loads(inside)["nodes"])
    assert page.count("<script") == 2


def test_the_legend_has_a_row_for_the_boxes_of_each_view_and_no_other():
    x, w = tg.Tensor([[1.0, 2.0]]), tg.Tensor([[0.5], [-1.0]], requires_grad=True, label="W")
    told = r'<li data-views="([^"]*)"( hidden)?><span[^>]*></span>(\w+):'
    rows = {kind: (views, hidden) for views, hidden, kind in re.findall(told, page_of(((x @ w) ** 2).mean()))}
    assert list(rows) == ["input", "parameter", "constant", "result", "output"]
    assert rows["constant"] == ("unfolded", " hidden")  # of the mean, as a sum by a number
    assert "|data|, |grad|: the length" in page_of(network())
    assert "|data|, |grad|: the length" not in page_of(neuron())
    assert [kind for kind in rows if f">{kind}:" in page_of(neuron())] == ["input", "result", "output"]


def page_of(x):
    return draw(x).content(".html").decode()


def test_arrays_are_told_by_shape():
    told = draw(np.sum(np.tanh(tg.Tensor(np.ones((3, 4)), requires_grad=True, label="x")))).story["nodes"]
    assert told[0]["shape"] == [3, 4]
    assert told[1]["forward"].startswith("v1 = tanh(x) = (3, 4)")


@pytest.mark.parametrize("title", ["", "A title of many words, " * 9], ids=["short", "long"])
def test_a_picture_without_a_graph_has_its_view_and_no_empty_controls(browser, tmp_path, title):
    """Its page has nothing to step through: no panel, no steps, and a script that runs to its end."""
    drawing = draw(tg.nn.MLP([2, 8, 8, 1], seed=0), style="network", title=title)
    browser.get_log("browser")
    for width in (400, 1280):
        resize(browser, width)
        browser.get(drawing.save(tmp_path / "network.html").as_uri())
        assert not browser.get_log("browser")
        assert shown(browser, "#zoom-in")
        assert not shown(browser, "#steps, #choice, #panel")
        drawn, frame = browser.execute_script(
            "const svg = document.querySelector('#sheet svg'); return [svg.getBBox().width, svg.whole.width];"
        )
        assert drawn <= frame + 0.5 <= 700  # points: the title does not make the picture wider
        before = browser.execute_script("return document.querySelector('#sheet svg').getAttribute('viewBox')")
        browser.find_element("id", "zoom-in").click()
        assert browser.execute_script("return document.querySelector('#sheet svg').getAttribute('viewBox')") != before
