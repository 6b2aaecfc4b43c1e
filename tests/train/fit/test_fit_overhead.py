"""What a `fit` of a small network costs besides its machine code: each part is done once."""

import sys

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.nn.module import modules_inside
from tinygrad_edu.train.compiled.session import Block, CompiledSession
from tinygrad_edu.train.snapshot import Snapshot

EPOCHS = 2000
WALKS = 16  # through the modules of a model; there were 28, of 6 to 12 µs each


@pytest.fixture(scope="module")
def train():
    """A small run, whose program has been compiled, and whose pace is known."""
    X, y = moons(20)

    def run(epochs=EPOCHS):
        model = nn.MLP([2, 4, 1], seed=1)
        optimizer = optim.SGD(model.parameters(), lr=0.05)
        return fit(model, X, y, loss="hinge", optimizer=optimizer, epochs=epochs, compiled=True)

    run(), run()
    return run


def calls_of(functions, work):
    """How often each of these functions is called."""
    found = dict.fromkeys([f.__code__ for f in functions], 0)

    def note(frame, event, _):
        if event == "call" and frame.f_code in found:
            found[frame.f_code] += 1

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return list(found.values())


def test_each_part_is_done_once(train):
    blocks, takes, snapshots, walks = calls_of(
        [Block.run, CompiledSession.take, Snapshot.__init__, modules_inside], train
    )
    assert (blocks, takes) == (1, 1)  # the pace of an epoch is known, so no short block measures it first
    assert snapshots == 1  # the beginning; after the last epoch nothing has to be undone
    assert walks <= WALKS


def test_a_known_pace_changes_no_number(train):
    again, parts = train(), train(EPOCHS // 3)
    parts = parts.resume(EPOCHS)
    assert np.array_equal(again.loss_curve, parts.loss_curve)
    states = again.model.state_dict(), parts.model.state_dict()
    assert all(np.array_equal(states[0][name], states[1][name]) for name in states[0])
