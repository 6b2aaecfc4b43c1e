"""The page of a graph under the hand: what is seen at first, drags, two fingers, Tab, long labels, and large graphs."""

import json
import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.browser import press, resize, shown, text_outside, webdriver
from tinygrad_edu import Value, nn
from tinygrad_edu.draw import draw, render

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not render.available(), reason="needs Graphviz: the extra viz")]
RNG = np.random.default_rng(3)
SEEN = """
  const frame = document.getElementById("sheet").getBoundingClientRect();
  return [...document.querySelectorAll("#sheet svg:not([hidden]) g.node")].filter(node => {
    const at = node.getBoundingClientRect();
    return at.left >= frame.left && at.right <= frame.right && at.top >= frame.top && at.bottom <= frame.bottom;
  }).length;
"""
BOX = "return document.querySelector('#sheet svg:not([hidden])').getAttribute('viewBox').split(' ').map(Number)"


def chain(length):
    x = Value(0.3, label="x")
    for k in range(length):
        x = (x * 1.01).tanh() if k % 2 else x + 0.1
    x.backward()
    return x


def loss_of(model, X):
    loss = (model(X) ** 2).mean()
    loss.backward()
    return loss


GRAPHS = {
    "sum of 40": lambda: sum(Value(float(i), label=f"x{i}") for i in range(40)),
    "network of Values": lambda: (nn.MLP([2, 3, 1], seed=0, backend="scalar")([0.1, 0.2])) ** 2.0,
    "network": lambda: loss_of(nn.MLP([2, 3, 1], seed=0), RNG.normal(size=(4, 2))),
    "deep": lambda: loss_of(nn.MLP([2] + [8] * 9 + [1], seed=0), RNG.normal(size=(4, 2))),
    "recurrent": lambda: loss_of(nn.Sequential(nn.GRU(3, 4, rng=0), nn.last_output), RNG.normal(size=(2, 5, 3))),
    "chain": lambda: chain(60),
    "one": lambda: Value(1.0, label="only"),
}
WAYS = {"auto": {}, "LR, every node": {"direction": "LR", "collapse": "none"}}


@pytest.fixture(scope="module")
def nodes():
    return {name: make() for name, make in GRAPHS.items()}


@pytest.fixture
def opened(browser, tmp_path):
    def get(drawing, width=1000):
        resize(browser, width)
        browser.get(drawing.save(tmp_path / "graph.html").as_uri())
        return browser

    return get


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GRAPHS)
def test_the_first_view_shows_whole_nodes_of_a_readable_size(opened, nodes, name, way):
    page = opened(draw(nodes[name], **WAYS[way]), 400)
    for width in (400, 1200):
        if width > 400:
            resize(page, width)
            page.refresh()
        drawn = len(page.find_elements("css selector", "#sheet svg:not([hidden]) g.node"))
        assert page.execute_script(SEEN) >= min(drawn, 2), width


def mouse(page, kind, x, y, **more):
    event = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1, **more}
    page.execute_cdp_cmd("Input.dispatchMouseEvent", event)


def fingers(page, kind, *points):
    touches = [{"x": x, "y": y, "id": place} for place, (x, y) in enumerate(points)]
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})


def middle_of(page, selector):
    where = "const at = document.querySelector(arguments[0]).getBoundingClientRect();"
    return page.execute_script(where + "return [at.left + at.width / 2, at.top + at.height / 2]", selector)


def test_a_drag_that_starts_on_a_node_is_no_click(opened, nodes):
    page = opened(draw(nodes["network"], collapse="none"))
    press(page, "ARROW_RIGHT")
    before, box = page.find_element("id", "panel").text, page.execute_script(BOX)
    x, y = middle_of(page, "g.node[data-id=n0]")
    mouse(page, "mousePressed", x, y)
    for step in range(6):
        mouse(page, "mouseMoved", x + 9 * step, y + 4 * step, buttons=1)
    mouse(page, "mouseReleased", x + 45, y + 20)
    assert page.execute_script(BOX) != box
    assert page.find_element("id", "panel").text == before
    x, y = middle_of(page, "g.node[data-id=n0]")
    mouse(page, "mousePressed", x, y)
    mouse(page, "mouseReleased", x + 1, y)
    assert page.find_element("id", "panel").text != before, "and a click after it is one"


def test_two_fingers_stretch_the_picture_and_one_moves_it(opened, nodes):
    page = opened(draw(nodes["network"], collapse="none"))
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        before = page.execute_script(BOX)
        fingers(page, "touchStart", (300, 400))
        fingers(page, "touchStart", (300, 400), (350, 450))
        for k in range(1, 9):
            fingers(page, "touchMove", (300 - 6 * k, 400 - 6 * k), (350 + 6 * k, 450 + 6 * k))
        fingers(page, "touchEnd")
        nearer = page.execute_script(BOX)
        assert nearer[2] == pytest.approx(before[2] * 50 / 146, rel=0.15)
        fingers(page, "touchStart", (300, 400))
        for k in range(1, 6):
            fingers(page, "touchMove", (300 + 10 * k, 400))
        fingers(page, "touchEnd")
        aside = page.execute_script(BOX)
        assert aside[2] == nearer[2]
        assert aside[0] < nearer[0]
    finally:
        page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


