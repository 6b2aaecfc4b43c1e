"""An index that Embedding refuses is refused in every way of calling it, where NumPy counts from the end."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import training_without_numba, without_numba
from tinygrad_edu import nn
from tinygrad_edu.errors import SettingError

TABLE = nn.Embedding(7, 3, rng=0)
PADDED = nn.Embedding(7, 3, padding_idx=2, rng=0)
WAYS = {
    "eager": lambda e, i: e(i),
    "jit": lambda e, i: tg.jit(lambda i: e(i))(i),
    "jit, closed over": lambda e, i: tg.jit(lambda x: x * np.sum(e(i)))(2.0),
    "a part of the argument": lambda e, i: tg.jit(lambda i: e(i[0]))(np.array([i, i])),
    "vmap": lambda e, i: tg.vmap(lambda i: e(i))(np.array([i, i])),
    "jit of vmap": lambda e, i: tg.jit(tg.vmap(lambda i: e(i)))(np.array([i, i])),
    "jit of scan": lambda e, i: tg.jit(lambda i: tg.scan(lambda c, x: (c + e(x), c), np.zeros(3), i)[0])(i),
    "only its gradient": lambda e, i: tg.jit(lambda i, w: tg.grad(lambda w: np.sum(w * e(i)))(w))(i, np.ones(3)),
    "nothing reads it": lambda e, i: tg.jit(lambda i, w: (e(i), np.sum(w))[1])(i, np.ones(3)),
}


@pytest.mark.parametrize("layer", [TABLE, PADDED], ids=["table", "padded"])
@pytest.mark.parametrize("bad", [-1, -7, 7, -8])
@pytest.mark.parametrize("way", WAYS)
def test_rows_that_are_not_there(way, bad, layer):
    with without_numba():
        WAYS[way](layer, np.array([0, 6, 2]))
        with pytest.raises(SettingError, match=r"Embedding: (index|an index is)"):
            WAYS[way](layer, np.array([0, bad, 2]))


@pytest.mark.parametrize("way", ["jit", "vmap", "jit of vmap"])
def test_rows_that_are_there(way):
    i = np.array([0, 6, 2])
    with without_numba():
        found = np.asarray(WAYS[way](TABLE, i).data)
    assert np.array_equal(found, np.broadcast_to(TABLE.weight.data[i], found.shape))


def test_the_same_array_may_count_from_the_end_elsewhere():
    x = np.arange(12.0).reshape(4, 3)
    with without_numba(), pytest.raises(SettingError, match="Embedding"):
        tg.jit(lambda i: x[0, 0] + np.sum(np.take(tg.Tensor(x), i, axis=0)) + np.sum(TABLE(i)))(np.array([-1]))
    with without_numba():
        assert tg.jit(lambda i: np.sum(np.take(tg.Tensor(x), i, axis=0)))(np.array([-1])) == x[-1].sum()


@pytest.mark.parametrize("batch", [None, 5, 6])
@pytest.mark.parametrize("how", [False, True])
def test_a_run(how, batch):
    tokens = np.random.default_rng(3).integers(0, 7, size=(20, 5))
    tokens[13, 2] = -1
    model = nn.Sequential(nn.Embedding(7, 4, rng=0), nn.Flatten(), nn.Linear(20, 3, rng=1))
    with training_without_numba(), pytest.raises(SettingError, match=r"Embedding: index -1 is outside 0\.\.6"):
        tg.fit(
            model, tokens, tokens.sum(1) % 3, loss="cross_entropy", optimizer="adam", epochs=2,
            compiled=how, batch_size=batch,
        )  # fmt: skip
