"""What differs between compiled and eager steps by rounding alone does not end a run."""

import contextlib
import itertools

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import TraceError
from tinygrad_edu.train.compiled.comparison import Comparison
from tinygrad_edu.train.compiled.session import CompiledSession

X = np.random.default_rng(0).normal(size=(24, 4))
Y = np.sin(X[:, :1])


class Own(nn.Module):
    """A module of the user's own: only runs of these are compared."""

    def __init__(self):
        self.net = nn.MLP([4, 5, 1], seed=0)

    def forward(self, x):
        return self.net(x)


@pytest.mark.parametrize(("wrong", "refused"), [(1, False), (99, True)])
def test_a_gradient_that_differs_at_one_point_alone_differs_by_rounding(wrong, refused, monkeypatch):
    """A ReLU at 0 has a slope or not as its sum is rounded; other weights near these show which difference is real."""
    step, calls = CompiledSession.one_step, itertools.count()

    def with_another_slope(session):
        losses, gradient, weights = step(session)
        gradient[0] += 1.0 if next(calls) < wrong else 0.0
        return losses, gradient, weights

    monkeypatch.setattr(CompiledSession, "one_step", with_another_slope)
    model = Own()
    before = model.state_dict()
    settings = {"loss": "mse", "optimizer": optim.SGD(model.parameters(), lr=0.0), "epochs": 2, "compiled": True}
    with pytest.raises(TraceError, match="the compiled gradient is") if refused else contextlib.nullcontext():
        fit(model, X, Y, **settings)
    assert all(np.array_equal(model.state_dict()[name], x) for name, x in before.items())


def test_an_eager_step_that_differs_from_itself_excuses_nothing(monkeypatch):
    """A coin that no trace sees agrees by chance with one that the program has frozen."""
    step, eager, coin = CompiledSession.one_step, Comparison.eager_step, itertools.cycle([0.0, 1.0])

    def tossed(result):
        result[1][0] += next(coin)
        return result

    frozen = itertools.chain([1.0], itertools.repeat(0.0))
    monkeypatch.setattr(Comparison, "eager_step", lambda self, gradient: tossed(eager(self, gradient)))
    monkeypatch.setattr(
        CompiledSession, "one_step", lambda self: (found := step(self), found[1].__iadd__(next(frozen)))[0]
    )
    model = Own()
    with pytest.raises(TraceError, match="the compiled gradient is"):
        fit(model, X, Y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.0), epochs=2, compiled=True)


class Sure(nn.Module):
    """Its logits are about 18, so that the loss in float32 is a rounding error."""

    def __init__(self):
        self.a, self.b = nn.Linear(64, 64, rng=0), nn.Linear(64, 3, rng=1)

    def forward(self, x):
        z = self.b(np.tanh(self.a(x)))
        return z * (18.0 / np.abs(self.z).max())


def test_the_loss_of_a_network_that_is_sure_differs_by_rounding():
    rng, model = np.random.default_rng(0), Sure()
    inputs = rng.normal(size=(32, 64))
    model.z = model.b(np.tanh(model.a(inputs))).data
    y, model = np.argmax(model.z, axis=1), model.astype("float32")
    sure = np.sort(model.z, axis=1)
    keep = sure[:, 2] - sure[:, 1] > 0.8 * np.abs(sure).max()
    done = fit(model, inputs[keep], y[keep], loss="cross_entropy",
               optimizer=optim.SGD(model.parameters(), lr=1e-3), epochs=3, compiled=True)  # fmt: skip
    assert done.n_epochs == 3
    assert abs(done.loss_curve[-1]) < 1e-6  # with some kernels of BLAS it is below 0


def other_data(job):
    job.data = (2.0 * job.data[0], job.data[1])


def other_weights(job):
    for p in job.model.parameters():
        p.data = 0.5 * p.data


@pytest.mark.parametrize("change", [other_data, other_weights])
def test_what_a_callback_changes_as_it_ends_the_run_is_no_difference(change):
    """Other data there ended a compiled run with "forward or the loss does something else when it is traced"."""

    def end(job):
        change(job)
        return len(job.losses) == 3

    def curve(compiled):
        model = Own()
        sgd = optim.SGD(model.parameters(), lr=0.1)
        settings = {"loss": "mse", "optimizer": sgd, "epochs": 6, "compiled": compiled, "callbacks": [end]}
        return fit(model, X, Y, **settings).loss_curve

    assert len(curve(False)) == 3
    np.testing.assert_allclose(curve(True), curve(False), rtol=1e-10)
