"""The C compiler for the tests of programs in C; `.ci/run` installs one where it may.

Without it these tests are skipped, but where CI is set they fail.
"""

import ctypes
import os
import shutil
import subprocess

import numpy as np
import pytest

REASON = "needs a C compiler: apt-get install --no-install-recommends gcc libc6-dev"
FLAGS = ["-std=c99", "-pedantic", "-Wall", "-Werror"]
Integer = ctypes.c_int64


def compile_c(text, folder, *flags, name="net"):
    """Compile the text, without a single warning, and return the file."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.fail(REASON) if os.environ.get("CI") else pytest.skip(REASON)
    source, target = folder / f"{name}.c", folder / name
    source.write_text(text, encoding="utf-8")
    command = [compiler, *FLAGS, *flags, "-o", target, source, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[:2000]
    return target


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


class Library:
    """A network in C, called from Python."""

    def __init__(self, program, text, folder, name="net", level="-O1"):
        self.program, self.lib = program, ctypes.CDLL(compile_c(text, folder, level, "-shared", "-fPIC", name=name))
        for function in (self.lib.net_train, self.lib.net_predict):
            function.restype = ctypes.c_char_p
        self.lib.net_change.restype = self.lib.net_gradient_norm.restype = ctypes.c_double
        self.lib.net_reset()

    def array(self, array, i):
        """X (i = 0) or y (i = 1) as the program takes it."""
        return np.ascontiguousarray(array, np.int64 if self.program.samples[i]["whole"] else self.program.dtype)

    def train(self, X, y, batch, epochs, order=None):
        """(losses, the error or None)."""
        X, y, losses = self.array(X, 0), self.array(y, 1), np.full(epochs, np.nan)
        order = None if order is None else np.ascontiguousarray(order, np.int64)
        at = None if order is None else pointer(order)
        sizes = Integer(len(X)), Integer(batch), Integer(epochs)
        error = self.lib.net_train(pointer(X), pointer(y), *sizes, at, pointer(losses))
        return losses, error and error.decode()

    def predict(self, X, shape):
        out = np.full(shape, np.nan, self.program.dtype)
        X = self.array(X, 0)
        error = self.lib.net_predict(pointer(X), Integer(len(X)), pointer(out))
        assert error is None, error
        return out

    def shuffle(self, seed, n, epochs):
        found = np.empty((epochs, n), np.int64)
        self.lib.net_seed(ctypes.c_uint64(seed))
        self.lib.net_shuffle(pointer(found), Integer(n), Integer(epochs))
        return found
