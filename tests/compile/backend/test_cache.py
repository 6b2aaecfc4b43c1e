"""Compiled programs on disk: made once, shared by processes, and never trusted when they are damaged."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.compile.conftest import forget
from tests.compiler_of_tests import KEPT
from tinygrad_edu.compile.backend import cache

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TEXT = """\
from numba import njit

@njit(cache=True)
def twice(x):
    return 2.0 * x
"""
PROGRAM = """\
import numpy as np, time
from tinygrad_edu import jit, ops
f = jit(lambda x, y: ops.sum(ops.tanh(x) * y))
print(repr(f(np.ones((2, 3)), np.ones((2, 3)))))
from tinygrad_edu.compile.backend import cache
import sys
from numba.core.dispatcher import Dispatcher
for module in list(sys.modules):
    if module.startswith("tinygrad_edu_program"):
        stats = sys.modules[module].program.stats
        print("hits", sum(stats.cache_hits.values()), "misses", sum(stats.cache_misses.values()))
"""


def twice():
    """2·21 by the compiled program, loaded anew; (the module, whether the machine code was there)."""
    forget()
    module = cache.load(TEXT, "test")
    assert module.twice(21.0) == 42.0
    return module, sum(module.twice.stats.cache_hits.values()) == 1


def process(code=PROGRAM, **more):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code],
        env={**os.environ, **more},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def lines(started):
    out, err = started.communicate(timeout=120)
    assert (started.returncode, err) == (0, "")
    return out.splitlines()


# programs that are found again


def test_a_program_is_made_once(home):
    assert not twice()[1]
    assert twice()[1]
    assert len(list(home.rglob("program.py"))) == 1


def test_a_module_is_loaded_once_in_a_process(home):
    found = cache.load(TEXT, "test")
    assert found.twice is cache.load(TEXT, "test").twice


def test_a_second_process_finds_the_program(home):
    first, second = lines(process()), lines(process())
    assert first[0] == second[0] == repr(6 * np.tanh(1.0).item())
    assert (first[1], second[1]) == ("hits 0 misses 1", "hits 1 misses 0")


def test_several_processes_at_once(home):
    started = [process() for _ in range(3)]
    assert {lines(each)[0] for each in started} == {repr(6 * np.tanh(1.0).item())}
    assert lines(process())[1] == "hits 1 misses 0"
    assert not list(home.rglob("*.tmp*"))


def test_the_name_covers_text_versions_and_processor(home, monkeypatch):
    import numba

    names = {
        cache.name_of_module(TEXT, "test"),
        cache.name_of_module(TEXT + "\n", "test"),
        cache.name_of_module(TEXT, "test"),
    }
    monkeypatch.setattr(numba, "__version__", "0.1")
    names.add(cache.name_of_module(TEXT, "test"))
    monkeypatch.setattr(cache, "GENERATOR", "2")
    names.add(cache.name_of_module(TEXT, "test"))
    monkeypatch.setattr(numba.config, "OPT", 1)  # as by NUMBA_OPT=1
    names.add(cache.name_of_module(TEXT, "test"))
    monkeypatch.setattr(cache, "environment", lambda: "another processor")
    names.add(cache.name_of_module(TEXT, "test"))
    assert len(names) == 6


def test_what_keeps_programs_is_where_the_compiler_of_tests_looks():
    for module, name in KEPT:
        kept = getattr(importlib.import_module(module), name)
        assert hasattr(kept, "cache_clear") or hasattr(kept, "clear"), name


def test_numbas_own_folder_is_not_used(home, tmp_path):
    """There no damage to machine code would be noticed, and neither `info` nor `clear` would find it."""
    elsewhere = tmp_path / "numba"
    first, second = (lines(process(NUMBA_CACHE_DIR=str(elsewhere))) for _ in range(2))
    assert (first[1], second[1]) == ("hits 0 misses 1", "hits 1 misses 0")
    assert not elsewhere.exists() or not list(elsewhere.rglob("*program*"))
    assert len(list(home.rglob("*.nbc.sha256"))) == len(list(home.rglob("*.nbc"))) > 0


def test_holds(home):
    assert not cache.holds(TEXT, "test")
    twice()
    forget()
    assert cache.holds(TEXT, "test")


# damaged files

DAMAGES = {
    "emptied": lambda data: b"",
    "half written": lambda data: data[: len(data) // 2],
    "overwritten": lambda data: b"something else",
    "zeros": lambda data: bytes(len(data)),
    "one bit": lambda data: data[:-500] + bytes([data[-500] ^ 4]) + data[-499:],
    "high bits": lambda data: bytes(byte | 0x80 for byte in data),
}
SUFFIXES = ["py", "nbi", "nbc", "nbc.sha256"]


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("suffix", SUFFIXES[1:])
def test_damaged_machine_code_is_made_anew(home, suffix, damage):
    twice()
    (path,) = home.rglob(f"*.{suffix}")
    path.write_bytes(damage(path.read_bytes().ljust(500)))
    assert not twice()[1]
    assert twice()[1], "the damage stayed"


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_text_is_written_again(home, damage):
    twice()
    (path,) = home.rglob("*.py")
    path.write_bytes(damage(path.read_bytes().ljust(500)))
    twice()
    assert path.read_text() == TEXT
    assert not list(home.rglob("*.pyc"))
    twice()


def test_code_for_another_kind_of_argument_is_kept_beside_the_first(home):
    twice()[0].twice(np.ones(3))
    module, found = twice()
    module.twice(np.ones(3))
    assert found
    assert (len(list(home.rglob("*.nbc"))), sum(module.twice.stats.cache_hits.values())) == (2, 2)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_missing_file_is_made_anew(home, suffix):
    twice()
    next(home.rglob(f"*.{suffix}")).unlink()
    twice()
    assert twice()[1]


def test_a_text_that_does_not_run_is_an_error_and_leaves_no_module(home):
    with pytest.raises(ZeroDivisionError):
        cache.load("1 / 0\n", "test")
    assert not [name for name in sys.modules if name.startswith("tinygrad_edu_test")]


def as_folder(path):
    path.unlink()
    path.mkdir()
    (path / "in it").touch()


def as_pipe(path):
    path.unlink()
    os.mkfifo(path)


def as_circle(path):
    path.unlink()
    path.symlink_to(path)


REPLACED = {"a folder": as_folder, "a pipe": as_pipe, "a circle of links": as_circle}


@pytest.mark.filterwarnings("ignore:a compiled program is not used")
@pytest.mark.parametrize("replace", REPLACED.values(), ids=REPLACED)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_something_else_in_place_of_a_file_is_made_anew(home, suffix, replace):
    twice()
    replace(next(home.rglob(f"*.{suffix}")))
    twice()
    assert twice()[1], "the damage stayed"


def file_for(folder):
    shutil.rmtree(folder)
    folder.write_text("a file")


def link_for(folder):
    elsewhere = folder.parents[1] / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    shutil.rmtree(folder)
    folder.symlink_to(elsewhere)


@pytest.mark.filterwarnings("ignore:a compiled program is not used")
@pytest.mark.parametrize("which", ["the program's", "__pycache__"])
@pytest.mark.parametrize("replace", [file_for, link_for])
def test_something_else_in_place_of_a_folder_is_made_anew(home, which, replace, tmp_path):
    twice()
    program = next(home.glob("tinygrad_edu_test_*"))
    replace(program if which == "the program's" else program / "__pycache__")
    twice()
    assert twice()[1], "the damage stayed"
    assert next(home.rglob("*.nbc")).is_relative_to(home)
    assert [path.name for path in tmp_path.glob("elsewhere/*")] in ([], ["kept"])


@pytest.mark.filterwarnings("ignore:a compiled program is not used")
def test_no_damage_ends_in_an_exception(home):
    """Bytes of any of the files cut, changed or added, from a fixed seed."""
    rng = np.random.default_rng(0)
    twice()
    for _ in range(16):
        path = rng.choice([path for path in home.rglob("*") if path.is_file()])
        data = bytearray(path.read_bytes())
        at, kind = int(rng.integers(len(data) + 1)), rng.integers(3)
        path.write_bytes([data[:at], data[:at] + rng.bytes(9) + data[at:], data[:at] + rng.bytes(9)][kind])
        twice()
