"""Every kind of page in a real browser, 400 to 1,600 pixels wide, light and dark.

`python -m tests.report.screenshots FOLDER [PAGE ...]` writes the pages and a PNG of each view, and prints what
complains, leaves the page, runs a script that came with the data, or runs out of the window.
"""

from __future__ import annotations

import base64
import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

import tinygrad_edu as tg
from tests.browser import FLAGS, prefer, resize, webdriver
from tinygrad_edu import Value, nn

WIDTHS, SCHEMES = (400, 700, 1000, 1600), ("light", "dark")
HOSTILE = "<script>window.stolen = 1</script> שלום 🎉 $x^2$ \\N & " + "W" * 40
RNG = np.random.default_rng(0)
X, Y = tg.data.moons(120, noise=0.15, seed=0)


def run_of(sizes, X=X, y=Y, loss="mse", epochs=20, **settings):
    model = nn.MLP(sizes, seed=0, **settings)
    optimizer = tg.optim.Adam(model.parameters(), lr=0.02)
    return tg.fit(model, X, y, loss=loss, optimizer=optimizer, epochs=epochs, compiled=False, progress=False)


def loss_of(model, X):
    loss = (model(X) ** 2).mean()
    loss.backward()
    return loss


def hostile_graph():
    a = Value(0.5, label=HOSTILE)
    with tg.record_lines():
        y = (a * Value(2.0, label="i" * 60)).tanh()
    y.label = HOSTILE
    y.backward()
    return tg.draw(y, title=HOSTILE)


def chain():
    x = Value(0.3, label="x")
    for _ in range(400):
        x = x.sin()
    x.backward()
    return tg.draw(x)


def classes(count):
    angles = RNG.integers(0, count, 200)
    points = RNG.normal(size=(200, 2)) + 5.0 * np.c_[np.cos(angles), np.sin(angles)]
    return points, angles


def sequence():
    model = nn.Sequential(nn.LSTM(3, 4, rng=0), nn.last_output, nn.Linear(4, 1, rng=1))
    inputs, targets = RNG.normal(size=(20, 5, 3)), RNG.normal(size=(20, 1))
    return tg.fit(model, inputs, targets, loss="mse", optimizer="adam", epochs=5, compiled=False, progress=False)


PAGES = {
    "graph-hostile": hostile_graph,
    "graph-values": lambda: tg.draw(nn.losses.mse(nn.MLP([2, 3, 1], seed=0, backend="scalar")(X[:1]), Y[:1])),
    "graph-sum": lambda: tg.draw(sum(Value(float(i), label=f"x{i}") for i in range(40))),
    "graph-chain": chain,
    "graph-deep": lambda: tg.draw(loss_of(nn.MLP([2, *[8] * 10, 1], seed=0), X)),
    "graph-encoder": lambda: tg.draw(
        loss_of(
            nn.Sequential(*[nn.TransformerEncoderLayer(8, 2, 16, rng=0) for _ in range(4)]), RNG.normal(size=(2, 5, 8))
        )
    ),
    "network-health": lambda: tg.draw(
        nn.MLP([2, *[6] * 7, 1], seed=0, activation="sigmoid"), style="network", color="health", inputs=X
    ),
    "network-wide": lambda: tg.draw(nn.MLP([40, 100, 10], seed=0), style="network", title=HOSTILE),
    "compare": lambda: tg.compare({HOSTILE: run_of([2, 4, 1]), "W" * 60: run_of([2, 8, 1])}),
    "animate-plane": lambda: tg.animate(run_of([2, 8, 8, 1]), title=HOSTILE),
    "animate-classes": lambda: tg.animate(run_of([2, 8, 12], *classes(12), "cross_entropy")),
    "animate-deep": lambda: tg.animate(run_of([2, *[4] * 20, 1], epochs=3)),
    "animate-line": lambda: tg.animate(run_of([1, 8, 1], X[:, :1], Y)),
    "animate-series": lambda: tg.animate(sequence()),
    "animate-one": lambda: tg.animate(run_of([2, 4, 1], epochs=1)),
    "playground": lambda: tg.playground(title=HOSTILE),
    "playground-names": lambda: tg.playground(X, np.where(Y.ravel() > 0, HOSTILE, "b")),
    "report-run": lambda: Report(run_of([2, 8, 8, 1])),
    "report-classes": lambda: Report(run_of([2, 8, 12], *classes(12), "cross_entropy")),
    "report-long": lambda: Report(run_of([4, 30, 1], RNG.normal(size=(50, 4)), RNG.normal(size=(50, 1)) * 1e17)),
}


class Report:
    """A report as what has `save`."""

    def __init__(self, run):
        self.run = run

    def save(self, path):
        tg.report(self.run, path=path, title=HOSTILE, diagnosis=None)
        return path


OUTSIDE = """
  const bad = [...document.querySelectorAll("body *")].filter(e => {
    const at = e.getBoundingClientRect();
    const free = e.closest("pre, .scroll, .skip, .sheet svg, .chart svg, details, [hidden]");
    return at.width && !free && (at.right > innerWidth + 1 || at.left < -1);
  }).map(e => e.outerHTML.slice(0, 90));
  const wide = document.documentElement.scrollWidth;
  if (wide > innerWidth) bad.unshift("the page is " + wide);
  return bad;
"""


def start(folder):
    """Chromium that keeps its requests."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in [*FLAGS, f"--user-data-dir={folder}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))


def requests_of(browser):
    """What was asked for beyond the file itself."""
    messages = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]
    return [url for url in sent if not url.startswith(("file:", "data:", "blob:", "about:"))]


def complaints(browser, address, width, scheme):
    """What is wrong with a page in one view."""
    resize(browser, width)
    prefer(browser, scheme)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(address)
    found = [("console", entry["message"]) for entry in browser.get_log("browser")]
    found += [("outside", text) for text in browser.execute_script(OUTSIDE)]
    found += [("request", url) for url in requests_of(browser)]
    found += [("script", "of the data")] if browser.execute_script("return window.stolen || 0") else []
    return found


def photograph(browser, path, most=3000):
    """The whole page, cut at so many pixels."""
    wide, high = browser.execute_script("return [innerWidth, document.documentElement.scrollHeight]")
    clip = {"x": 0, "y": 0, "width": wide, "height": min(high, most), "scale": 1}
    taken = browser.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "clip": clip})
    path.write_bytes(base64.b64decode(taken["data"]))


def main(folder, *names):
    target, wrong, views = Path(folder), 0, 0
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = start(profile)
        for name in names or PAGES:
            path = Path(PAGES[name]().save(target / f"{name}.html"))
            for width in WIDTHS:
                for scheme in SCHEMES:
                    found = complaints(browser, path.resolve().as_uri(), width, scheme)
                    photograph(browser, target / f"{name}-{width}-{scheme}.png")
                    wrong, views = wrong + bool(found), views + 1
                    if found:
                        print(f"{name}, {width} pixels, {scheme}: {found[:4]}", flush=True)
        browser.quit()
    print(f"{views} views of {len(names or PAGES)} pages; {wrong} with something wrong")


if __name__ == "__main__":
    main(*sys.argv[1:])
