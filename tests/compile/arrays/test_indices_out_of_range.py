"""An index out of range is refused by jit wherever the eager program refuses it, whatever becomes of what is read."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import ops
from tinygrad_edu.errors import SettingError, ShapeError

READ = {
    "used": lambda x, i: np.sum(x[i]),
    "dropped": lambda x, i: (x[i], np.sum(x))[1],
    "only its shape": lambda x, i: np.sum(x) * x[i].shape[0],
    "times 0": lambda x, i: np.sum(x[i] * 0.0),
    "nothing of it": lambda x, i: np.sum(x[i][:0]),
    "beside an empty axis": lambda x, i: np.sum(x[i][:, None] * np.zeros((0, 1))),
    "taken": lambda x, i: (np.take(x, i, axis=0), np.sum(x))[1],
    "written": lambda x, i: (np.sum(np.where(x[i] > 0.0, 1.0, 1.0)), np.sum(x))[1],
    "along": lambda x, i: np.sum(np.take_along_axis(x, i[:, None], axis=0)),
    "along, dropped": lambda x, i: (np.take_along_axis(x, i[:, None], axis=0), np.sum(x))[1],
    "a view of the index": lambda x, i: (x[i[::-1]], np.sum(x))[1],
    "the index repeated": lambda x, i: (x[np.broadcast_to(i, (3, i.shape[0]))], np.sum(x))[1],
    "its own": lambda x, i: (x[[0, 1]], np.sum(x))[1],
    "twice": lambda x, i: np.sum(x[i][:1]) + (x[i], 0.0)[1],
}
GIVEN = [
    (np.ones((3, 2)), [0, 2]), (np.ones((3, 2)), [-3, 1]), (np.ones((3, 2)), [0, 3]), (np.ones((3, 2)), [-4, 0]),
    (np.ones((1, 2)), [0, 1]), (np.zeros((0, 2)), [0, 0]), (np.zeros((0, 0)), [0, 0]), (np.zeros((3, 0)), [0, 3]),
    (np.zeros((3, 0)), [0, 2]), (np.zeros((0, 2)), []), (np.ones((3, 2)), []),
]  # fmt: skip


def outcome(f, *given):
    try:
        y = f(*given)
    except (ShapeError, SettingError) as error:
        return type(error).__name__
    return float(getattr(y, "data", y))


@pytest.mark.parametrize("name", READ)
def test_refused_as_eagerly(name):
    """One compiled function meets all of the shapes and indices."""
    f, seen = READ[name], []
    with without_numba(), np.errstate(all="ignore"):
        compiled = tg.jit(f)
        for x, i in GIVEN:
            i = np.array(i, dtype=int)
            seen.append(outcome(f, tg.Tensor(x), i))
            assert outcome(compiled, x, i) == seen[-1]
            assert outcome(lambda *given: compiled.value_and_grad(*given)[0], x, i) == seen[-1]
    assert "ShapeError" in seen


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 1, 3], [-1, 0, 1]])
def test_classes(labels):
    """The loss of classes that the logits do not have, computed and not used."""
    z, y = np.arange(9.0).reshape(3, 3), np.array(labels)
    for f in (ops.cross_entropy, lambda z, y: (ops.cross_entropy(z, y), np.sum(z))[1]):
        with without_numba():
            assert outcome(tg.jit(f), z, y) == pytest.approx(outcome(f, tg.Tensor(z), y))
