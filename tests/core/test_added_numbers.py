"""Penalties that have become plain numbers, which change no gradient: told; numbers that are added on purpose: not."""

import math
import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import Value, nn, ops, optim
from tinygrad_edu.core.added_numbers import LEFT, PLACES
from tinygrad_edu.core.lost_gradients import LostGradientWarning

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 3))
T = np.sin(X.sum(axis=1, keepdims=True))
SEEN = []


@pytest.fixture(autouse=True)
def passes_are_looked_at():
    """A process looks at its first passes, and other tests have had theirs."""
    LEFT[0] = 200


def first(model):
    return model.layers[0].weight


def slope(model):
    """The slope along one direction at one point: a number."""
    return tg.grad(lambda a: model(X[:1] * a).sum())(0.5)


WRONG = {
    ".data": (
        lambda m, loss: loss + 0.01 * np.sum(first(m).data ** 2),
        "0.01 times the sum of squares of layers.0.weight",
    ),
    "of all": (lambda m, loss: loss + 0.01 * sum(np.sum(p.data**2) for p in m.parameters()), "of all that the loss"),
    "of the matrices": (
        lambda m, loss: loss + 0.1 / 16 * sum(np.sum(p.numpy() ** 2) for p in m.parameters() if p.ndim > 1),
        "0.00625 times the sum of squares of all weight matrices",
    ),
    "before the loss": (lambda m, loss: 0.01 * np.sum(first(m).data ** 2) + loss, "the sum of squares"),
    "two of them": (lambda m, loss: loss + 0.5 + 0.01 * np.abs(first(m).data).sum(), "the sum of the absolute values"),
    "subtracted": (lambda m, loss: loss - 0.01 * np.linalg.norm(first(m).data), "0.01 times the norm"),
    "detach()": (lambda m, loss: loss + 0.01 * (first(m).detach() ** 2).sum(), "the sum of squares"),
    "item()": (lambda m, loss: loss + 0.01 * (first(m) ** 2).sum().item(), "the sum of squares"),
    "float()": (lambda m, loss: loss + 0.01 * float(np.sum(first(m).data ** 2)), "the sum of squares"),
    "math.sqrt": (
        lambda m, loss: loss + 0.1 * math.sqrt(slope(m) ** 2 + 1.0),
        "0.1 times math.sqrt of a derivative of <la",
    ),
    "math.exp": (lambda m, loss: loss + 0.1 * math.exp(slope(m)), "0.1 times math.exp of a derivative of <lambda>"),
}
RIGHT = {
    "a penalty": lambda m, loss: loss + 0.01 * (first(m) ** 2).sum(),
    "a normalization": lambda m, loss: loss + 0.5 * math.log(2.0 * math.pi),
    "a number of the data": lambda m, loss: loss + np.mean(RNG.normal(size=5) ** 2),
    "a divergence": lambda m, loss: loss + 0.1 * ((first(m) ** 2).sum() - 1.0 - 12.0),
    "its own number": lambda m, loss: loss - loss.item() + 1.0,
    "divided by itself": lambda m, loss: loss / loss.item(),
    "a report": lambda m, loss: (SEEN.append(loss.item() + 0.01 * np.sum(first(m).data ** 2)), loss)[1],
    "a root in a report": lambda m, loss: (SEEN.append(math.sqrt(slope(m) ** 2)), loss + 0.3)[1],
    "a derivative's number on purpose": lambda m, loss: loss + 0.1 * float(slope(m)),
    "its root on purpose": lambda m, loss: loss + 0.1 * math.sqrt(float(abs(slope(m)))),
    "a step size": lambda m, loss: loss * (0.1 / math.sqrt(slope(m) ** 2 + 1.0)).__float__(),
}


def told(term):
    """The warnings of three steps."""
    PLACES.clear()
    model = nn.MLP([3, 4, 1], seed=0)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            optimizer.zero_grad()
            term(model, ops.mse(model(X), T)).backward()
            optimizer.step()
    return [x for x in caught if x.category is LostGradientWarning]


@pytest.mark.parametrize("kind", WRONG)
def test_a_penalty_of_plain_numbers_is_told_once(kind):
    term, words = WRONG[kind]
    (found,) = told(term)
    assert words in str(found.message)
    assert found.filename == __file__


@pytest.mark.parametrize("kind", RIGHT)
def test_other_numbers_may_be_added(kind):
    assert not told(RIGHT[kind])


@pytest.mark.parametrize("lost", [True, False])
def test_values_too(lost):
    PLACES.clear()
    w = [Value(0.5), Value(-1.0)]
    optimizer = optim.SGD(w, lr=0.05)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            optimizer.zero_grad()
            penalty = sum((x.data if lost else x) ** 2 for x in w)
            ((w[0] * 2.0 + w[1] - 1.0) ** 2 + 0.01 * penalty + 1.5).backward()
            optimizer.step()
    assert len(caught) == lost


def test_out_of_fit_it_names_the_line_that_calls_fit():
    PLACES.clear()
    model = nn.MLP([3, 4, 1], seed=0)
    with pytest.warns(LostGradientWarning, match="the sum of squares") as caught:
        tg.fit(
            model,
            X,
            T,
            loss=lambda z, t: ((z - t) ** 2).mean() + np.sum(first(model).data ** 2),
            optimizer="adam",
            epochs=5,
        )
    assert [x.filename for x in caught] == [__file__]
