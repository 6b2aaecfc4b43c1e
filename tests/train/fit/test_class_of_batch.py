"""What forward is told of its samples in fit, eager and compiled, is what `model(X)` of an array tells it."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import training_without_numba
from tinygrad_edu import nn, optim
from tinygrad_edu.core.methods.plain_arrays import PlainArray
from tinygrad_edu.train.batch_class import class_of_batch

X = np.array([[0.5, 1.0], [1.0, -1.0], [2.0, 0.0], [-1.0, 1.0]])


def helper(x):
    return type(x) is np.ndarray


QUESTIONS = {
    "type": lambda x: type(x) is np.ndarray,
    "__class__": lambda x: x.__class__ is np.ndarray,
    "hasattr": lambda x: hasattr(x, "detach"),
    "getattr": lambda x: getattr(x, "unsqueeze", None) is None,
    "size": lambda x: type(x.size) is int,
    "helper": lambda x: helper(x),
}


class Scaled(nn.Module):
    """Scales its input by the answer to a question about it."""

    def __init__(self, ask):
        self.ask, self.layer = ask, nn.Linear(2, 1, rng=np.random.default_rng(0))

    def forward(self, x):
        return self.layer(x * (2.0 if self.ask(x) else 3.0)).relu()


@pytest.mark.parametrize("name", QUESTIONS)
def test_first_loss(name):
    with training_without_numba():
        for compiled in (False, "auto", True):
            if (name, compiled) == ("size", True):  # x.size of a node is refused by name
                continue
            model = Scaled(QUESTIONS[name])
            expected = float(np.mean((np.asarray(model(X).data) - X[:, :1]) ** 2))
            run = tg.fit(
                model, X, X[:, :1], loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=1,
                shuffle=False, compiled=compiled,
            )  # fmt: skip
            np.testing.assert_allclose(run.loss_curve[0], expected)


def as_torch(x):
    return x.view(-1, 2) if hasattr(x, "view") else x


@pytest.mark.parametrize(
    ("ask", "kind"),
    [
        (lambda x: x.shape == (4, 2), PlainArray),  # asks nothing
        (lambda x: type(x) is np.ndarray, np.ndarray),
        (lambda x: hasattr(x, "T") and x.size(0) == 4, PlainArray),
        (lambda x: hasattr(x, "T") and x[0].unsqueeze(0).ndim == 2, PlainArray),
        (lambda x: hasattr(x, "T") and (x > 0).float().mean() > 0, PlainArray),
        (lambda x: hasattr(x, "T") and x.sum(dim=0).ndim, PlainArray),
        (as_torch, PlainArray),
    ],
)
def test_class(ask, kind):
    assert class_of_batch(Scaled(ask), None) is kind
    assert class_of_batch(nn.Linear(2, 1), lambda z, y: ask(y)) is kind


def test_class_by_a_hook():
    model = nn.Linear(2, 1)
    model.register_forward_hook(lambda module, inputs, output: output if helper(inputs[0]) else None)
    assert class_of_batch(model, None) is np.ndarray
