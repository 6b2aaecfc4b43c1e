"""Tables of samples as pandas and spreadsheets write them: the features are the features, and rows the rows."""

import numpy as np
import pandas as pd
import pytest

from tinygrad_edu.clinic.diagnosis.data_files import read_data, read_table
from tinygrad_edu.reporting.playground.page import from_csv

X = np.random.default_rng(0).normal(size=(12, 3)).round(3)
TARGETS = {
    "numbers": np.arange(12) / 7.0, "classes": np.arange(12) % 3, "texts": np.array(["a", "b"])[np.arange(12) % 2],
    "underscores": np.array(["1_1", "1_2"])[np.arange(12) % 2], "large": 1e6 + np.arange(12) % 2,
    "commas": np.array(["a,b", 'c"d'])[np.arange(12) % 2],
}  # fmt: skip
FORMS = [
    {}, {"index": False}, {"index": False, "header": False}, {"index": False, "sep": "\t"},
    {"index": False, "quoting": 1},
    {"sep": ";"}, {"index": False, "lineterminator": "\r\n"},
]  # fmt: skip


@pytest.mark.parametrize("names", [["x", "y", "z", "t"], range(4)], ids=["names", "numbers"])
@pytest.mark.parametrize("form", FORMS, ids=str)
@pytest.mark.parametrize("kind", TARGETS)
def test_a_frame_comes_back_as_it_was_written(tmp_path, monkeypatch, names, form, kind):
    frame = pd.DataFrame(X)
    frame["t"] = TARGETS[kind]
    frame.columns = list(names)
    frame.to_csv(tmp_path / "data.csv", **form)
    found = from_csv(tmp_path / "data.csv")
    np.testing.assert_array_equal(found.X, X)
    classes, numbers = np.unique(TARGETS[kind], return_inverse=True)
    np.testing.assert_array_equal(found.y, numbers if found.classes else TARGETS[kind])
    assert len(set(found.classes)) == (0 if kind == "numbers" else len(classes))
    monkeypatch.chdir(tmp_path)
    made = {"np": np}
    exec("\n".join(found.program), made)  # the program that the page exports
    np.testing.assert_array_equal(made["X"], X)


@pytest.mark.parametrize(
    ("text", "rows"),
    [("0,0,0\n0,1,1\n1,0,1\n1,1,0", 4), ("0,1,2\n1,2,3\n2,0,1", 3), ("0,1,2\n0.5,1.5,0\n", 1), ("0,1\n1,2\n", 2)],
)
def test_whole_numbers_are_samples_where_they_may_be(tmp_path, text, rows):
    (tmp_path / "data.csv").write_text(text)
    assert len(read_data(tmp_path / "data.csv")[0]) == rows


def test_an_index_under_a_name_is_a_feature(tmp_path):
    pd.DataFrame({"id": range(3), "x": [1.5, 2.5, 3.5], "y": [0, 1, 0]}).to_csv(tmp_path / "data.csv", index=False)
    assert not read_table(tmp_path / "data.csv").numbered
