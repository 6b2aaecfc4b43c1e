"""A real browser for the tests of pages: Debian's Chromium, driven by ChromeDriver, with nothing loaded from elsewhere.

`.ci/run` installs both where it may. Without them these tests are skipped, but where CI is set they fail: there the
pages have to be looked at.
"""

import importlib
import os
import shutil
import time

import pytest

CI = bool(os.environ.get("CI"))
STARTED = []  # the browser, once it is running
try:
    webdriver = importlib.import_module("selenium.webdriver")
except ModuleNotFoundError:
    webdriver = None
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    """Chromium with a profile of its own; the driver's path is given, so that Selenium looks for none elsewhere."""
    if webdriver is None:
        pytest.fail("selenium is not installed") if CI else pytest.skip("needs selenium: the extra test")
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        reason = "needs a browser: apt-get install --no-install-recommends chromium chromium-driver"
        pytest.fail(reason) if CI else pytest.skip(reason)
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in [*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    STARTED.append(found)
    yield found
    STARTED.clear()
    found.quit()


def work_of(browser, address, ready):
    """Opens a page until there is an element `ready`; seconds that its thread had of the processor."""
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    browser.get(address)
    ends = time.monotonic() + 60.0
    while not browser.find_elements("css selector", ready):
        assert time.monotonic() < ends, browser.get_log("browser")
    counted = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return next(each["value"] for each in counted if each["name"] == "TaskDuration")


def leave_page():
    """A playground that goes on training took a seventh of a processor from the tests after it."""
    for each in STARTED:
        each.get("about:blank")


def resize(browser, width):
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)


def prefer(browser, scheme):
    """The wishes of a reader's system: the theme, and no gliding, so that a click meets what has come into view."""
    wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
    features = [{"name": name, "value": value} for name, value in wishes.items()]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def press(browser, key):
    """One key, as from a keyboard: to whatever has the focus."""
    webdriver.ActionChains(browser).send_keys(getattr(webdriver.Keys, key)).perform()


def focus(browser, selector):
    browser.execute_script("document.querySelector(arguments[0]).focus({focusVisible: true})", selector)


def shown(browser, selector):
    """How many elements are to be seen."""
    found = browser.find_elements("css selector", selector)
    return sum(element.is_displayed() for element in found)


OUTSIDE = """
  const out = [];
  for (const group of document.querySelectorAll(arguments[0] + " svg:not([hidden]) g")) {
    const own = tag => [...group.querySelectorAll(":scope > " + tag + ", :scope > a > " + tag)];
    const shapes = [...own("path"), ...own("polygon"), ...own("ellipse")], texts = own("text");
    if (!shapes.length || !texts.length) continue;
    const box = shapes.map(s => s.getBBox()).sort((a, b) => b.width - a.width)[0];
    for (const text of texts) {
      const t = text.getBBox();
      const wide = Math.max(box.x - t.x, t.x + t.width - box.x - box.width);
      if (wide > -arguments[1]) out.push(text.textContent + ": " + wide.toFixed(1));
    }
  }
  return out;
"""


def text_outside(browser, selector, inside=-1.5):
    """Texts that end less than `inside` points before the edge of their node's box, and by how many they leave it."""
    return browser.execute_script(OUTSIDE, selector, inside)
