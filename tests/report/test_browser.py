"""The page in a real browser: no complaint, nothing cut off, everything by keyboard, light and dark.

Needs a browser: see tests/browser.py.
"""

import pytest

import tinygrad_edu as tg
from tests.browser import focus, prefer, press, resize, shown, text_outside, webdriver
from tests.report.runs import HOSTILE, Card, of_moons
from tinygrad_edu.charts import palette

pytestmark = pytest.mark.slow

pytest.importorskip("matplotlib")
WIDTHS = [360, 1280]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "run.html"
    return tg.report(of_moons(), path=path, title=HOSTILE, diagnosis=Card()).as_uri()


@pytest.fixture
def page(browser, address):
    """The page, opened anew at 1280 pixels in the light."""
    resize(browser, 1280)
    prefer(browser, "light")
    browser.get(address)
    browser.get_log("browser")
    return browser


# what a reader sees


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_complaint_on_the_console(browser, address, scheme):
    prefer(browser, scheme)
    browser.get(address)
    assert browser.get_log("browser") == []
    assert browser.title == HOSTILE


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", ["activations", "gradients", "weights"])
def test_pictures_are_visible_and_nothing_is_cut_off(page, width, kind):
    resize(page, width)
    page.find_element("css selector", f"input[value={kind}]").click()
    assert shown(page, "svg") == 2 + 1 + 1 + 2 * 3
    assert page.execute_script(TOO_WIDE) == []
    sizes = page.execute_script(SIZES)
    assert len(sizes) == 10
    assert all(wide > 150 and high > 80 and parts >= 5 for wide, high, parts in sizes)


# Elements with a scroll bar of their own may be wider; a picture's text may leave its frame, but not its figure.
TOO_WIDE = """
const wide = [...document.querySelectorAll("body *")].filter((e) => {
  const box = e.getBoundingClientRect();
  return box.width && !e.closest(".scroll, .skip, pre") && (box.right > innerWidth + 0.5 || box.left < -0.5);
});
const figures = [...document.querySelectorAll("figure svg text")].filter((e) => {
  const box = e.getBoundingClientRect(), figure = e.closest("figure").getBoundingClientRect();
  return box.width && (box.right > figure.right + 16 || box.left < figure.left - 1);
});
const page = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
return [...page, ...wide, ...figures].map((e) => e.outerHTML ? e.outerHTML.slice(0, 120) : e);
"""
SIZES = """
return [...document.querySelectorAll("svg")].filter((e) => e.getBoundingClientRect().width)
  .map((e) => [e.getBoundingClientRect().width, e.getBoundingClientRect().height, e.querySelectorAll("path").length]);
"""


def test_text_in_charts_stays_readable_on_a_telephone(page):
    resize(page, 360)
    heights = page.execute_script(
        'return [...document.querySelectorAll("figure svg text")].map((e) => e.getBoundingClientRect().height)'
    )
    assert min(height for height in heights if height) > 8.0


@pytest.mark.parametrize("title", ["long" * 40, "a b " * 29])
def test_a_long_title_breaks(browser, tmp_path, title):
    resize(browser, 360)
    browser.get(
        tg.report(of_moons(epochs=1, callbacks=[]), path=tmp_path / "run.html", title=title, diagnosis=None).as_uri()
    )
    assert browser.execute_script(TOO_WIDE) == []


# Controls


def test_tab_reaches_every_control_in_the_order_of_the_page_and_the_focus_shows(page):
    names, last = [], None
    for _ in range(200):
        press(page, "TAB")
        element = page.switch_to.active_element
        if element == last or element.tag_name == "body":
            break
        last = element
        names.append(page.execute_script("const e = arguments[0]; return e.id || e.name || e.textContent", element))
        outline = page.execute_script("return getComputedStyle(arguments[0]).outlineStyle", element)
        assert outline != "none", f"no ring around {names[-1]}"
    assert names[:3] == ["To the content", "theme", "Summary"]
    wanted = ["Reproduce this run", "scale", "Numbers: Loss (mse)", "kind", "epoch"]
    assert [names.index(name) for name in wanted] == sorted(names.index(name) for name in wanted)


def test_the_link_to_the_content_shows_when_it_has_the_focus(page):
    press(page, "TAB")
    assert page.execute_script("return document.activeElement.getBoundingClientRect().left") == 0
    press(page, "ENTER")
    assert page.switch_to.active_element.get_attribute("id") == "main"


