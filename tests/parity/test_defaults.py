"""The defaults of optimizers, ours and PyTorch's."""

import inspect
import re
from pathlib import Path

import pytest

from tinygrad_edu import optim

GUIDE = Path(__file__).parents[2] / "docs" / "how-to" / "coming-from.md"


@pytest.mark.torch
def test_the_guide_names_those_that_differ():
    torch = pytest.importorskip("torch")
    guide, differ = GUIDE.read_text(encoding="utf-8"), []
    names = [name for name in dir(torch.optim) if isinstance(getattr(optim, name, None), type)]
    for name in sorted({*names} - {"Optimizer", "LBFGS"}):
        theirs = inspect.signature(getattr(torch.optim, name)).parameters
        for setting, p in inspect.signature(getattr(optim, name)).parameters.items():
            if setting in theirs and p.default not in (theirs[setting].default, p.empty):
                assert re.search(rf"`{name}` has {setting}={p.default}\b", guide), (name, setting)
                differ.append(name)
    assert differ == ["RMSprop", "Rprop"]
