"""The pictures of README.md and of other pages, drawn anew from the programs that these show.

`python docs/pictures.py` draws the graphs; `python docs/pictures.py pages` photographs the pages that the how-to
programs write, in Chromium; `python docs/pictures.py curves` draws the curves of symptoms.md. Each photograph keeps a
fingerprint of the page's words, each curve one of its program: a test compares it with today's.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "tinygrad_edu" / "reporting" / "assets"
PHOTOGRAPHS = ROOT / "docs" / "how-to" / "pictures"
SYMPTOMS = "docs/how-to/symptoms.md"
SESSION = re.compile(r"^(?:>>>|\.\.\.) ?(.*)$", re.M)


def program(word: str, page: str = "README.md") -> str:
    """The first program of a page that contains a word, without prompts and output."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S)
    return "\n".join(SESSION.findall(next(block for block in blocks if word in block)))


def names(word: str, page: str = "README.md") -> dict[str, Any]:
    """What that program leaves behind; this file is the project's own, and so are its pages."""
    import tinygrad_edu as tg

    found: dict[str, Any] = {"tg": tg}  # imported in README's first program
    exec(program(word, page), found)
    return found


def drawings() -> dict[str, Any]:
    """Each picture by its file."""
    import tinygrad_edu as tg

    neuron, learner = names("a * b + c"), names("check_backprop")
    chain = names("derivatives=True", "docs/explanation/backprop.md")
    report = tg.clinic.check_backprop(*(learner[name] for name in ("forward", "p", "backward")))
    return {
        "docs/tanh.svg": tg.draw(neuron["y"], title="tanh(a*b + c)"),
        "docs/mistake.svg": report.draw(),
        "docs/explanation/chain-rule.svg": chain["picture"],
    }


# Screenshots: the file that the how-to page's program writes, a script to run in the page, and the size in pixels.
PAGES = {
    "report": ("moons.html", "", (1000, 1130)),
    "animate": ("moons.html", "const at = document.querySelector('input[type=range]'); at.value = 45; "
                "at.dispatchEvent(new Event('input'))", (1000, 1190)),
    "playground": ("circles.html", "for (let i = 0; i < 150; i++) document.getElementById('one').click()",
                   (1300, 1290)),
}  # fmt: skip
# page templates whose words the screenshot shows
TEMPLATES = {"animate": "animation.html", "playground": "playground.html"}


def fingerprint(name: str) -> str:
    """Of the words of a page, so that a photograph with other words than today's is noticed."""
    words = re.sub(r"<[^>]*>|\s+", " ", (ASSETS / TEMPLATES[name]).read_text(encoding="utf-8"))
    return hashlib.sha256(" ".join(words.split()).encode()).hexdigest()


def write_page(name: str) -> str:
    """The page of a how-to's first program, as a file in the present folder."""
    import tinygrad_edu as tg

    file, *_ = PAGES[name]
    if name == "playground":  # the page as the command opens it
        tg.playground().save(file)
    else:
        text = (ROOT / "docs" / "how-to" / f"{name}.md").read_text(encoding="utf-8")
        first = re.findall(r"```python\n(.*?)```", text, re.S)[0]
        exec("\n".join(SESSION.findall(first)), {})
    return Path(file).resolve().as_uri()


def photograph(browser: Any, name: str) -> None:
    """The page in its light colours, as docs/how-to/pictures/NAME.png."""
    from PIL import Image, PngImagePlugin

    _, action, (wide, high) = PAGES[name]
    screen = {"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    browser.get(write_page(name))
    browser.execute_script(action)
    time.sleep(1.0)  # wait until it is drawn
    png = base64.b64decode(browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"])
    said = PngImagePlugin.PngInfo()
    if name in TEMPLATES:
        said.add_text("words", fingerprint(name))
    Image.open(io.BytesIO(png)).convert("RGB").save(PHOTOGRAPHS / f"{name}.png", pnginfo=said, optimize=True)


def photograph_pages() -> None:
    """All of PAGES, and the two charts of compare-runs.md."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("--headless=new", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(flag)
    # given explicitly, or Selenium would look for one on the network
    driver = webdriver.ChromeService(shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=driver)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name in PAGES:
            photograph(browser, name)
        text = (ROOT / "docs" / "how-to" / "compare-runs.md").read_text(encoding="utf-8")
        found: dict[str, Any] = {}
        exec("\n".join(SESSION.findall("\n".join(re.findall(r"```python\n(.*?)```", text, re.S)))), found)
        found["chart"].save(PHOTOGRAPHS / "compare.png")
        found["tg"].compare(found["runs"]).save(PHOTOGRAPHS / "seeds.png")
    browser.quit()


def draw_curves() -> None:
    """The curves of symptoms.md, each with a fingerprint of the program that gave it."""
    from PIL import Image, PngImagePlugin

    found = names("runs = {", SYMPTOMS)
    for name, pair in found["runs"].items():
        said = PngImagePlugin.PngInfo()
        said.add_text("program", fingerprint_of_curves())
        png = io.BytesIO(found["tg"].compare(pair).picture("png"))
        Image.open(png).convert("RGB").save(PHOTOGRAPHS / f"curve-{name}.png", pnginfo=said, optimize=True)


def fingerprint_of_curves() -> str:
    return hashlib.sha256(program("runs = {", SYMPTOMS).encode()).hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] == ["pages"]:
        photograph_pages()
    elif sys.argv[1:] == ["curves"]:
        draw_curves()
    else:
        for file, drawing in drawings().items():
            print(f"wrote {drawing.save(ROOT / file)}")
