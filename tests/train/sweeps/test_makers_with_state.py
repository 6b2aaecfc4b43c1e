"""A make_model that draws from a generator of its own, or counts, gives fit_many the runs that a loop of fit gives."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn

X = np.random.default_rng(0).normal(size=(12, 3))
Y = X[:, :1] * X[:, 1:2]


def by_generator():
    g = np.random.default_rng(5)
    return lambda seed: nn.Sequential(nn.Linear(3, 4, rng=g), nn.Tanh(), nn.Linear(4, 1, rng=g))


def by_global_numbers():
    np.random.seed(1)
    init = lambda rng, fan_in, fan_out: np.random.normal(size=(fan_out, fan_in))  # noqa: E731
    return lambda seed: nn.Sequential(nn.Linear(3, 4, init=init), nn.Tanh(), nn.Linear(4, 1, rng=seed))


def by_counter():
    made = []

    def make(seed):
        made.append(seed)
        return nn.Sequential(nn.Linear(3, 4, rng=len(made)), nn.Tanh(), nn.Linear(4, 1, rng=seed))

    make.made = made
    return make


@pytest.mark.parametrize("maker", [by_generator, by_global_numbers, by_counter])
def test_the_runs_are_those_of_a_loop_of_fit(maker):
    told = {"loss": "mse", "optimizer": "sgd", "epochs": 3}
    make = maker()
    plain = [tg.fit(make(seed), X, Y, seed=seed, compiled=False, **told).loss_curve[-1] for seed in range(3)]
    make = maker()
    np.testing.assert_allclose(tg.fit_many(make, X, Y, seeds=range(3), **told).losses[0], plain, rtol=1e-9)
    assert getattr(make, "made", [0, 1, 2]) == [0, 1, 2]
