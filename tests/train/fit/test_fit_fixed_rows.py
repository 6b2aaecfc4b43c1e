"""Models that turn the number of rows of a batch into a plain number, as recurrent ones with a zero state often do."""

import numpy as np
import pytest

from tests.compile.programs import training_without_numba
from tests.train.fit.test_fit_options import assert_same
from tinygrad_edu import Tensor, fit, nn, optim
from tinygrad_edu.errors import TraceError


class OwnRecurrent(nn.Module):
    """A recurrent network as people write it, with a state of `rows` at the start."""

    def __init__(self, start):
        rng = np.random.default_rng(2)
        self.start, self.out = start, nn.Linear(4, 1, rng=3)
        self.W, self.U = (Tensor(rng.normal(size=(n, 4)) * 0.4, requires_grad=True) for n in (2, 4))

    def forward(self, x):
        h = self.start(x)
        for time in range(x.shape[1]):
            h = np.tanh(x[:, time] @ self.W + h @ self.U)
        return self.out(h)


STARTS = {
    "rows": lambda x: np.zeros((x.shape[0], 4)),
    "rows by len": lambda x: np.full((len(x), 4), 0.1),
    "none": lambda x: np.zeros(4),
}


@pytest.mark.slow
@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("batch_size", [6, 24, None, 1, 5])
def test_code_that_turns_the_number_of_rows_into_a_number(start, batch_size):
    """Compiled for that batch size; a last batch of another one is refused, and compiled="auto" goes on without.

    As machine code for two of them: what is decided is decided by the trace.
    """
    series = np.random.default_rng(0).normal(size=(24, 5, 2))

    def train(compiled):
        model = OwnRecurrent(STARTS[start])
        optimizer = optim.Adam(model.parameters(), lr=0.01)
        settings = {"batch_size": batch_size, "epochs": 4, "seed": 1, "compiled": compiled}
        return fit(model, series, series.sum(axis=(1, 2))[:, None], loss="mse", optimizer=optimizer, **settings)

    if batch_size == 5 and start != "none":
        with pytest.raises(
            TraceError, match=r"batches of 5 and a last one of 4\. .* leave the rows out, np\.zeros\(5\)"
        ):
            train(True)
        assert train("auto").how.startswith("eager")
    else:
        with training_without_numba(unless=(start, batch_size) in {("rows", 6), ("none", 5)}):
            assert_same(train(True), train(False))
