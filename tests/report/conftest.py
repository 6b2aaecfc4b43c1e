"""The playground, written once for each module of tests, and opened in the browser."""

import pytest

import tinygrad_edu as tg
from tests.browser import prefer, resize


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    return tg.playground(path=(path := tmp_path_factory.mktemp("page") / "play.html")) and path.as_uri()


@pytest.fixture
def opened(browser, address):
    return load(browser, address)


@pytest.fixture
def kept(browser, address, request):
    """The page as the last case of the same test has left it: to load it is two thirds of the work of such a case."""
    test = request.node.originalname
    if browser.execute_script("return window.keptFor") != test:
        load(browser, address)
        browser.execute_script("window.keptFor = arguments[0]", test)
    return browser


def load(browser, address):
    resize(browser, 1280)
    prefer(browser, "light")
    browser.get_log("browser")  # drop what another module's pages have logged
    browser.get(address)
    return browser
