"""Random programs of arrays, and ways to run compiled ones without Numba."""

import contextlib
import math
import sys
import threading
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest
from hypothesis import strategies as st

import tinygrad_edu as tg
from tinygrad_edu import jit, ops
from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.backend.parse import ieee
from tinygrad_edu.compile.program import Program
from tinygrad_edu.train.compiled.programs import PROGRAMS

INPUTS = {"x": "nm", "y": "m", "z": "n1", "w": "mk", "s": ""}  # letters are names of sizes
UNARY = ["tanh", "exp", "sigmoid", "sin", "relu", "abs", "square", "softplus", "atan", "erf", "gelu", "neg", "sign"]
BINARY = ["add", "sub", "mul", "maximum", "minimum"]


ONE_AT_A_TIME = threading.Lock()


@contextlib.contextmanager
def numba_hidden():
    """A block in which numba cannot be imported.

    Only these two names are put back after it. mock.patch.dict would put back all of sys.modules, and so forget every
    module that the block imports first: the next import would make its classes anew, beside the old ones.
    """
    # One thread at a time: two that restore what they found would leave None behind.
    with ONE_AT_A_TIME, pytest.MonkeyPatch.context() as patch:
        for name in ("numba", "tinygrad_edu.compile.backend.intrinsics"):
            patch.setitem(sys.modules, name, None)
        yield


def plain(program, **words):
    """The program's function, run by Python alone: where Numba is not installed, njit changes nothing."""
    space = {}
    with numba_hidden():
        exec(compile(ieee(program.text), program.name, "exec"), space)
    space.update(words)
    return space[program.name]


def recorder():
    """(note, what it was given so far): a record that jit does not see, kept by a module of a library.

    What a function itself changes in Python is refused.
    """
    space = {"__name__": "pytest", "seen": []}
    exec("def note(*given):\n    seen.append(given[0] if len(given) == 1 else given)", space)
    return space["note"], space["seen"]


@contextlib.contextmanager
def without_numba():
    """Programs that are made in this block run as plain Python: no compile time, the same text."""
    with mock.patch.object(Program, "compile", plain), np.errstate(all="ignore"):
        yield


class InPython:
    """A generated module whose functions are run by Python alone."""

    def __init__(self, text):
        self.text = text

    def __getattr__(self, name):
        return plain(SimpleNamespace(text=self.text, name=name))


@contextlib.contextmanager
def training_without_numba(unless=False):
    """Training programs that are made in this block run as plain Python, and are not kept for another test.

    unless: they are compiled as ever: for the few of a table that stand for the others.
    """
    if unless:
        yield
        return
    loading = mock.patch.object(cache, "load", lambda text, _: InPython(text))
    with loading, mock.patch.dict(PROGRAMS, clear=True), np.errstate(all="ignore"):
        yield


def joined(a, b):
    """The broadcast shape of two, or None."""
    a, b = a.rjust(len(b), "1"), b.rjust(len(a), "1")
    pairs = [(p, q) for p, q in zip(a, b, strict=True)]
    return "".join(q if p == "1" else p for p, q in pairs) if all(p == q or "1" in (p, q) for p, q in pairs) else None


@st.composite
def programs(draw, steps=8):
    """Steps (operation, rows of its inputs, options), each possible for every n, m and k."""
    shapes, found = list(INPUTS.values()), []
    for _ in range(draw(st.integers(1, steps))):
        i = draw(st.integers(0, len(shapes) - 1))
        kind = draw(
            st.sampled_from(["unary", "binary", "binary", "reduce", "matmul", "view", "part", "where", "normalise"])
        )
        step, shape = getattr(Steps, kind)(draw, shapes, i)
        if shape is not None:
            found.append(step)
            shapes.append(shape)
    return found


class Steps:
    """Each kind of step: what is computed, and the letters of its shape (None: not possible here)."""

    @staticmethod
    def unary(draw, shapes, i):
        return (draw(st.sampled_from(UNARY)), [i], {}), shapes[i]

    @staticmethod
    def binary(draw, shapes, i):
        j = draw(st.integers(0, len(shapes) - 1))
        return (draw(st.sampled_from(BINARY)), [i, j], {}), joined(shapes[i], shapes[j])

    @staticmethod
    def where(draw, shapes, i):
        j = draw(st.integers(0, len(shapes) - 1))
        return ("where", [i, i, j], {}), joined(shapes[i], shapes[j])

    @staticmethod
    def reduce(draw, shapes, i):
        shape = shapes[i]
        axes = draw(st.sets(st.integers(0, len(shape) - 1)).map(sorted)) if shape else []
        keep = draw(st.booleans())
        axis = None if len(axes) == len(shape) and draw(st.booleans()) else tuple(a - len(shape) for a in axes)
        kept = "".join("1" if a in axes else c for a, c in enumerate(shape) if keep or a not in axes)
        name = draw(st.sampled_from(["sum", "max", "min", "prod", "mean", "var", "logsumexp"]))
        return (name, [i], {"axis": axis, "keepdims": keep}), kept

    @staticmethod
    def matmul(draw, shapes, i):
        matrices = [j for j, s in enumerate(shapes) if len(s) == 2 and s[0] == shapes[i][-1:]]
        if len(shapes[i]) != 2 or not matrices:
            return None, None
        j = draw(st.sampled_from(matrices))
        return ("matmul", [i, j], {}), shapes[i][0] + shapes[j][1]

    @staticmethod
    def view(draw, shapes, i):
        shape, how = shapes[i], draw(st.sampled_from(["transpose", "expand", "stretch", "flat", "turn"]))
        if how == "expand":
            at = draw(st.integers(0, len(shape)))
            return ("expand_dims", [i], {"axis": at}), (shape[:at] + "1" + shape[at:] if len(shape) < 3 else None)
        if how == "stretch" and len(shape) < 3:
            return ("stretch", [i], {}), "n" + shape
        if how == "turn" and len(shape) == 2:  # reshape to the shape of the transpose: the order of the numbers stays
            return ("turn", [i], {}), shape[::-1]
        if how == "flat" and len(shape) == 2:
            return ("flat_and_back", [i], {}), shape
        return ("transpose", [i], {}), shape[::-1]

    @staticmethod
    def part(draw, shapes, i):
        if not shapes[i]:
            return None, None
        axis = draw(st.integers(0, len(shapes[i]) - 1))
        name = draw(
            st.sampled_from(["cut_and_padded", "rolled", "reversed", "put_back", "running_sum", "stacked", "row"])
        )
        return (name, [i], {"axis": axis}), shapes[i]

    @staticmethod
    def normalise(draw, shapes, i):
        return (draw(st.sampled_from(["softmax", "log_softmax"])), [i], {}), shapes[i] or None


