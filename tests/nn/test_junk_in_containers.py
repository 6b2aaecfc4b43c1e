"""What is no module, no list of modules and no dict of them: one named error each, from every way in."""

import numpy as np
import pytest

from tinygrad_edu import nn
from tinygrad_edu.errors import OperandError, TinygradError

NO_LISTS = [None, "ab", b"ab", 3, 2.5, True, float("nan"), object(), int, nn.Linear, nn.Linear(2, 2), lambda: 0]
NO_MODULES = [None, "ab", b"ab", 3, 2.5, True, [1], object(), np.ones(2), {"a": 1}]


@pytest.mark.parametrize("given", NO_LISTS)
def test_no_list_of_modules(given):
    blocks, heads = nn.ModuleList([nn.Linear(2, 1)]), nn.ModuleDict({"a": nn.Linear(2, 1)})
    ways = [nn.ModuleList, nn.ModuleDict, blocks.extend, lambda x: blocks.__setitem__(slice(0, 1), x)]
    for way in ways:
        with pytest.raises(OperandError, match=r"takes a (list|dict)"):
            way(given)
    assert [len(blocks), len(heads)] == [1, 1]


@pytest.mark.parametrize("given", NO_MODULES)
def test_no_module(given):
    blocks, heads, chain = nn.ModuleList(), nn.ModuleDict(), nn.Sequential()
    ways = [
        blocks.append, lambda x: blocks.insert(0, x), lambda x: blocks.extend([x]), lambda x: nn.ModuleList([x]),
        lambda x: heads.__setitem__("a", x), lambda x: heads.update({"a": x}), lambda x: nn.ModuleDict({"a": x}),
        lambda x: nn.ModuleDict([("a", x)]), lambda x: nn.ModuleDict([x]), chain.append,
        lambda x: nn.Sequential(nn.ReLU(), x),
    ]  # fmt: skip
    for way in ways:
        with pytest.raises(TinygradError):
            way(given)
    assert [len(blocks), len(heads), len(chain)] == [0, 0, 0]


def test_a_class_in_place_of_a_layer():
    for way in (nn.Sequential, nn.Sequential().append):
        with pytest.raises(OperandError, match=r"ReLU is a class of them: ReLU\(\.\.\.\)"):
            way(nn.ReLU)
