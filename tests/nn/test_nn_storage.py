"""Checkpoints: what is saved comes back exactly; what is damaged or does not fit is refused, the model untouched."""

import os
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from tinygrad_edu import Tensor, nn, whole_files
from tinygrad_edu.draw import drawing
from tinygrad_edu.errors import CheckpointError, DtypeError, SettingError, ShapeError
from tinygrad_edu.nn import storage

both = pytest.mark.parametrize("backend", ["scalar", "tensor"])


def model(backend="tensor", seed=0, sizes=(2, 3, 1)):
    return nn.MLP(sizes, seed=seed, norm="batch", backend=backend)


def assert_same(state, other):
    assert state.keys() == other.keys()
    for name, w in state.items():
        np.testing.assert_array_equal(w, other[name])


@both
def test_what_is_saved_comes_back(backend, tmp_path):
    saved, loaded = model(backend), model("tensor" if backend == "scalar" else "scalar", seed=1)
    saved(np.random.default_rng(0).normal(size=(5, 2)))  # changes running statistics
    path = tmp_path / "model.safetensors"
    saved.save(path)
    loaded.load(path)
    assert_same(saved.state_dict(), loaded.state_dict())
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_the_format_is_safetensors(tmp_path):
    safetensors = pytest.importorskip("safetensors")
    path = tmp_path / "m.safetensors"
    model().save(path)
    with safetensors.safe_open(path, "np") as file:
        assert set(file.keys()) == set(model().state_dict())
        assert file.metadata()["module"] == "MLP"
        np.testing.assert_array_equal(file.get_tensor("layers.0.weight"), model().layers[0].weight.data)


@pytest.mark.torch
def test_pytorch_reads_it(tmp_path):
    pytest.importorskip("torch")
    load_file = pytest.importorskip("safetensors.torch").load_file
    path = tmp_path / "m.safetensors"
    model().save(path)
    assert_same({name: w.numpy() for name, w in load_file(path).items()}, model().state_dict())


def test_transposed_and_empty_arrays_and_numbers_are_kept(tmp_path):
    arrays = {"t": np.arange(6.0).reshape(2, 3).T, "e": np.zeros((0, 2)), "n": np.array(2.5), "f": np.ones(2, "f4")}
    storage.write_arrays(tmp_path / "a", arrays)
    found = storage.read_arrays(tmp_path / "a")
    assert_same(arrays, found)
    assert {name: a.dtype for name, a in found.items()} == {name: a.dtype for name, a in arrays.items()}
    assert found["n"].shape == ()


# damaged files, and files that do not fit


def cut(length):
    return lambda path: path.write_bytes(path.read_bytes()[:length])


DAMAGE = [cut(0), cut(4), cut(20), cut(200), cut(-1), lambda path: path.write_bytes(b"not weights at all" * 20)]


@pytest.mark.parametrize("damage", DAMAGE, ids=["empty", "4 bytes", "20 bytes", "200 bytes", "last byte", "other"])
def test_a_damaged_file_is_refused(damage, tmp_path):
    path, loaded = tmp_path / "m.safetensors", model(seed=1)
    model().save(path)
    damage(path)
    before = loaded.state_dict()
    with pytest.raises(CheckpointError, match=r"m\.safetensors \([\d,]+ bytes\) is not a complete safetensors file"):
        loaded.load(path)
    assert_same(before, loaded.state_dict())


def changed(**arrays):
    return {**model().state_dict(), **{name.replace("__", "."): a for name, a in arrays.items()}}


def without(name):
    return {key: a for key, a in model().state_dict().items() if key != name}


UNFIT = [
    (changed(layers__2__weight=np.ones(2)), SettingError, r"unknown \['layers\.2\.weight'\]"),
    (without("norms.0.running_var"), SettingError, r"missing \['norms\.0\.running_var'\]"),
    (
        changed(layers__1__weight=np.ones((2, 3))),
        ShapeError,
        r"layers\.1\.weight has shape \(1, 3\) in the model, \(2, 3\) in the state",
    ),
    (
        changed(norms__0__running_mean=np.ones(1)),
        ShapeError,
        r"norms\.0\.running_mean has shape \(3,\) in the model, \(1,\) in the state",
    ),
    (changed(layers__1__bias=np.ones(1, "f4")), DtypeError, r"layers\.1\.bias is float64, and the file holds float32"),
    (changed(layers__1__bias=np.ones(1, "i8")), DtypeError, r"layers\.1\.bias is float64, and the file holds int64"),
]


@both
@pytest.mark.parametrize(("state", "error", "text"), UNFIT)
def test_a_file_that_does_not_fit_is_refused(state, error, text, backend, tmp_path):
    path, loaded = tmp_path / "m.safetensors", model(backend, seed=1)
    storage.write_arrays(path, state)
    before = loaded.state_dict()
    with pytest.raises(error, match=rf"m\.safetensors: .*{text}"):
        loaded.load(path)
    assert_same(before, loaded.state_dict())


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.safetensors"):
        model().load(tmp_path / "nowhere.safetensors")


@pytest.mark.parametrize("moment", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_interrupted_save_leaves_the_old_file_whole(moment, error, tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    model(seed=1).save(path)
    before = path.read_bytes()

    def interrupted(*_):
        raise error("no space left on the device")

    with monkeypatch.context() as patched:
        patched.setattr(storage.os, moment, interrupted)
        with pytest.raises(error):
            model(seed=2).save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["m.safetensors"]


def test_float32_stays_float32(tmp_path):
    layer = nn.Linear(2, 1)
    layer.weight = Tensor(np.ones((1, 2), np.float32), requires_grad=True)
    layer.bias = None
    layer.save(tmp_path / "m")
    layer.load(tmp_path / "m")
    assert layer.weight.dtype == np.float32


def test_every_flipped_bit_is_noticed(tmp_path):
    """Or it changes no number, as in a space of the header; a file without our checksum is read as it is."""
    path = tmp_path / "m.safetensors"
    model().save(path)
    whole, rng = path.read_bytes(), np.random.default_rng(0)
    for at in rng.integers(0, len(whole), 200):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.integers(8)
        path.write_bytes(bytes(damaged))
        loaded = model(seed=1)
        with suppress(CheckpointError, SettingError):
            loaded.load(path)
            assert_same(loaded.state_dict(), model().state_dict())
    save = pytest.importorskip("safetensors.numpy").save
    for metadata in (None, {"checksum": "of another kind"}):
        path.write_bytes(save(model().state_dict(), metadata))
        model().load(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
@pytest.mark.parametrize("replace", [whole_files.replace, drawing.replace])
def test_a_pipe_is_written_to_and_stays_a_pipe(replace, tmp_path):
    """A rename would put a file in its place: as root, in that of /dev/stdout or /dev/full too."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        replace(path, b"all of it")
        assert os.read(reader, 100) == b"all of it"
        assert path.is_fifo()
        assert [x.name for x in tmp_path.iterdir()] == ["pipe"]
    finally:
        os.close(reader)


def test_what_a_killed_process_left_of_a_file_goes_with_the_next_write(tmp_path):
    killed = subprocess.Popen([sys.executable, "-c", ""])
    killed.wait()
    names = [f".net.npz.{host}-{process}-00aa.part" for host, process in (
        (whole_files.HOST, killed.pid), (whole_files.HOST, os.getpid()), ("otherhost", killed.pid))]  # fmt: skip
    for name in (*names, ".other.npz.part", ".net.npz.part"):
        (tmp_path / name).write_bytes(b"half")
    whole_files.replace(tmp_path / "net.npz", b"whole")
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([*names[1:], ".other.npz.part", ".net.npz.part", "net.npz"])
