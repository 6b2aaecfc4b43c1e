"""Flatten and the shapes that a forward of PyTorch makes: the same shapes and numbers, or a refusal."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import OperandError, ShapeError

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")
t = torch.nn

X = np.random.default_rng(0).normal(size=(7, 4, 3))
torch.manual_seed(0)


def own(forward, *layers):
    """A module with a forward of its own."""
    made = type("Own", (t.Module,), {"forward": forward})()
    made.l = t.ModuleList(layers)
    return made


NETS = {
    "first": lambda: t.Sequential(t.Flatten(), t.Linear(12, 2)),
    "first, then an MLP": lambda: t.Sequential(t.Flatten(), t.Linear(12, 5), t.Tanh(), t.Linear(5, 2)),
    "from 0 to 1": lambda: t.Sequential(t.Flatten(0, 1), t.Linear(3, 2)),
    "from 0": lambda: t.Sequential(t.Flatten(0)),
    "from -2": lambda: t.Sequential(t.Flatten(-2), t.Linear(12, 2)),
    "the last axis alone": lambda: t.Sequential(t.Linear(3, 2), t.Flatten(2)),
    "between": lambda: t.Sequential(t.Linear(3, 2), t.ReLU(), t.Flatten(), t.Linear(8, 2)),
    "between, 0 to 1": lambda: t.Sequential(t.Linear(3, 2), t.Flatten(0, 1), t.Linear(2, 1)),
    "at the end": lambda: t.Sequential(t.Linear(3, 2), t.Flatten()),
    "two": lambda: t.Sequential(t.Flatten(1, 2), t.Linear(12, 3), t.Flatten()),
    "torch.flatten(x, 1)": lambda: own(lambda s, x: s.l[0](torch.flatten(x, 1)), t.Linear(12, 2)),
    "torch.flatten(x)": lambda: own(lambda s, x: torch.flatten(s.l[0](x)), t.Linear(3, 2)),
    "x.flatten(0, 1)": lambda: own(lambda s, x: s.l[0](x.flatten(0, 1)), t.Linear(3, 2)),
    "x.flatten(end_dim=1)": lambda: own(lambda s, x: s.l[0](x.flatten(end_dim=1)), t.Linear(3, 2)),
    "x.flatten(start_dim=2)": lambda: own(lambda s, x: s.l[0](x).flatten(start_dim=2), t.Linear(3, 2)),
    "view": lambda: own(lambda s, x: s.l[0](x.view(-1, 12)), t.Linear(12, 2)),
    "reshape": lambda: own(lambda s, x: s.l[0](x.reshape(len(x), -1)), t.Linear(12, 2)),
    "contiguous": lambda: own(lambda s, x: s.l[1](s.l[0](x).contiguous()), t.Linear(3, 2), t.Linear(2, 1)),
    "double": lambda: own(lambda s, x: s.l[1](s.l[0](x.double()).double()), t.Linear(3, 2), t.Linear(2, 1)),
}


REFUSED = {  # by name
    ("view", True), ("reshape", True),
    ("torch.flatten(x)", False), ("x.flatten(0, 1)", False), ("x.flatten(end_dim=1)", False),
}  # fmt: skip


@pytest.mark.parametrize("given", [None, X], ids=["alone", "with X"])
@pytest.mark.parametrize("name", NETS)
def test_the_same_shapes_and_numbers(name, given):
    net = NETS[name]().double().eval()
    theirs = net(torch.tensor(X)).detach().numpy()
    if (name, given is None) in REFUSED:
        told = r"cannot be followed|is not a reshape|is not a layer|must be 12 wide"
        with pytest.raises((OperandError, ShapeError), match=told):  # of a view of rows to rows it makes an nn.MLP
            tg.from_torch(net, given)(X)
        return
    found = tg.from_torch(net, given)(X)
    ours = found if isinstance(found, np.ndarray) else found.numpy()
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
