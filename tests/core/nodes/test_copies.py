"""A copy of a graph of any length, and what pickle says to one that is too long for it."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn
from tinygrad_edu.core import tensor
from tinygrad_edu.core.writes import write_guard
from tinygrad_edu.errors import GraphError, SavedArrayChangedError

MAKES = {"Value": lambda: tg.Value(1.5), "Tensor": lambda: tg.Tensor([1.5, 2.0], requires_grad=True)}


def total(x):
    return x if isinstance(x, tg.Value) else x.sum()


@pytest.mark.slow
@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
def test_a_long_graph(make):
    x = make()
    y = x
    for _ in range(20_000):
        y = y * 1.0 + 0.0
    other = copy.deepcopy(total(y))
    other.backward()
    assert x.grad is None or x.grad == 0.0
    assert np.all(other.data == total(y).data)
    with pytest.raises(GraphError, match=r"copy\.deepcopy\(x\) copies a graph of any length"):
        pickle.dumps(y)
    assert np.all(pickle.loads(pickle.dumps(y.detach())).data == y.data)


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
@pytest.mark.parametrize("way", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))], ids=["copy", "pickle"])
def test_what_is_shared_stays_shared(make, way):
    x = make()
    h = x * 2.0
    x2, h2, y2 = way([x, h, total(h * h + x)])
    y2.backward()
    assert h2.parents[0] is x2
    np.testing.assert_allclose(x2.grad, 8.0 * x2.data + 1.0)
    np.testing.assert_allclose(h2.grad, 2.0 * h2.data)
    assert x.grad is None or x.grad == 0.0


def test_models_and_results():
    for backend in ("tensor", "scalar"):
        model = nn.MLP([2, 3, 1], seed=0, backend=backend)
        other = copy.deepcopy(model)
        assert all(a is not b for a, b in zip(model.parameters(), other.parameters(), strict=True))
        x = [[0.1, 0.2]] if backend == "tensor" else [0.1, 0.2]
        assert repr(other(x)) == repr(model(x))


@pytest.fixture
def in_another_process(monkeypatch):
    """Reads a pickle as a process would whose clock of writes has just begun."""

    def load(data):
        for module in (tensor, write_guard):
            monkeypatch.setattr(module, "CLOCK", itertools.count(1))
        return pickle.loads(data)

    return load


def train(model):
    optimizer = tg.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        model(X).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def write(model):
    for p in model.parameters():
        p.data *= 0.5
        p.data = p.data - 0.1


X = np.ones((3, 2))


@pytest.mark.parametrize("change", [train, write, lambda model: None])
def test_a_model_goes_on_in_another_process(change, in_another_process):
    model = nn.MLP([2, 4, 1], seed=0)
    change(model)
    h = np.tanh(model(X))
    other, g = in_another_process(pickle.dumps((model, h)))
    assert np.array_equal(g.data, h.data)
    np.sum(other(X) ** 2).backward()
    assert all(np.any(p.grad) for p in other.parameters())
    (g * g).sum().backward()  # the graph that was copied along
    for p, q in zip(model.parameters(), in_another_process(pickle.dumps(other)).parameters(), strict=True):
        assert np.array_equal(p.data, q.data)


def test_a_write_before_the_pickle_is_still_seen(in_another_process):
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    x.data[0] = 5.0
    with pytest.raises(SavedArrayChangedError):
        in_another_process(pickle.dumps(y)).backward()


def test_a_shallow_copy_was_made_when_the_first_one_was():
    x = tg.Tensor([1.0, 2.0], requires_grad=True)
    x.data = np.array([5.0, 2.0])
    y = copy.copy(x * x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, [10.0, 4.0])
    a = tg.Value(3.0)
    copy.copy(a * a).backward()
    assert a.grad == 6.0


def test_a_write_into_a_copied_leaf_reaches_no_other():
    x = tg.Tensor([1.0, 2.0], requires_grad=True, label="x")
    y, other = np.sum(x * x), copy.copy(x)
    other.data[0] = 100.0
    y.backward()
    assert (x.grad.tolist(), x.data.tolist(), other.data.tolist()) == ([2.0, 4.0], [1.0, 2.0], [100.0, 2.0])
    assert (other.label, other.requires_grad, other.grad) == ("x", True, None)
