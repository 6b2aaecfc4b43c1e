"""A model of a user's own class as a network: in the order of its forward, and refused where that is no chain."""

import re

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.errors import DrawError

X = np.ones((3, 2))


class Own(nn.Module):
    """`last` is set before `first`; the way through them is given."""

    def __init__(self, way, backend="tensor"):
        self.last, self.first = (nn.Linear(2, 2, rng=k, backend=backend) for k in range(2))
        self.way, self.scale = way, tg.Tensor(np.ones(2), requires_grad=True)

    def forward(self, x):
        return self.way(self, x)


def swish(h):
    return h * h.sigmoid()


CHAINS = {
    "reversed": (lambda m, x: m.last(m.first(x).tanh()), ["first", "last"], "Linear 2→2, tanh; Linear 2→2;"),
    "as set": (lambda m, x: m.first(m.last(x)).relu(), ["last", "first"], "Linear 2→2; Linear 2→2, relu;"),
    "formula": (lambda m, x: m.first(swish(m.last(x))), ["last", "first"], "Linear 2→2, sigmoid, mul; Linear 2→2;"),
    "shared": (lambda m, x: m.first(m.first(x).tanh()), ["first", "first"], "Linear 2→2, tanh; Linear 2→2;"),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("inputs", [None, X], ids=["zeros", "samples"])
def test_layers_stand_in_the_order_of_forward(name, inputs):
    """The edges are those of a Sequential of the same layers."""
    way, order, words = CHAINS[name]
    model = Own(way)
    drawing = tg.draw(model, style="network", inputs=inputs)
    edges = [line for line in drawing.dot.splitlines() if "->" in line]
    wanted = tg.draw(nn.Sequential(*(getattr(model, each) for each in order)), style="network")
    assert edges == [line for line in wanted.dot.splitlines() if "->" in line]
    assert words in drawing.summary


NO_CHAINS = {
    "skip": (lambda m, x: m.first(m.last(x) + x), "what reaches first comes not only from last"),
    "parallel": (lambda m, x: m.first(x) + m.last(x), "what reaches last comes not only from first"),
    "skip at the end": (lambda m, x: m.last(m.first(x)) + x, "what reaches the output comes not only from last"),
    "a weight of its own": (lambda m, x: m.first(m.last(x) * m.scale), "what reaches first comes not only from last"),
    "no layer": (lambda m, x: x, "calls none of its layers"),
}


@pytest.mark.parametrize("name", NO_CHAINS)
@pytest.mark.parametrize("inputs", [None, X], ids=["zeros", "samples"])
def test_what_is_no_chain_is_refused(name, inputs):
    way, text = NO_CHAINS[name]
    with pytest.raises(DrawError, match=re.escape(text)):
        tg.draw(Own(way), style="network", inputs=inputs)


def test_health_is_refused_where_the_order_of_the_attributes_is_another():
    with pytest.raises(DrawError, match="in the order of its attributes"):
        tg.draw(Own(CHAINS["reversed"][0]), style="network", inputs=X, color="health")
    assert tg.draw(Own(CHAINS["as set"][0]), style="network", inputs=X, color="health")


def test_a_model_that_zeros_do_not_fit_asks_for_samples():
    model = Own(lambda m, x: m.first(m.last(x.reshape((3, 2)))))
    with pytest.raises(DrawError, match=re.escape("pass samples")):
        tg.draw(model, style="network")
    assert tg.draw(model, style="network", inputs=np.ones((1, 6)))


def test_an_mlp_or_sequential_inside_and_a_subclass_are_followed_too():
    class Around(nn.Module):
        def __init__(self):
            self.body = nn.MLP([2, 3, 2], seed=0, norm="batch", dropout=0.5)
            self.head = nn.Sequential(nn.Linear(2, 2, rng=0), nn.Tanh(), np.exp)

        def forward(self, x):
            return self.head(self.body(x))

    class Twice(nn.MLP):
        def forward(self, x):
            return super().forward(x) + x

    summary = tg.draw(Around(), style="network").summary
    for words in ("Network 2-3-2-2: ", "Linear 2→3, BatchNorm 3, tanh, Dropout", "Linear 2→2, tanh, exp;"):
        assert words in summary
    with pytest.raises(DrawError, match="what reaches the output"):
        tg.draw(Twice([2, 3, 2], seed=0), style="network")


def test_a_model_of_values_is_followed_too():
    model = Own(lambda m, x: m.last([h.tanh() for h in m.first(x)]), backend="scalar")
    del model.scale
    assert "Linear 2→2, tanh; Linear 2→2;" in tg.draw(model, style="network").summary
