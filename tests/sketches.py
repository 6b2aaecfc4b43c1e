"""Pages whose charts are made, but not written out by Matplotlib: that takes half of the time of a report."""

import contextlib
from unittest import mock


@contextlib.contextmanager
def sketched():
    """Every picture of Matplotlib's is an empty one; what is drawn in it, its limits and its frames, is computed."""

    def savefig(figure, target, **_):
        target.write('<svg width="1pt" viewBox="0 0 1 1"></svg>')

    with mock.patch("matplotlib.figure.Figure.savefig", savefig):
        yield