@pytest.mark.parametrize("name", ["deep", "sum of 40", "recurrent"])
def test_what_tab_reaches_is_in_sight(opened, nodes, name):
    page = opened(draw(nodes[name], collapse="none"))
    where = """
      const e = document.activeElement, at = e.getBoundingClientRect();
      const upright = (a, b) => a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
      const within = (a, b) => upright(a, b) && a.left >= b.left - 1 && a.right <= b.right + 1;
      const all = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
      const sheet = document.getElementById("sheet").getBoundingClientRect();
      return [e.tagName, within(at, all) && (!e.closest("#sheet") || within(at, sheet)), e.getAttribute("aria-label")];
    """
    stops = []
    for _ in range(130):
        press(page, "TAB")
        stops.append(page.execute_script(where))
        if stops[-1][0] == "BODY":
            break
    assert len(stops) > 40
    assert [stop for stop in stops[:-1] if not stop[1]] == []


# the place in the program


class Gate(nn.Module):
    def __init__(self):
        self.inner = nn.Linear(3, 2, rng=0)

    def forward(self, x):
        h = np.tanh(self.inner(x))
        return h * tg.ops.sigmoid(h)


def test_the_panel_shows_the_line_that_made_a_node(opened):
    with tg.record_lines():
        a, b = Value(2.0, label="a"), Value(-3.0, label="b")
        y = (a * b + 1.0).tanh()
    page = opened(draw(y))
    for _ in range(3):
        press(page, "ARROW_RIGHT")
        panel = page.find_element("id", "panel").text
        assert re.search(r"made in\s+test_graph_by_hand.py, line \d+", panel)
        assert "y = (a * b + 1.0).tanh()" in panel
    parts = [node.get("part") for node in draw(y).story["nodes"] if node.get("operation")]
    assert parts == ["a * b", "a * b + 1.0", "(a * b + 1.0).tanh()"]
    assert y.place.line == page_line(y)
    assert "place" not in draw(chain(1)).story["nodes"][0]


def page_line(node):
    with open(__file__, encoding="utf-8") as file:
        return next(k for k, line in enumerate(file, 1) if line.strip() == node.place.source)


def test_a_model_that_draw_runs_has_its_lines():
    told = draw(Gate(), inputs=np.ones((1, 3)), fold=False).story["nodes"]
    parts = [node["part"] for node in told if node.get("operation")]
    assert "np.tanh(self.inner(x))" in parts
    assert parts[-1] == "h * tg.ops.sigmoid(h)"


def test_arrays_hand_back_numbers():
    """Every share that the page tells is the engine's: the shares of each leaf add up to its gradient."""
    x = tg.Tensor(RNG.normal(size=(2, 2)), requires_grad=True, label="x")
    W = tg.Tensor(RNG.normal(size=(2, 2)), requires_grad=True, label="W")
    loss = (np.tanh(x @ W) * x).sum()
    loss.backward()
    told = draw(loss).story["nodes"]
    backs = [part for node in told for part in node.get("backward", ())]
    assert all(part["numbers"] for part in backs)
    rules = [part["rule"] for part in backs]
    assert any(rule.endswith("@ Wᵀ") for rule in rules)
    assert any("+= xᵀ @ " in rule for rule in rules)
    places = {node["name"]: node["id"] for node in told}
    for leaf in (x, W):
        shares = [json.loads(part["numbers"]) for part in backs if part["parent"] == places[leaf.label]]
        assert np.sum(shares, axis=0) == pytest.approx(leaf.grad, rel=2e-3)


def test_a_large_array_tells_its_first_element():
    x = tg.Tensor(np.full((5, 4), 0.5), requires_grad=True, label="x")
    loss = (3.0 * np.tanh(x)).sum()
    loss.backward()
    told = [part["numbers"] for node in draw(loss).story["nodes"] for part in node.get("backward", ())]
    assert "array of shape (5, 4), norm 10.55; first element 3 · 0.7864 = 2.359" in told


# Large graphs and long labels


def test_a_graph_above_max_nodes_keeps_its_steps_and_says_why(opened):
    page = opened(draw(chain(300)))
    assert "more than max_nodes=300 are not drawn one by one" in page.find_element("id", "missing").text
    press(page, "ARROW_RIGHT")
    assert "Forward: v2 = x + 0.1 = 0.3 + 0.1 = 0.4" in page.find_element("id", "said").text
    assert shown(page, "g.node.now") == 1
    page.find_element("css selector", "g.node[aria-label$='list its nodes']").send_keys(webdriver.Keys.ENTER)
    buttons = page.find_elements("css selector", "#panel button")
    assert 1 <= len(buttons) <= 60
    buttons[-1].click()
    assert "value" in page.find_element("id", "panel").text


def test_above_two_thousand_nodes_it_says_that_there_are_no_steps(opened):
    page = opened(draw(chain(3000)))
    assert "There are no steps above 2,000 nodes" in page.find_element("id", "missing").text
    assert not shown(page, "#steps, #panel")


@pytest.mark.parametrize("letter", ["W", "i", "m", "é", "x_", "字"])
def test_a_long_label_is_short_in_its_box_and_whole_in_the_panel(opened, letter):
    label = (letter * 60)[:60]
    a = Value(0.5, label=label)
    y = (a * Value(2.0, label="b")).tanh()
    y.label = label + " out"
    y.backward()
    page = opened(draw(y))
    assert page.execute_script("return document.querySelector('#sheet svg').whole.width") < 1000
    assert [said for said in text_outside(page, "#sheet") if not said.startswith(("1:", "2:"))] == []
    page.find_element("css selector", "g.node[data-id=n0]").send_keys(webdriver.Keys.ENTER)
    assert page.find_element("css selector", "#panel h2").text == label
    assert page.execute_script("return document.documentElement.scrollWidth <= innerWidth")
