"""Where two parts of a run meet: rates with state of their own, callbacks that write, Ctrl-C in a callback."""

import itertools
from unittest import mock

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import SettingError, TraceError
from tinygrad_edu.optim import flat
from tinygrad_edu.train import choose

RNG = np.random.default_rng(0)
X = RNG.normal(size=(20, 3))
Y = np.sin(X[:, :1])


def trained(compiled, lr=0.1, epochs=5, optimizer=optim.SGD, model=None, **settings):
    model = nn.MLP([3, 4, 1], seed=0) if model is None else model
    rule = optimizer(model.parameters(), lr=lr) if optimizer is not optim.LBFGS else optimizer(model.parameters())
    batch = {} if optimizer is optim.LBFGS else {"batch_size": 7}
    with mock.patch.object(choose, "LOAD_SECONDS", 0.0):  # so that "auto" compiles whenever possible
        return fit(model, X, Y, loss="mse", optimizer=rule, epochs=epochs, compiled=compiled, **batch, **settings)


# The learning rate as a function


def counter():
    asked = [0]

    def lr(t):
        asked[0] += 1
        return 0.2 / asked[0]

    return lr


def drawn():
    rng = np.random.default_rng(0)
    return lambda t: 0.1 * rng.random()


def iterated():
    numbers = itertools.repeat(0.05)
    return lambda t: next(numbers)


class Falling:
    def __init__(self):
        self.lr = 0.2

    def __call__(self, t):
        self.lr *= 0.9
        return self.lr


STATEFUL = [counter, drawn, iterated, Falling]


@pytest.mark.parametrize("make", STATEFUL)
def test_a_rate_with_state_is_asked_step_by_step(make):
    eager, auto = trained(False, make()), trained("auto", make())
    assert np.array_equal(auto.loss_curve, eager.loss_curve)
    assert auto.how.startswith("eager: the function of the learning rate")
    with pytest.raises(TraceError, match="the function of the learning rate"):
        trained(True, make())


@pytest.mark.parametrize("make", STATEFUL)
def test_a_file_does_not_hold_its_state(make, tmp_path):
    lr = make()
    trained(False, lr, epochs=3).save(tmp_path / "run")
    with pytest.raises(SettingError, match="the function of the learning rate"):
        trained(False, lr, resume_from=tmp_path / "run")


def test_a_rate_that_reads_the_weights():
    runs = []
    for way in (False, "auto"):
        model = nn.MLP([3, 4, 1], seed=0)
        runs.append(
            trained(way, lambda t, model=model: 0.1 / (1.0 + abs(float(model.layers[0].bias.data[0]))), model=model)
        )
    assert np.array_equal(runs[0].loss_curve, runs[1].loss_curve)
    assert "reads Tensors" in runs[1].how


def test_a_rate_of_the_step_alone_is_compiled_and_goes_on_from_a_file(tmp_path):
    def lr(t):
        return 0.1 / (1 + t)

    assert trained(True, lr).how == "compiled: asked for"
    trained(True, lr, epochs=3).save(tmp_path / "run")
    on = trained(True, lr, resume_from=tmp_path / "run")
    assert np.allclose(on.loss_curve, trained(False, lr).loss_curve, rtol=1e-12)


# L-BFGS and callbacks that write


def clip(job):
    for p in job.model.parameters():
        p.data = np.clip(p.data, -0.4, 0.4)


def move_once(job):
    if len(job.losses) == 3:
        job.model.layers[0].weight.data = job.model.layers[0].weight.data + 0.5


@pytest.mark.parametrize("callback", [clip, move_once])
@pytest.mark.parametrize("epochs", [1, 3, 4, 8])
def test_lbfgs_goes_on_from_what_a_callback_has_written(callback, epochs):
    eager, compiled = (
        trained(way, optimizer=optim.LBFGS, epochs=epochs, callbacks=[callback]) for way in (False, True)
    )
    assert compiled.n_epochs == eager.n_epochs == epochs
    assert np.allclose(compiled.loss_curve, eager.loss_curve, rtol=1e-6)
    assert eager.stop_reason == ("1 epoch done" if epochs == 1 else f"all {epochs} epochs done")
    if callback is clip:
        assert np.abs(flat.weights(eager.model.parameters())).max() <= 0.4
        assert np.abs(flat.weights(compiled.model.parameters())).max() <= 0.4


def test_lbfgs_without_writes_is_one_search():
    plain = trained(False, optimizer=optim.LBFGS, epochs=8)
    looked = trained(False, optimizer=optim.LBFGS, epochs=8, callbacks=[lambda job: None])
    assert np.array_equal(plain.loss_curve, looked.loss_curve)


class Scaled(nn.Module):
    def __init__(self):
        self.layer, self.k = nn.Linear(3, 1, rng=0), 1.0

    def forward(self, x):
        return self.layer(x) * self.k


def test_lbfgs_sees_an_attribute_that_a_callback_sets():
    def change(job):
        job.model.k = 0.5

    eager, compiled = (
        trained(way, optimizer=optim.LBFGS, epochs=12, callbacks=[change], model=Scaled()) for way in (False, True)
    )
    assert compiled.loss_curve[-1] == pytest.approx(eager.loss_curve[-1], rel=1e-4)


# Ctrl-C in a callback


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("by_file", [False, True])
@pytest.mark.parametrize("epoch", [1, 3])
def test_a_callback_that_was_interrupted_is_called_again(compiled, by_file, epoch, tmp_path):
    """Its first write of all was still to come: it is made when the run goes on."""

    def writes(job):
        if len(job.losses) == epoch:
            if writes.interrupt:
                writes.interrupt = False
                raise KeyboardInterrupt
            job.model.layers[0].weight.data = job.model.layers[0].weight.data * 0.1

    writes.interrupt = False  # not a list of the closure, which would be undone with the epoch
    whole = trained(compiled, callbacks=[writes])
    writes.interrupt = True
    part = trained(compiled, callbacks=[writes])
    assert part.n_epochs in (epoch - 1, epoch)
    if by_file and part.n_epochs:
        part.save(tmp_path / "run")
        on = trained(compiled, callbacks=[writes], resume_from=tmp_path / "run")
    else:
        on = part.resume(5)
    assert np.allclose(on.loss_curve, whole.loss_curve, rtol=1e-12)
    assert np.allclose(flat.weights(on.model.parameters()), flat.weights(whole.model.parameters()), rtol=1e-12)
