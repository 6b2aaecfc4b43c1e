"""An nn.MLP that a loop of one's own has trained is diagnosed by what is told of it; each error says what to write."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.clinic.diagnosis.facts.own_loop import of_own_loop
from tinygrad_edu.errors import OperandError, SettingError

X, Y = tg.data.moons(80, seed=1)
NOTHING = dict.fromkeys(
    ("loss", "optimizer", "lr", "epochs", "batch_size", "class_weight", "validation", "callbacks", "scheduler",
     "history"))  # fmt: skip
EPOCHS = 150


def looped(optimizer, init="glorot_uniform", epochs=EPOCHS, **net):
    """(the model, its optimizer, the loss of each epoch)."""
    model = nn.MLP([2, 8, 1], init=init, **net)
    stepper, losses = optimizer(model.parameters()), []
    with np.errstate(all="ignore"):
        for _ in range(epochs):
            stepper.zero_grad()
            loss = ((model(X) - Y) ** 2).mean()
            loss.backward()
            stepper.step()
            losses.append(loss.item())
    return model, stepper, losses


LOOPS = {  # how a loop trained: (its optimizer, the initial weights, the first cause or None)
    "small steps": (lambda p: optim.SGD(p, lr=1e-4), "glorot_uniform", "lr_too_low"),
    "large steps": (lambda p: optim.SGD(p, lr=20.0), "glorot_uniform", "lr_too_high"),
    "equal units": (lambda p: optim.Adam(p, lr=0.05), "zeros", "symmetric_init"),
    "healthy": (lambda p: optim.Adam(p, lr=0.05), "glorot_uniform", None),
}


@pytest.mark.slow
@pytest.mark.parametrize("with_losses", [False, True])
@pytest.mark.parametrize("name", LOOPS)
def test_a_loop_of_ones_own_is_diagnosed_by_what_is_told_of_it(name, with_losses):
    make, init, cause = LOOPS[name]
    model, optimizer, losses = looped(make, init)
    before = model.state_dict()
    history = {"history": {"loss": losses}} if with_losses else {}
    found = diagnose(model, X, Y, loss="mse", optimizer=optimizer, epochs=EPOCHS, **history)
    assert found.healthy == (cause is None)
    assert [each.code for each in found.causes[:1]] == [cause] * (cause is not None)
    assert any("its start and its batches" in row for row in found.not_checked)
    assert all(np.array_equal(before[key], x, equal_nan=True) for key, x in model.state_dict().items())


@pytest.mark.parametrize("given", ["object", "name", "function"])
def test_the_training_is_repeated_as_told_from_the_weights_that_the_model_was_made_with(given):
    model, optimizer, losses = looped(lambda p: optim.SGD(p, lr=0.5), seed=3, epochs=5)
    forms = {"object": {"optimizer": optimizer}, "name": {"optimizer": "sgd", "lr": 0.5},
             "function": {"optimizer": lambda p: optim.SGD(p, lr=0.5)}}  # fmt: skip
    how = NOTHING | {"loss": "mse", "epochs": 5, "batch_size": 40} | forms[given]
    subject = of_own_loop(model, X, Y, None, how)
    setup, first = subject.setup, nn.MLP([2, 8, 1], seed=3).state_dict()
    assert (setup.optimizer, setup.rate, setup.epochs, setup.batch_size) == ("SGD", 0.5, 5, 40)
    assert all(np.array_equal(first[key], x) for key, x in subject.start.items())
    assert not len(subject.losses)
    assert len(losses) == 5


ERRORS = {  # what is given: (arguments, what the error says)
    "the model alone": ({}, r"loss, optimizer, epochs, X, y missing.*diagnose\(model, X, y, loss=\"mse\", optimizer="),
    "the data too": ({"X": X, "y": Y}, r"loss, optimizer, epochs missing.*run = tg.fit\(model, \.\.\.\), diagnose"),
    "no epochs": ({"X": X, "y": Y, "loss": "mse", "optimizer": "sgd"}, r"epochs missing.*epochs=100"),
    "a scheduler": ({"X": X, "y": Y, "loss": "mse", "optimizer": "sgd", "epochs": 5, "scheduler": 1}, "PyTorch"),
    "two rates": (
        {"X": X, "y": Y, "loss": "mse", "optimizer": optim.SGD(nn.MLP([2, 1]).parameters(), lr=0.1), "epochs": 5,
         "lr": 0.1}, "leave lr out"),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_an_error_says_what_to_write(name):
    given, says = ERRORS[name]
    with pytest.raises(SettingError, match=says):
        diagnose(nn.MLP([2, 8, 1]), **given)


def test_another_module_is_trained_by_fit_first():
    model = nn.Sequential(nn.Linear(2, 1))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for given in ({}, {"loss": "mse", "optimizer": optimizer, "epochs": 5}):
        with pytest.raises(OperandError, match=r"run of a Sequential.*run = tg.fit\(model, X, y, loss="):
            diagnose(model, X, Y, **given)


@pytest.mark.slow
def test_a_loop_that_all_repetitions_surpass_is_not_said_to_be_unlucky():
    model, optimizer, _ = looped(lambda p: optim.Adam(p, lr=0.05), epochs=1)  # not what is told below
    found = diagnose(model, X, Y, loss="mse", optimizer=optimizer, epochs=400)
    assert found.healthy is None
    assert "does not repeat your run" in found.summary
