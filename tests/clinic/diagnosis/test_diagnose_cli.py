"""`tinygrad-edu diagnose`: what it reads, what it refuses, and with which sentence."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.cli import main
from tinygrad_edu.clinic import diagnose_curve
from tinygrad_edu.clinic.diagnosis import data_files, files
from tinygrad_edu.errors import InputFileError

ROOT = Path(__file__).parents[2]
FALLING = [1.0, 0.7, 0.5, 0.36, 0.27, 0.2, 0.16, 0.13, 0.11, 0.1]


def told(capsys, *arguments):
    assert main(["diagnose", *map(str, arguments)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def refused(capsys, *arguments):
    assert main(["diagnose", *map(str, arguments)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("tinygrad-edu: ")
    assert err.count("\n") == 1
    return err


# Loss curves

LINES = "\n".join(f"{i},{x},{x / 2}" for i, x in enumerate(FALLING))
CURVES = [  # (name of the file, its content)
    ("list.json", json.dumps(FALLING)),
    ("fit.json", json.dumps({"loss_curve": FALLING, "grad_norms": [1.0], "config": {}})),
    ("history.json", json.dumps({"accuracy": [0.5], "loss": FALLING})),
    ("no_suffix", " " + json.dumps(FALLING)),
    ("named.csv", "epoch,Loss,validation\n" + LINES),
    ("last.csv", "\n".join(f"{i},{x}" for i, x in enumerate(FALLING))),
    ("header.csv", "epoch,train loss\n\n" + "\n".join(f"{i},{x}" for i, x in enumerate(FALLING)) + "\n\n"),
    ("one_column.csv", "\n".join(map(str, FALLING))),
    ("semicolons.csv", "epoch;loss;other\r\n" + LINES.replace(",", ";")),
    ("tabs.tsv", "loss\tother\n" + "\n".join(f"{x}\t3" for x in FALLING)),
    ("marked.csv", "\ufeffloss,b\n" + "\n".join(f"{x},3" for x in FALLING)),
]


@pytest.mark.parametrize(("name", "text"), CURVES, ids=lambda x: x[:12])
def test_a_curve_is_read_from_each_form(name, text, tmp_path, capsys):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(files.read_curve(path), FALLING)
    answer = " ".join(told(capsys, path).split())
    assert diagnose_curve(FALLING).summary in answer
    assert ("as the training loss" in answer) == any(c.isalpha() for c in text)


def test_what_a_run_saves_is_read(tmp_path, capsys):
    model = tg.nn.MLP([2, 3, 1], seed=0)
    run = tg.fit(
        model, *tg.data.or_gate(), loss="mse", optimizer=tg.optim.SGD(model.parameters(), lr=0.1), epochs=30,
    )  # fmt: skip
    path = run.save(tmp_path / "run.json")
    np.testing.assert_array_equal(files.read_curve(path), run.loss_curve)
    assert "30 epochs" in told(capsys, path)


@pytest.mark.parametrize("text", ["[1.0, 0.5, NaN, null]", "1.0\n0.5\nnan\nNaN\n"])
def test_losses_that_are_not_finite_are_losses(text, tmp_path, capsys):
    path = tmp_path / "curve"
    path.write_text(text)
    np.testing.assert_array_equal(files.read_curve(path), [1.0, 0.5, np.nan, np.nan])
    assert told(capsys, path)


BAD = [  # (name, content, what the sentence names)
    ("empty.json", "", "is empty"),
    ("blank.csv", " \n\n", "is empty"),
    ("cut.json", "[1.0, 0.5", "line 1: not valid JSON"),
    (
        "other.json",
        '{"accuracy": [1.0]}',
        "no column of a loss (loss_curve, losses, loss, train_loss); it has: accuracy",
    ),
    ("nothing.json", "{}", "it has: nothing"),
    ("number.json", '{"loss": 3}', "a list of the loss of each epoch is needed, not 3"),
    ("no_entries.json", "[]", "a list of the loss of each epoch is needed, not []"),
    ("text.json", '[1.0, "high"]', 'entry 1 is "high"'),
    ("rows.json", "[[1.0], [0.5]]", "entry 0 is [1.0]"),
    ("truth.json", "[true]", "entry 0 is true"),
    ("words.csv", "loss\n1.0\nhigh\n", "line 3: 'high' is not a number"),
    ("short.csv", "epoch,other,loss\n1,2,3\n1,2\n", "line 3: it has 2 columns, and number 3 is needed"),
    ("header.csv", "epoch,loss\n", "a header and no numbers"),
]


@pytest.mark.parametrize(("name", "text", "words"), BAD, ids=lambda x: x[:12])
def test_a_bad_file_is_refused_in_one_sentence(name, text, words, tmp_path, capsys):
    path = tmp_path / name
    path.write_text(text)
    err = refused(capsys, path)
    assert words in err
    assert name in err


def test_a_file_that_cannot_be_opened_is_refused(tmp_path, capsys):
    assert "No such file" in refused(capsys, tmp_path / "none.json")
    assert "is a folder" in refused(capsys, tmp_path)


def test_an_image_is_no_curve(tmp_path, capsys):
    path = tmp_path / "curve.csv"
    path.write_bytes(b"\xff\xd8\xff\xe0 no text")
    assert "is not UTF-8 text" in refused(capsys, path)


# Pickles


class Bomb:
    """Unpickled, it writes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.mark.parametrize("name", ["model.pkl", "model.joblib", "model.csv", "model"])
