"""Layers and parameters that are not part of the model, such as those of a loss, in an eager and a compiled run."""

import numpy as np
import pytest

from tests.compile.programs import training_without_numba
from tinygrad_edu import Tensor, fit, nn, optim
from tinygrad_edu.errors import TraceError

X = np.random.default_rng(0).normal(size=(30, 3))
Y = np.random.default_rng(1).normal(size=(30, 1))


class Uncertain(nn.Module):
    """A loss that learns how far the targets spread."""

    def __init__(self):
        self.log_spread = Tensor([0.0], requires_grad=True)

    def forward(self, output, target):
        return np.mean(np.exp(-self.log_spread) * (output - target) ** 2 + self.log_spread)


@pytest.mark.parametrize("held", [slice(None), slice(2, None)], ids=["all", "a part"])
@pytest.mark.parametrize("compiled", [False, True])
def test_the_norms_count_what_the_optimizer_holds(compiled, held):
    model, loss = nn.MLP([3, 6, 1], seed=0), Uncertain()
    params = [*model.parameters(), *loss.parameters()][held]
    before = [p.data.copy() for p in params]
    with training_without_numba():
        run = fit(model, X, Y, loss=loss, optimizer=optim.Adam(params, lr=0.02), epochs=1, compiled=compiled)
    moved = np.concatenate([(p.data - x).reshape(-1) for p, x in zip(params, before, strict=True)])
    assert run.update_norms == pytest.approx([np.linalg.norm(moved)], rel=1e-12)
    gradient = np.concatenate([p.grad.reshape(-1) for p in params]) if not compiled else None
    assert compiled or run.grad_norms == pytest.approx([np.linalg.norm(gradient)], rel=1e-12)


def test_a_parameter_of_the_loss_that_becomes_infinite_ends_the_run():
    model, loss = nn.MLP([3, 6, 1], seed=0), Uncertain()
    model.layers[-1].weight.data[:] = 0.0
    groups = [{"params": model.parameters(), "lr": 0.0}, {"params": loss.parameters(), "lr": 1e308}]
    run = fit(model, X, 9.0 * Y, loss=loss, optimizer=optim.SGD(groups, lr=0.1), epochs=1, compiled=False)
    assert run.n_epochs == 0
    assert "NaN or infinite" in run.stop_reason


DROPPED, NORMED = nn.Dropout(0.3, rng=2), nn.BatchNorm(1)
LOSSES = {
    "Dropout": lambda output, target: np.mean(DROPPED((output - target) ** 2)),
    "BatchNorm": lambda output, target: np.mean((NORMED(output) - target) ** 2),
}


@pytest.mark.parametrize("layer", LOSSES)
def test_a_layer_that_each_step_changes_is_named(layer):
    model, found = nn.MLP([3, 6, 1], seed=0), []
    given = {"loss": LOSSES[layer], "optimizer": "adam", "epochs": 3, "batch_size": 5}
    with pytest.raises(TraceError, match=f"each step changes a {layer} that is not part of the model"):
        fit(model, X, Y, compiled=True, **given)
    for compiled in (False, "auto"):
        model, DROPPED.rng = nn.MLP([3, 6, 1], seed=0), np.random.default_rng(2)
        found.append(fit(model, X, Y, compiled=compiled, **given))
    np.testing.assert_array_equal(found[0].loss_curve, found[1].loss_curve)
