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


class Counting(nn.Module):
    """What forward changes in Python, and draws from np.random."""

    def __init__(self):
        self.layer, self.n, self.counts, self.log = nn.Linear(2, 1, rng=0), 0, {"k": 0}, []

    def forward(self, x):
        self.n += 1
        self.counts["k"] += 1
        self.log.append(self.n)
        return self.layer(x) * (1.0 + 0.01 * np.random.rand())


def test_what_forward_keeps_in_python_is_as_before_and_so_are_gradients():
    model = Counting()
    model(X[:3]).sum().backward()
    gradient, state = model.layer.weight.grad.copy(), np.random.get_state()[1].tobytes()
    lr_range_test(model, X[:64], Y[:64], loss="mse", steps=8)
    assert (model.n, model.counts, model.log) == (1, {"k": 1}, [1])
    assert np.random.get_state()[1].tobytes() == state
    np.testing.assert_array_equal(model.layer.weight.grad, gradient)


def losses_with(shares, loss="mse"):
    model = nn.MLP([2, 4, 1], seed=1)
    first, second = model.parameters()[:2], model.parameters()[2:]
    groups = [{"params": first, "lr": 0.1 * shares[0]}, {"params": second, "lr": 0.1 * shares[1]}]
    optimizer = optim.SGD(groups, lr=0.1)
    found = lr_range_test(model, X[:64], Y[:64], loss=loss, optimizer=optimizer, steps=20)
    assert [g["lr"] for g in optimizer.param_groups] == [g["lr"] for g in groups]
    return found.losses


def test_groups_keep_the_ratios_of_their_rates():
    model = nn.MLP([2, 4, 1], seed=1)
    optimizer = optim.SGD(model.parameters()[2:], lr=0.1)
    some = lr_range_test(model, X[:64], Y[:64], loss="mse", optimizer=optimizer, steps=20)
    np.testing.assert_array_equal(losses_with([0.0, 1.0]), some.losses)
    assert not np.array_equal(losses_with([0.01, 1.0]), losses_with([1.0, 1.0]))


def test_a_loss_below_zero_gives_the_same_suggestion():
    shifted = losses_with([1.0, 1.0], lambda z, t: np.mean((z - t) ** 2) - 50.0)
    plain = losses_with([1.0, 1.0])
    np.testing.assert_allclose(shifted[: len(plain)] + 50.0, plain, rtol=1e-12)


REFUSED = {
    "no learning rate": optim.LBFGS,
    "first step only": lambda p: optim.Rprop(p, lr=0.1),
    "makes the loss grow": lambda p: optim.SGD(p, lr=0.1, maximize=True),
}


@pytest.mark.parametrize("words", REFUSED)
@pytest.mark.parametrize("samples", [20, 64])
def test_an_optimizer_without_a_rate_to_find_is_refused(words, samples):
    with pytest.raises(SettingError, match=words):
        lr_range_test(nn.MLP([2, 1]), X[:samples], Y[:samples], loss="mse", optimizer=REFUSED[words])


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_noise_of_small_batches_is_not_taken_for_a_fall(optimizer):
    """The first batches differ by chance: the suggestion was the first rate, 1e-6, in 38 of 48 such tests."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(60, 3))
        y = np.sin(X[:, :1]) + 0.1 * rng.normal(size=(60, 1))
        found = lr_range_test(nn.MLP([3, 16, 1], seed=seed), X, y, loss="mse", optimizer=optimizer, batch_size=16)
        assert 1e-3 < found.suggestion < 0.3
