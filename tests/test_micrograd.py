"""micrograd's own checks and its moons training, with its Value and with ours: the same numbers."""

import numpy as np
import pytest

from tinygrad_edu import Value
from tinygrad_edu.data import moons

pytestmark = pytest.mark.slow

engine = pytest.importorskip("micrograd.engine", reason="micrograd (extra `test`) is not installed")
nn = pytest.importorskip("micrograd.nn")

RTOL = 1e-12
STEPS = 4  # steps on 50 samples; `python -m bench` compares a step on 100


def sanity(V):
    x = V(-4.0)
    z = 2 * x + 2 + x
    q = z.relu() + z * x
    h = (z * z).relu()
    y = h + q + q * x
    return y, [x]


def more_operations(V):
    a, b = V(-4.0), V(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g, [a, b]


KNOWN = {sanity: (-20.0, [46.0]), more_operations: (24.70408163265306, [138.83381924198252, 645.5772594752186])}


@pytest.mark.parametrize("expression", KNOWN, ids=lambda f: f.__name__)
def test_sanity_checks(expression):
    found = {}
    for V in (engine.Value, Value):
        y, inputs = expression(V)
        y.backward()
        found[V] = [y.data, *[x.grad for x in inputs]]
    value, gradient = KNOWN[expression]
    assert found[Value] == pytest.approx(found[engine.Value], rel=RTOL)
    assert found[Value] == pytest.approx([value, *gradient], rel=RTOL)


def train(V, monkeypatch):
    """Loss, accuracy and the final weights of the demo: MLP 2-16-16-1, hinge + L2, a falling rate, the whole batch."""
    monkeypatch.setattr(nn, "Value", V)  # micrograd's neurons make their weights with it
    monkeypatch.setattr(nn.random, "uniform", np.random.default_rng(1337).uniform)
    X, y = moons(50)
    model = nn.MLP(2, [16, 16, 1])
    history = []
    for k in range(STEPS):
        loss, accuracy = demo_loss(V, model, X.tolist(), y.ravel().tolist())
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= (1.0 - 0.9 * k / 100) * p.grad
        history.append((loss.data, accuracy))
    return history, [p.data for p in model.parameters()]


def demo_loss(V, model, X, y):
    scores = [model([V(x) for x in row]) for row in X]
    hinges = [(1 + -target * score).relu() for target, score in zip(y, scores, strict=True)]
    loss = sum(hinges) * (1.0 / len(hinges)) + 1e-4 * sum(p * p for p in model.parameters())
    return loss, np.mean([(target > 0) == (score.data > 0) for target, score in zip(y, scores, strict=True)])


def test_moons_training(monkeypatch):
    (expected, their_weights), (found, our_weights) = (train(V, monkeypatch) for V in (engine.Value, Value))
    assert [loss for loss, _ in found] == pytest.approx([loss for loss, _ in expected], rel=1e-9)
    assert [accuracy for _, accuracy in found] == [accuracy for _, accuracy in expected]
    assert our_weights == pytest.approx(their_weights, rel=1e-9)
    assert found[-1][0] < 0.8 * found[0][0]
