"""An LSTM whose series is one operation gives what its loop of steps gives, in both orders of derivatives."""

import contextlib
import itertools

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import nn
from tinygrad_edu.core.graph import parent_nodes, topological
from tinygrad_edu.nn import recurrent
from tinygrad_edu.nn.whole_series import FEW
from tinygrad_edu.train.histograms import evaluation_mode

SETTINGS = {
    "plain": {},
    "no bias": {"bias": False},
    "two levels": {"num_layers": 2},
    "both directions": {"bidirectional": True, "num_layers": 2},
}

CLOSE = {"float64": {"rtol": 1e-9, "atol": 1e-12}, "float32": {"rtol": 2e-3, "atol": 2e-5}}


@contextlib.contextmanager
def steps_one_by_one(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(recurrent, "lstm_at_once", lambda *_: None)
        yield


def measured(model, x, state, weigh):
    """Outputs, states and all gradients."""
    given = [tg.Tensor(a, requires_grad=True) for a in (x, *state)]
    model.zero_grad()
    y, last = model(given[0], tuple(given[1:])) if state else model(given[0])
    weigh(y, *last).backward()
    return [y.data, *(s.data for s in last), *(w.grad for w in (*given, *model.parameters()))]


def weigh_all(y, h, c):
    return (y**2).sum() + (h * 0.3).sum() + np.sin(c).sum()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", SETTINGS)
def test_the_numbers_of_the_loop(name, dtype, monkeypatch):
    settings = SETTINGS[name]
    model, rng = nn.LSTM(3, 4, rng=0, dtype=dtype, **settings), np.random.default_rng(1)
    entries = settings.get("num_layers", 1) * (1 + settings.get("bidirectional", False))
    for lead, times, scale in itertools.product([(), (1,), (3,)], [FEW - 1, FEW, 11], [1.0, 300.0]):
        x = (scale * rng.normal(size=(*lead, times, 3))).astype(dtype)
        given = rng.normal(size=(2, entries, *lead, 4)).astype(dtype)
        for state in ([], list(given if entries > 1 else given[:, 0])):
            found = measured(model, x, state, weigh_all)
            with steps_one_by_one(monkeypatch):
                expected = measured(model, x, state, weigh_all)
            for a, b in zip(found, expected, strict=True):
                assert (a.dtype, a.shape) == (b.dtype, b.shape)
                assert np.allclose(
                    a, b, rtol=1e-9 if dtype == "float64" else 2e-3, atol=1e-12 if dtype == "float64" else 2e-5
                )


HOLES = {"tail": np.s_[1, 6:], "sample": np.s_[1], "all": np.s_[:], "start": np.s_[0, :2]}


@pytest.mark.parametrize("special", [np.nan, np.inf])
@pytest.mark.parametrize("hole", HOLES)
def test_where_no_gradient_flows_nan_does_not_spread(hole, special, monkeypatch):
    """Padding that is NaN or infinite and left out of the loss has gradient 0, and so has what it meets."""

    def gradients():
        model, x, kept = nn.LSTM(2, 3, rng=0), np.random.default_rng(0).normal(size=(3, 10, 2)), np.ones((3, 10, 1))
        x[HOLES[hole]], kept[HOLES[hole]] = special, 0.0
        given = tg.Tensor(x, requires_grad=True)
        (tg.ops.where(kept > 0, model(given)[0], 0.0) ** 2).sum().backward()
        return [w.grad for w in (given, *model.parameters())]

    with np.errstate(invalid="ignore"):
        found = gradients()
        with steps_one_by_one(monkeypatch):
            expected = gradients()
    for a, b in zip(found, expected, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)
    if hole != "start":
        assert all(np.isfinite(a).all() for a in found)


def test_a_second_derivative_is_that_of_the_loop(monkeypatch):
    model, x = nn.LSTM(2, 3, rng=0), np.random.default_rng(0).normal(size=(2, 9, 2))
    loss = lambda x: (model(x)[0] ** 2).sum()  # noqa: E731
    found = tg.hessian(loss)(x)
    with steps_one_by_one(monkeypatch):
        assert np.allclose(found, tg.hessian(loss)(x), rtol=1e-9, atol=1e-12)


def names_in(y):
    """The operations of a graph."""
    return {x.op.name for x in topological(y, parent_nodes) if x.op is not None}


class Own(nn.LSTM):
    def step(self, x, state):
        y, state = super().step(x, state)
        return 2.0 * y, state


def with_hook():
    model = nn.LSTM(2, 3, rng=0)
    model.forget_gate.register_forward_hook(lambda *_: None)
    return model


LOOPS = {
    "a step of one's own": lambda: Own(2, 3, rng=0),
    "a horizon": lambda: nn.LSTM(2, 3, horizon=2, rng=0),
    "a hook": with_hook,
}


@pytest.mark.parametrize("name", LOOPS)
def test_who_asks_for_the_steps_gets_the_loop(name):
    x = np.ones((2, 9, 2))
    assert "lstm_states" not in names_in(LOOPS[name]()(x)[0])
    model = nn.LSTM(2, 3, rng=0)
    assert "lstm_states" in names_in(model(x)[0])
    with evaluation_mode(model):  # histograms and pictures of health look at the gates
        assert "lstm_states" not in names_in(model(x)[0])
    with tg.detect_anomaly():
        assert "lstm_states" not in names_in(model(x)[0])
    assert "lstm_states" not in names_in(model(x[:, : FEW - 1])[0])
    assert "lstm_states" not in names_in(model(tg.Tensor(np.ones((2, 9, 2), "float32")))[0])  # another dtype


def test_compiled_and_eager_agree():
    model, x = nn.LSTM(2, 3, rng=0), np.random.default_rng(0).normal(size=(2, 9, 2))
    with without_numba():
        found = tg.jit(lambda x: model(x)[0])(x)
    assert np.allclose(found, model(x)[0].data, rtol=1e-12)
    with tg.no_grad():
        assert np.array_equal(model(x)[0].data, model(x)[0].data)
