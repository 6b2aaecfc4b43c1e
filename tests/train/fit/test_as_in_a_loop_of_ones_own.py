"""`fit` gives a forward of the user's own what a loop of the user's own would give it."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, ops

RNG = np.random.default_rng(0)
X, WEIGHTS = RNG.normal(size=(12, 3)), np.array([2.0, -1.0, 0.5])
TARGETS = {"floats": X @ WEIGHTS, "whole numbers": (X @ WEIGHTS > 0).astype(int)}
LOSSES = {"own": lambda p, t: ((p - t) ** 2).mean(), "sum": lambda p, t: np.sum((t - p) ** 2) / len(X), "mse": "mse"}


class Squeezed(nn.Module):
    """One number for each sample, without an axis for it: (n,)."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 1, rng=0)

    def forward(self, x):
        return self.layer(x).squeeze(-1)


def losses_of_a_loop(loss, y):
    model, found = Squeezed(), []
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        value = (nn.losses.mse if loss == "mse" else loss)(model(X), y)
        value.backward()
        optimizer.step()
        found.append(value.item())
    return found


@pytest.mark.parametrize(
    ("compiled", "loss", "targets"), [*((False, loss, y) for loss in LOSSES for y in TARGETS), (True, "own", "floats")]
)
def test_targets_in_a_row_stay_a_row_beside_outputs_in_a_row(compiled, loss, targets):
    """A column of targets beside (n,) outputs was broadcast to (n, n): another loss, without a word."""
    y, model = TARGETS[targets], Squeezed()
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    options = {"loss": LOSSES[loss], "optimizer": optimizer, "epochs": 3, "shuffle": False, "compiled": compiled}
    run = tg.fit(model, X, y, **options)
    np.testing.assert_allclose(run.loss_curve, losses_of_a_loop(LOSSES[loss], y), rtol=1e-12)


def test_held_out_targets_in_a_row():
    y, model = TARGETS["floats"], Squeezed()
    run = tg.fit(model, X, y, loss=LOSSES["own"], optimizer="sgd", epochs=1, validation=(X, y), compiled=False)
    assert run.validation_curve[0] == pytest.approx(np.mean((model(X).data - y) ** 2), rel=1e-12)


class OfPyTorch(nn.Module):
    """A forward with PyTorch's words on its input, of which a program of its own makes a tensor."""

    def __init__(self):
        super().__init__()
        self.convolution, self.last = nn.Conv2d(1, 2, 3, rng=0), nn.Linear(8, 3, rng=1)

    def forward(self, x):
        n = x.size(0)
        x = ops.relu(self.convolution(x.view(n, 1, 4, 4)))
        return ops.log_softmax(self.last(x.view(x.size(0), -1)), dim=1)


@pytest.mark.parametrize("compiled", [False, True])
def test_pytorchs_words_on_the_input(compiled):
    images, labels = RNG.normal(size=(7, 16)), RNG.integers(0, 3, 7)
    model = OfPyTorch()
    expected = nn.losses.nll(model(tg.Tensor(images)), labels).item()
    run = tg.fit(model, images, labels, loss="nll", optimizer="sgd", epochs=1, batch_size=7, compiled=compiled)
    assert run.loss_curve[0] == pytest.approx(expected, rel=1e-12)


MATRIX = RNG.normal(size=(3, 3))
ORDERS = {"transposed": lambda: MATRIX.T, "a Tensor made in forward": lambda: tg.Tensor(MATRIX.T)}


class Turned(nn.Module):
    def __init__(self, order):
        super().__init__()
        self.layer, self.order = nn.Linear(3, 3, rng=0), order

    def forward(self, x):
        return self.layer(x) @ self.order()


@pytest.mark.parametrize("order", ORDERS)
def test_constants_that_forward_makes_anew_are_compiled(order):
    """A square matrix that it transposes was refused as if it had other axes; a new Tensor counted as a change."""
    options = {"loss": "mse", "optimizer": "sgd", "epochs": 2, "shuffle": False}
    runs = [tg.fit(Turned(ORDERS[order]), X, X, compiled=compiled, **options) for compiled in (False, True)]
    np.testing.assert_allclose(runs[1].loss_curve, runs[0].loss_curve, rtol=1e-12)


class Centres(nn.Module):
    """Its input is a row: in a column, axis 1 would be one entry long, and the softmax over it 1."""

    def __init__(self):
        super().__init__()
        self.centres, self.weights = nn.Parameter(np.linspace(-2, 2, 5)), nn.Parameter(np.linspace(1, -1, 5))

    def forward(self, x):
        return ops.softmax(-((x[:, None] - self.centres) ** 2), axis=1) @ self.weights


class OfAColumn(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1, rng=0)

    def forward(self, x):
        return self.layer(x)


@pytest.mark.parametrize("x", [X[:, 0], np.arange(12) % 5 - 2], ids=["floats", "whole numbers"])
def test_inputs_in_a_row_stay_a_row_for_a_forward_that_takes_one(x):
    y, own = np.sin(x), Centres()
    expected = np.mean((own(x).data - y) ** 2)
    for compiled in (False, x.dtype == float):
        options = {"optimizer": "sgd", "epochs": 1, "compiled": compiled, "shuffle": False}
        run = tg.fit(Centres(), x, y, loss=LOSSES["own"], **options)
        assert run.loss_curve[0] == pytest.approx(expected, rel=1e-12)
    assert tg.fit(OfAColumn(), x, y, loss="mse", optimizer="sgd", epochs=1, compiled=False).n_epochs == 1


@pytest.mark.parametrize("column", ["X", "y", "both"])
def test_held_out_samples_take_the_form_of_the_others(column):
    """Held out as a column beside a row, they were compared as (n, 1) with (n,): another loss, without a word."""
    x, y, model = X[:, 0], np.sin(X[:, 0]), Centres()
    held_out = (x[:, None] if column != "y" else x, y[:, None] if column != "X" else y)
    run = tg.fit(model, x, y, loss=LOSSES["own"], optimizer="sgd", epochs=1, validation=held_out, compiled=False)
    assert run.validation_curve[0] == pytest.approx(np.mean((model(x).data - y) ** 2), rel=1e-12)
