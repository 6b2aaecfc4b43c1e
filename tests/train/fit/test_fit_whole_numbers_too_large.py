"""Whole numbers that a compiled run computes and floats do not hold exactly: eager under "auto", else an error."""

from unittest import mock

import numpy as np
import pytest

from tests.compile.programs import training_without_numba
from tinygrad_edu import Tensor, errors, fit, fit_many, nn, ops, optim, scan
from tinygrad_edu.train import choose
from tinygrad_edu.train.compiled.programs import CompiledJob

RNG = np.random.default_rng(0)
Y = RNG.normal(size=(24, 1))
SMALL = RNG.integers(0, 5, (24, 4))
LATE = np.where((np.arange(24)[:, None] < 20) | (np.arange(4) < 2), SMALL, SMALL + 2**33)  # in the last batch


class Hashed(nn.Module):
    """A table read at the first columns, and whole numbers computed of the others."""

    def __init__(self, number):
        self.W, self.number = Tensor(np.linspace(-1.0, 1.0, 5).reshape(5, 1), requires_grad=True), number

    def forward(self, x):
        return ops.sum(self.W[x[:, :2]], axis=1) * np.cos(self.number(x[:, 2:], self.W) * 0.01)


NUMBERS = {
    "remainder": lambda x, W: np.sum((x * (2**21 + 1)) % 1003, axis=1, keepdims=True),
    "round of a loop": lambda x, W: scan(lambda s, r: ((s * (2**21 + r)) % 1003 + x, None), x, np.arange(1, 6))[0][
        :, :1
    ],
    "beside a parameter": lambda x, W: np.sum(((W[:2, 0] < 0.0) * x * (2**21 + 1)) % 1003, axis=1, keepdims=True),
}
NAMED = "whole numbers beyond 9,007,199,254,740,992.*float64"


def loss(z, t):
    return np.mean((z - t) ** 2)


def trained(number, X, compiled, rule=optim.SGD, batch=8):
    model = Hashed(NUMBERS[number])
    free = mock.patch.object(CompiledJob, "compile_seconds", return_value=0.0)
    with mock.patch.object(choose, "LOAD_SECONDS", 0.0), free:
        return fit(
            model, X, Y, loss=loss, optimizer=rule(model.parameters()), epochs=2, compiled=compiled,
            batch_size=batch if rule is optim.SGD else None, shuffle=False,
        )  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_a_run(number):
    with training_without_numba():
        for batch, X in ((8, SMALL), (8, LATE), (24, LATE)):  # noticed in the last batch, and by the first comparison
            eager, auto = trained(number, X, False, batch=batch), trained(number, X, "auto", batch=batch)
            assert auto.how.startswith("eager" if X is LATE else "compiled"), auto.how
            np.testing.assert_allclose(auto.loss_curve, eager.loss_curve, rtol=0 if X is LATE else 1e-12)
            if X is LATE:
                assert "whole numbers beyond" in auto.how
                with pytest.raises(errors.CompileError, match=NAMED):
                    trained(number, X, True, batch=batch)


def test_the_search_of_lbfgs_and_several_runs():
    with training_without_numba():
        auto = trained("remainder", LATE, "auto", optim.LBFGS)
        assert auto.loss_curve.tolist() == trained("remainder", LATE, False, optim.LBFGS).loss_curve.tolist()
        with pytest.raises(errors.CompileError, match=NAMED):
            fit_many(
                lambda seed: Hashed(NUMBERS["remainder"]), LATE, Y, loss=loss, optimizer=optim.SGD, epochs=2,
                seeds=[0, 1], batch_size=8, shuffle=False,
            )  # fmt: skip
