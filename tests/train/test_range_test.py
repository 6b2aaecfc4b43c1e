"""The learning-rate range test: it finds the region in which training works, and leaves everything as it was."""

import numpy as np
import pytest

from tinygrad_edu import fit, lr_range_test, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.errors import SettingError

X, Y = moons(200)


@pytest.mark.parametrize("backend", ["tensor", "scalar"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam", lambda p: optim.SGD([{"params": p}])])
def test_everything_is_as_before(optimizer, backend):
    model = nn.MLP(
        [2, 4, 1], seed=0, backend=backend, **({"norm": "batch", "dropout": 0.2} if backend == "tensor" else {})
    )
    model.eval()
    before = model.state_dict()
    found = lr_range_test(model, X[:64], Y[:64], loss="mse", optimizer=optimizer, steps=12)
    assert len(found.rates) <= 12
    assert model.training is False
    for name, w in model.state_dict().items():
        np.testing.assert_array_equal(w, before[name])


def test_what_it_suggests_trains_better_than_what_lies_far_away():
    make = lambda: nn.MLP([2, 16, 1], seed=1)  # noqa: E731
    rate = lr_range_test(make(), X, Y, loss="mse").suggestion

    def last(lr):
        model = make()
        return fit(
            model, X, Y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=lr), epochs=20, batch_size=32
        ).loss_curve[-1]

    assert last(rate) < min(last(rate / 300.0), 0.9 * last(1e-5))


def test_it_ends_where_the_loss_explodes():
    found = lr_range_test(nn.MLP([2, 16, 1], seed=1), X, Y, loss="mse", end=1e6)
    assert found.rates[-1] < 1e5
    assert "falls fastest at" in repr(found)


def test_a_picture():
    pytest.importorskip("matplotlib").use("Agg")
    axes = lr_range_test(nn.MLP([2, 4, 1], seed=1), X, Y, loss="mse", steps=20).plot()
    assert axes.get_xscale() == "log"
    axes.figure.clear()


def test_settings_are_refused():
    with pytest.raises(SettingError, match="above start"):
        lr_range_test(nn.MLP([2, 1]), X, Y, loss="mse", start=1.0, end=0.1)
    with pytest.raises(SettingError, match="start lower"):
        lr_range_test(nn.MLP([2, 1], seed=0), X * 1e3, Y, loss="mse", start=1e3, end=1e6)
