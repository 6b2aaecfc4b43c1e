"""The small compiler for long programs: each function of a text does what Python does with the same text."""

import importlib.util
import math

import numpy as np
import pytest
from numba.core.errors import LoweringError

from tinygrad_edu import jit, nn, ops, optim
from tinygrad_edu.compile.backend.llvm_expressions import MATHS
from tinygrad_edu.compile.codegen import module_writer
from tinygrad_edu.core.operation import TABLE, op
from tinygrad_edu.nn.sequence import last_output
from tinygrad_edu.train import online
from tinygrad_edu.train.compiled.programs import program_for
from tinygrad_edu.train.job import job_of
from tinygrad_edu.train.recipe import Settings

HEAD = """
import math
import numpy as np
from numba import njit
from tinygrad_edu.compile.backend.llvm_statements import direct
from tinygrad_edu.compile.backend.intrinsics import copy, dot, gather, view

inlined = njit(fastmath={"contract"})
real = np.float64
HALF = 0.5

"""
TAIL = """

@njit
def compiled(x, k, out):
    program((x, k, out))
"""
SHARED = """
@inlined
def sign(x):
    if x > 0.0:
        return 1.0
    if x < 0.0:
        return -1.0
    return 0.0

@inlined
def both(a, b):
    return a + b, a - b

@inlined
def bits(x):
    return np.int64(x.view(np.int64) + 1).view(np.float64)
"""
X, K = np.array([0.5, -2.0, 3.0, math.nan, 0.0, 7.0]), np.array([3, 1, 2, 0, 5, 4])
# Statements: x and out are (6,) float64, k is (6,) int64.
BODIES = {
    "sums": "total = 0.0\nfor i in range(3):\n    total += x[i] * k[i]\nout[0] = total",
    "backwards": "at = 0\nfor i in range(5, 0, -2):\n    out[at] = x[i]\n    at += 1",
    "from_to": "for i in range(2, 5):\n    out[i] = i / 2",
    "nothing": "for i in range(5, 2):\n    out[i] = 1.0",
    "constants": "at = 0\nfor j in (3, 2, 1):\n    out[at] = j\n    at += j",
    "while": "i = 1\nwhile i * i < 30:\n    i += 1\nout[0] = i",
    "break": "for i in range(6):\n    if k[i] == 2:\n        break\n    out[i] = 1.0",
    "break_inner": "for i in range(3):\n    for j in range(6):\n"
    "        if j > i:\n            break\n        out[j] += 1.0",
    "if": "for i in range(6):\n    if k[i] > 3:\n        v = 1.0\n    elif k[i] == 0 or x[i] < 0.0:\n        v = 2.0\n"
    "    else:\n        v = 3.0\n    out[i] = v",
    "choice": "for i in range(6):\n    out[i] = x[i] if k[i] > 2 else k[i]",
    "swap": "a, b = 1.0, 2.0\na, b = b, a\nout[0], out[1] = a, b\nout[2], out[3] = out[1], out[0]",
    "bitwise": "m = 37\nm |= m >> 2\nout[0] = m & 29\nout[1] = 3 << 4\nout[2] = -17 >> 1",
    "wraps": "d = 6364136223846793005\nd = d * k[0] + 1442695040888963407\nout[0] = (d >> 32) & 0x7FFFFFFF",
    "whole": "for i in range(6):\n    out[i] = (k[i % 3] - 3) // 2 + 7 * ((k[i % 3] - 3) % 4) + (5 - k[i % 3]) // -3",
    "rows of": "v = view(x, 0, (2, 3))\nout[0] = v[1][2]\na = v[0]\nout[1] = a[1] + a.size",
    "truth": "out[0] = 1.0 if not k[0] > 2 else 2.0\nout[1] = 3.0 if bool(x[1] > 0.0) else 4.0\n"
    "out[2] = abs(x[1]) + abs(-k[1])",
    "booleans": "a, b = x[0] > -9.0, x[0] > 9.0\nout[0] = max(a, b) + 1\nout[1] = 1.0 if a > b else 2.0",
    "of math": "out[0] = math.pi\nout[1] = -math.inf\nout[2] = 1.0 if math.nan != math.nan else 0.0",
    "steps": "n = 2\nfor i in range(0, 6, n):\n    out[i] = int(1.0 + i) / 2",
    "negative": "out[0] = -x[0] + -k[0]",
    "power": "out[0] = (k[0] + 1.5) ** 2.5\nout[1] = x[2] ** k[1]",
    "nan": "for i in range(6):\n    out[i] = 1.0 if x[i] != x[i] else (2.0 if x[i] >= 0.0 else 3.0)",
    "extremes": "out[0] = max(x[0], x[1])\nout[1] = min(x[0], x[1])\nout[2] = max(k[0], k[1])\nout[3] = min(k[0], 2)",
    "calls": "for i in range(3):\n    out[i] = sign(x[i])\nout[3], out[4] = both(x[0], sign(sign(x[1]) - HALF))",
    "bits": "out[0] = bits(x[0]) + bits(bits(x[2]))",
    "real": "out[0] = real(k[0]) / 2.0 + float(k[1])",
    "single": "out[0] = np.float32(x[0] / 3.0)\nout[1] = np.float32(x[0]) * 3 + np.float64(1.0) / 3.0",
    "shapes": "n = x.size\nout[0] = n + x.shape[0]\nv = view(x, 2, (2, 2))\nout[1] = v[1, 0] + v.shape[1] + v.size",
    "views": "a = view(x, 0, (2,)) if k[0] > 2 else view(x, 4, (2,))\n"
    "out[0] = a[1]\na = view(x, 1, (3,))\nout[1] = a[1]",
    "copies": "copy(view(x, 0, (3,)), view(out, 2, (3,)))",
    "rows": "gather(view(x, 0, (3, 2)), k, 1, view(out, 0, (2, 2)))",
    "product": "dot(view(x, 0, (1, 3)), view(x, 0, (1, 3)).T, view(out, 0, (1, 1)))\n"
    "dot(view(x, 0, (2, 1)), view(x, 1, (1, 2)), view(out, 1, (2, 2)))",
    **{name: f"out[0] = math.{name}({', '.join(['0.75', '1.25'][:n])})" for name, n in MATHS.items()},
    "acosh": "out[0] = math.acosh(1.75)",
}  # fmt: skip


