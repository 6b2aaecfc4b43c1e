"""A run whose callbacks freeze parameters of a model of one's own is resumed by its own program."""

import numpy as np
import pytest

from tinygrad_edu import Tensor, fit, nn, optim
from tinygrad_edu.errors import SettingError
from tinygrad_edu.train.config import without_flags

X = np.random.default_rng(0).normal(size=(12, 3))


class Net(nn.Module):
    """Lists of layers, a buffer, and statistics that no optimizer holds."""

    def __init__(self):
        self.layers = [nn.Linear(3, 4, rng=0), nn.BatchNorm(4), nn.Linear(4, 1, rng=1)]
        self.register_buffer("scale", np.full(1, 2.0))

    def forward(self, x):
        for layer in self.layers:
            x = layer(x)
        return x * Tensor(self.scale)


def freeze(job):
    if len(job.losses) == 2:
        job.model.layers[0].weight.requires_grad = False


def freeze_for_a_while(job):
    job.model.layers[2].bias.requires_grad = len(job.losses) > 4


def freeze_all_but_one(job):
    for p in job.model.parameters()[1:]:
        p.requires_grad = False


def run_of(change, epochs, **given):
    model = Net()
    optimizer = optim.Adam(model.parameters(), lr=0.05)
    return fit(
        model, X, X[:, :1], loss="mse", optimizer=optimizer, epochs=epochs, callbacks=[change], compiled=False, **given
    )


@pytest.mark.parametrize("change", [freeze, freeze_for_a_while, freeze_all_but_one])
def test_the_resumed_run_is_the_whole_one(change, tmp_path):
    path = tmp_path / "run.safetensors"
    run_of(change, 3).save(path)
    whole, resumed = run_of(change, 8), run_of(change, 8, resume_from=path)
    np.testing.assert_array_equal(resumed.loss_curve, whole.loss_curve)
    for name, x in whole.model.state_dict().items():
        np.testing.assert_array_equal(resumed.model.state_dict()[name], x, err_msg=name)


def test_what_is_frozen_at_the_start_is_still_compared(tmp_path):
    path, other = tmp_path / "run.safetensors", Net()
    run_of(freeze, 3).save(path)
    optimizer = optim.Adam(other.parameters(), lr=0.05)
    other.layers[0].bias.requires_grad = False
    with pytest.raises(SettingError, match=r"requires_grad of .* was True and is False now"):
        fit(
            other, X, X[:, :1], loss="mse", optimizer=optimizer, epochs=8, callbacks=[freeze], compiled=False,
            resume_from=path,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("Net: 1 parameters and 2 numbers that are not trained\n  b: (1,)\n  a: (2,), not trained",
         "Net: 3 parameters\n  a: (2,)\n  b: (1,)", True),
        ("Net: 3 parameters\n  a: (2,)\n  b: (1,)", "Net: 3 parameters\n  a: (1,)\n  b: (2,)", False),
        ("Net: 3 parameters\n  a: (3,)", "Other: 3 parameters\n  a: (3,)", False),
        ("my own words", "my own words, not trained", False),
        ({"sizes": [2, 1]}, {"sizes": [2, 2]}, False),
    ],
)  # fmt: skip
def test_descriptions(a, b, same):
    assert (without_flags(a) == without_flags(b)) is same
