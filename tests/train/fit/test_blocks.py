"""Networks of equal blocks: the program is as long for many blocks as for few, and gives what the eager steps give."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.train.compiled.programs import trace_job
from tinygrad_edu.train.job import job_of
from tinygrad_edu.train.recipe import Settings

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(20, 6)), rng.normal(size=(20, 1))


class Block(nn.Module):
    """One block: normalized, widened, back, added; 20 operations, so that four of them are a loop."""

    def __init__(self, seed, dropout=0.2, generator=None):
        generator = generator or np.random.default_rng(seed)
        self.norm, self.drop = nn.LayerNorm(6), nn.Dropout(dropout, rng=generator)
        self.wide, self.narrow = nn.Linear(6, 8, rng=seed), nn.Linear(8, 6, rng=seed + 100)

    def forward(self, x):
        return x + self.drop(self.narrow(np.tanh(self.wide(self.norm(x)))))


class Scaled(Block):
    """With a single number that is learned, as ReZero's."""

    def __init__(self, seed):
        super().__init__(seed)
        self.scale = nn.Parameter(0.5)

    def forward(self, x):
        return x + self.scale * self.drop(self.narrow(np.tanh(self.wide(self.norm(x)))))


def one_scale(blocks):
    for block in blocks:
        block.scale = blocks[0].scale
    return blocks


class Tower(nn.Module):
    def __init__(self, blocks):
        self.blocks, self.end = list(blocks), nn.Linear(6, 1, rng=7)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.end(x)


def tied(blocks):
    blocks[3].wide.weight = blocks[1].wide.weight
    return blocks


def one_generator(count):
    shared = np.random.default_rng(3)
    return [Block(i, generator=shared) for i in range(count)]


# name → (the blocks, are their weights stacked, are their masks?)
TOWERS = {
    "each with its own generator": (lambda: [Block(i) for i in range(6)], True, True),
    "one generator for all": (lambda: one_generator(6), True, True),
    "a learned number in each": (lambda: [Scaled(i) for i in range(6)], True, True),
    "a learned number for all": (lambda: one_scale([Scaled(i) for i in range(6)]), False, True),
    "without dropout": (lambda: [Block(i, 0.0) for i in range(6)], True, False),
    "two blocks share a weight": (lambda: tied([Block(i) for i in range(6)]), False, True),
    "one drops another share": (lambda: [*(Block(i) for i in range(5)), Block(5, 0.5)], True, False),
    "listed backwards": (lambda: [Block(i) for i in range(6)][::-1], True, True),
}


def program_of(blocks):
    model = Tower(blocks)
    settings = Settings(loss="mse", batch_size=8, epochs=2)
    return trace_job(job_of(model, X, Y, optim.Adam(model.parameters(), lr=0.01), settings))


@pytest.mark.as_python(but=("a learned number in each",))
@pytest.mark.parametrize("name", TOWERS)
def test_blocks_train_as_eagerly(name):
    make, weights, masks = TOWERS[name]
    blocks = program_of(make()).blocks
    assert (bool(blocks.weights), bool(blocks.masks)) == (weights, masks)
    settings = {"loss": "mse", "batch_size": 8, "epochs": 3, "seed": 0, "clip_norm": 0.5}
    found = []
    for compiled in (True, False):
        model = Tower(make())
        run = tg.fit(model, X, Y, optimizer=optim.Adam(model.parameters(), lr=0.01), compiled=compiled, **settings)
        found.append((run.loss_curve, run.grad_norms, run.update_norms, *(p.data for p in model.parameters())))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_a_program_is_as_long_for_nine_blocks_as_for_six():
    six, nine = (program_of([Block(i) for i in range(n)]).text.splitlines() for n in (6, 9))
    assert len(six) == len(nine)
    assert sum(a != b for a, b in zip(six, nine, strict=True)) < 0.2 * len(six)  # numbers of rounds, names of weights
