"""State in Python that the validation pass changes, and caches that a trace fills: compiled runs are as eager ones."""

import functools

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3))
Y = np.sin(X.sum(axis=1, keepdims=True))


class Net(nn.Module):
    """A network whose forward does something in validation."""

    def __init__(self, act, scale=lambda net: 1.0):
        self.layers, self.dropout = nn.MLP([3, 5, 1], seed=0), nn.Dropout(0.0, rng=0)
        self.act, self.scale, self.n, self.seen = act, scale, 0, []

    def forward(self, x):
        if not self.training:
            self.act(self)
            return self.layers(x)
        return self.layers(self.dropout(x)) * self.scale(self)


def count(net):
    net.n += 1


def clip(net):
    for p in net.parameters():
        p.data = np.clip(p.data, -0.3, 0.3)


def replace_layer(net):
    net.n += 1
    if net.n == 5:
        net.layers.layers[0].weight.data = net.layers.layers[0].weight.data * 0.5


CHANGES = {
    "a counter, some epochs": (count, lambda net: 0.5 if 7 <= net.n <= 10 else 1.0),
    "a list": (lambda net: net.seen.append(1), lambda net: 0.5 if len(net.seen) > 6 else 1.0),
    "weights": (clip,),
    "weights once": (replace_layer,),
    "the rate of dropout": (lambda net: setattr(net.dropout, "p", 0.3),),
    "nothing": (lambda net: None,),
}


def trained(model, compiled, **settings):
    return tg.fit(
        model, X, Y, loss="mse", optimizer="adam", epochs=14, batch_size=10, validation=0.25, compiled=compiled,
        **settings,
    )  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("patience", [None, 3])
def test_compiled_as_eager(name, patience):
    runs = [trained(Net(*CHANGES[name]), compiled, patience=patience) for compiled in (False, True)]
    eager, compiled = runs
    np.testing.assert_allclose(compiled.loss_curve, eager.loss_curve, rtol=1e-9)
    np.testing.assert_allclose(compiled.validation_curve, eager.validation_curve, rtol=1e-9)


def test_a_loss_that_counts_in_validation():
    def make():
        model, counted = nn.MLP([3, 5, 1], seed=0), []

        def loss(output, target):
            if not model.training:
                counted.append(1)
            return np.mean((output - target) ** 2) * (0.5 if 7 <= len(counted) <= 10 else 1.0)

        return model, loss

    curves = []
    for compiled in (False, True):
        model, loss = make()
        run = tg.fit(model, X, Y, loss=loss, optimizer="adam", epochs=14, batch_size=10, validation=0.25,
                     compiled=compiled)  # fmt: skip
        curves.append(run.loss_curve)
    np.testing.assert_allclose(*curves, rtol=1e-9)


def cached_net(size):
    """A network with a cached scale, and the callback that changes what the scale was made of."""
    settings = {"scale": 1.0}

    @functools.lru_cache(maxsize=size)
    def scale():
        return settings["scale"]

    def change(job):
        if len(job.losses) == 3:
            settings["scale"] = 0.5

    return Net(lambda net: None, lambda net: scale()), change


@pytest.mark.parametrize("size", [None, 128])
def test_a_cache_that_the_first_step_fills(size):
    curves = []
    for compiled in (False, True):
        model, change = cached_net(size)
        curves.append(trained(model, compiled, callbacks=[change]).loss_curve)
    np.testing.assert_allclose(*curves, rtol=1e-9)


@pytest.mark.parametrize("size", [None, 128])
def test_a_cache_holds_no_nodes_of_a_trace(size):
    w = tg.Tensor(np.ones(3), requires_grad=True)

    @functools.lru_cache(maxsize=size)
    def scaled(k):
        return w * k

    with pytest.raises(tg.errors.TraceError, match="in the cache of scaled"):
        tg.jit(lambda x: (x * scaled(2)).sum())(np.ones(3))
    assert scaled(2).data.tolist() == [2.0, 2.0, 2.0]