def test_arrow_keys_move_through_the_epochs(page):
    frame = (
        'return [...document.querySelectorAll("#layers [data-of]")].map((e) => e.getAttribute("d") || e.textContent)'
    )
    before = page.execute_script(frame)
    focus(page, "#epoch")
    press(page, "ARROW_LEFT")
    slider = page.find_element("id", "epoch")
    assert slider.get_attribute("aria-valuetext") == "epoch 11"
    assert page.find_element("id", "epoch-shown").text == "epoch 11"
    press(page, "HOME")
    assert slider.get_attribute("aria-valuetext") == "epoch 1"
    first = page.execute_script(frame)
    # the number; and for 3 kinds and 3 layers a line, a histogram and a sentence each
    assert len(first) == 1 + 3 * 3 * 3
    assert all(a != b for a, b in zip(before, first, strict=True))
    press(page, "END")
    assert page.execute_script(frame) == before


def test_arrow_keys_choose_what_is_shown(page):
    assert shown(page, '[data-case="kind:activations"]') == 1
    focus(page, "input[value=activations]")
    for kind in ("gradients", "weights", "activations"):
        press(page, "ARROW_RIGHT")
        assert shown(page, f'[data-case="kind:{kind}"]') == 1
        assert shown(page, "[data-case^=kind]") == 1


def test_the_scale_is_switched_by_keyboard(page):
    assert shown(page, '[data-case="scale:log"]') == 2
    focus(page, "input[value=log]")
    press(page, "ARROW_LEFT")
    assert (shown(page, '[data-case="scale:log"]'), shown(page, '[data-case="scale:linear"]')) == (0, 2)


def test_enter_opens_the_numbers_behind_a_chart(page):
    assert shown(page, "#curves table") == 0
    focus(page, "#curves summary")
    press(page, "ENTER")
    assert shown(page, "#curves table") == 1
    assert len(page.find_elements("css selector", "#curves figure:first-child tbody tr")) == 12


def test_every_link_leads_to_its_part(page):
    for link in page.find_elements("css selector", "nav a"):
        link.send_keys(webdriver.Keys.ENTER)
        target = link.get_attribute("href").partition("#")[2]
        assert page.find_element("id", target).is_displayed()
        assert page.current_url.endswith("#" + target)


def test_text_stays_inside_the_boxes_of_the_network(page):
    assert text_outside(page, "#network") == []


# Themes


def colours(browser):
    """Ground and ink of the page, ink of a chart, and a box of the graph."""
    return browser.execute_script("""
      const of = (selector, property) => getComputedStyle(document.querySelector(selector))[property];
      return [of("body", "backgroundColor"), of("body", "color"), of("#curves svg text", "fill"),
              of("#network svg path", "fill"), of("#network svg text:not([fill])", "fill")];
    """)


def rgb(colour):
    return "rgb({}, {}, {})".format(*(int(colour[i : i + 2], 16) for i in (1, 3, 5)))


def expected(names):
    return [rgb(names[name]) for name in ("ground", "ink", "muted", "box-good", "ink")]


@pytest.mark.parametrize(("preferred", "other"), [("light", "dark"), ("dark", "light")])
def test_the_theme_follows_the_system_and_the_button_turns_it(page, preferred, other):
    names = {"light": palette.LIGHT, "dark": palette.DARK}
    prefer(page, preferred)
    assert colours(page) == expected(names[preferred])
    focus(page, "#theme")
    button = page.find_element("id", "theme")
    assert button.get_attribute("aria-pressed") == str(preferred == "dark").lower()
    press(page, "ENTER")
    assert colours(page) == expected(names[other])
    assert button.get_attribute("aria-pressed") == str(other == "dark").lower()
    press(page, "SPACE")
    assert colours(page) == expected(names[preferred])


# Assistive programs, and safety


def test_everything_that_can_be_used_has_a_name(page):
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = [(n["role"]["value"], n.get("name", {}).get("value", "")) for n in nodes if not n.get("ignored")]
    used = [(role, name) for role, name in roles if role in ("button", "slider", "radio", "link", "image", "img")]
    assert {role for role, _ in used} >= {"button", "slider", "radio", "link"}
    assert [role for role, name in used if not name] == []
    assert sum(role in ("image", "img") for role, _ in used) == 10
    assert {"main", "navigation", "banner", "contentinfo"} <= {role for role, _ in roles}
    assert ("slider", "Histograms after") in used
    assert ("heading", "Layers over time") in roles


def test_the_policy_stops_whatever_would_be_loaded_or_run(page):
    stopped = page.execute_async_script("""
      const done = arguments[0], stopped = [];
      document.addEventListener("securitypolicyviolation", (event) => {
        if (stopped.push(event.effectiveDirective) === 3) done(stopped.sort());
      });
      const image = document.createElement("img");
      image.src = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
      const script = document.createElement("script");
      script.textContent = "window.ran = true";
      document.body.append(image, script);
      fetch("data:,x").catch(() => {});
    """)
    assert stopped == ["connect-src", "img-src", "script-src-elem"]
    assert page.execute_script("return window.ran === undefined")


def test_without_the_script_the_last_epoch_shows_and_no_control_without_use(browser, address):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        browser.get(address)
        assert shown(browser, "svg") == 10
        assert shown(browser, "input, button") == 0
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
