"""A loop by hand with an optimizer of another model is told so, once; right programs with several models are not."""

import copy

import numpy as np
import pytest

from tests.optim.test_loops_that_cannot_learn import STEPS, Weights, X, net, sgd, told
from tinygrad_edu import Tensor, optim
from tinygrad_edu.optim.idle_steps import IdleStepWarning


def train(model, rule, steps=STEPS):
    for _ in range(steps):
        rule.zero_grad()
        (model(X) ** 2).sum().backward()
        rule.step()


def made_again(make=net, optimizer=sgd, trained=0):
    """The model's cell of a notebook runs once more, that of the optimizer does not."""

    def program():
        model = make()
        rule = optimizer(model)
        train(model, rule, trained)
        model = make()
        train(model, rule)

    return program


def of_a_list():
    weights, rule = [Tensor(np.ones(3), requires_grad=True, label="w")], sgd(net())
    for _ in range(STEPS):
        rule.zero_grad()
        (X @ weights[0]).sum().backward()
        rule.step()


OTHERS = {
    "Tensors": made_again(),
    "Adam": made_again(optimizer=lambda model: optim.Adam(model.parameters())),
    "groups": made_again(optimizer=lambda model: optim.SGD([{"params": model.parameters()}], lr=0.1)),
    "after training": made_again(trained=3),
    "a list": of_a_list,
}


@pytest.mark.parametrize("kind", OTHERS)
def test_an_optimizer_of_another_model_is_told_once(kind):
    with pytest.warns(IdleStepWarning, match=r"gradients to (model|weights), whose parameters no optimizer") as caught:
        OTHERS[kind]()
    assert len(caught) == 1
    assert caught[0].filename == __file__


def turns(first_of_rules):
    """Two models that are trained in turn, with steps of both optimizers in each round."""

    def program():
        model, head = net(), net()
        rules = [sgd(model), sgd(head)]
        for i in range(3 * STEPS):
            for rule in rules:
                rule.zero_grad()
            (model if i // STEPS % 2 == 0 else head)(X).sum().backward()
            for rule in rules[::first_of_rules]:
                rule.step()

    return program


def copied():
    """An optimizer that was copied with its model."""
    model = net()
    model, rule = copy.deepcopy((model, sgd(model)))
    train(model, rule)
    idle = sgd(net())
    for _ in range(STEPS):
        model(X).sum().backward()
        idle.step()
        rule.step()
        rule.zero_grad()


def gradients_of_an_input():
    """The gradient of an input, beside a model that is frozen for a while."""
    model = net()
    rule = sgd(model)
    train(model, rule)
    for p in model.parameters():
        p.requires_grad = False
    x = Tensor(X, requires_grad=True)
    model(x).sum().backward()
    assert x.grad is not None
    for p in model.parameters():
        p.requires_grad = True
    train(model, rule)


def two_in_one_optimizer():
    model, other = net(), net()
    rule = sgd(model, other)
    for each in (model, other, model):
        train(each, rule)


def trained_by_a_function():
    for model in (net(), Weights()):
        train(model, sgd(model))


RIGHT = {f.__name__: f for f in (copied, gradients_of_an_input, two_in_one_optimizer, trained_by_a_function)}
RIGHT |= {"turns": turns(1), "turns, the other first": turns(-1)}


@pytest.mark.parametrize("kind", RIGHT)
def test_right_programs_with_several_models_are_not_told(kind):
    assert not told(RIGHT[kind])
