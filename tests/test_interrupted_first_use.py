"""Ctrl-C at any line of what happens only once, such as binding names or importing Numba: it works the next time."""

import subprocess
import sys

import pytest

FIRST_USE = """
import os
import sys

import numpy as np

import tinygrad_edu as tg

tg.Tensor, tg.nn, tg.jit  # they are imported when first asked for; what is interrupted here is their first use
HERE = os.path.dirname(tg.__file__)


def stop_at(moment, watched):
    \"\"\"Raise KeyboardInterrupt at the n-th line of some files that is run.\"\"\"
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if not watched(frame.f_code.co_filename):
            return None
        if event == "line":
            count += 1
            if count == moment:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    sys.settrace(trace)


def use_engine():
    W = tg.Tensor(np.ones((2, 1)), requires_grad=True)
    y = np.sum(np.tanh(np.ones((1, 2)) @ W))
    y.backward()
    return y.item() + tg.nn.losses.cross_entropy(tg.Tensor(np.ones((2, 3))), [0, 1]).item()


def use_numba():
    from tinygrad_edu.compile.backend import compiler

    assert not compiler.missing()
    import numba

    return numba.njit(lambda x: x + 1.0).py_func(1.0) + len(numba.core.types.__name__)


def check(use, moment, watched):
    \"\"\"In a fork: interrupt the first use, and say what is wrong with the second.\"\"\"
    if not os.fork():
        stop_at(moment, watched)
        try:
            use()
        except KeyboardInterrupt:
            pass
        sys.settrace(None)
        try:
            use()
        except BaseException as error:
            print(moment, repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    os.wait()
"""


def failures(use, watched, moments):
    program = f"{FIRST_USE}\nfor moment in {moments}:\n    check({use}, moment, {watched})\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="has no fork")
@pytest.mark.parametrize(("use", "watched", "moments"), [
    ("use_engine", "lambda file: file.startswith(HERE)", [*range(1, 400, 7), *range(400, 20_000, 400)]),
    ("use_numba", "lambda file: '/numba/' in file", [*range(500, 20_000, 2500)]),
])  # fmt: skip
def test_the_second_use_works(use, watched, moments):
    assert not failures(use, watched, moments)
