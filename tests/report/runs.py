"""The runs that the tests of the report look at, and how its HTML is read."""

from html.parser import HTMLParser

from tinygrad_edu import nn, optim
from tinygrad_edu.data import moons, spirals
from tinygrad_edu.train import Histograms, fit

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
VOID = {"meta", "link", "img", "br", "hr", "input", "path", "use", "rect", "circle", "polygon", "ellipse", "line"}


class Card:
    """Stands in for a Diagnosis."""

    def _repr_html_(self):
        return "<div><b>lr_too_high</b><pre>5 of 5 seeds recover</pre></div>"


def of_moons(sizes=(2, 6, 4, 1), epochs=12, callbacks=None, backend="tensor", activation="tanh", **settings):
    """A small run with histograms and validation."""
    model = nn.MLP(sizes, seed=1, backend=backend, activation=activation)
    callbacks = [Histograms()] if callbacks is None else callbacks
    settings = {"validation": moons(20, seed=5), "compiled": False, "batch_size": 16} | settings
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    return fit(model, *moons(60), loss="mse", optimizer=optimizer, epochs=epochs, callbacks=callbacks, **settings)


def of_spirals(classes=3, epochs=5):
    model = nn.MLP([2, 8, classes], seed=1)
    X, y = spirals(90, arms=classes)
    optimizer = optim.Adam(model.parameters())
    return fit(model, X, y, loss="cross_entropy", optimizer=optimizer, epochs=epochs, compiled=False)


class Page(HTMLParser):
    """Elements of a page as (tag, attributes, path of tags above), and the text by element."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.stack, self.texts, self.unbalanced = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), tuple(self.stack)))
        self.texts.append("")
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes), tuple(self.stack)))
        self.texts.append("")

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.stack or self.stack[-1] != tag:
            self.unbalanced.append((tag, tuple(self.stack)))
        if tag in self.stack:
            while self.stack.pop() != tag:
                pass

    def handle_data(self, data):
        if self.texts:
            self.texts[-1] += data

    def all(self, tag):
        return [attributes for name, attributes, _ in self.elements if name == tag]

    def words(self, tag):
        """The text right after the start of each such element."""
        return [text.strip() for (name, _, _), text in zip(self.elements, self.texts, strict=True) if name == tag]
