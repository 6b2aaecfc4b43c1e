"""Loops that set requires_grad over parameters(), which leaves frozen parameters out: what does nothing is told."""

import warnings

import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim

FREEZE = "for p in model.parameters():\n    p.requires_grad = False\n"
# a program after all is frozen, or one layer; does it warn?
LOOPS = {
    "for p in model.parameters():\n    p.requires_grad = True": True,
    "for p in model.parameters(): p.requires_grad_(True)": True,
    "for p in model.parameters(): p.requires_grad_()": True,
    "for name, p in model.named_parameters():\n    p.requires_grad = 'weight' in name": True,
    "for p in model.layers[0].parameters():\n    p.requires_grad = True": True,
    "def unfreeze():\n    for p in model.parameters():\n        p.requires_grad = True\nunfreeze()": True,
    "flag = True\nfor p in model.parameters(): p.requires_grad = flag": True,
    "for p in model.parameters():\n    p.requires_grad = False": False,
    "for p in model.parameters(): p.requires_grad_(False)": False,
    "for p in model.parameters(): print(p)": False,
    "[p.requires_grad for p in model.parameters()]": False,
    "model.zero_grad()": False,
    "model.state_dict()": False,
    "model.layers[0].weight.requires_grad = True\nassert len(model.parameters()) >= 1": False,
}


def messages(program):
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.BatchNorm(3), nn.Linear(3, 1, rng=1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        exec(program, {"model": model})
    return [str(each.message) for each in caught]


@pytest.mark.parametrize("before", [FREEZE, FREEZE.replace("model", "model.layers[0]")], ids=["all", "one layer"])
@pytest.mark.parametrize(("loop", "warns"), LOOPS.items())
def test_a_loop_that_does_not_reach_frozen_parameters(loop, warns, before):
    found = messages(before + loop)
    assert len(found) == warns
    assert all("does not reach layers.0.weight, " in each or "does not reach weight, " in each for each in found)


@pytest.mark.parametrize("loop", LOOPS)
def test_nothing_is_told_where_nothing_is_frozen(loop):
    assert messages(loop) == []


def test_a_list_from_before_unfreezes():
    model = nn.Linear(2, 1, rng=0)
    parameters = model.parameters()
    for flag in (False, True):
        for p in parameters:
            p.requires_grad = flag
    optim.SGD(model.parameters(), lr=0.1)
    assert len(model.parameters()) == 2
    assert isinstance(model.weight, tg.Tensor)
