"""Several threads that run backward into one leaf: the gradients add up, whatever order they come in."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.threads import at_once
from tinygrad_edu.errors import ForgottenZeroGradWarning

THREADS, ROUNDS = 4, 60


def in_threads(work):
    def rounds():
        for _ in range(ROUNDS):
            work()

    errors = at_once(*[rounds] * THREADS)
    # this warning is expected: `fit` zeroes gradients in every thread
    assert not [x for x in errors if not isinstance(x, ForgottenZeroGradWarning)]


def test_tensors():
    x = tg.Tensor(np.ones(1000), requires_grad=True)
    in_threads(lambda: np.sum(np.tanh(x) * x).backward())
    once = tg.grad(lambda x: np.sum(np.tanh(x) * x))(np.ones(1000))
    np.testing.assert_allclose(x.grad, THREADS * ROUNDS * once, rtol=1e-12)


def test_values():
    x = tg.Value(1.0)
    in_threads(lambda: sum((x.tanh() * x for _ in range(30)), tg.Value(0.0)).backward())
    assert x.grad == pytest.approx(THREADS * ROUNDS * 30 * tg.grad(lambda x: x.tanh() * x)(1.0), rel=1e-12)


def test_values_that_share_an_inner_node():
    x = tg.Value(0.5)
    shared = x * x
    in_threads(lambda: sum((shared * 2.0 for _ in range(30)), tg.Value(0.0)).backward())
    assert x.grad == pytest.approx(THREADS * ROUNDS * 30 * 2.0 * 2.0 * 0.5, rel=1e-12)


def test_two_trainings_of_one_model_in_two_threads():
    X, y = tg.data.xor_gate()
    model = tg.nn.MLP([2, 3, 1], seed=0)

    def train():
        optimizer = tg.optim.SGD(model.parameters(), lr=0.01)
        tg.fit(model, X, y, loss="mse", optimizer=optimizer, epochs=2, compiled=False)

    in_threads(train)
    assert all(np.isfinite(p.data).all() for p in model.parameters())
