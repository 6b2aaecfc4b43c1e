"""The labels of a logarithmic axis in the pages, in Node."""

from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu
from tests.interop import node
from tinygrad_edu.charts.axes import thin_points
from tinygrad_edu.charts.chart import Line, tell

PLOTS = Path(tinygrad_edu.__file__).with_name("reporting") / "assets" / "plots.js"


def test_a_logarithmic_axis_is_labelled_over_its_whole_length(tmp_path):
    """No end of the axis without a label is longer than half of it, from a factor of 5 to 12 decades."""
    rng = np.random.default_rng(0)
    lows = 10.0 ** rng.uniform(-9.0, 3.0, 300)
    ranges = [(low, low * 10.0**decades) for low, decades in zip(lows, rng.uniform(0.7, 12.0, 300), strict=True)]
    calls = f"for (const [low, high] of {node.literal(ranges)}) found.push(plots.powers(low, high, 4));"
    marks = node.run(PLOTS.read_text(encoding="utf-8") + calls, tmp_path)
    for (low, high), texts in zip(ranges, marks, strict=True):
        labels = np.sort(node.numbers(texts))
        assert 2 <= len(labels) <= 7, (low, high, labels)
        assert low * (1 - 1e-6) <= labels[0], (low, labels)
        assert labels[-1] <= high * (1 + 1e-6), (high, labels)
        longest = max(np.log10(labels[0] / low), np.log10(high / labels[-1])) / np.log10(high / low)
        assert longest <= 0.5, (low, high, labels)


def test_an_axis_narrower_than_the_spacing_of_floats_has_few_labels(tmp_path):
    starts = [147.87861634658458, 1.0, 1e-300, 3e9, 1e300]
    ranges = [(x, float(np.nextafter(x, np.inf) + k * np.spacing(x))) for x in starts for k in (0, 1, 3, 50)]
    calls = f"for (const [low, high] of {node.literal(ranges)}) found.push(plots.powers(low, high, 4));"
    marks = node.run(PLOTS.read_text(encoding="utf-8") + calls, tmp_path)
    assert all(len(set(texts)) == len(texts) <= 10 for texts in marks)


@pytest.mark.parametrize("gap", [np.nan, np.inf, -np.inf])
def test_a_long_curve_keeps_its_peaks_beside_gaps(gap):
    curve = np.random.default_rng(0).normal(size=3000)
    curve[::2], curve[1001], curve[2001] = gap, 50.0, -50.0
    shown = curve[thin_points(curve)]
    assert 50.0 in shown
    assert -50.0 in shown


def test_a_curve_that_ends_in_nan_is_not_told_to_end_before():
    line = Line("training", np.array([1.0, 0.5, np.inf, np.nan]))
    assert tell(line) == "training from 1 to NaN, lowest 0.5"