def module_of(path, body):
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    head = "\n\n@direct(fastmath={'contract'})\ndef program(x, k, out):\n"
    path.write_text(f"{HEAD}{SHARED}{head}{lines}{TAIL}", encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def in_python(body):
    """What Python and NumPy make of the text; the words as templates.py has them."""

    def view(memory, at, shape):
        return memory.reshape(-1)[at : at + int(np.prod(shape))].reshape(shape)

    def gather(source, order, place, out):
        out[...] = source[order[place : place + len(out)]]

    def copy(source, out):
        out[...] = source

    names = {"math": math, "np": np, "HALF": 0.5, "real": np.float64, "inlined": lambda f: f}
    names |= {"view": view, "gather": gather, "copy": copy, "dot": lambda a, b, out: np.dot(a, b, out=out)}
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    exec(f"{SHARED}\ndef program(x, k, out):\n{lines}", names)
    out = np.zeros(6)
    with np.errstate(over="ignore", invalid="ignore"):
        names["program"](X.copy(), K.copy(), out)
    return out


@pytest.mark.parametrize("name", BODIES)
def test_as_in_python(tmp_path, name):
    found = np.zeros(6)
    module_of(tmp_path / f"direct_{name}.py", BODIES[name]).compiled(X.copy(), K.copy(), found)
    np.testing.assert_allclose(
        found, in_python(BODIES[name]), rtol=1e-15 if name != "lgamma" else 1e-14
    )  # Python has its own


REFUSED = {
    "out[0] = x[0] % 2.0": "has an operation of double that is not",
    "out[0] = 1.0 & k[0]": "has an operation of double that is not",
    "out[0] = 1.0 if 0 < k[0] < 3 else 2.0": "not in the language",
    "out[0] = x[0] // 2.0": "has an operation of double that is not",
    "a = [1, 2]": r"`\[1, 2\]` is not in the language",
    "out[0] = math.gamma(x[0])": "calls what is not in the language",
    "out[0] = unknown": "has no value here",
    "out[0] = print(1)": "calls what is not in the language",
    "out[0] = x.sum": r"`x\.sum` is not",
    "out[0] = x[0, 1]": "needs 1 indices",
    "for a in x:\n    pass": "is not a range",
    "if k[0] > 1:\n    a = 1.0\nout[0] = a": "not on each way",
    "a = 0\nfor i in range(3):\n    a = a + 0.5": "changes the type of a",
}


@pytest.mark.parametrize("body", REFUSED)
def test_what_is_not_in_the_language_is_refused(tmp_path, body):
    module = module_of(tmp_path / "direct_refused.py", body)
    with pytest.raises((LoweringError, NotImplementedError), match=REFUSED[body]):
        module.compiled(X, K, np.zeros(6))


def test_what_is_not_in_the_language_goes_to_numba_whole():
    refused = [body for body in REFUSED if "language" in REFUSED[body] and "unknown" not in body]
    for body in refused:
        text = module_writer.module("", "program", "x, k, out", f"    {body}", accurate=True)
        assert "@direct" not in text.partition("def program")[0].rpartition("\n\n")[2], body
    assert "\n@direct" in module_writer.module("", "program", "x, k, out", "    out[0] = x[0]", accurate=True)


@pytest.fixture
def gamma():
    @op(partials=lambda y, x: (0.0 * x,))
    def gamma(x):
        return math.gamma(x)

    yield gamma
    del TABLE["gamma"]


def test_an_operation_in_words_that_the_language_lacks_compiles_as_well(gamma):
    assert jit(lambda x: ops.sum(gamma(x)))(np.array([1.0, 4.0])) == pytest.approx(7.0)


def job(model, x, y, loss="cross_entropy"):
    return job_of(model, x, y, optim.Adam(model.parameters()), Settings(loss=loss, epochs=2, batch_size=4))


ROWS, CLASSES = np.random.default_rng(0).normal(size=(10, 3)), np.arange(10) % 2
TRAINED = {
    "rows of classes": lambda: job(nn.MLP([3, 4, 2], seed=0), ROWS, np.eye(2)[CLASSES]),
    "class numbers": lambda: job(nn.MLP([3, 4, 2], seed=0), ROWS, CLASSES),
    "dropout": lambda: job(nn.MLP([3, 4, 2], seed=0, dropout=0.5), ROWS, CLASSES),
    "batch norm": lambda: job(nn.MLP([3, 4, 2], seed=0, norm="batch"), ROWS, CLASSES),
    "whole numbers": lambda: job(nn.Embedding(5, 2, rng=0), np.arange(10) % 5, CLASSES),
    "recurrent": lambda: job(nn.Sequential(nn.GRU(3, 2, rng=0), last_output), ROWS.reshape(5, 2, 3), CLASSES[:5]),
}


@pytest.mark.parametrize("name", TRAINED)
def test_training_programs_are_in_the_language(name):
    """None of them takes the slow way, through Numba whole: 1.4 s of processor time instead of 0.5."""
    assert "@direct(" in program_for(TRAINED[name]()).program.text


def test_programs_of_fit_online_are_in_the_language():
    model = nn.Elman(3, 4, 2, seed=0)
    series = online.check_series(model, ROWS, np.eye(2)[CLASSES], "mse", optim.Adam(model.parameters()), 2, 1)
    assert "@direct(" in online.program_for(series).text
