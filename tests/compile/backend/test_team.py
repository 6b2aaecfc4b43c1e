"""Threads that share products and loops over weights: the numbers of one thread, whoever computes them."""

import itertools
import os
import threading
import time

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.threads import at_once
from tinygrad_edu import nn
from tinygrad_edu.compile.backend import team, team_threads
from tinygrad_edu.compile.backend.intrinsics import dot, njit
from tinygrad_edu.compile.backend.matmul import in_parts_here

pytestmark = pytest.mark.skipif(not in_parts_here(), reason="products are BLAS's on this processor")
RNG = np.random.default_rng(0)
# around 2²⁰ multiplications, blocks of rows and of columns, with rests of both; one above 2²³
SHAPES = [(64, 32, 900), (900, 32, 64), (33, 300, 129), (129, 300, 33), (25, 128, 401), (160, 300, 200), (32, 900, 64)]


@njit(nogil=True)
def product(a, b, out):
    dot(a, b, out)


@pytest.fixture
def helping():
    """Two helpers, more than there may be processors."""
    threads = team_threads.Helpers()
    threads.count = 2
    return threads


@pytest.mark.slow
@pytest.mark.parametrize(("n", "k", "m"), SHAPES)
def test_blocks_are_the_whole_product_bit_by_bit(n, k, m, helping):
    a, b = RNG.normal(size=(n, k)).astype("float32"), RNG.normal(size=(k, m)).astype("float32")
    for left, right in ((a, b), (np.asfortranarray(a), b), (a, np.asfortranarray(b))):
        memory = np.full((2, n * m + 64), np.nan, "float32")
        alone, together = (x[32:-32].reshape(n, m) for x in memory)
        product(left, right, alone)
        with helping:
            for _ in range(5):
                together[...] = np.nan
                product(left, right, together)
                if n * k * m <= 2**23:  # above it, one thread is BLAS's
                    assert np.array_equal(alone, together)
                np.testing.assert_allclose(together, a @ b, rtol=1e-4, atol=1e-3)
        assert np.isnan(memory[:, :32]).all()
        assert np.isnan(memory[:, -32:]).all()


def test_many_tasks_one_after_the_other_and_from_two_threads_at_once(helping):
    """A helper that is late must not take a part of the next task for one of the last; a team in use is not waited
    for."""
    inputs = [(RNG.normal(size=(64, 32)), RNG.normal(size=(32, 900)), np.zeros((64, 900))) for _ in range(4)]
    expected = [a @ b for a, b, _ in inputs]

    def work(first):
        for i in itertools.islice(itertools.cycle((first, first + 1)), 300):
            a, b, out = inputs[i]
            out[...] = np.nan
            product(a, b, out)
            np.testing.assert_allclose(out, expected[i], atol=1e-12)

    with helping:
        assert not list(at_once(lambda: work(0), lambda: work(2)))


def test_helpers_that_do_nothing_hold_nobody_up(helping):
    """As on a machine with other work: the caller computes all parts itself."""
    a, b, out = RNG.normal(size=(64, 32)), RNG.normal(size=(32, 900)), np.zeros((64, 900))
    helping.start = lambda: team.MEMORY.__setitem__(team.HELPERS, 1)
    with helping:
        product(a, b, out)
    np.testing.assert_allclose(out, a @ b, atol=1e-12)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_the_child_of_a_fork_has_no_helpers_and_needs_none(helping):
    a, b, out = RNG.normal(size=(64, 32)), RNG.normal(size=(32, 900)), np.zeros((64, 900))
    product(a, b, out)
    expected = out.copy()
    with helping:
        child = os.fork()
        if not child:
            out[...] = 0.0
            product(a, b, out)
            os._exit(0 if np.array_equal(out, expected) else 1)
        assert os.waitpid(child, 0)[1] == 0


def trained(optimizer, count, monkeypatch):
    monkeypatch.setattr(team_threads, "helpers_for", lambda work, steps: count)
    X = np.random.default_rng(0).normal(size=(128, 300)).astype("float32")
    model = nn.MLP([300, 130, 3], seed=0)
    for p in model.parameters():
        p.assign(p.array.astype("float32"))
    fit = tg.fit(model, X, np.arange(128) % 3, loss="cross_entropy", optimizer=optimizer, epochs=2, batch_size=64,
                 compiled=True, seed=0)  # fmt: skip
    return [fit.loss_curve, *(p.array for p in model.parameters())]


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_fit_with_helpers_gives_the_weights_of_one_without_and_sends_them_away(optimizer, monkeypatch):
    alone, together = (trained(optimizer, count, monkeypatch) for count in (0, 1))
    for a, b in zip(alone, together, strict=True):
        assert np.array_equal(a, b)
    assert not [x for x in threading.enumerate() if x.name.startswith("helper")]
    assert team.MEMORY[team.HELPERS] == 0


def test_helpers_are_there_for_large_products_and_several_threads_alone(monkeypatch):
    asked = {}
    for threads, cores, work, steps in itertools.product((1, 2, 4, 16), (1, 2, 16), (1000, 10**7), (1, 10**6)):
        monkeypatch.setattr(team_threads, "threads_of_blas", lambda threads=threads: threads)
        monkeypatch.setattr(team_threads, "processors", lambda cores=cores: cores)
        asked[threads, cores, work, steps] = team_threads.helpers_for(work, steps)
    found = {key: n for key, n in asked.items() if n}
    rest = 10**7, 10**6
    assert found == {(2, 2, *rest): 1, (2, 16, *rest): 1, (4, 2, *rest): 1, (4, 16, *rest): 3, (16, 2, *rest): 1}


@pytest.mark.parametrize(("seconds", "stays"), [(1e-7, True), (1e-6, False)])
def test_a_helper_that_answers_slowly_is_sent_away_where_products_are_small(seconds, stays, helping, monkeypatch):
    monkeypatch.setattr(team_threads, "reply_seconds", lambda: seconds)
    for near in (True, False):
        helping.near = near
        with helping:
            assert (team.MEMORY[team.HELPERS] > 0) == (stays or not near)
        assert team.MEMORY[team.HELPERS] == 0


def test_how_quickly_a_helper_answers_is_measured_in_an_instant(helping):
    with helping:
        start = time.perf_counter()
        assert 0.0 < team_threads.reply_seconds() < 1.0
        assert time.perf_counter() - start < 2.0


def test_idle_helpers_sleep(helping):
    """Between blocks of epochs, where Python looks at a run, they take little processor time."""
    with helping:
        time.sleep(0.1)
        before = time.process_time()
        time.sleep(0.2)
        assert time.process_time() - before < 0.1
