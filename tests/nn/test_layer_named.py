"""Of an input of a wrong width the error names the layer inside the model that it does not fit."""

import numpy as np
import pytest

from tinygrad_edu import nn
from tinygrad_edu.errors import ShapeError

MODELS = {
    "layers.2 (Linear 4→1): ": lambda: nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(4, 1)),
    "layers.1 (Linear 4→1): ": lambda: nn.Sequential(*(nn.Linear(*n, backend="scalar") for n in ((2, 3), (4, 1)))),
    "layers.1 (LayerNorm 4): ": lambda: nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(4)),
    "layers.1 (BatchNorm 4): ": lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm(4)),
    "layers.1.layers.0 (Linear 4→2): ": lambda: nn.Sequential(nn.Linear(2, 3), nn.MLP([4, 2, 1])),
    "layers.0 (Linear 3→1): ": lambda: nn.MLP([3, 1]),
    "": lambda: nn.Linear(3, 1),
}


@pytest.mark.parametrize("place", MODELS)
def test_a_wrong_width_names_the_layer(place):
    with pytest.raises(ShapeError) as raised:
        MODELS[place]()(np.ones((5, 2)))
    assert str(raised.value).startswith(f"{place}the input has shape (5, ")
