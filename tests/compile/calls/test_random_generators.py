"""What a compiled function draws from a generator is no constant: it is refused by the generator's name."""

import random
import sys

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.compile.torch_generators import TorchGenerator, global_torch_state
from tinygrad_edu.errors import TraceError

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch
X = np.ones(2)
OWN = torch.Generator()
BOX = {"noise": OWN}


class Noise:
    def __init__(self):
        self.source = torch.Generator().manual_seed(3)

    def __call__(self, x):
        return x * torch.randn(2, generator=self.source).numpy()


def draw(x, generator=OWN):
    return x * torch.rand(2, generator=generator).numpy()


def put_torch_back_and_draw(x, module=torch):
    sys.modules["torch"] = module  # as the first `import torch` of a process does
    return x * module.rand(1).item()


DRAWN = {
    "OWN": lambda x: x * torch.randn(2, generator=OWN).numpy(),
    "BOX['noise']": lambda x: x * torch.rand(2, generator=BOX["noise"]).numpy(),
    "source": Noise(),
    "__defaults__": draw,
    "the random numbers of torch": lambda x: x * torch.nn.functional.dropout(torch.ones(2), 0.5).numpy(),
    "seed": lambda x: x * (OWN.seed() % 7),
    "torch": lambda x: x * (torch.seed() % 7),
}


@pytest.fixture(autouse=True)
def state():
    before = torch.get_rng_state()
    yield
    torch.set_rng_state(before)


@pytest.mark.parametrize("name", DRAWN)
def test_a_draw_is_refused_by_the_name_of_the_generator(name):
    with pytest.raises(TraceError, match="something else at each call") as error:
        tg.jit(DRAWN[name])(X)
    assert name in str(error.value)


def test_the_first_import_of_torch_within_the_function(monkeypatch):
    torch.set_rng_state(torch.Generator().get_state())
    monkeypatch.delitem(sys.modules, "torch")
    assert global_torch_state() is None
    assert not isinstance(OWN, TorchGenerator)
    with pytest.raises(TraceError, match="the random numbers of torch"):
        tg.jit(put_torch_back_and_draw)(X)


def test_what_is_the_same_at_each_call_is_compiled():
    for make in (torch.Generator, lambda: torch.Generator().manual_seed(0)):
        compiled = tg.jit(lambda x, make=make: x * torch.rand(2, generator=make()).numpy())
        assert np.array_equal(compiled(X), compiled(X))
    compiled = tg.jit(lambda x: x * (OWN.initial_seed() % 1000))
    for seed in (1, 2):  # the seed is read, so the function is traced again
        OWN.manual_seed(seed)
        assert np.array_equal(compiled(X), seed * X)


def test_a_training_that_draws_is_eager():
    class Noisy(tg.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.source = tg.nn.Linear(2, 1, rng=0), torch.Generator().manual_seed(0)

        def forward(self, x):
            return self.layer(x * torch.bernoulli(torch.full((2,), 0.5), generator=self.source).numpy())

    x, y = tg.data.moons(20, seed=0)
    curves = [
        tg.fit(Noisy(), x, y, loss="mse", optimizer="sgd", epochs=4, compiled=way).loss_curve for way in (False, "auto")
    ]
    assert np.array_equal(*curves)


STREAM, STATE, PYTHONS = np.random.default_rng(0), np.random.RandomState(0), random.Random(0)
COINS = {
    "STREAM": lambda: STREAM.integers(2),
    "STATE": lambda: STATE.randint(2),
    "PYTHONS": lambda: PYTHONS.getrandbits(1),
    "numpy.random": lambda: np.random.randint(2),
    "the module random": lambda: random.getrandbits(1),
    "OWN": lambda: torch.randint(2, (), generator=OWN).item(),
    "the random numbers of torch": lambda: torch.randint(2, ()).item(),
}


@pytest.mark.parametrize("name", COINS)
def test_a_coin_that_shows_the_same_side_twice_is_still_a_coin(name):
    coin = COINS[name]
    for _ in range(6):  # every other time two traces in a row were equal, and the side was frozen
        with pytest.raises(TraceError, match=f"it changes .*{name}"):
            tg.jit(lambda x: x * float(coin()))(X)
