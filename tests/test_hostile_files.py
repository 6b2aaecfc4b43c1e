"""Files from anywhere, of runs, models, histograms, curves: each is read, or refused by name; none runs or hangs."""

import json
import os
import stat
import subprocess
import sys
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from safetensors.numpy import load, save

import tinygrad_edu as tg
from tests import hostile
from tinygrad_edu import nn, optim
from tinygrad_edu.cli import main
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.errors import CheckpointError, DtypeError, InputFileError, SettingError, ShapeError, TinygradError
from tinygrad_edu.reporting.settings import program_lines
from tinygrad_edu.train import Histograms, Run

X, Y = tg.data.moons(20, seed=0)
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("error")]


def trained(**options):
    model = nn.MLP([2, 3, 1], seed=0, norm="batch", dropout=0.1)
    optimizer = optim.SGD(
        model.parameters(), lr=optim.schedules.warmup(optim.schedules.cosine(0.1, 9), 2), momentum=0.9
    )
    return tg.fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=4, batch_size=7, compiled=False, **options)


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Good files: the bytes by name."""
    folder = tmp_path_factory.mktemp("good")
    histograms = Histograms()
    run = trained(callbacks=[histograms])
    run.save(folder / "run.json")
    run.save(folder / "run.safetensors")
    run.model.save(folder / "model.safetensors")
    histograms.save(folder / "histograms.json")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def parts(data):
    """Arrays and metadata of a safetensors file, without the checksum, which would refuse all that is changed."""
    size = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + size])["__metadata__"]
    del metadata["tinygrad_edu.checksum"]
    return load(data), metadata


def run_files(data, count):
    """Hostile forms of a run's file."""
    arrays, metadata = parts(data)
    facts = json.loads(metadata["run"])
    for each in hostile.texts(facts):
        if b"\xff" not in each and b"\x00" not in each:
            yield save(arrays, {**metadata, "run": each.decode()})
    yield from (save(each, metadata) for each in hostile.arrays(arrays))
    yield from (save(arrays, each) for each in ({}, {"format": "x"}, {"format": metadata["format"]}))
    yield from hostile.damaged(data, count)


def tally(files, path, read, allowed):
    """How many are read and refused; anything else is an error of this test, with the file kept for a look."""
    found = Counter()
    for data in files:
        path.write_bytes(data)
        error = refusal(read, path, allowed)
        assert error is None or str(path) in str(error)
        found["read" if error is None else "refused"] += 1
    return found


def refusal(read, path, allowed):
    """The error of one of the allowed kinds; None where it is read."""
    try:
        read(path)
    except allowed as error:
        return error
    return None


def test_runs_in_json(good, tmp_path):
    found = tally(hostile.texts(json.loads(good["run.json"])), tmp_path / "run.json", Run.load, CheckpointError)
    assert min(found["read"], found["refused"]) > 200, found


def test_runs_with_weights(good, tmp_path):
    files = run_files(good["run.safetensors"], 300)
    found = tally(files, tmp_path / "run.safetensors", Run.load, CheckpointError)
    assert min(found["read"], found["refused"]) > 300, found


def test_runs_into_a_model_of_ones_own(good, tmp_path):
    """The errors of load_state_dict are those of the model; it is as before after any of them."""
    model = nn.MLP([2, 3, 1], seed=5, norm="batch", dropout=0.1)
    before = model.state_dict()

    def read(path):
        try:
            Run.load(path, model)
        except Exception:
            assert all(np.array_equal(x, before[name]) for name, x in model.state_dict().items())
            raise
        model.load_state_dict(before)

    arrays, metadata = parts(good["run.safetensors"])
    files = [save(each, metadata) for each in hostile.arrays(arrays)]
    path = tmp_path / "run.safetensors"
    for data in files:
        path.write_bytes(data)
        refusal(read, path, (CheckpointError, SettingError, ShapeError, DtypeError))


def test_models(good, tmp_path):
    arrays, metadata = parts(good["model.safetensors"])
    files = [save(each, metadata) for each in hostile.arrays(arrays)]
    files += hostile.damaged(good["model.safetensors"], 300)
    model = nn.MLP([2, 3, 1], seed=5, norm="batch", dropout=0.1)
    found = tally(
        files, tmp_path / "model.safetensors", model.load, (CheckpointError, SettingError, ShapeError, DtypeError)
    )
    assert found["refused"] > 200, found


def test_histograms(good, tmp_path):
    record = json.loads(good["histograms.json"])
    record["snapshots"] = record["snapshots"][:2]
    for snapshot in record["snapshots"]:
        snapshot["layers"] = dict(list(snapshot["layers"].items())[:1])
    found = tally(hostile.texts(record), tmp_path / "histograms.json", Histograms.load, CheckpointError)
    assert found["refused"] > 500, found


CURVES = [
    b"[1, 2, 1e999, null, NaN, -Infinity]", b'{"loss": [1, 2]}', b"[%s]" % (b"9" * 400), b"[%s]" % (b"9" * 5000),
    b"[" * 5000 + b"]" * 5000, b"[[1]]", b"{}", b"[]", b"5", b'"x"', b"null", b'{"loss": {"a": 1}}', b"[true]",
    b"\xff\xfe",
    b"\x80\x04x", b"", b"\n\n", b",,,\n,,", b"loss\n", b"loss\n1\n2\n", b"a,loss\n1\n", b"1;2\n3;4\n", b"loss\nx\n",
    b"loss\n" + b"1" * 200000 + b"\n", b'loss\n"' + b"1\n" * 200000, b"loss\n1\x00\n", b"[1, 2",
    b'{"a\\nb\\u001b[2J": 1}',
    b"[" + b"1e308, -1e308, " * 40 + b"0]", b"[" + b"null, " * 40 + b"null]", b"[" + b"0, " * 40 + b"0]",
    b"[" + b"5e-324, " * 40 + b"1e308]", b"\xef\xbb\xbf[1, 2, 3]", b"[1.0]" * 3, b"epoch,loss\n1,\n2,\n",
]  # fmt: skip


