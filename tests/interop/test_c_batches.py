"""Batches that a training program in C cannot take are refused, not trained on with other numbers."""

import numpy as np

from tests.interop.compilers import Library
from tests.interop.networks import X, Y
from tinygrad_edu import nn
from tinygrad_edu.interop.c99_training import CTrainingFile
from tinygrad_edu.interop.programs import network_program


def by_rows(output, target):
    """A loss that turns the number of rows into a plain number."""
    return ((output - target) ** 2).sum() * (1.0 / len(target))


def test_a_smaller_last_batch_of_a_program_for_one_size_alone(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3, rng=0))
    program = network_program(model, X[:10], Y[:10], loss=by_rows, optimizer="sgd", batch_size=5, hidden=False)
    net = Library(program, CTrainingFile(program, "net", None).text(), tmp_path)
    assert net.train(X[:10], Y[:10], 5, 1)[1] is None
    assert net.train(X[:8], Y[:8], 5, 1)[1] == "batches of 5 are needed"


def test_batchnorm_refuses_a_batch_of_one(tmp_path):
    """Its variance is NaN, which would stand in the running statistics while the losses look well."""
    model = nn.MLP([2, 4, 3], norm="batch")
    program = network_program(model, X[:10], Y[:10], loss="mse", optimizer="sgd", batch_size=5, hidden=False)
    net = Library(program, CTrainingFile(program, "net", None).text(), tmp_path)
    assert net.train(X[:10], Y[:10], 5, 1)[1] is None
    for rows, batch in ((6, 5), (10, 1), (1, 5)):
        assert "for that many rows" in net.train(X[:rows], Y[:rows], batch, 1)[1]
    assert np.isfinite(net.predict(X, (len(X), 3))).all()
