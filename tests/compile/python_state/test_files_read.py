"""A file that a compiled function opens: a program keeps what was in it at the trace, so a change means a new trace."""

import builtins
import io
import os
import pathlib
import threading

import numpy as np
import pytest

import tinygrad_edu as tg


def first_number(path):
    with open(path) as file:
        return float(file.readline())


READS = {
    "open": lambda path: first_number(path),
    "read_text": lambda path: float(pathlib.Path(path).read_text().split()[0]),
    "read_bytes": lambda path: float(pathlib.Path(path).read_bytes().split()[0]),
    "loadtxt": lambda path: np.loadtxt(path),
    "genfromtxt": lambda path: np.genfromtxt(path),
    "fromfile": lambda path: np.fromfile(path, sep=" "),
    "load": lambda path: np.load(f"{path}.npy"),
}
WAYS = {
    "call": lambda f: tg.jit(f),
    "grad": lambda f: tg.jit(tg.grad(f)),
    "value_and_grad": lambda f: tg.jit(f).value_and_grad,
    "vmap": lambda f: tg.jit(tg.vmap(lambda row: f(row))),
}


def write(path, number):
    path.write_text(f"{number}\n{number}\n")
    np.save(f"{path}.npy", np.full(2, float(number)))


def numbers(found):
    return [np.asarray(x).tolist() for x in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.parametrize(("read", "way"), [*((read, "call") for read in READS), *(("load", way) for way in WAYS)][:-1])
def test_a_file_that_changes_is_read_again(read, way, tmp_path):
    """np.load in a compiled function gave the first file's numbers for good, without a word."""
    path, x = tmp_path / "table.txt", np.ones((2, 2))
    f, found = WAYS[way](lambda x: np.sum(x * READS[read](path))), {}
    for number in (1.5, 20.25):
        write(path, number)
        found[number] = [np.ravel(numbers(f(x))[-1]) for _ in range(2)]
    for again in range(2):
        np.testing.assert_allclose(found[20.25][again], found[1.5][again] * 13.5)


def test_open_is_put_back_and_other_threads_are_left_alone(tmp_path):
    path, before = tmp_path / "table.txt", (builtins.open, io.open)
    write(path, 2.0)
    (tmp_path / "log").touch()
    log = os.open(tmp_path / "log", os.O_APPEND | os.O_RDWR)  # Python does not see what is written to it

    def f(x):
        thread = threading.Thread(target=lambda: os.write(log, (tmp_path / "table.txt.npy").read_bytes()[:1]))
        thread.start()
        thread.join()
        return x * READS["open"](path)

    g = tg.jit(f)
    assert g(2.0) == 4.0
    assert (builtins.open, io.open) == before
    traces = os.fstat(log).st_size
    np.save(f"{path}.npy", np.zeros(3))
    assert g(2.0) == 4.0
    assert os.fstat(log).st_size == traces > 0, "the file was read by another thread"
    with pytest.raises(FileNotFoundError):
        tg.jit(lambda x: x * READS["open"](tmp_path / "missing"))(2.0)
    assert (builtins.open, io.open) == before
