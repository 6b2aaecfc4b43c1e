"""The warning about a forgotten zero_grad, once for each backward pass."""

import warnings

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.optim.test_optim import makers, parameter
from tinygrad_edu import Value
from tinygrad_edu.errors import DtypeError, ForgottenZeroGradWarning, OperandError, ShapeError
from tinygrad_edu.optim import (
    SGD,
)

# A forgotten zero_grad


def step_of(make):
    """Two weights and an optimizer that has used their gradients."""
    weights = [make(1.0), make(2.0)]
    optimizer = SGD(weights, lr=0.1)
    loss(weights).backward()
    optimizer.step()
    return weights, optimizer


def loss(weights):
    return weights[0] * weights[1]


@makers
def test_a_forgotten_zero_grad_is_one_warning_for_each_backward_pass(make):
    weights, optimizer = step_of(make)
    for _ in range(2):
        with pytest.warns(ForgottenZeroGradWarning, match=r"and 1 more.*zero_grad") as caught:
            loss(weights).backward()
        assert len(caught) == 1
        assert caught[0].filename == __file__, "the warning points at the caller"
        optimizer.step()


@makers
def test_one_step_is_warned_of_once(make):
    weights, _ = step_of(make)
    with pytest.warns(ForgottenZeroGradWarning):
        loss(weights).backward()
    loss(weights).backward()  # warnings are errors in these tests


def test_two_networks_that_are_cleared_by_turns_are_not_warned_of():
    """As in adversarial training: the generator's loss reaches the discriminator, whose gradients are cleared later."""
    generator, discriminator = parameter(1.0), parameter(2.0)
    steps = {w: SGD([w], lr=0.1) for w in (generator, discriminator)}
    for _ in range(3):
        steps[discriminator].zero_grad()
        (discriminator * generator.detach()).backward()
        steps[discriminator].step()
        steps[generator].zero_grad()
        (discriminator * generator).backward()
        steps[generator].step()
    with pytest.warns(ForgottenZeroGradWarning):
        (discriminator * generator.detach()).backward()  # here its own zero_grad() is missing


def test_weights_that_no_optimizer_has_hide_no_forgotten_zero_grad():
    head, body = parameter(1.0), parameter(2.0)
    optimizer = SGD([head], lr=0.1)
    (head * body).backward()
    optimizer.step()
    with pytest.warns(ForgottenZeroGradWarning):
        (head * body).backward()


@makers
def test_the_gradient_is_added_all_the_same(make):
    weights, _ = step_of(make)
    before = float(weights[0].grad)
    with warnings.catch_warnings(action="ignore"):
        loss(weights).backward()
    assert float(weights[0].grad) == before + weights[1].item()


CURES = [
    (Value, lambda w, optimizer: optimizer.zero_grad()),
    (Value, lambda w, optimizer: setattr(w, "grad", 0.0)),
    (parameter, lambda w, optimizer: optimizer.zero_grad()),
    (parameter, lambda w, optimizer: setattr(w, "grad", None)),
    (parameter, lambda w, optimizer: setattr(w, "grad", np.zeros(()))),
    (parameter, lambda w, optimizer: w.grad.fill(0.0)),
]


@pytest.mark.parametrize(("make", "cure"), CURES)
def test_cleared_gradients_are_not_warned_of(make, cure):
    weights, optimizer = step_of(make)
    for w in weights:
        cure(w, optimizer)
    loss(weights).backward()
    loss(weights).backward()  # adds a second gradient on purpose
    assert float(weights[0].grad) == 2.0 * weights[1].item()


@makers
def test_gathering_gradients_before_a_step_is_not_warned_of(make):
    weights = [make(1.0), make(2.0)]
    optimizer = SGD(weights, lr=0.1)
    for _ in range(3):
        for _ in range(4):
            loss(weights).backward()
        optimizer.step()
        optimizer.zero_grad()


@makers
def test_backward_from_a_leaf_is_not_a_step(make):
    w = make(3.0)
    w.backward()
    (w * w).backward()
    assert float(w.grad) == 7.0


def test_gradients_given_by_hand_have_the_shape_of_their_tensor():
    """An optimizer would take others as they are: the weights would get their shape, or a mask."""
    x = tg.Tensor([1.0, 2.0, 3.0], dtype="float32", requires_grad=True)
    masked = np.ma.array([1.0, 2.0, 3.0], mask=[False, True, False])
    for given in (np.zeros(2), np.zeros((3, 1)), masked, np.array(["a"] * 3), 1j * np.ones(3)):
        with pytest.raises((ShapeError, DtypeError, OperandError)):
            x.grad = given
    for given in ([0.5] * 3, 0.5, np.full(3, 0.5), tg.Tensor([0.5] * 3)):
        x.grad = given
        assert x.grad.tolist() == [0.5] * 3
        assert x.grad.dtype == np.float32
    x.grad *= 2.0
    assert x.grad.tolist() == [1.0] * 3
    x.grad = None
    assert x.grad is None


@makers
def test_a_step_with_a_closure_computes_the_gradients_first(make):
    weights = [make(1.0), make(2.0)]
    optimizer = SGD(weights, lr=0.1)

    def closure():
        optimizer.zero_grad()
        value = loss(weights)
        value.backward()
        return value

    assert [optimizer.step(closure).item() for _ in range(2)] == pytest.approx([2.0, 0.8 * 1.9])
    assert optimizer.step() is None
