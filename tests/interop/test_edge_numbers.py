"""Every elementwise operation in C and JavaScript at numbers that are at an edge: infinite, NaN, -0.0, tiny, huge."""

import ctypes
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.interop import node
from tests.interop.compilers import SHARED, compile_c, pointer
from tinygrad_edu import nn
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.interop import c99, javascript
from tinygrad_edu.interop.prediction import PredictionProgram

EDGES = np.array([
    0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, -2.5, 3.0, -3.0, 20.0, 710.0, -745.0, 1e-8, -1e-8, 5e-324, -5e-324, 1e-310,
    1e300, -1e300, np.inf, -np.inf, np.nan, 2.0**52 + 0.5, 1e16, 0.1, -0.9, np.pi, 1e22,
])  # fmt: skip
PAIRS = np.stack(np.meshgrid(EDGES, EDGES), axis=-1).reshape(-1, 2)
# C's erfc and lgamma have no counterpart in JavaScript; near their zeros those of gammaln and digamma are rounded
# differently by each C library
NOT_HERE = ("erfc", "ndtr", "log_ndtr", "ndtri", "gammaln", "betaln", "digamma", "polygamma")


def operations(count):
    """Those of so many operands, by name."""
    rows = [row for row in TABLE.values() if isinstance(row, Operation) and row.name not in NOT_HERE]
    return [row for row in rows if len(row.parameters) - len(row.defaults) == count]


class Beside(nn.Module):
    """The results of operations side by side: one program for all of them."""

    def __init__(self, rows, count):
        self.rows, self.count, self.weight = rows, count, tg.Tensor(np.ones(1), requires_grad=True)

    def forward(self, x):
        columns = [x[:, i : i + 1] for i in range(self.count)]
        return np.concatenate([row(*columns) for row in self.rows], axis=1)


def in_c(program, X, shape, folder):
    lib = ctypes.CDLL(compile_c(c99.CFile(program, "net").text(False), folder, "-O0", *SHARED))
    out = np.full(shape, -12345.0)
    assert not lib.net_predict(pointer(X), ctypes.c_int64(len(X)), pointer(out))
    return out


def in_javascript(program, X, shape, folder):
    rows = ", ".join("[" + ", ".join(map(as_javascript, row)) + "]" for row in X.tolist())
    text = javascript.write(program, "network", module=False)
    found = node.run(f"{text} found.push(Array.from(network.create().predict([{rows}])).flat());", folder)
    return node.numbers(found[0]).reshape(shape)


def as_javascript(x):
    return repr(x).replace("inf", "Infinity").replace("nan", "NaN")


@pytest.mark.parametrize("language", [in_c, in_javascript])
@pytest.mark.parametrize(("count", "X"), [(1, EDGES[:, None]), (2, PAIRS)])
def test_the_programs_give_what_the_library_gives(count, X, language, tmp_path):
    model = Beside(rows := operations(count), count)
    X = np.ascontiguousarray(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = model(tg.Tensor(X)).numpy()
    found = language(PredictionProgram(model, np.full((3, count), 0.5)), X, expected.shape, tmp_path)
    with np.errstate(invalid="ignore"):
        near = np.abs(found - expected) <= 1e-11 * np.abs(expected) + 1e-300
    right = near | (found == expected) | (np.isnan(found) & np.isnan(expected))
    wrong = {rows[j].name: X[i] for i, j in np.argwhere(~right)}
    assert not wrong
