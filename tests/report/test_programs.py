"""The program of a report trains the same way, or says what it leaves out."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.reporting.settings import program_lines

X, Y = moons(40, seed=1)


def usual(lr=0.1, **settings):
    model = nn.MLP([2, 4, 1], seed=1, **settings)
    return model, optim.SGD(model.parameters(), lr=lr)


def with_groups():
    model, _ = usual()
    first, last = (layer.parameters() for layer in model.layers)
    return model, optim.SGD([{"params": first, "lr": 0.5}, {"params": last}], lr=0.01)


def frozen():
    model, _ = usual()
    for parameter in model.layers[0].parameters():
        parameter.requires_grad = False
    return model, optim.SGD(model.parameters(), lr=0.1)


def last_layer():
    model, _ = usual()
    return model, optim.SGD(model.layers[1].parameters(), lr=0.1)


def trained_before():
    model, optimizer = usual()
    tg.fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=2, progress=False)
    return model, optimizer


def doubled():
    model, optimizer = usual()
    model.register_forward_hook(lambda module, inputs, output: 2.0 * output)
    return model, optimizer


def upward():
    model, _ = usual()
    return model, optim.SGD(model.parameters(), lr=1e-3, maximize=True)


def halve(job):
    job.optimizer.lr *= 0.5


RUNS = {  # how it is made, callbacks, what the program leaves out
    "usual": (usual, [], ""), "float32": (lambda: usual(dtype="float32"), [], ""), "upward": (upward, [], ""),
    "norm": (lambda: usual(norm="batch"), [], ""), "dropout": (lambda: usual(dropout=0.2), [], ""),
    "watched": (usual, [tg.train.Snapshots()], ""), "groups": (with_groups, [], "the groups"),
    "frozen": (frozen, [], "frozen weights"), "last layer": (last_layer, [], "which weights"),
    "trained before": (trained_before, [], "load_state_dict"), "hook": (doubled, [], "hooks"),
    "callback": (usual, [halve], "what callbacks changed"),
}  # fmt: skip


@pytest.mark.parametrize("name", RUNS)
def test_the_program_gives_the_same_losses_or_names_what_it_leaves_out(name):
    make, callbacks, left_out = RUNS[name]
    model, optimizer = make()
    run = tg.fit(model, X, Y, loss="mse", optimizer=optimizer, epochs=4, callbacks=callbacks, progress=False)
    lines = list(program_lines(run))
    comments = [line for line in lines if line.startswith("#")]
    assert len(comments) == bool(left_out)
    assert left_out in "".join(comments)
    if not left_out:
        made = {"X": X, "y": Y}
        exec("\n".join(lines), made)
        np.testing.assert_allclose(made["run"].loss_curve, run.loss_curve, rtol=1e-9)
