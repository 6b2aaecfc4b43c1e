"""A module of PyTorch's is taken over with what it computes and what it trains, or refused by name."""

import numpy as np
import pytest

from tinygrad_edu import fit, from_torch, optim
from tinygrad_edu.errors import OperandError, SettingError

torch = pytest.importorskip("torch")
nn, F = torch.nn, torch.nn.functional
pytestmark = pytest.mark.torch

X = np.random.default_rng(0).normal(size=(8, 5))


def calls(function):
    """A module whose forward calls it between two layers."""

    class Between(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(5, 6), nn.Linear(6, 2)

        def forward(self, x):
            return self.b(function(self.a(x)))

    return Between


def shared():
    layer = nn.Linear(5, 5)
    return nn.Sequential(layer, nn.Tanh(), layer)


def tied():
    one, other = nn.Linear(5, 5), nn.Linear(5, 5)
    other.weight = one.weight
    return nn.Sequential(one, nn.Tanh(), other)


def hooked():
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    net[0].register_forward_hook(lambda module, given, y: y * 2)
    return net


REFUSED = {
    "a layer twice": shared,
    "one weight in two layers": tied,
    "a hook": hooked,
    "softmax over the samples": lambda: nn.Sequential(nn.Linear(5, 4), nn.Softmax(dim=0)),
    "no statistics": lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, track_running_stats=False)),
    "a threshold": lambda: nn.Sequential(nn.Linear(5, 4), nn.Softplus(threshold=1)),
    "F.leaky_relu": calls(lambda x: F.leaky_relu(x, 0.2)),
    "F.elu": calls(lambda x: F.elu(x, alpha=2.0)),
    "F.gelu": calls(lambda x: F.gelu(x, approximate="tanh")),
    "F.softmax": calls(lambda x: F.softmax(x, dim=0)),
    "F.softplus": calls(lambda x: F.softplus(x, 2.0)),
    "F.hardtanh": calls(lambda x: F.hardtanh(x, -0.1, 0.1)),
    "an axis more": calls(lambda x: x.unsqueeze(1)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_be_something_else_is_refused(name):
    torch.manual_seed(0)
    with pytest.raises((OperandError, SettingError)):
        from_torch(REFUSED[name]())


def frozen():
    net = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 2))
    net[0].weight.requires_grad_(False)
    return net


TAKEN = {
    "frozen": frozen,
    "BatchNorm without parameters": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.BatchNorm1d(4, affine=False), nn.Linear(4, 1)
    ),
    "LayerNorm without bias": lambda: nn.Sequential(nn.Linear(5, 4), nn.LayerNorm(4, bias=False), nn.Linear(4, 2)),
    "LayerNorm without parameters": lambda: nn.Sequential(
        nn.Linear(5, 4), nn.LayerNorm(4, elementwise_affine=False), nn.Linear(4, 2)
    ),
    "momentum": lambda: nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4, momentum=0.4), nn.Linear(4, 1)),
    "F.relu": calls(F.relu),
    "F.softmax": calls(lambda x: F.softmax(x, dim=1)),
}


@pytest.mark.parametrize("name", TAKEN)
def test_what_is_taken_trains_as_there(name):
    torch.manual_seed(0)
    theirs = TAKEN[name]().double()
    ours, x = from_torch(theirs), torch.tensor(X)
    assert np.allclose(ours.eval()(X).data, theirs.eval()(x).detach().numpy(), rtol=1e-10)
    y = np.tanh(X[:, : theirs(x).shape[1]])
    run = fit(ours, X, y, loss="mse", optimizer=optim.SGD(ours.parameters(), lr=0.1), epochs=4, compiled=False)
    theirs.train()
    step = torch.optim.SGD([p for p in theirs.parameters() if p.requires_grad], lr=0.1)
    losses = []
    for _ in range(4):
        step.zero_grad()
        loss = ((theirs(x) - torch.tensor(y)) ** 2).mean()
        loss.backward()
        step.step()
        losses.append(loss.item())
    assert np.allclose(run.loss_curve, losses, rtol=1e-8)
    assert np.allclose(ours.eval()(X).data, theirs.eval()(x).detach().numpy(), rtol=1e-8, atol=1e-10)