def test_a_pickle_is_not_opened_without_trust(name, tmp_path, capsys):
    path, trace = tmp_path / name, tmp_path / "trace"
    path.write_bytes(pickle.dumps(Bomb(trace)))
    err = refused(capsys, path)
    assert "a pickle can run code when it is loaded" in err
    assert "--trust-pickle" in err
    assert not trace.exists()
    refused(capsys, path, "--data", path)
    assert not trace.exists()


def test_a_trusted_file_that_is_no_pickle_is_refused(tmp_path, capsys):
    path = tmp_path / "model.pkl"
    path.write_text("no pickle")
    assert "cannot be unpickled" in refused(capsys, path, "--trust-pickle")
    path.write_bytes(pickle.dumps({"not": "an estimator"}))
    assert "give the data it was trained on with --data FILE.csv" in refused(capsys, path, "--trust-pickle")


def test_data_go_with_an_estimator_only(tmp_path, capsys):
    path = tmp_path / "curve.json"
    path.write_text("[1.0]")
    assert "--data is for a pickled estimator" in refused(capsys, path, "--data", path)


@pytest.fixture
def blobs(tmp_path):
    """Two clouds as a CSV with names of classes, and as arrays."""
    X, y = tg.data.blobs(60, 2, 3, seed=1)
    names = np.array(["cat", "dog"])[y]
    rows = [",".join([*map(repr, row.tolist()), name]) for row, name in zip(X, names, strict=True)]
    path = tmp_path / "data.csv"
    path.write_text("a,b,c,animal\n" + "\n".join(rows))
    return path, X, names


def test_data_are_read_as_they_are(blobs, tmp_path):
    path, X, names = blobs
    found_X, found_y = data_files.read_data(path, np.array(["cat", "dog"]))
    np.testing.assert_array_equal(found_X, X)
    np.testing.assert_array_equal(found_y, names)
    plain = tmp_path / "plain.csv"
    plain.write_text("1,2,0\n3,4,1\n")
    X, y = data_files.read_data(plain, np.array([0, 1]))
    assert (X.tolist(), y.tolist(), y.dtype.kind) == ([[1.0, 2.0], [3.0, 4.0]], [0, 1], "i")
    assert data_files.read_data(plain)[1].dtype == float


BAD_DATA = [
    ("", "has no samples"),
    ("a,b\n", "has no samples"),
    ("1\n2\n", "2 columns are needed, the last one for the target, and it has 1"),
    ("1,2\n3\n", "line 2: 2 columns are needed, the last one for the target, and it has 1"),
    ("a,b\n1,2\nx,3\n", "line 3: 'x' is not a number"),
    ("1,2\n1,high\n", "line 2: 'high' is not a number"),
]


@pytest.mark.parametrize(("text", "words"), BAD_DATA)
def test_bad_data_are_refused(text, words, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(text)
    with pytest.raises(InputFileError, match=words):
        data_files.read_data(path)


@pytest.mark.parametrize("form", ["pkl", "joblib"])
def test_a_trusted_estimator_is_diagnosed(form, blobs, tmp_path, capsys):
    neural_network = pytest.importorskip("sklearn.neural_network")
    import joblib

    path, X, names = blobs
    model = neural_network.MLPClassifier((8,), learning_rate_init=0.05, random_state=0).fit(X, names)
    file = tmp_path / f"model.{form}"
    joblib.dump(model, file) if form == "joblib" else file.write_bytes(pickle.dumps(model))
    assert told(capsys, file, "--trust-pickle", "--data", path).startswith("Healthy")


def test_as_a_program(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(1))
    command = [sys.executable, "-m", "tinygrad_edu", "diagnose", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
