"""How wide pictures are, how long they take, and models as other people write them."""

import math
import re
import time

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.draw.test_recognition import RNG, SIGNS, T, X, encoder
from tinygrad_edu import Tensor, Value, nn, ops
from tinygrad_edu.draw import draw
from tinygrad_edu.draw.text import norm_of
from tinygrad_edu.draw.widths import PAGE, widths

# A page's width

WIDE = {
    "moons": lambda: nn.losses.mse(nn.MLP([2, 16, 16, 1], seed=0)(X), SIGNS),
    "chain": lambda: chain(30),
    "scalar": lambda: nn.losses.mse(nn.MLP([2, 4, 4, 1], seed=0, backend="scalar")(X[:4]), T[:4]),
    "encoder": lambda: encoder(2)(RNG.normal(size=(1, 3, 4))),
    "recurrent": lambda: nn.GRU(4, 3, rng=0)(RNG.normal(size=(2, 6, 4)))[0],
}


def chain(length):
    x = Value(0.5, label="x")
    for _ in range(length):
        x = ops.sin(x)
    return x


@pytest.mark.parametrize("name", WIDE)
def test_a_picture_fits_a_page_by_default(name):
    svg = draw(WIDE[name](), title="a title")._repr_svg_()
    if svg is None:
        pytest.skip("needs Graphviz: the extra viz")
    assert float(re.search(r'width="([\d.]+)pt"', svg)[1]) <= 1.05 * PAGE


@pytest.mark.parametrize(("direction", "error"), [("LR", 0.15), ("TB", 0.55)])  # TB: 0.51 with Graphviz 2.43
def test_the_estimate_of_the_width_is_near_the_layout(direction, error):
    drawing = draw(nn.losses.mse(nn.MLP([2, 3, 1], seed=0)(X), SIGNS), direction=direction)
    svg = drawing._repr_svg_()
    if svg is None:
        pytest.skip("needs Graphviz: the extra viz")
    estimate = widths(drawing.dot.splitlines())[direction == "TB"]
    assert estimate == pytest.approx(float(re.search(r'width="([\d.]+)pt"', svg)[1]), rel=error)


def test_a_direction_that_was_asked_for_is_kept():
    assert "rankdir=LR" in draw(chain(30), direction="LR").dot
    assert "rankdir=TB" in draw(chain(30)).dot
    assert tg.draw(chain(2)).dot.count("rankdir=LR") == 1


def test_arrays_of_values_are_drawn_as_they_come():
    assert "output" in draw(nn.MLP([2, 1], seed=0, backend="scalar")(np.array([1.0, 2.0]))).summary


@pytest.mark.parametrize("shape", [(), (1,), (1, 1), (1, 1, 1)])
def test_an_array_of_one_number_is_a_number(shape):
    x = Tensor(np.full(shape, 0.5), requires_grad=True, label="x")
    drawing = draw(nn.losses.mse(np.tanh(x * np.full(shape, 2.0)), np.full(shape, 3.0)))
    assert drawing.latex()
    assert "0.5" in drawing.dot


def test_a_large_network_of_values_is_drawn_in_linear_time():
    model = nn.MLP([2, 16, 16, 1], seed=0, backend="scalar")

    def seconds(samples):
        loss = nn.losses.mse(model(RNG.normal(size=(samples, 2))), np.ones((samples, 1)))
        start = time.thread_time()
        assert "grouped by layer" in draw(loss).dot
        return time.thread_time() - start

    seconds(2)
    assert seconds(16) < 12 * seconds(4)  # four times as many nodes; a loop over pairs would take 16 times as long


class Block(nn.Module):
    """A transformer block as people write it."""

    def __init__(self, width, seed):
        self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiHeadAttention(width, 2, causal=True, rng=seed)
        self.network = nn.Sequential(nn.Linear(width, 8, rng=seed), nn.GELU(), nn.Linear(8, width, rng=seed))

    def forward(self, x):
        x = x + self.attention(self.ln1(x))
        return x + self.network(self.ln2(x))


class Language(nn.Module):
    def __init__(self, blocks):
        self.tokens, self.places = nn.Embedding(11, 4, rng=0), nn.Embedding(6, 4, rng=1)
        self.blocks = nn.ModuleList([Block(4, i) for i in range(blocks)])
        self.norm, self.head = nn.LayerNorm(4), nn.Linear(4, 11, rng=2)
        self.label_parameters()

    def forward(self, numbers):
        x = self.tokens(numbers) + self.places(np.arange(numbers.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


@pytest.mark.parametrize("blocks", [4, 7])
def test_a_language_model_of_ones_own(blocks):
    model = Language(blocks)
    loss = nn.losses.cross_entropy(model(RNG.integers(0, 11, (2, 6))).reshape(-1, 11), RNG.integers(0, 11, 12))
    dot = draw(loss).dot
    wanted = ["Embedding 11→4", f"Block ×{blocks}", "LayerNorm 4", "Linear 4→11", "cross-entropy"]
    assert [title for title in re.findall(r"<B>([^<]+)</B>", dot) if title in wanted] == wanted


def test_two_models_are_told_apart():
    generator, critic = nn.MLP([3, 4, 2], seed=0), nn.MLP([2, 4, 1], seed=1)
    loss = nn.losses.bce_with_logits(critic(generator(RNG.normal(size=(5, 3)))), np.ones((5, 1)))
    dot = draw(loss, collapse="layer").dot
    for words in (
        "Linear 3→4, tanh",
        "Linear 4→2",
        "Linear 2→4, tanh",
        "Linear 4→1",
        "MLP 1: layers.0",
        "MLP 2: layers.1",
    ):
        assert words in dot


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-300, 0.0, math.inf, math.nan])
def test_the_norm_of_a_large_array_is_that_of_its_numbers(scale):
    array = np.linspace(0.5, 1.0, 5000) * scale
    assert norm_of(array) == pytest.approx(math.hypot(*array.tolist()), nan_ok=True)


@pytest.mark.parametrize("rows", [3, 4000])
def test_a_batch_of_any_size_has_its_names(rows):
    W = Tensor(RNG.normal(size=(5, 4)), requires_grad=True, label="W")
    e = np.exp(RNG.normal(size=(rows, 5)) @ W)
    p = e / e.sum(axis=1, keepdims=True)
    dot = draw(nn.losses.mse(p, np.ones((rows, 4)))).dot
    assert "softmax<BR/>" in dot
    assert "<B>mse</B>" in dot
