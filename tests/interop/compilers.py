"""The C compiler for the tests of programs in C; `.ci/run` installs one where it may.

Without it these tests are skipped, but where CI is set they fail.
"""

import ctypes
import os
import shutil
import subprocess

import numpy as np
import pytest

from tests.interop.networks import ALL, group_of
from tinygrad_edu.interop.c99_training import CTrainingFile
from tinygrad_edu.interop.programs import network_program

REASON = "needs a C compiler: apt-get install --no-install-recommends gcc libc6-dev"
FLAGS = ["-std=c99", "-pedantic", "-Wall", "-Werror"]
Integer = ctypes.c_int64


def compile_c(text, folder, *flags, name="net"):
    """Compile the text, without a single warning, and return the file."""
    return compile_together({name: text}, folder, *flags, name=name)


def compile_together(texts, folder, *flags, name):
    """One file of several texts, by name: to link each alone takes a quarter of the time."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.fail(REASON) if os.environ.get("CI") else pytest.skip(REASON)
    for each, text in texts.items():
        (folder / f"{each}.c").write_text(text, encoding="utf-8")
    command = [compiler, *FLAGS, *flags, "-o", folder / name, *(folder / f"{each}.c" for each in texts), "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[:2000]
    return folder / name


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


SHARED = ("-shared", "-fPIC")


class Library:
    """A network in C, called from Python."""

    def __init__(self, program, text, folder, name="net", level="-O1"):
        self.take(program, ctypes.CDLL(compile_c(text, folder, level, *SHARED, name=name)), "net")

    @classmethod
    def of(cls, program, lib, prefix):
        """One of several networks in a file."""
        (made := cls.__new__(cls)).take(program, lib, prefix)
        return made

    def take(self, program, lib, prefix):
        self.program, self.lib, self.prefix = program, lib, prefix
        for function in ("train", "predict"):
            self.function(function).restype = ctypes.c_char_p
        for function in ("change", "gradient_norm"):
            self.function(function).restype = ctypes.c_double
        self.function("reset")()

    def function(self, word):
        return getattr(self.lib, f"{self.prefix}_{word}")

    def array(self, array, i):
        """X (i = 0) or y (i = 1) as the program takes it."""
        return np.ascontiguousarray(array, np.int64 if self.program.samples[i]["whole"] else self.program.dtype)

    def train(self, X, y, batch, epochs, order=None):
        """(losses, the error or None)."""
        X, y, losses = self.array(X, 0), self.array(y, 1), np.full(epochs, np.nan)
        order = None if order is None else np.ascontiguousarray(order, np.int64)
        at = None if order is None else pointer(order)
        sizes = Integer(len(X)), Integer(batch), Integer(epochs)
        error = self.function("train")(pointer(X), pointer(y), *sizes, at, pointer(losses))
        return losses, error and error.decode()

    def predict(self, X, shape):
        out = np.full(shape, np.nan, self.program.dtype)
        X = self.array(X, 0)
        error = self.function("predict")(pointer(X), Integer(len(X)), pointer(out))
        assert error is None, error
        return out

    def shuffle(self, seed, n, epochs):
        found = np.empty((epochs, n), np.int64)
        self.function("seed")(ctypes.c_uint64(seed))
        self.function("shuffle")(pointer(found), Integer(n), Integer(epochs))
        return found


# The networks of networks.py


def level_of(name):
    """Every fifth with the optimizer of the C compiler, which takes two thirds of its time and sees more to warn of."""
    return "-O1" if list(ALL).index(name) % 5 == 0 else "-O0"


def program_of(network):
    return network_program(network.make(), network.X, network.y, hidden=False, **network.arguments)


def library(network, folder):
    return Library(program := program_of(network), CTrainingFile(program, "net", None).text(), folder)


def networks_in_c(group, level, folder):
    """Those of a group that are compiled at this level: name → Library."""
    names = [name for name in ALL if (group_of(name), level_of(name)) == (group, level)]
    programs = {f"n{i}": program_of(ALL[name]) for i, name in enumerate(names)}
    texts = {called: CTrainingFile(program, called, None).text() for called, program in programs.items()}
    lib = ctypes.CDLL(compile_together(texts, folder, level, *SHARED, name="group.so"))
    made = [Library.of(program, lib, called) for called, program in programs.items()]
    return dict(zip(names, made, strict=True))