class Parts:
    """Steps that read parts of an array, and give one of its own shape."""

    @staticmethod
    def along(axis, *piece):
        return (*(slice(None),) * axis, slice(*piece))

    @staticmethod
    def cut_and_padded(x, axis):
        widths = [(1, 2) if i == axis else (0, 0) for i in range(x.ndim)]
        return ops.pad(x, widths, constant_values=0.5)[Parts.along(axis, 2, -1)]

    @staticmethod
    def rolled(x, axis):
        return ops.concatenate([x[Parts.along(axis, 1, None)], x[Parts.along(axis, 1)] * 2.0], axis=axis)

    @staticmethod
    def reversed(x, axis):
        return x[Parts.along(axis, None, None, -1)]

    @staticmethod
    def put_back(x, axis):
        return ops.put(x[Parts.along(axis, None, None, 2)], Parts.along(axis, None, None, 2), x.shape)

    @staticmethod
    def running_sum(x, axis):
        return ops.cumsum(x, axis=axis)

    @staticmethod
    def stacked(x, axis):
        return ops.sum(ops.stack([x, ops.sin(x), x * 0.5], axis=axis)[Parts.along(axis, 1, None)], axis=axis)

    @staticmethod
    def row(x, axis):
        return x * ops.expand_dims(x[(*(slice(None),) * axis, -1)], axis)


def step_of(name, inputs, options, n):
    """One step on arrays or Tensors; `n` is the size of that name."""
    x = inputs[0]
    if name == "stretch":
        return ops.broadcast_to(x, (n, *x.shape))
    if name == "turn":
        return ops.reshape(x, (x.shape[1], x.shape[0]))
    if name == "flat_and_back":
        return ops.reshape(ops.tanh(ops.reshape(x, -1)), x.shape)
    if hasattr(Parts, name):
        return getattr(Parts, name)(x, options["axis"])
    if name == "where":
        return ops.where((x > 0.25) | (x < -1.0), inputs[1], inputs[2])
    return getattr(ops, name)(*inputs, **options)


def function_of(steps):
    """The mean squares of all nodes, summed: every step matters."""

    def f(x, y, z, w, s):
        nodes = [x, y, z, w, s]
        for name, at, options in steps:
            nodes.append(ops.tanh(step_of(name, [nodes[i] for i in at], options, x.shape[0])))
        total = s * s
        for node in nodes[4:]:
            total = total + ops.mean(node * node)
        return total

    return f


def drawn(sizes, seed=0, dtype=float):
    """Arguments for the letters' sizes."""
    rng, sizes = np.random.default_rng(seed), {"1": 1, **sizes}
    shapes = [tuple(sizes[c] for c in letters) for letters in INPUTS.values()]
    return [rng.uniform(-2, 2, shape).astype(dtype) if shape else float(rng.uniform(-2, 2)) for shape in shapes]


def eager(f, *arguments):
    """Result and gradients by the tensor back end."""
    leaves = [tg.Tensor(x, requires_grad=True) for x in arguments]
    y = f(*leaves)
    y.backward()
    return y.item(), [np.zeros(x.shape) if x.grad is None else x.grad for x in leaves]


def agree(found, expected, tolerance=1e-12):
    """Each gradient against the largest number in it: sums may be added in another order."""
    (y, gradients), (wanted, wanted_gradients) = found, expected
    assert math.isclose(y, wanted, rel_tol=tolerance, abs_tol=tolerance), (y, wanted)
    for i, (a, b) in enumerate(zip(gradients, wanted_gradients, strict=True)):
        assert np.shape(a) == np.shape(b)
        scale = max(1.0, np.abs(b).max(initial=0.0))
        assert np.allclose(a, b, rtol=tolerance, atol=tolerance * scale, equal_nan=True), (i, a, b)


def checked(f, *arguments, tolerance=1e-12, g=None):
    """f compiled against f eager; the compiled function, for more arguments."""
    g = g or jit(f)
    with np.errstate(all="ignore"):
        agree(g.value_and_grad(*arguments, argnum=range(len(arguments))), eager(f, *arguments), tolerance)
    return g


def normal(*shape, dtype=float):
    """The same numbers for the same shape."""
    return np.random.default_rng(sum(shape) + len(shape)).normal(size=shape).astype(dtype)


def shifted(x, y):
    """A function that meets products, a reduction and broadcasting."""
    return ops.sum(ops.tanh(x) * y)
