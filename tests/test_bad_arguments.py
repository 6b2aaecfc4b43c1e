"""The public functions, called with what they cannot be meant to take: each says so by name."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import TinygradError

X, Y = tg.data.or_gate()
FIT = {"loss": "mse", "epochs": 1}
JUNK = {"None": None, "text": "junk", "a number": 2.5, "a list": [1.0], "an object": object()}
CALLS = {
    "grad": lambda x: tg.grad(x)(1.0),
    "value_and_grad": lambda x: tg.value_and_grad(x)(1.0),
    "vjp": lambda x: tg.vjp(x, 1.0),
    "jvp": lambda x: tg.jvp(x, (1.0,), (1.0,)),
    "jacobian": lambda x: tg.jacobian(x)(np.ones(2)),
    "hessian": lambda x: tg.hessian(x)(np.ones(2)),
    "hvp": lambda x: tg.hvp(x, 1.0, 1.0),
    "gradcheck": lambda x: tg.gradcheck(x, 1.0),
    "fit": lambda x: tg.fit(x, X, Y, optimizer="sgd", **FIT),
    "fit_many": lambda x: tg.fit_many(x, X, Y, optimizer="sgd", **FIT),
    "a model of no kind": lambda x: tg.fit_many(lambda seed: x, X, Y, optimizer="sgd", **FIT),
    "lr_range_test": lambda x: tg.lr_range_test(x, X, Y, loss="mse"),
    "export": lambda x: tg.export(tg.nn.MLP([2, 1]), x),
    "the model of export": lambda x: tg.export(x, "net.c"),
    "compare": lambda x: tg.compare(x),
    "grade": lambda x: tg.clinic.grade(x),
    "check_program": lambda x: tg.clinic.check_program(object(), step=x, loss=x),
    "check_backprop": lambda x: tg.clinic.check_backprop(x, {"w": np.ones(2)}, {"w": np.ones(2)}),
    "draw": lambda x: tg.draw(x),
    "Tensor": lambda x: tg.Tensor({"a": x}),
    "Value": lambda x: tg.Value([x]),
    "the widths of an MLP": lambda x: tg.nn.MLP(x),
    "an optimizer": lambda x: tg.fit(tg.nn.MLP([2, 1]), X, Y, optimizer=x, **FIT),
    "a loss": lambda x: tg.fit(tg.nn.MLP([2, 1]), X, Y, optimizer="sgd", loss=x, epochs=1),
}


@pytest.mark.parametrize("name", CALLS)
def test_bad_arguments_are_named(name):
    for junk in JUNK.values():
        with pytest.raises(TinygradError):
            CALLS[name](junk)