@pytest.mark.parametrize("suffix", ["json", "csv", "txt"])
def test_diagnose_says_one_sentence_for_any_file(suffix, tmp_path, capsys):
    path = tmp_path / f"losses.{suffix}"
    for data in [*CURVES, *hostile.damaged(b"loss\n1.0\n0.5\n0.25\n", 50), *hostile.texts({"loss": [1.0, 0.5]})]:
        path.write_bytes(data)
        code = main(["diagnose", str(path)])
        out, err = capsys.readouterr()
        assert (code, bool(out), err.count("\n")) in ((0, True, 0), (2, False, 1)), (data[:80], code, out, err)
        assert all(c.isprintable() for c in err[:-1]), data[:80]


def test_tables_of_data(tmp_path):
    from tinygrad_edu.clinic.diagnosis import data_files

    path = tmp_path / "data.csv"
    for data in [*CURVES, *hostile.damaged(b"a,b,c\n1,2,3\n4,5,6\n", 200)]:
        path.write_bytes(data)
        error = refusal(data_files.read_data, path, InputFileError)
        assert error is None or str(path) in str(error)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes with names")
@pytest.mark.parametrize("command", ["diagnose", "report"])
@pytest.mark.parametrize("suffix", ["json", "safetensors", "csv"])
def test_pipes_devices_and_folders_are_refused_at_once(command, suffix, tmp_path):
    pipe = tmp_path / f"pipe.{suffix}"
    os.mkfifo(pipe)
    circle = tmp_path / f"circle.{suffix}"
    circle.symlink_to(circle)
    zeros = tmp_path / f"zeros.{suffix}"
    zeros.symlink_to("/dev/zero")
    code = "import sys; from tinygrad_edu.cli import main; print([main([sys.argv[1], p]) for p in sys.argv[2:]])"
    given = [str(path) for path in (pipe, circle, zeros, tmp_path, tmp_path / "none")]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, command, *given],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert all(x in (1, 2) for x in json.loads(done.stdout))
    assert [line.startswith("tinygrad-edu: ") for line in done.stderr.splitlines()] == [True] * len(given)


def test_a_file_larger_than_is_read_is_refused(tmp_path):
    path = tmp_path / "run.safetensors"
    with path.open("wb") as file:
        file.truncate(2**33)  # a sparse file, which takes no space
    assert path.stat().st_mode & stat.S_IFREG
    with pytest.raises(CheckpointError, match="8,589,934,592 bytes"):
        Run.load(path)


def test_settings_that_ask_for_memory_are_compared_with_the_weights_first(good, tmp_path):
    path = tmp_path / "run.safetensors"
    arrays, metadata = parts(good["run.safetensors"])
    facts = json.loads(metadata["run"])
    facts["config"]["model"]["sizes"] = [2, 20000, 20000, 1]
    path.write_bytes(save(arrays, {**metadata, "run": json.dumps(facts)}))
    tracemalloc.start()
    with pytest.raises(CheckpointError, match=r"widths \[2, 20000, 20000, 1\].*has the shape \(3, 2\)"):
        Run.load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def everything_with(run, folder):
    """A report and a diagnosis of a run out of a file."""
    tg.report(run, path=folder / "page.html")
    diagnose(run)


def test_reports_and_diagnoses_of_what_was_read(good, tmp_path):
    """Of twenty hostile files that can be read."""
    rng = np.random.default_rng(0)
    files = list(hostile.texts(json.loads(good["run.json"])))
    path, seen = tmp_path / "run.json", 0
    for i in rng.permutation(len(files)):
        path.write_bytes(files[i])
        try:
            run = Run.load(path)
        except CheckpointError:
            continue
        refusal(lambda folder, run=run: everything_with(run, folder), tmp_path, TinygradError)
        seen += 1
        if seen == 20:
            return
    raise AssertionError(f"only {seen} could be read")


def test_text_from_a_file_never_becomes_code(good, tmp_path):
    """The program of the report: names of ours, literals, and "..."."""
    known = {
        "import",
        "tinygrad_edu",
        "as",
        "tg",
        "model",
        "optimizer",
        "run",
        "X",
        "y",
        "X_validation",
        "y_validation",
    }
    path = tmp_path / "run.json"
    seen = 0
    for data in hostile.texts(json.loads(good["run.json"])):
        path.write_bytes(data)
        try:
            lines = "\n".join(program_lines(Run.load(path)))
        except CheckpointError:
            continue
        seen += 1
        for name in names_in(lines) - known:
            assert ours(name), (name, lines)
    assert seen > 200


def names_in(text):
    import ast

    nodes = list(ast.walk(ast.parse(text or "pass")))
    assert not any(isinstance(node, (ast.Lambda, ast.Subscript, ast.BinOp)) for node in nodes), text
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)} | {
        node.id for node in nodes if isinstance(node, ast.Name)
    }


def ours(name):
    """tg.fit, tg.nn.MLP, tg.optim.SGD, tg.optim.schedules.cosine, float (for NaN), model.parameters."""
    if name in ("float", "model.parameters", "sample_weight"):
        return True
    first, *rest = name.split(".")
    found = tg
    for each in rest:
        found = getattr(found, each)
    return first == "tg" and callable(found)
