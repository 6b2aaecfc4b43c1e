"""A loss that makes plain numbers of its rows, as z[np.arange(len(y)), y], compiles with a smaller last batch."""

import numpy as np
import pytest

from tinygrad_edu import fit, nn
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train import choose

X = np.random.default_rng(0).normal(size=(13, 4))
Y = np.arange(13) % 3


def logits(z):
    return z - np.log(np.sum(np.exp(z), axis=1, keepdims=True))


def several(z, y):
    rows = np.arange(len(y))
    return -logits(z)[rows, y].mean() + 0.1 * (z[rows, (y + 1) % 3] ** 2).mean()


COUNTED = {
    "arange": lambda z, y: -logits(z)[np.arange(len(y)), y].mean(),
    "of a shape": lambda z, y: -logits(z)[np.arange(y.shape[0]), y].mean(),
    "range": lambda z, y: -logits(z)[range(len(y)), y].mean(),
    "a list": lambda z, y: -logits(z)[list(range(len(z))), y].mean(),
    "a size beside it": lambda z, y: -logits(z)[np.arange(len(y)), y].sum() / y.shape[0],
    "alone": lambda z, y: (z[np.arange(len(z))] ** 2).mean(),
}
FIXED = {  # another program for each size, which stays eager
    "a branch": lambda z, y: -logits(z)[np.arange(len(y)), y].mean() * (2.0 if len(y) == 5 else 1.0),
    "a plain number": lambda z, y: -logits(z)[np.arange(len(y)), y].sum() / len(y),
    "an array": lambda z, y: ((z - np.zeros((len(y), 3))) ** 2).mean(),
    "a loop": lambda z, y: sum((z[i] ** 2).sum() for i in range(len(y))) / 15.0,
}


def train(loss, compiled, batch=5, **more):
    settings = {"optimizer": "sgd", "epochs": 6, "batch_size": batch, "compiled": compiled} | more
    return fit(nn.MLP([4, 5, 3], seed=0), X, Y, loss=loss, **settings)


@pytest.mark.parametrize("kind", COUNTED)
def test_it_compiles_and_is_the_eager_run(kind):
    run = train(COUNTED[kind], True)
    assert run.compiled
    np.testing.assert_allclose(run.loss_curve, train(COUNTED[kind], False).loss_curve, rtol=1e-12)


@pytest.mark.parametrize("kind", FIXED)
def test_what_is_another_program_for_each_size_stays_eager(kind, monkeypatch):
    monkeypatch.setattr(choose, "LOAD_SECONDS", 0.0)
    monkeypatch.setattr(choose, "eager_seconds", lambda job: 1e3)
    run = train(FIXED[kind], "auto")
    assert "batches of 5 and a last one of 3" in run.how
    assert run.loss_curve.tolist() == train(FIXED[kind], False).loss_curve.tolist()
    with pytest.raises(TraceError, match="batches of 5 and a last one of 3"):
        train(FIXED[kind], True)


def test_another_batch_size_gets_a_program_of_its_own():
    """The trace knows its two sizes: a branch may take another way at a third one."""

    def loss(z, y):
        return -logits(z)[np.arange(len(y)), y].mean() * (1.0 if len(y) < 6 else 3.0)

    def widen(job):
        job.batch_size = 7

    for more in ({}, {"callbacks": [widen]}):
        eager = train(loss, False, **more)
        np.testing.assert_allclose(train(loss, "auto", **more).loss_curve, eager.loss_curve, rtol=1e-12)
        if not more:
            np.testing.assert_allclose(train(loss, True, **more).loss_curve, eager.loss_curve, rtol=1e-12)
