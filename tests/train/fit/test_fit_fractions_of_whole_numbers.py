"""Fractions of whole numbers are float64 in NumPy: a step compiled in float32 has that loss, or is refused by name."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu.errors import TraceError


class Looked(tg.nn.Module):
    """Looks a row up and computes with the numbers, so that fit leaves the whole numbers as they are."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.w = tg.Tensor(np.full((1, 1), 0.5, np.float32), requires_grad=True)
        self.rows = tg.Tensor(np.linspace(-1.0, 1.0, 10, dtype=np.float32)[:, None], requires_grad=True)

    def forward(self, x):
        return self.numbers(x[:, :1]) @ self.w + self.rows[x[:, 1]]


FRACTIONS = {
    "a quotient": lambda x: x / 3 - 1666667.0,
    "the mean": lambda x: (x - np.mean(x)) * 0.1,
    "a root": lambda x: np.sqrt(x) - 2236.0,
    "a sine": np.sin,
    "a product": lambda x: x * 0.5 - 2500000.0,
}
LARGE = np.array([[5_000_003, 7], [5_000_011, 9], [5_000_027, 4], [5_000_041, 2]])
SMALL = LARGE % np.array([100, 10])


def trained(numbers, X, compiled):
    model = Looked(numbers)
    optimizer = tg.optim.SGD(model.parameters(), lr=1e-4)
    with without_numba():
        return tg.fit(
            model, X, np.ones((4, 1)), loss="mse", optimizer=optimizer, epochs=2, compiled=compiled, seed=0
        ).loss_curve


@pytest.mark.parametrize("name", FRACTIONS)
def test_fractions_of_large_numbers_are_refused(name):
    with pytest.raises(TraceError, match=r"fractions of whole numbers up to 5,000,041"):
        trained(FRACTIONS[name], LARGE, True)


@pytest.mark.parametrize(
    ("numbers", "X"), [(lambda x: x / 255 - 0.5, SMALL), (np.sin, SMALL), (lambda x: x / 1e7, LARGE)]
)
def test_small_numbers_and_plain_quotients_are_compiled(numbers, X):
    np.testing.assert_allclose(trained(numbers, X, True), trained(numbers, X, False), rtol=1e-5)
