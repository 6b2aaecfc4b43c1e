"""Loops of one's own that cannot learn are told so, once and by name; right programs of many kinds are not."""

import copy
import warnings

import numpy as np
import pytest

from tinygrad_edu import Tensor, Value, nn, optim
from tinygrad_edu.core.stretched_targets import StretchedTargetWarning
from tinygrad_edu.optim.idle_steps import IdleStepWarning

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(6, 3)), RNG.normal(size=6)
SIGNS = np.sign(T)
STEPS = 4


def sgd(*models, **settings):
    return optim.SGD([p for model in models for p in model.parameters()], lr=0.1, **settings)


def net(backend="tensor", **more):
    return nn.MLP([3, 4, 1], seed=0, backend=backend, **more)


def told(program):
    """The warnings of a program that trains for a few steps."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        program()
    return [x for x in caught if x.category in (IdleStepWarning, StretchedTargetWarning)]


def loop(body, make=net, optimizer=sgd):
    """A program: `body(model, optimizer, step, loss)` several times."""

    def program():
        model = make()
        rule = optimizer(model)
        for i in range(STEPS):
            body(model, rule, i, lambda: ((model(X)[:, 0] - T) ** 2).mean())

    return program


def of_values(body):
    def program():
        w = [Value(0.5), Value(-1.0)]
        rule = optim.SGD(w, lr=0.1)
        for i in range(STEPS):
            body(w, rule, i, lambda: (w[0] * 2.0 + w[1]) ** 2)

    return program


def forgotten(model, rule, i, loss):
    rule.zero_grad()
    loss()
    rule.step()


def cleared(model, rule, i, loss):
    loss().backward()
    rule.zero_grad()
    rule.step()


def cleared_by_the_model(model, rule, i, loss):
    loss().backward()
    model.zero_grad()
    rule.step()


def once(model, rule, i, loss):
    found = loss()
    if i == 0:
        found.backward()
    rule.step()


def cleared_values(w, rule, i, loss):
    far = (w[0] * 2.0 + 3.0) ** 2
    far.backward()
    rule.zero_grad()
    rule.step()


def forgotten_values(w, rule, i, loss):
    rule.zero_grad()
    far = (w[0] * 2.0 + 3.0) ** 2
    rule.step()
    assert far.data


IDLE = {
    "Values, forgotten": (of_values(forgotten_values), r"SGD\.step\(\) has changed nothing, twice: no parameter has a"),
    "Values, cleared": (of_values(cleared_values), r"zero_grad\(\) stands between backward\(\) and step\(\)"),
    "forgotten": (loop(forgotten), r"SGD\.step\(\) has changed nothing, twice: no parameter has a gradient"),
    "cleared": (loop(cleared), r"zero_grad\(\) stands between backward\(\) and step\(\)"),
    "cleared by the model": (loop(cleared_by_the_model), r"The order is zero_grad\(\), backward\(\), step\(\)"),
    "Adam": (loop(cleared, optimizer=lambda m: optim.Adam(m.parameters())), r"Adam\.step\(\) has changed nothing"),
    "once": (loop(once), r"of an earlier step for the third time.*as in a line search, p.grad = p.grad says so"),
}


@pytest.mark.parametrize("kind", IDLE)
def test_a_step_that_has_nothing_to_use_is_told_once(kind):
    program, words = IDLE[kind]
    with pytest.warns(IdleStepWarning, match=words) as caught:
        program()
    assert len(caught) == 1
    assert caught[0].filename == __file__


def stretched(of_loss, make=net):
    def body(model, rule, i, _):
        rule.zero_grad()
        of_loss(model(X)).backward()
        rule.step()

    return loop(body, make)


class Weights:
    """A program without a module: X @ w."""

    def __init__(self):
        self.w = Tensor(np.ones((3, 1)), requires_grad=True)

    def parameters(self):
        return [self.w]

    def __call__(self, x):
        return x @ self.w


STRETCHED = {
    "squares": stretched(lambda z: ((z - T) ** 2).mean()),
    "the other way": stretched(lambda z: ((T - z) ** 2).sum()),
    "absolute": stretched(lambda z: np.abs(z - T).mean()),
    "a Tensor": stretched(lambda z: ((z - Tensor(T)) ** 2).mean()),
    "after an activation": stretched(lambda z: ((np.tanh(z) - T) ** 2).mean()),
    "hinge": stretched(lambda z: np.maximum(0.0, 1.0 - z * SIGNS).mean()),
    "cross entropy": stretched(lambda z: -((T > 0.0).astype(float) * np.log(1.0 / (1.0 + np.exp(-z)))).mean()),
    "no module": stretched(lambda z: ((z - T) ** 2).mean(), Weights),
    "a row beside a column": stretched(lambda z: ((z[:, 0] - T[:, None]) ** 2).mean()),
}


@pytest.mark.parametrize("kind", STRETCHED)
def test_targets_that_are_stretched_are_told(kind):
    found = told(STRETCHED[kind])
    assert len(found) == STEPS  # the usual filter of Python shows one of them
    assert "each output is compared with the target of every sample" in str(found[0].message)
    assert found[0].filename == __file__


def accumulate(model, rule, i, loss):
    loss().backward()
    if i % 2:
        rule.step()
        rule.zero_grad()


def closure(model, rule, i, loss):
    def again():
        rule.zero_grad()
        found = loss()
        found.backward()
        return found

    rule.step(again)


def skip_bad_batches(model, rule, i, loss):
    rule.zero_grad()
    loss().backward()
    if i == 1:
        rule.zero_grad()
    rule.step()


def by_hand(model, rule, i, loss):
    for p in model.parameters():
        p.grad = np.ones_like(p.data)
    rule.step()
    rule.step()


def warm_scheduler(model, rule, i, loss):
    if i == 0:
        rule.zero_grad()
        rule.step()
    usual(model, rule, i, loss)


def usual(model, rule, i, loss):
    rule.zero_grad()
    loss().backward()
    rule.step()


def freeze(model, rule, i, loss):
    for p in model.parameters():
        p.requires_grad = False
    rule.zero_grad()
    loss()
    rule.step()


def twice(model, rule, i, loss):
    """Sharpness-aware steps make two, each after its own backward()."""
    usual(model, rule, i, loss)
    usual(model, rule, i, loss)


def gan():
    generator, critic = nn.MLP([2, 4, 3], seed=1), net()
    first, second = sgd(critic), sgd(generator)
    for _ in range(STEPS):
        first.zero_grad()
        (critic(X).mean() - critic(generator(X[:, :2])).mean()).backward()
        first.step()
        second.zero_grad()
        (-critic(generator(X[:, :2])).mean()).backward()
        second.step()


def another_head():
    """A head that has its turn later: its optimizer makes steps meanwhile."""
    model, head = net(), net()
    rules = [sgd(model), sgd(head)]
    for i in range(2 * STEPS):
        for rule in rules:
            rule.zero_grad()
        (model if i < STEPS else head)(X).sum().backward()
        for rule in rules:
            rule.step()


def demonstrate():
    """Adam with the same gradient in each step, as in a lesson."""
    w = Tensor(np.zeros(2), requires_grad=True)
    rule = optim.Adam([w])
    w.grad = np.ones(2)
    for _ in range(STEPS):
        rule.step()


def draw_a_schedule():
    """Steps without any gradient, for the rates."""
    rule = sgd(net())
    scheduler = optim.lr_scheduler.StepLR(rule, 2)
    for _ in range(STEPS):
        rule.step()
        scheduler.step()


def centers():
    """Radial functions with as many centers as samples, and pairwise differences."""
    c, w = Tensor(RNG.normal(size=6), requires_grad=True), Tensor(np.ones((6, 1)), requires_grad=True)
    rule = optim.SGD([c, w], lr=0.01)
    for _ in range(STEPS):
        rule.zero_grad()
        out = np.exp(-((T[:, None] - c) ** 2)) @ w
        ((out[:, 0] - T) ** 2).mean().backward()
        rule.step()


def pairs(model, rule, i, loss):
    """Every output beside every other: a ranking loss, and an outer product."""
    rule.zero_grad()
    z = model(X)
    (np.log(1.0 + np.exp(-(z - z.T) * np.sign(T[:, None] - T))).mean() + 0.01 * (z * T).sum()).backward()
    rule.step()


def line_search(model, rule, i, loss):
    """Several steps along one gradient, until the loss rises."""
    rule.zero_grad()
    loss().backward()
    for _ in range(STEPS):
        for p in model.parameters():
            p.grad = p.grad
        rule.step()
        loss()


def of_nothing_to_do(w, rule, i, loss):
    """A hinge that is satisfied from the beginning, and an output beside it."""
    rule.zero_grad()
    out = w[0] * 2.0 + 9.0
    found = (1.0 - out).relu()
    found.backward()
    rule.step()


def draw_a_schedule_of_values():
    rule = optim.SGD([Value(1.0)], lr=optim.schedules.inverse_time(0.1))
    for _ in range(STEPS):
        rule.step()


RIGHT = {
    "Values, nothing to do": of_values(of_nothing_to_do),
    "Values, a schedule": draw_a_schedule_of_values,
    "line search": loop(line_search),
    **{f.__name__: loop(f) for f in (usual, accumulate, closure, skip_bad_batches, by_hand, warm_scheduler, freeze)},
    **{f.__name__: loop(f) for f in (twice, pairs)},
    **{f.__name__: f for f in (gan, another_head, demonstrate, draw_a_schedule, centers)},
    "Values": of_values(usual),
    "a copy of the optimizer": loop(usual, optimizer=lambda model: copy.deepcopy(sgd(model)) and sgd(model)),
    "a column": stretched(lambda z: ((z - T[:, None]) ** 2).mean()),
    "a row": stretched(lambda z: ((z[:, 0] - T) ** 2).mean()),
    "a grid": stretched(lambda z: ((z - np.linspace(0.0, 1.0, 5)) ** 2).mean()),
}


@pytest.mark.parametrize("kind", RIGHT)
def test_a_right_program_is_not_told(kind):
    assert not told(RIGHT[kind])
